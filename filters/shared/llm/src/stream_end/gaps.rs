//! Finds the gaps of a stream: the places where one event (or one object of Gemini's array) is over and the next has
//! not begun, so that another may be put there. Nothing is held; only where the stream stands is known.

use super::seen::Seen;
use crate::done::DoneMatcher;
use crate::scan::{Scalar, Scanner, Visitor};
use crate::sse::{Item, SseParser};

/// Server-sent events.
#[derive(Debug)]
pub(super) struct Events {
    sse: SseParser,
    scanner: Scanner,
    done: DoneMatcher,
    is_at_gap: bool,
    /// The gap began with the CR of what may be a CRLF.
    after_cr: bool,
    /// Lines of this stream end with CRLF.
    uses_crlf: bool,
}

impl Events {
    pub(super) fn new() -> Self {
        Self {
            sse: SseParser::new(),
            scanner: Scanner::new(),
            done: DoneMatcher::default(),
            is_at_gap: true,
            after_cr: false,
            uses_crlf: false,
        }
    }

    /// Takes bytes off the front up to the next gap, `true`, or to the end, `false`.
    pub(super) fn read(&mut self, rest: &mut &[u8], seen: &mut Seen) -> bool {
        loop {
            let before = *rest;
            let item = self.sse.next(rest);
            let taken = before.get(..before.len().saturating_sub(rest.len())).unwrap_or_default();
            match item {
                Some(Item::Data(data)) => {
                    self.is_at_gap = false;
                    self.done.feed(data);
                    self.scanner.feed(data, seen);
                }
                Some(Item::Event | Item::Blank) => {
                    self.after_cr = taken.ends_with(b"\r");
                    self.event_ended(seen);
                    return true;
                }
                Some(Item::LateLineFeed) => {
                    self.uses_crlf = true;
                    self.after_cr = false;
                    self.is_at_gap &= taken.len() == 1;
                }
                None => {
                    self.is_at_gap &= taken.is_empty();
                    return false;
                }
            }
        }
    }

    pub(super) fn is_at_gap(&self) -> bool {
        self.is_at_gap
    }

    /// What must stand between the bytes that passed and an event put here: half of a line's end, at most.
    pub(super) fn joint(&self) -> &'static [u8] {
        if self.after_cr && self.uses_crlf { b"\n" } else { b"" }
    }

    /// Whether the event under way is whole JSON that only lacks its blank line.
    pub(super) fn lacks_blank_line(&self) -> bool {
        self.sse.is_within_event() && self.scanner.is_whole()
    }

    fn event_ended(&mut self, seen: &mut Seen) {
        if self.done.is_done() {
            seen.terminated();
        }
        seen.next_event();
        self.scanner.reset();
        self.done.reset();
        self.is_at_gap = true;
    }
}

/// Gemini's stream without `alt=sse`: a JSON array whose objects come one after the other.
#[derive(Debug, Default)]
pub(super) struct Elements {
    scanner: Scanner,
    is_within: bool,
    /// First and last byte so far that were no white space.
    first: Option<u8>,
    last: Option<u8>,
}

impl Elements {
    /// Takes bytes off the front up to the next gap, `true`, or to the end, `false`.
    pub(super) fn read(&mut self, rest: &mut &[u8], seen: &mut Seen) -> bool {
        // Only a brace ends an object, so the scanner gets no more than up to the next one.
        while let Some((piece, after)) = split_after_brace(rest) {
            *rest = after;
            self.first = self.first.or_else(|| piece.trim_ascii_start().first().copied());
            self.last = piece.trim_ascii_end().last().copied().or(self.last);
            self.scanner.feed(piece, &mut Element { seen, is_within: &mut self.is_within });
            if self.is_at_gap() {
                return true;
            }
        }
        false
    }

    pub(super) fn is_at_gap(&self) -> bool {
        !self.is_within && self.can_be_read() && matches!(self.last, None | Some(b'[' | b',' | b'}'))
    }

    /// What must stand between the bytes that passed and an object put here.
    pub(super) fn joint(&self) -> &'static [u8] {
        match self.last {
            None => b"[",
            Some(b'}') => b",",
            _ => b"",
        }
    }

    /// Whether it is an array, as far as it came, and could be followed.
    pub(super) fn can_be_read(&self) -> bool {
        self.first.is_none_or(|first| first == b'[') && !self.scanner.is_failed()
    }

    /// Whether the array was closed.
    pub(super) fn is_whole(&self) -> bool {
        self.scanner.is_whole()
    }
}

fn split_after_brace<'a>(rest: &&'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let length = memchr::memchr(b'}', rest).map_or(rest.len(), |at| at.saturating_add(1));
    rest.split_at_checked(length).filter(|(piece, _)| !piece.is_empty())
}

/// Tells what stands within an object of the array as if it stood alone.
struct Element<'s> {
    seen: &'s mut Seen,
    is_within: &'s mut bool,
}

fn relative(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("[]")?;
    Some(rest.strip_prefix('.').unwrap_or(rest))
}

impl Visitor for Element<'_> {
    fn text(&mut self, path: &str, bytes: u64) {
        match relative(path) {
            // An array of strings is none of Gemini's: nothing can be put anywhere.
            Some("") => *self.is_within = true,
            Some(path) => self.seen.text(path, bytes),
            None => {}
        }
    }

    fn scalar(&mut self, path: &str, value: Scalar<'_>) {
        if let Some(path) = relative(path) {
            self.seen.scalar(path, value);
        }
    }

    fn begin(&mut self, path: &str) {
        let Some(path) = relative(path) else { return };
        *self.is_within |= path.is_empty();
        self.seen.begin(path);
    }

    fn end(&mut self, path: &str) {
        let Some(path) = relative(path) else { return };
        *self.is_within &= !path.is_empty();
        self.seen.end(path);
    }
}
