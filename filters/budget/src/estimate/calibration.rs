//! How many bytes of text make a token, by model.
//!
//! Four bytes a token is what English prose averages; code has fewer, Chinese or Thai about two with some tokenizers and one
//! with others. Where the provider says how many tokens a text had, that teaches the ratio of the model: the sums of bytes and
//! of tokens over what came lately. It begins at a configured ratio that weighs as much as [`PRIOR_BYTES`] of text.
//!
//! Prompts and answers differ (an answer in Markdown, a prompt with JSON), so the caller keeps one [`Calibration`] for each:
//!
//! - prompts: only from calls that hold text alone. A provider's `prompt_tokens` count images and files, too.
//! - answers: the bytes of text that passed and the output tokens *without* reasoning, which is billed but not sent. Only
//!   finished answers: the figure of a cut one comes from this very ratio.
//!
//! **A wrong figure does little.** A ratio stays within 1 to 16 bytes a token, the range of every tokenizer in use on any
//! text that is not made to deceive, so no answer of a provider makes calls free. One sample weighs at most
//! [`SAMPLE_BYTES`], a fifth of what else there is even on the first call. Samples of less than [`LEAST_TOKENS`] are not
//! looked at: what a chat format adds to each message would be most of them.
//!
//! All tenants teach one ratio. It tells nothing of anyone's texts, and is only ever an estimate: the bill is what the
//! provider reports, except for answers that were cut.

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;

use lru::LruCache;
use serde::Deserialize;
use tollgate_llm::BytesPerToken;

use super::digest::Digester;
use crate::decimal;
use crate::models::ModelTable;

/// How many models are remembered; the one that taught nothing for longest leaves first.
pub const MODELS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(255);
/// What the configured ratio weighs.
pub const PRIOR_BYTES: u64 = 16 << 10;
/// What a sample weighs at most; of a longer text the ratio counts.
pub const SAMPLE_BYTES: u64 = 4 << 10;
/// At this sum of bytes both sums are halved.
const FULL_BYTES: u64 = 256 << 10;
/// A sample with fewer tokens says nothing.
pub const LEAST_TOKENS: u64 = 20;
/// Most bytes of one token, of a ratio.
pub const MOST_BYTES_PER_TOKEN: u64 = 16;

/// Bytes to a token, from 1 to [`MOST_BYTES_PER_TOKEN`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Ratio(BytesPerToken);

impl Ratio {
    /// The nearest ratio within the bounds. No tokens count as too few.
    pub const fn new(bytes: u64, tokens: u64) -> Self {
        let least = bytes.div_ceil(MOST_BYTES_PER_TOKEN);
        let tokens = if tokens < least { least } else { tokens };
        // Tokens of no byte at all are too many, as those of any text that has more tokens than bytes.
        match BytesPerToken::new(bytes, tokens) {
            Some(ratio) if bytes > tokens => Self(ratio),
            _ => Self(BytesPerToken::LEAST),
        }
    }

    /// Tokens of a text, rounded up.
    pub fn tokens(self, bytes: u64) -> u64 {
        self.0.tokens_of(bytes)
    }

    /// The same for who only counts.
    pub const fn bytes_per_token(self) -> BytesPerToken {
        self.0
    }
}

/// Why a ratio is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadRatio;

impl fmt::Display for BadRatio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "must be bytes a token from \"1\" to \"16\" as a string with at most three decimals, such as \"3.5\"",
        )
    }
}

impl std::error::Error for BadRatio {}

impl FromStr for Ratio {
    type Err = BadRatio;

    /// Reads a decimal such as `4` or `3.75`: digits, and if there is a point one to three digits behind it.
    fn from_str(text: &str) -> Result<Self, BadRatio> {
        let (whole, fraction) = decimal::digits(text).ok_or(BadRatio)?;
        if whole.len() > 3 || fraction.len() > 3 {
            return Err(BadRatio);
        }
        let scale = 10_u64.pow(fraction.len() as u32);
        let bytes: u64 = [whole, fraction].concat().parse().map_err(|_| BadRatio)?;
        if bytes < scale || bytes > MOST_BYTES_PER_TOKEN * scale {
            return Err(BadRatio);
        }
        BytesPerToken::new(bytes, scale).map(Self).ok_or(BadRatio)
    }
}

impl TryFrom<String> for Ratio {
    type Error = BadRatio;

    fn try_from(text: String) -> Result<Self, BadRatio> {
        text.parse()
    }
}

/// Ratios by model.
pub struct Calibration {
    starts: ModelTable<Ratio>,
    digester: Digester,
    models: LruCache<u128, Sums>,
}

/// Text that came lately. Their quotient is within the bounds of a [`Ratio`], as each part of the sums was.
#[derive(Clone, Copy)]
struct Sums {
    bytes: u64,
    tokens: u64,
}

impl Calibration {
    /// Nothing learned yet: models begin at these ratios, those without at four bytes a token. The key must be random and
    /// secret: `Setup::random`.
    pub fn new(starts: ModelTable<Ratio>, key: [u8; 16]) -> Self {
        Self { starts, digester: Digester::new(key), models: LruCache::new(MODELS) }
    }

    /// The ratio of a model.
    pub fn ratio(&self, model: &str) -> Ratio {
        let sums = self.models.peek(&self.digester.digest(&[model.as_bytes()]));
        sums.map_or_else(|| self.start(model), |sums| Ratio::new(sums.bytes, sums.tokens))
    }

    /// Tokens of a text, rounded up.
    pub fn tokens(&self, model: &str, bytes: u64) -> u64 {
        self.ratio(model).tokens(bytes)
    }

    /// Learns how many tokens a text had, as the provider says.
    pub fn learn(&mut self, model: &str, bytes: u64, tokens: u64) {
        if bytes == 0 || tokens < LEAST_TOKENS {
            return;
        }
        let weight = bytes.min(SAMPLE_BYTES);
        let sample = Sums { bytes: weight, tokens: Ratio::new(bytes, tokens).tokens(weight) };
        let start = Sums { bytes: PRIOR_BYTES, tokens: self.start(model).tokens(PRIOR_BYTES) };
        let digest = self.digester.digest(&[model.as_bytes()]);
        self.models.get_or_insert_mut(digest, || start).add(sample);
    }

    fn start(&self, model: &str) -> Ratio {
        self.starts.of(model).copied().unwrap_or(Ratio(BytesPerToken::ENGLISH))
    }
}

impl Sums {
    fn add(&mut self, sample: Self) {
        self.bytes += sample.bytes;
        self.tokens += sample.tokens;
        if self.bytes >= FULL_BYTES {
            self.bytes /= 2;
            self.tokens = self.tokens.div_ceil(2);
        }
    }
}

#[cfg(test)]
mod tests;
