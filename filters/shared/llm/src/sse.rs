//! Server-sent events, read incrementally as the WHATWG HTML standard says (§9.2.6, "Interpreting an event stream").
//!
//! Lines end with CR, LF or CRLF; a byte order mark and comments are skipped; `data` lines of one event are joined by
//! LF; chunks may be cut anywhere, also within a character. Data is handed on as it comes, so that nothing of an event
//! is held. `event`, `id` and `retry` are skipped: the model APIs repeat the event's type in its data.
//!
//! It works on bytes and checks no UTF-8.

#[cfg(test)]
mod tests;

/// What [`SseParser::next`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// Some of the event's data.
    Data(&'a [u8]),
    /// A blank line: the event that had data is whole.
    Event,
    /// A blank line after no data, as after a comment.
    Blank,
    /// The LF of a CRLF whose CR was taken as the line's end; it belongs to what went before.
    LateLineFeed,
}

/// Where in a line the parser stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Within the name; that many bytes of `data` matched.
    Name(usize),
    /// After `data:`, where one space may follow.
    AfterColon,
    /// In the value of `data`.
    Value,
    /// In a comment or another field.
    Skip,
}

const BOM: &[u8] = b"\xEF\xBB\xBF";
const FIELD: &[u8] = b"data";

/// The parser of one event stream.
#[derive(Debug)]
pub struct SseParser {
    place: Place,
    /// Bytes of the byte order mark matched so far; `None` once the stream began.
    bom: Option<usize>,
    line_is_empty: bool,
    after_cr: bool,
    has_data: bool,
}

impl Default for SseParser {
    fn default() -> Self {
        Self { place: Place::Name(0), bom: Some(0), line_is_empty: true, after_cr: false, has_data: false }
    }
}

impl SseParser {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether data came that no blank line followed yet. At the stream's end the standard discards it.
    pub fn is_within_event(&self) -> bool {
        self.has_data
    }

    /// Takes bytes off the front until something is found; `None` when all are taken.
    pub fn next<'a>(&mut self, rest: &mut &'a [u8]) -> Option<Item<'a>> {
        while let Some((&byte, after)) = rest.split_first() {
            let is_late = std::mem::take(&mut self.after_cr) && byte == b'\n';
            if is_late {
                *rest = after;
                return Some(Item::LateLineFeed);
            }
            if self.skips_bom(byte) {
                *rest = after;
            } else if matches!(byte, b'\r' | b'\n') {
                *rest = after;
                self.after_cr = byte == b'\r';
                if let Some(item) = self.line_ended() {
                    return Some(item);
                }
            } else if self.place == Place::Value {
                return Some(Item::Data(take_line(rest)));
            } else if self.place == Place::Skip {
                take_line(rest);
            } else if let Some(item) = self.before_value(byte, rest) {
                return Some(item);
            }
        }
        None
    }

    /// Three bytes at most, and only at the very beginning.
    fn skips_bom(&mut self, byte: u8) -> bool {
        match self.bom {
            Some(matched) if BOM.get(matched) == Some(&byte) => {
                self.bom = Some(matched + 1).filter(|matched| *matched < BOM.len());
                true
            }
            Some(matched) => {
                self.bom = None;
                if matched > 0 {
                    // Half a mark was no mark: it began the name of a field that nobody knows.
                    self.line_is_empty = false;
                    self.place = Place::Skip;
                }
                false
            }
            None => false,
        }
    }

    /// Name, colon and the one space.
    fn before_value<'a>(&mut self, byte: u8, rest: &mut &'a [u8]) -> Option<Item<'a>> {
        self.line_is_empty = false;
        match self.place {
            Place::Name(matched) if FIELD.get(matched) == Some(&byte) => self.place = Place::Name(matched + 1),
            Place::Name(matched) if matched == FIELD.len() && byte == b':' => self.place = Place::AfterColon,
            Place::AfterColon => {
                self.place = Place::Value;
                let joins = std::mem::replace(&mut self.has_data, true);
                if byte == b' ' {
                    *rest = rest.get(1..).unwrap_or_default();
                }
                return joins.then_some(Item::Data(b"\n"));
            }
            _ => self.place = Place::Skip,
        }
        *rest = rest.get(1..).unwrap_or_default();
        None
    }

    fn line_ended<'a>(&mut self) -> Option<Item<'a>> {
        let place = std::mem::replace(&mut self.place, Place::Name(0));
        if std::mem::replace(&mut self.line_is_empty, true) {
            let had_data = std::mem::take(&mut self.has_data);
            return Some(if had_data { Item::Event } else { Item::Blank });
        }
        // `data` and `data:` alone are data too: an empty line of it.
        let is_empty_data = place == Place::AfterColon || place == Place::Name(FIELD.len());
        let joins = is_empty_data && std::mem::replace(&mut self.has_data, true);
        joins.then_some(Item::Data(b"\n"))
    }
}

/// Takes everything before the line's end.
fn take_line<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let length = memchr::memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
    let (line, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
    *rest = after;
    line
}
