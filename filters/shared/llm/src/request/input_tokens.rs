//! From what a prompt brings to the tokens it will cost: an estimate for a reservation, which the provider's own count
//! settles later.
//!
//! It is rather too high than too low. What is reserved too much comes back at settlement; what is reserved too little
//! has overrun the budget by then. Each constant is the most that a provider's rule gives for an ordinary input. All rules
//! and their sources are in `COUNTING.md`; this is the same table in code.
//!
//! Rules go by the model where its name tells the family, else by the endpoint, since one endpoint may serve the models
//! of many (`claude-…` behind a chat completion). Images are not opened to see their size.

#[cfg(test)]
mod tests;

use super::{PromptSize, RequestFacts};
use crate::api::Api;

/// Bytes of uncompressed audio a second, at least: 8 kHz, 16 bits, one channel.
const PCM_BYTES_A_SECOND: u64 = 16_000;
/// Bytes of compressed audio a second, at least: 32 kbit/s, a low rate for speech.
const AUDIO_BYTES_A_SECOND: u64 = 4_000;
/// Bytes of video a second, at least: 200 kbit/s.
const VIDEO_BYTES_A_SECOND: u64 = 25_000;
/// Bytes of a file for one page, at least: a PDF of dense text.
const BYTES_A_PAGE: u64 = 10_000;
/// Pages of one file at most: Anthropic's limit, and as many as a context window of 200,000 tokens holds.
const MAX_PAGES: u64 = 100;
/// Pages of a file that is not in the request. A guess: nobody here can see it.
const UNSEEN_PAGES: u64 = 10;

/// How many bytes of text a model's tokens stand for: `bytes` for every `tokens`, both at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BytesPerToken {
    bytes: u64,
    tokens: u64,
}

impl Default for BytesPerToken {
    fn default() -> Self {
        Self::ENGLISH
    }
}

impl BytesPerToken {
    /// Four bytes a token: English prose, by OpenAI's and Gemini's rules of thumb. Code and other scripts are denser.
    pub const ENGLISH: Self = Self { bytes: 4, tokens: 1 };

    /// One byte a token: no tokenizer makes more of a text.
    pub const LEAST: Self = Self { bytes: 1, tokens: 1 };

    /// So many bytes for so many tokens; `None` if either is 0.
    pub const fn new(bytes: u64, tokens: u64) -> Option<Self> {
        if bytes == 0 || tokens == 0 { None } else { Some(Self { bytes, tokens }) }
    }

    /// The bytes of [`Self::tokens`].
    pub const fn bytes(self) -> u64 {
        self.bytes
    }

    /// The tokens of [`Self::bytes`].
    pub const fn tokens(self) -> u64 {
        self.tokens
    }

    /// Tokens of so many bytes, rounded up.
    pub fn tokens_of(self, bytes: u64) -> u64 {
        let tokens = (u128::from(bytes) * u128::from(self.tokens)).div_ceil(u128::from(self.bytes));
        u64::try_from(tokens).unwrap_or(u64::MAX)
    }
}

impl RequestFacts {
    /// Input tokens that the call will be charged, as far as the request tells: its text at this ratio, and all else by the
    /// rules of the model's family.
    pub fn input_tokens(&self, ratio: BytesPerToken) -> u64 {
        self.prompt.text_tokens(ratio).saturating_add(self.fixed_input_tokens())
    }

    /// The part of [`Self::input_tokens`] that no ratio changes: images, audio, video, files, and what an API adds to messages
    /// and tools. A calibration of the ratio takes it off the reported count first.
    pub fn fixed_input_tokens(&self) -> u64 {
        self.prompt.fixed_tokens(self.api, self.model.as_deref())
    }
}

impl PromptSize {
    /// Tokens of all text, text in payloads included: what was counted, and the rest at this ratio or the one that the count
    /// gave, whichever is more.
    pub fn text_tokens(&self, ratio: BytesPerToken) -> u64 {
        let rest = self.text_bytes.saturating_sub(self.exact.bytes).saturating_add(self.encoded_text_bytes);
        let found = BytesPerToken::new(self.exact.bytes, self.exact.tokens);
        let by_found = found.map_or(0, |found| found.tokens_of(rest));
        self.exact.tokens.saturating_add(ratio.tokens_of(rest).max(by_found))
    }

    /// Tokens of what is not text.
    pub fn fixed_tokens(&self, api: Api, model: Option<&str>) -> u64 {
        let rates = Rates::of(api, model.unwrap_or_default());
        let pages = (self.file_bytes / BYTES_A_PAGE).clamp(self.files, self.files.saturating_mul(MAX_PAGES));
        let audio = self.pcm_bytes.div_ceil(PCM_BYTES_A_SECOND) + self.audio_bytes.div_ceil(AUDIO_BYTES_A_SECOND);
        let costs = [
            (self.images, rates.image),
            (self.low_detail_images, rates.low_detail_image),
            (audio, rates.audio_second),
            (self.video_bytes.div_ceil(VIDEO_BYTES_A_SECOND), rates.video_second),
            (pages, rates.page),
            (self.unseen_files.saturating_mul(UNSEEN_PAGES), rates.page),
            (self.tools.min(1), rates.tool_use),
        ];
        let media = costs.iter().map(|(count, rate)| count.saturating_mul(*rate)).fold(0, u64::saturating_add);
        media.saturating_add(self.message_tokens(api, &rates))
    }

    /// What an API writes around messages. Embeddings and text completions have none.
    fn message_tokens(&self, api: Api, rates: &Rates) -> u64 {
        if matches!(api, Api::Embeddings | Api::Completions | Api::Other) {
            return 0;
        }
        self.messages.saturating_mul(rates.message).saturating_add(self.names).saturating_add(rates.priming)
    }
}

/// Tokens by kind.
#[derive(Clone, Copy, Debug)]
struct Rates {
    image: u64,
    low_detail_image: u64,
    audio_second: u64,
    video_second: u64,
    page: u64,
    /// A system prompt that the provider adds where tools are on offer.
    tool_use: u64,
    message: u64,
    /// Once a call: the beginning of the answer.
    priming: u64,
}

impl Rates {
    fn of(api: Api, model: &str) -> Self {
        let name = bare_name(model);
        if let Some(at) = name.find("claude") {
            return Self::anthropic(name.get(at..).unwrap_or_default());
        }
        match api {
            _ if name.starts_with("gemini") => Self::gemini(),
            Api::Messages => Self::anthropic(name),
            Api::GenerateContent | Api::StreamGenerateContent => Self::gemini(),
            _ => Self::openai(name),
        }
    }

    fn openai(name: &str) -> Self {
        let (image, low_detail_image) = openai_image(name);
        Self {
            image,
            low_detail_image,
            audio_second: 10,
            // It takes none; a server that does samples frames as Gemini does.
            video_second: 300,
            page: 2_500,
            tool_use: 0,
            message: 3,
            priming: 3,
        }
    }

    fn anthropic(name: &str) -> Self {
        let is_low_resolution = CLAUDE_LOW_RESOLUTION.iter().any(|prefix| name.starts_with(prefix));
        let image = if is_low_resolution { 1_600 } else { 4_784 };
        Self {
            image,
            low_detail_image: image,
            audio_second: 32,
            video_second: 300,
            page: 3_000,
            tool_use: 530,
            message: 3,
            priming: 5,
        }
    }

    const fn gemini() -> Self {
        Self {
            image: 1_548,
            low_detail_image: 1_548,
            audio_second: 32,
            video_second: 300,
            page: 560,
            tool_use: 0,
            message: 3,
            priming: 3,
        }
    }
}

/// Claude models that scale images down to 1,568 pixels; all newer ones take 2,576.
const CLAUDE_LOW_RESOLUTION: &[&str] = &[
    "claude-3",
    "claude-haiku-4-5",
    "claude-opus-4-0",
    "claude-opus-4-1",
    "claude-opus-4-2",
    "claude-opus-4-5",
    "claude-opus-4-6",
    "claude-opus-4@",
    "claude-sonnet-4-0",
    "claude-sonnet-4-2",
    "claude-sonnet-4-5",
    "claude-sonnet-4-6",
    "claude-sonnet-4@",
];
/// OpenAI models that cut images into tiles of 512 pixels.
const TILED: &[&str] = &["gpt-4o", "gpt-4.1", "gpt-4.5", "gpt-4-turbo", "gpt-5", "o1", "o3", "chatgpt-4o"];

/// Tokens of an image of the largest size that is not scaled down, and of one in low detail.
fn openai_image(name: &str) -> (u64, u64) {
    let is_tiled = TILED.iter().any(|family| is_of_family(name, family));
    if name.starts_with("gpt-4o-mini") {
        (48_169, 2_833)
    } else if name.contains("-nano") {
        (3_779, 3_779)
    } else if name.contains("-mini") || !is_tiled {
        (2_642, 2_642)
    } else {
        (1_445, 85)
    }
}

/// Whether a name is a family's own or one with a date or the like behind it: `gpt-5` and `gpt-5-2025-08-07`, not `gpt-5.4`.
fn is_of_family(name: &str, family: &str) -> bool {
    name.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// A model's name without what routers put in front (`openai/gpt-4o`), and the base of a fine-tuned one
/// (`ft:gpt-4o:org::id`).
pub(super) fn bare_name(model: &str) -> &str {
    let name = model.rsplit('/').next().unwrap_or(model);
    name.strip_prefix("ft:").map_or(name, |tuned| tuned.split(':').next().unwrap_or(tuned))
}
