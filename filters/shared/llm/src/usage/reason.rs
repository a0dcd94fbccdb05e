//! Why an answer ended, in the provider's own word, kept in a fixed number of bytes.

/// Longest word that is kept: the longest that a provider has today is `model_context_window_exceeded`.
const MAX_BYTES: usize = 32;

/// A finish reason: at most [`MAX_BYTES`] of letters, digits, `_` and `-`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reason {
    bytes: [u8; MAX_BYTES],
    length: usize,
}

impl Reason {
    /// Takes a word. `None`: no provider has such a one, and logs and labels shall not carry what somebody made up.
    pub(super) fn of(word: &str) -> Option<Self> {
        let is_plain = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        let mut bytes = [0; MAX_BYTES];
        bytes.get_mut(..word.len()).filter(|_| is_plain && !word.is_empty())?.copy_from_slice(word.as_bytes());
        Some(Self { bytes, length: word.len() })
    }

    /// The word.
    pub(super) fn as_str(&self) -> &str {
        self.bytes.get(..self.length).and_then(|word| str::from_utf8(word).ok()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_kept_whole_or_not_at_all() {
        for word in ["stop", "MAX_TOKENS", "tool-use2", &"x".repeat(32)] {
            assert_eq!(Reason::of(word).unwrap().as_str(), word);
        }
        for other in ["", "two words", "a;b", "a=b", "st\u{f6}p", "stop\n", &"x".repeat(33)] {
            assert_eq!(Reason::of(other), None, "{other:?}");
        }
    }
}
