//! Exact counts of text, where the model's tokenizer is public and built in.
//!
//! The feature `exact-tokens` brings OpenAI's `o200k_base` and `cl100k_base` by the crate `bpe-openai`, which counts in
//! linear time. It is off by default: the tables are large (see `COUNTING.md`). Without it nothing is counted here, and the
//! caller's ratio decides alone.
//!
//! A worker serves nobody else while it counts, so only [`MAX_COUNTED`] bytes of a request are. The rest goes by a ratio:
//! the one found so far or the caller's, whichever gives more tokens. So text that begins with what is cheap (a run of
//! spaces is one token for eighty) makes nothing behind it cheaper.
//!
//! Each string is counted by itself, as the providers do. Words of the wire format, which no model sees, count as none.

/// Bytes of one request that are counted at most: 3 to 17 ms in Envoy, by the text (`scripts/bench-counting`).
pub(super) const MAX_COUNTED: usize = 128 * 1024;
/// Members whose strings no model sees.
const WIRE_WORDS: &[&str] = &[
    "type",
    "id",
    "call_id",
    "tool_call_id",
    "tool_use_id",
    "detail",
    "format",
    "status",
    "media_type",
    "mime_type",
    "mimeType",
];
/// Longest string that is taken for such a word, in bytes. A longer one would be a place to hide text in.
const MAX_WIRE_WORD: usize = 64;

/// Counts the tokens of one string.
pub(super) type CountTokens = fn(&str) -> u64;

/// Text that was counted exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CountedText {
    /// Its bytes: part of [`super::PromptSize::text_bytes`].
    pub bytes: u64,
    /// The tokens that they are.
    pub tokens: u64,
}

/// Counts as long as there is room.
#[derive(Debug)]
pub(super) struct ExactCounter {
    count: Option<CountTokens>,
    room: usize,
    counted: CountedText,
}

impl ExactCounter {
    /// Counts by this tokenizer, or nothing.
    pub(super) fn new(count: Option<CountTokens>) -> Self {
        Self { count, room: MAX_COUNTED, counted: CountedText::default() }
    }

    /// What has been counted so far.
    pub(super) fn counted(&self) -> CountedText {
        self.counted
    }

    /// The string of a member, or text that is of none.
    pub(super) fn text(&mut self, member: Option<&str>, text: &str) {
        let Some(count) = self.count else { return };
        if text.len() <= MAX_WIRE_WORD && member.is_some_and(|name| WIRE_WORDS.contains(&name)) {
            self.add(text.len(), 0);
            return;
        }
        let (counted, _) = text.split_at(text.floor_char_boundary(self.room));
        self.room = self.room.saturating_sub(counted.len());
        if !counted.is_empty() {
            self.add(counted.len(), count(counted));
        }
    }

    /// A token that is given by its id, and counts as so many bytes.
    pub(super) fn token_id(&mut self, bytes: u64) {
        if self.count.is_some() {
            self.counted.bytes = self.counted.bytes.saturating_add(bytes);
            self.counted.tokens = self.counted.tokens.saturating_add(1);
        }
    }

    fn add(&mut self, bytes: usize, tokens: u64) {
        self.counted.bytes = self.counted.bytes.saturating_add(bytes as u64);
        self.counted.tokens = self.counted.tokens.saturating_add(tokens);
    }
}

/// The tokenizer of a model, if it is known and built in.
#[cfg(not(feature = "exact-tokens"))]
pub(super) fn tokenizer_of(_model: &str) -> Option<CountTokens> {
    None
}

#[cfg(feature = "exact-tokens")]
pub(super) use openai::tokenizer_of;

#[cfg(feature = "exact-tokens")]
mod openai;

#[cfg(test)]
mod tests {
    use super::*;

    /// A token for every ten bytes.
    fn tenths(text: &str) -> u64 {
        (text.len() as u64).div_ceil(10)
    }

    #[test]
    fn strings_are_counted_and_words_of_the_wire_are_not() {
        let mut counter = ExactCounter::new(Some(tenths));
        counter.text(Some("content"), "0123456789ab");
        counter.text(None, "0");
        counter.text(Some("type"), "text");
        assert_eq!(counter.counted(), CountedText { bytes: 17, tokens: 3 });
        counter.text(Some("type"), &"x".repeat(MAX_WIRE_WORD + 1));
        counter.token_id(4);
        assert_eq!(counter.counted(), CountedText { bytes: 17 + 65 + 4, tokens: 3 + 7 + 1 });
    }

    #[test]
    fn a_long_request_is_counted_to_the_cap_and_no_further() {
        let mut counter = ExactCounter::new(Some(tenths));
        counter.text(None, &"\u{e9}".repeat(MAX_COUNTED / 2 - 1));
        counter.text(None, "x\u{e9}");
        let counted = counter.counted();
        assert_eq!(counted.bytes, MAX_COUNTED as u64 - 1);
        counter.text(None, "\u{e9}");
        assert_eq!(counter.counted(), counted);
        counter.text(None, "xy");
        assert_eq!(counter.counted().bytes, MAX_COUNTED as u64);
    }

    #[test]
    fn without_a_tokenizer_nothing_is_counted() {
        let mut counter = ExactCounter::new(None);
        counter.text(Some("type"), "text");
        counter.text(None, "text");
        counter.token_id(4);
        assert_eq!(counter.counted(), CountedText::default());
    }
}
