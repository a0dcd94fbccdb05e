//! Takes the usage-only chunk out of an OpenAI stream, for a client that did not ask for it.
//!
//! The gateway asks every provider for streamed usage; the chunk that brings it (`"choices": []` beside `usage`) would
//! surprise clients that index `choices[0]`. All other events pass byte for byte. Of the stream only the event under
//! way is held, and of that at most [`MAX_HELD`] bytes: a longer one is no usage chunk and passes as it is.

#[cfg(test)]
mod tests;

use crate::scan::{Scalar, Scanner, Visitor};
use crate::sse::{Item, SseParser};

/// Most bytes held at any time.
pub const MAX_HELD: usize = 16 * 1024;

/// Removes the usage-only chunk from one stream.
#[derive(Debug, Default)]
pub struct UsageChunkFilter {
    sse: SseParser,
    scanner: Scanner,
    facts: Facts,
    /// The event under way, as it came.
    held: Vec<u8>,
    /// The event under way is too long to be held, so it passes.
    passes: bool,
    /// The last event was taken out; the LF of its CRLF may still come.
    dropped_last: bool,
}

/// What is known of the event under way.
#[derive(Debug, Default)]
struct Facts {
    has_usage: bool,
    choices: Choices,
    has_error: bool,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Choices {
    #[default]
    Absent,
    Empty,
    Some,
}

impl Facts {
    fn is_usage_only(&self) -> bool {
        self.has_usage && self.choices == Choices::Empty && !self.has_error
    }
}

impl Visitor for Facts {
    fn scalar(&mut self, path: &str, value: Scalar<'_>) {
        match path {
            "choices[]" | "choices" => self.choices = Choices::Some,
            "error" => self.has_error |= value != Scalar::Null,
            _ => {}
        }
    }

    fn begin(&mut self, path: &str) {
        match path {
            "usage" => self.has_usage = true,
            "choices" if self.choices == Choices::Absent => self.choices = Choices::Empty,
            "choices[]" => self.choices = Choices::Some,
            "error" => self.has_error = true,
            _ => {}
        }
    }
}

impl UsageChunkFilter {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes and gives what may go on now.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len());
        let mut rest = bytes;
        loop {
            let before = rest;
            let item = self.sse.next(&mut rest);
            let taken = before.get(..before.len().saturating_sub(rest.len())).unwrap_or_default();
            self.hold(taken, item, &mut out);
            if item.is_none() {
                return out;
            }
        }
    }

    /// The stream ended: gives what was held. An event cut off is not taken out; no client dispatches it.
    pub fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }

    fn hold(&mut self, taken: &[u8], item: Option<Item<'_>>, out: &mut Vec<u8>) {
        if item == Some(Item::LateLineFeed) && taken == b"\n" && self.held.is_empty() && !self.passes {
            if !self.dropped_last {
                out.extend_from_slice(taken);
            }
            return;
        }
        self.held.extend_from_slice(taken);
        if self.passes || self.held.len() > MAX_HELD {
            self.passes = true;
            out.append(&mut self.held);
        }
        match item {
            Some(Item::Data(data)) => self.scanner.feed(data, &mut self.facts),
            Some(Item::Event | Item::Blank) => self.event_ended(out),
            Some(Item::LateLineFeed) | None => {}
        }
    }

    fn event_ended(&mut self, out: &mut Vec<u8>) {
        self.dropped_last = !self.passes && self.scanner.is_whole() && self.facts.is_usage_only();
        if !self.dropped_last {
            out.append(&mut self.held);
        }
        self.held.clear();
        self.passes = false;
        self.scanner.reset();
        self.facts = Facts::default();
    }
}
