//! What an answer cost, read while it passes: JSON or server-sent events, cut anywhere, in constant memory.
//!
//! The provider's figures are taken where it gives any. All of them are cumulative, so the largest of each counts.
//! Until they are final, the output is estimated from the content that passed, so that a client
//! that hangs up is charged for what it received; what cannot be read (nested beyond [`MAX_DEPTH`](crate::scan::MAX_DEPTH)) is
//! taken for content, or a model could be asked to hide its answer. What each API calls its figures stands in one file a provider.
//!
//! It also says whether the answer is whole and came to its natural end, which is what a cache needs to know, and for metrics
//! and logs why it ended and whether reasoning was shown.

mod anthropic;
mod gemini;
mod openai;
mod reason;
mod reasoning;
mod responses;
mod tally;
#[cfg(test)]
mod tests;

use tollgate_core::{HeaderList, Usage, header};

use crate::api::Api;
use crate::done::DoneMatcher;
use crate::request::BytesPerToken;
use crate::scan::Scanner;
use crate::sse::{Item, SseParser};
use reason::Reason;
use tally::{EventFacts, Reader, Tally};

/// How the answer's body is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// One JSON value.
    Json,
    /// Server-sent events.
    Sse,
}

impl Framing {
    /// Reads the head of an answer. `None` also if the body is encoded, in spite of what was asked.
    pub fn of_head(headers: &HeaderList) -> Option<Self> {
        if header::is_encoded(headers) { None } else { Self::of(headers.first("content-type")) }
    }

    /// Reads the `content-type` header; parameters are ignored. `None`: a framing that tells no usage.
    pub fn of(content_type: Option<&[u8]>) -> Option<Self> {
        let media_type = content_type?.split(|byte| *byte == b';').next()?.trim_ascii();
        if media_type.eq_ignore_ascii_case(b"application/json") {
            Some(Self::Json)
        } else if media_type.eq_ignore_ascii_case(b"text/event-stream") {
            Some(Self::Sse)
        } else {
            None
        }
    }
}

/// Reads the usage of one answer.
#[derive(Debug)]
pub struct UsageMeter {
    api: Api,
    framing: Framing,
    sse: SseParser,
    scanner: Scanner,
    tally: Tally,
    /// Bytes of events that could not be read, and of the one under way (or of the JSON body): content, for all we know.
    unread: u64,
    unread_now: u64,
    done: DoneMatcher,
    finished: bool,
}

impl UsageMeter {
    /// Nothing seen yet.
    pub fn new(api: Api, framing: Framing) -> Self {
        Self {
            api,
            framing,
            sse: SseParser::new(),
            scanner: Scanner::new(),
            tally: Tally::default(),
            unread: 0,
            unread_now: 0,
            done: DoneMatcher::default(),
            finished: false,
        }
    }

    /// The same, with another ratio for output that the provider has not told yet; without it four bytes are a token.
    #[must_use]
    pub fn estimating_by(mut self, ratio: BytesPerToken) -> Self {
        self.tally.bytes_per_token = ratio;
        self
    }

    /// Bytes of text that the model generated, as far as they passed.
    pub const fn content_bytes(&self) -> u64 {
        self.tally.content_bytes
    }

    /// Why the model ended, in the provider's word: that of the choice that ended last. `None`: it has not said.
    pub fn finish_reason(&self) -> Option<&str> {
        self.tally.reason.as_ref().map(Reason::as_str)
    }

    /// Whether reasoning passed as text.
    pub const fn shows_reasoning(&self) -> bool {
        self.tally.reasoning.is_shown
    }

    /// Whether the answer comes as it is generated. Gemini streams JSON, too: an array whose members come one by one.
    pub fn is_streamed(&self) -> bool {
        self.framing == Framing::Sse || self.api == Api::StreamGenerateContent
    }

    /// Reads the next bytes of the answer's body.
    pub fn feed(&mut self, bytes: &[u8]) {
        match self.framing {
            Framing::Json => self.scan(bytes),
            Framing::Sse => self.feed_events(bytes),
        }
    }

    /// The body ended. An event without its blank line still counts: the provider said it.
    pub fn finish(&mut self) {
        if self.framing == Framing::Sse && self.sse.is_within_event() && !self.finished {
            self.event_ended();
        }
        self.finished = true;
    }

    /// What the call cost as far as it is known now.
    ///
    /// Final figures are marked as reported. Until then the output is the larger of what was reported and what the
    /// content seen amounts to, and the input is 0 unless the provider already said it.
    pub fn usage(&self) -> Usage {
        // What may be `[DONE]` is none of it.
        let is_read = self.framing == Framing::Sse && self.done.may_be_done();
        let unread = self.unread.saturating_add(if is_read { 0 } else { self.unread_now });
        self.tally.usage(self.api, self.is_reported(), unread)
    }

    /// Whether the provider said what the call cost in the end.
    pub fn is_reported(&self) -> bool {
        let is_over = self.tally.is_terminated || self.finished || !self.tally.choices.has_open();
        let is_ended = self.tally.is_ended && is_over;
        self.tally.has_usage && (is_ended || (self.is_whole_json() && !self.tally.has_error))
    }

    /// Whether the answer is whole, a success, and ended by itself and not by a limit or a filter.
    pub fn is_complete(&self) -> bool {
        let is_whole = match self.framing {
            Framing::Json => self.is_whole_json(),
            Framing::Sse if self.is_gemini() => self.finished && self.tally.is_ended && !self.tally.is_broken,
            Framing::Sse => self.tally.is_terminated && !self.tally.is_broken,
        };
        is_whole && self.tally.ended_naturally && !self.tally.ended_otherwise && !self.tally.has_error
    }

    fn is_whole_json(&self) -> bool {
        self.framing == Framing::Json && self.scanner.is_whole()
    }

    fn is_gemini(&self) -> bool {
        matches!(self.api, Api::GenerateContent | Api::StreamGenerateContent)
    }

    fn feed_events(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some(item) = self.sse.next(&mut rest) {
            match item {
                Item::Data(data) => {
                    self.done.feed(data);
                    self.scan(data);
                }
                Item::Event => self.event_ended(),
                Item::Blank | Item::LateLineFeed => {}
            }
        }
    }

    fn scan(&mut self, bytes: &[u8]) {
        let unread = self.scanner.follow(bytes, &mut Reader { api: self.api, tally: &mut self.tally });
        self.unread_now = self.unread_now.saturating_add(unread.len() as u64);
    }

    fn event_ended(&mut self) {
        let is_done = self.done.is_done();
        if is_done {
            self.tally.is_terminated = true;
            self.tally.is_ended = true;
        } else if !self.scanner.is_whole() {
            self.tally.is_broken = true;
            self.unread = self.unread.saturating_add(self.unread_now);
        }
        self.unread_now = 0;
        // A whole event has had its say already; what one that was cut announced does not count.
        self.tally.event = EventFacts::default();
        self.scanner.reset();
        self.done.reset();
    }
}
