//! Strings of the scanner: skipped fast, the beginning captured, the length of the text counted with escapes undone.

use memchr::memchr2;

use super::MAX_VALUE;

/// Raw bytes kept: room for a captured value that is all `\uXXXX`.
const MAX_RAW: usize = 6 * MAX_VALUE;

/// Where in an escape the string stands.
#[derive(Clone, Copy, Debug, Default)]
enum Escape {
    #[default]
    None,
    /// After the backslash.
    Begun,
    /// Within `\uXXXX`: digits still to come, and the value so far.
    Unicode { left: u8, code: u32 },
}

/// What one step through a string gave.
pub(super) struct Step {
    /// Bytes taken.
    pub(super) taken: usize,
    /// Bytes of text among them, in UTF-8.
    pub(super) text: u64,
    /// The closing quote was taken.
    pub(super) ended: bool,
    /// No JSON string.
    pub(super) failed: bool,
}

/// Reads one string (or word) after the other.
#[derive(Debug, Default)]
pub(super) struct StringReader {
    raw: Vec<u8>,
    overflow: bool,
    escaped: bool,
    escape: Escape,
}

impl StringReader {
    /// A new string begins.
    pub(super) fn start(&mut self) {
        self.raw.clear();
        self.overflow = false;
        self.escaped = false;
        self.escape = Escape::None;
    }

    /// Keeps the bytes as far as there is room.
    pub(super) fn capture(&mut self, bytes: &[u8]) {
        let room = MAX_RAW.saturating_sub(self.raw.len());
        self.overflow |= bytes.len() > room;
        self.raw.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }

    /// What was captured, as it was written; `None` if it was too long or is no UTF-8.
    pub(super) fn raw(&self) -> Option<&str> {
        if self.overflow { None } else { str::from_utf8(&self.raw).ok() }
    }

    /// The string's text; `None` if it is too long or no valid text. `decoded` lends room where escapes are undone.
    pub(super) fn text<'a>(&'a self, decoded: &'a mut String) -> Option<&'a str> {
        let raw = self.raw()?;
        let text = if self.escaped {
            // Escapes are serde_json's business: surrogate pairs are easily got wrong.
            *decoded = serde_json::from_str(&format!("\"{raw}\"")).ok()?;
            decoded.as_str()
        } else {
            raw
        };
        (text.len() <= MAX_VALUE).then_some(text)
    }

    /// Takes bytes up to the closing quote, or one byte of an escape.
    pub(super) fn take(&mut self, rest: &[u8]) -> Step {
        let first = rest.first().copied().unwrap_or_default();
        match self.escape {
            Escape::None => self.plain(rest),
            Escape::Begun => self.escape_kind(first),
            Escape::Unicode { left, code } => self.escape_digit(first, left, code),
        }
    }

    fn plain(&mut self, rest: &[u8]) -> Step {
        let length = memchr2(b'"', b'\\', rest);
        let plain = rest.get(..length.unwrap_or(rest.len())).unwrap_or_default();
        self.capture(plain);
        let ended = match length.and_then(|at| rest.get(at)) {
            Some(b'\\') => {
                self.capture(b"\\");
                self.escaped = true;
                self.escape = Escape::Begun;
                false
            }
            Some(_) => true,
            None => false,
        };
        let taken = plain.len() + usize::from(length.is_some());
        Step { taken, text: plain.len() as u64, ended, failed: false }
    }

    fn escape_kind(&mut self, byte: u8) -> Step {
        self.capture(&[byte]);
        let (escape, text, failed) = match byte {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => (Escape::None, 1, false),
            b'u' => (Escape::Unicode { left: 4, code: 0 }, 0, false),
            _ => (Escape::None, 0, true),
        };
        self.escape = escape;
        Step { taken: 1, text, ended: false, failed }
    }

    fn escape_digit(&mut self, byte: u8, left: u8, code: u32) -> Step {
        self.capture(&[byte]);
        let Some(digit) = char::from(byte).to_digit(16) else {
            return Step { taken: 1, text: 0, ended: false, failed: true };
        };
        let code = code << 4 | digit;
        if left > 1 {
            self.escape = Escape::Unicode { left: left - 1, code };
            return Step { taken: 1, text: 0, ended: false, failed: false };
        }
        self.escape = Escape::None;
        let text = match code {
            0..0x80 => 1,
            // Half of a surrogate pair: four bytes for both.
            0x80..0x800 | 0xD800..0xE000 => 2,
            _ => 3,
        };
        Step { taken: 1, text, ended: false, failed: false }
    }
}
