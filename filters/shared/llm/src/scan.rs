//! An incremental JSON scanner: bytes in, cut anywhere, and a [`Visitor`] told what passes, path by path.
//!
//! It exists because bodies of model APIs come in chunks and must not be held: nothing here grows with a body (nesting,
//! names and captured values are capped), and long strings are skipped at the speed of `memchr`. Paths are written as
//! `choices[].delta.content`; a name that is too long or has a `.` or `[` in it reads `?`, so no name can pose as a path.
//!
//! It is no validator: it takes some texts that JSON forbids (odd numbers, raw control characters in strings). What it
//! cannot follow ends the report; it never panics and never guesses.

mod model;
mod string;
#[cfg(test)]
mod tests;

pub use model::ModelScanner;
use string::StringReader;

/// Deepest nesting followed.
pub const MAX_DEPTH: usize = 128;
/// Longest captured value in bytes, escapes undone before it is counted.
pub const MAX_VALUE: usize = 256;
/// Longest member name in bytes.
pub const MAX_NAME: usize = 64;

/// A value that holds no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalar<'a> {
    /// A string; `None` if it is longer than [`MAX_VALUE`] or no valid text.
    Text(Option<&'a str>),
    /// A number as it was written; `None` if that is absurdly long.
    Number(Option<&'a str>),
    /// `true` or `false`
    Bool(bool),
    /// `null`
    Null,
}

impl Scalar<'_> {
    /// The value as a count: a whole number that is not negative.
    pub fn count(self) -> Option<u64> {
        match self {
            Self::Number(Some(digits)) => digits.parse().ok(),
            _ => None,
        }
    }
}

/// Who is told what passes. Every method does nothing unless given.
pub trait Visitor {
    /// `bytes` more of a string's text (escapes undone) went by; its end is told by [`Visitor::scalar`].
    fn text(&mut self, path: &str, bytes: u64) {
        let _ = (path, bytes);
    }

    /// A scalar ended.
    fn scalar(&mut self, path: &str, value: Scalar<'_>) {
        let _ = (path, value);
    }

    /// An object or array begins.
    fn begin(&mut self, path: &str) {
        let _ = path;
    }

    /// An object or array ended.
    fn end(&mut self, path: &str) {
        let _ = path;
    }
}

/// What may come next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Value,
    ValueOrEnd,
    NameOrEnd,
    Name,
    Colon,
    CommaOrEnd,
    InName,
    InString,
    InWord,
    Whole,
    Failed,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    /// Length of the container's own path.
    base: usize,
    is_object: bool,
}

/// The scanner of one JSON value.
#[derive(Debug, Default)]
pub struct Scanner {
    state: State,
    frames: Vec<Frame>,
    path: String,
    string: StringReader,
}

impl Scanner {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins anew, keeping allocations.
    pub fn reset(&mut self) {
        self.state = State::Value;
        self.frames.clear();
        self.path.clear();
        self.string.start();
    }

    /// Whether one whole object or array was seen, and nothing but white space after it.
    pub fn is_whole(&self) -> bool {
        self.state == State::Whole
    }

    /// Whether the bytes are no JSON, or nested too deeply. Nothing is told any more.
    pub fn is_failed(&self) -> bool {
        self.state == State::Failed
    }

    /// Reads the next bytes.
    pub fn feed(&mut self, bytes: &[u8], visitor: &mut impl Visitor) {
        self.follow(bytes, visitor);
    }

    /// Reads the next bytes and gives those that it could not follow.
    pub fn follow<'b>(&mut self, bytes: &'b [u8], visitor: &mut impl Visitor) -> &'b [u8] {
        let mut rest = bytes;
        // Each round takes a byte or ends a word, and a word is entered by taking a byte.
        while !rest.is_empty() && self.state != State::Failed {
            let taken = match self.state {
                State::InName | State::InString => self.in_string(rest, visitor),
                State::InWord => self.in_word(rest, visitor),
                _ => self.between(rest, visitor),
            };
            rest = rest.get(taken..).unwrap_or_default();
        }
        rest
    }

    /// Takes one byte of structure.
    fn between(&mut self, rest: &[u8], visitor: &mut impl Visitor) -> usize {
        let byte = rest.first().copied().unwrap_or(b' ');
        match (self.state, byte) {
            (_, b' ' | b'\t' | b'\r' | b'\n') => {}
            (State::Value | State::ValueOrEnd, b'{' | b'[') => self.open(byte == b'{', visitor),
            (State::Value | State::ValueOrEnd, b'"') => self.enter_string(State::InString),
            (State::Value | State::ValueOrEnd, b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => {
                self.string.start();
                self.state = State::InWord;
                return 0;
            }
            (State::Name | State::NameOrEnd, b'"') => self.enter_string(State::InName),
            (State::Colon, b':') => self.state = State::Value,
            (State::CommaOrEnd, b',') => {
                let in_object = self.frames.last().is_some_and(|frame| frame.is_object);
                self.state = if in_object { State::Name } else { State::Value };
            }
            (State::CommaOrEnd | State::NameOrEnd, b'}') => self.close(true, visitor),
            (State::CommaOrEnd | State::ValueOrEnd, b']') => self.close(false, visitor),
            _ => self.state = State::Failed,
        }
        1
    }

    fn enter_string(&mut self, state: State) {
        self.string.start();
        self.state = state;
    }

    fn open(&mut self, is_object: bool, visitor: &mut impl Visitor) {
        if self.frames.len() >= MAX_DEPTH {
            self.state = State::Failed;
            return;
        }
        visitor.begin(&self.path);
        self.frames.push(Frame { base: self.path.len(), is_object });
        if is_object {
            self.state = State::NameOrEnd;
        } else {
            self.path.push_str("[]");
            self.state = State::ValueOrEnd;
        }
    }

    fn close(&mut self, is_object: bool, visitor: &mut impl Visitor) {
        match self.frames.pop() {
            Some(frame) if frame.is_object == is_object => {
                self.path.truncate(frame.base);
                visitor.end(&self.path);
                self.value_ended();
            }
            _ => self.state = State::Failed,
        }
    }

    fn value_ended(&mut self) {
        self.state = if self.frames.is_empty() { State::Whole } else { State::CommaOrEnd };
    }

    /// Takes as much of a string as there is.
    fn in_string(&mut self, rest: &[u8], visitor: &mut impl Visitor) -> usize {
        let is_name = self.state == State::InName;
        let step = self.string.take(rest);
        if step.text > 0 && !is_name {
            visitor.text(&self.path, step.text);
        }
        if step.ended && is_name {
            self.name_ended();
        } else if step.ended {
            let mut decoded = String::new();
            visitor.scalar(&self.path, Scalar::Text(self.string.text(&mut decoded)));
            self.value_ended();
        } else if step.failed {
            self.state = State::Failed;
        }
        step.taken
    }

    fn name_ended(&mut self) {
        let base = self.frames.last().map_or(0, |frame| frame.base);
        self.path.truncate(base);
        if base > 0 {
            self.path.push('.');
        }
        let mut decoded = String::new();
        let plain = |name: &&str| name.len() <= MAX_NAME && !name.contains(['.', '[', '?']);
        self.path.push_str(self.string.text(&mut decoded).filter(plain).unwrap_or("?"));
        self.state = State::Colon;
    }

    /// Takes as much of a number or literal as there is; the byte after it stays.
    fn in_word(&mut self, rest: &[u8], visitor: &mut impl Visitor) -> usize {
        let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        let length = rest.iter().position(|byte| !is_word(byte));
        let word = rest.get(..length.unwrap_or(rest.len())).unwrap_or_default();
        self.string.capture(word);
        if length.is_some() {
            self.word_ended(visitor);
        }
        word.len()
    }

    fn word_ended(&mut self, visitor: &mut impl Visitor) {
        let scalar = match self.string.raw() {
            None => Scalar::Number(None),
            Some("true") => Scalar::Bool(true),
            Some("false") => Scalar::Bool(false),
            Some("null") => Scalar::Null,
            Some(word) if word.starts_with(|first: char| first == '-' || first.is_ascii_digit()) => {
                Scalar::Number(Some(word))
            }
            Some(_) => {
                self.state = State::Failed;
                return;
            }
        };
        visitor.scalar(&self.path, scalar);
        self.value_ended();
    }
}
