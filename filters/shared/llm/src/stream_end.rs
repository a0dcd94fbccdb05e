//! Ends a running stream in place of its provider: a budget's hard cap was hit, and the client must get a whole answer.
//!
//! An answer passes through a [`StreamCutter`] unchanged and unheld. Once it is told to [`cut`](StreamCutter::cut), the
//! event that has begun to go out is completed, the events follow by which the API itself ends an answer that reached
//! its maximum of tokens, and whatever else the provider sends is swallowed. A stream that told its own end first is
//! left alone: what still comes (usage, `[DONE]`) costs nothing.
//!
//! A cut takes effect between two events, never within one: SSE has no way to take back the beginning of an event. So
//! the client may get the rest of one event more than the cap allows. Streams of Anthropic and of OpenAI's responses
//! also get their opening event first, without which clients do not read the others.
//!
//! It does not decide when to cut, and it does not stop the provider.

pub(crate) mod choices;
mod ending;
mod gaps;
mod seen;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use tollgate_core::Usage;

use crate::api::Api;
use crate::usage::Framing;
use gaps::{Elements, Events};
pub(crate) use seen::is_reason;
use seen::{Seen, Standing};

/// What came of [`StreamCutter::cut`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Cut {
    /// The stream ends here: these bytes go on after those that passed, and nothing after them.
    Now(Vec<u8>),
    /// The event under way (or the opening event) passes first; [`StreamCutter::feed`] then gives the ending.
    Pending,
    /// The stream has ended already, by itself or by an earlier cut. If it speaks again after all, it is cut then.
    Over,
    /// This body cannot be ended early: it is one JSON value, or an array that could not be followed. It passes.
    Impossible,
}

/// One answer's body, passing. Memory is constant, whatever passes.
#[derive(Debug)]
pub struct StreamCutter {
    body: Body,
    seen: Seen,
    stage: Stage,
}

#[derive(Debug)]
enum Body {
    Events(Events),
    Elements(Elements),
    /// One value, or nothing we know.
    Opaque,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Passing,
    /// To be ended at the next gap, if the model may still go on there.
    Closing {
        usage: Usage,
        show_usage: bool,
    },
    /// The ending has gone out.
    Cut,
}

impl StreamCutter {
    /// Nothing seen yet.
    pub fn new(api: Api, framing: Framing) -> Self {
        let body = match (framing, api) {
            (_, Api::Embeddings | Api::Other) => Body::Opaque,
            (Framing::Sse, _) => Body::Events(Events::new()),
            (Framing::Json, Api::StreamGenerateContent) => Body::Elements(Elements::default()),
            (Framing::Json, _) => Body::Opaque,
        };
        Self { body, seen: Seen::new(api), stage: Stage::Passing }
    }

    /// Takes the next bytes of the provider's and gives what goes on to the client: the same, the same up to the end of
    /// an event with the ending after it, or nothing.
    pub fn feed<'a>(&mut self, chunk: &'a [u8]) -> Cow<'a, [u8]> {
        if self.is_cut() {
            return Cow::Borrowed(&[]);
        }
        let mut rest = chunk;
        while self.read(&mut rest) {
            if let Some(ending) = self.ending_if_due() {
                let passed = chunk.get(..chunk.len().saturating_sub(rest.len())).unwrap_or_default();
                return Cow::Owned([passed, &ending].concat());
            }
        }
        Cow::Borrowed(chunk)
    }

    /// Asks the stream to end. `usage`: what the client is told the call cost; asked again while pending, the newer
    /// figures count. `show_usage`: whether the client asked for OpenAI's usage chunk; other APIs always tell usage.
    pub fn cut(&mut self, usage: &Usage, show_usage: bool) -> Cut {
        if self.is_cut() {
            return Cut::Over;
        }
        if !self.can_be_cut() {
            return Cut::Impossible;
        }
        self.stage = Stage::Closing { usage: *usage, show_usage };
        match self.ending_if_due() {
            Some(ending) => Cut::Now(ending),
            None if self.is_over() => Cut::Over,
            None => Cut::Pending,
        }
    }

    /// The provider's body ended. Gives the ending if a cut is pending and the last event lacked but its blank line; an
    /// event that broke off within its data cannot be taken back, so the client gets the provider's own raw end.
    pub fn finish(&mut self) -> Vec<u8> {
        let is_pending = matches!(self.stage, Stage::Closing { .. });
        match &self.body {
            Body::Events(events) if is_pending && events.lacks_blank_line() => self.feed(b"\n\n").into_owned(),
            _ => Vec::new(),
        }
    }

    /// Whether the ending has gone out, so that the rest is swallowed.
    pub fn is_cut(&self) -> bool {
        self.stage == Stage::Cut
    }

    /// Takes bytes up to the next gap, `true`, or all of them, `false`.
    fn read(&mut self, rest: &mut &[u8]) -> bool {
        match &mut self.body {
            Body::Events(events) => events.read(rest, &mut self.seen),
            Body::Elements(elements) => elements.read(rest, &mut self.seen),
            Body::Opaque => false,
        }
    }

    fn can_be_cut(&self) -> bool {
        match &self.body {
            Body::Events(_) => true,
            Body::Elements(elements) => elements.can_be_read(),
            Body::Opaque => false,
        }
    }

    fn is_over(&self) -> bool {
        let is_whole = matches!(&self.body, Body::Elements(elements) if elements.is_whole());
        is_whole || self.seen.standing() == Standing::Over
    }

    /// The ending, at a gap of a stream that is to end and would not by itself.
    fn ending_if_due(&mut self) -> Option<Vec<u8>> {
        let Stage::Closing { usage, show_usage } = self.stage else { return None };
        if self.seen.standing() != Standing::Open {
            return None;
        }
        let (joint, ending) = match &self.body {
            Body::Events(events) if events.is_at_gap() => {
                (events.joint(), ending::events(&self.seen, &usage, show_usage))
            }
            Body::Elements(elements) if elements.is_at_gap() => {
                (elements.joint(), ending::elements(&self.seen, &usage))
            }
            _ => return None,
        };
        self.stage = Stage::Cut;
        Some([joint, &ending].concat())
    }
}
