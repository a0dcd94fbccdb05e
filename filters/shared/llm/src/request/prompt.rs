//! How much prompt a request brings, before it runs: text in bytes, and what is not text by its kind.
//!
//! All strings under the members that hold the prompt count as text, roles and the like included. Payloads in base64 and
//! references to images and files do not: their tokens have nothing to do with how long they are written, so they are
//! measured apart, and [`super::input_tokens`] knows what each kind costs. One pass over the body does it all; nothing
//! is kept but sums.
//!
//! What a model is shown as JSON (tools, schemas of the answer, the arguments of tool calls) counts as it is written, names and all.
//! Nothing in it is taken for a payload, so text cannot pose as an image there.
//!
//! Shapes: OpenAI chat (`image_url`, `input_audio`, `file`), responses (`input_image`, `input_file`), Anthropic (`image`
//! and `document` with a `source` of `base64`, `url`, `file`), Gemini (`inlineData`, `fileData`, in either spelling).

mod media;
mod part;
#[cfg(test)]
mod tests;
mod walk;

use serde::de::DeserializeSeed;
use serde_json::value::RawValue;

use super::BadRequest;
use super::exact::{CountTokens, CountedText, ExactCounter};
use super::members::Members;
use media::{Detail, Media};
use walk::{Place, Walk};

/// Members whose strings are prompt.
const PROMPT: &[&str] =
    &["messages", "system", "prompt", "suffix", "input", "instructions", "contents", "systemInstruction"];
/// Members that list tools. They are shown to the model as they are, names and all.
const TOOLS: &[&str] = &["tools", "functions"];
/// Members with the schema of the answer, which a model is shown as well: OpenAI's and Anthropic's.
const SCHEMAS: &[&str] = &["response_format", "text", "output_format", "output_config"];
/// The same in Gemini's `generationConfig`.
const GENERATION_SCHEMAS: &[&str] = &["responseSchema", "responseJsonSchema"];
/// A token id (embeddings, completions) counts as much as an average token's text.
const TOKEN_ID_BYTES: u64 = 4;

/// How much prompt a request brings. Bytes of payloads are those they decode to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PromptSize {
    /// Bytes of text: prompts, system prompts, roles, tools and schemas as JSON. No payload, and no reference to one; a token id counts
    /// as 4 bytes.
    pub text_bytes: u64,
    /// Messages, system prompts included: elements of the prompt's lists, and prompts that are one string.
    pub messages: u64,
    /// Messages with a `name`.
    pub names: u64,
    /// Tools and functions on offer.
    pub tools: u64,
    /// Images, inline or referenced, but for those in low detail.
    pub images: u64,
    /// Images that ask for `detail: "low"`.
    pub low_detail_images: u64,
    /// Bytes of audio without compression (WAV, PCM).
    pub pcm_bytes: u64,
    /// Bytes of audio in other formats.
    pub audio_bytes: u64,
    /// Bytes of video.
    pub video_bytes: u64,
    /// Files in payloads: PDF and what is of no other kind.
    pub files: u64,
    /// Bytes of these files.
    pub file_bytes: u64,
    /// Bytes of text that came as a payload (`text/plain` in base64 and the like), not in [`Self::text_bytes`].
    pub encoded_text_bytes: u64,
    /// References to files, audio and video that are not in the request, so that nobody here knows their size.
    pub unseen_files: u64,
    /// The text among it that was counted exactly; none without the feature `exact-tokens` or for a model whose tokenizer is
    /// unknown.
    pub exact: CountedText,
}

impl PromptSize {
    /// Whether it is text by its bytes and nothing else, so that a reported count tells of these bytes.
    pub const fn is_text(&self) -> bool {
        let others = self.images | self.low_detail_images | self.files | self.unseen_files | self.encoded_text_bytes;
        others | self.pcm_bytes | self.audio_bytes | self.video_bytes | self.exact.bytes == 0
    }

    /// Measures a whole request, its text by this tokenizer.
    pub(super) fn of(
        members: &Members<'_>,
        generation: Option<&Members<'_>>,
        tokenizer: Option<CountTokens>,
    ) -> Result<Self, BadRequest> {
        let mut sum = Sum { size: Self::default(), exact: ExactCounter::new(tokenizer) };
        for name in PROMPT {
            let Some(raw) = members.raw(name) else { continue };
            let mut json = serde_json::Deserializer::from_str(raw.get());
            let walk = Walk { name, place: Place::Top, sum: &mut sum };
            walk.deserialize(&mut json).map_err(|_| {
                BadRequest(format!("`{name}` is not valid JSON text, or is nested more than 128 levels deep"))
            })?;
        }
        for raw in TOOLS.iter().filter_map(|name| members.raw(name)) {
            sum.text(None, raw.get());
            add(&mut sum.size.tools, elements(raw));
        }
        let schemas = SCHEMAS.iter().filter_map(|name| members.raw(name));
        let of_gemini = GENERATION_SCHEMAS.iter().filter_map(|name| generation?.raw(name));
        schemas.chain(of_gemini).for_each(|raw| sum.text(None, raw.get()));
        Ok(Self { exact: sum.exact.counted(), ..sum.size })
    }
}

/// What has been counted so far.
#[derive(Debug)]
struct Sum {
    size: PromptSize,
    exact: ExactCounter,
}

impl Sum {
    /// The string of a member, or text that is of none.
    fn text(&mut self, member: Option<&str>, text: &str) {
        self.exact.text(member, text);
        add(&mut self.size.text_bytes, text.len() as u64);
    }

    /// A string as its text, all else as it is written.
    fn verbatim(&mut self, raw: &RawValue) {
        match serde_json::from_str::<String>(raw.get()) {
            Ok(text) => self.text(None, &text),
            Err(_) => self.text(None, raw.get()),
        }
    }

    fn token_id(&mut self) {
        self.exact.token_id(TOKEN_ID_BYTES);
        add(&mut self.size.text_bytes, TOKEN_ID_BYTES);
    }

    fn message(&mut self) {
        add(&mut self.size.messages, 1);
    }

    fn name(&mut self) {
        add(&mut self.size.names, 1);
    }

    /// A payload that decodes to so many bytes.
    fn payload(&mut self, media: Media, detail: Detail, bytes: u64) {
        match media {
            Media::Image => self.image(detail),
            Media::Pcm => add(&mut self.size.pcm_bytes, bytes),
            Media::Audio => add(&mut self.size.audio_bytes, bytes),
            Media::Video => add(&mut self.size.video_bytes, bytes),
            Media::Text => add(&mut self.size.encoded_text_bytes, bytes),
            Media::File => {
                add(&mut self.size.files, 1);
                add(&mut self.size.file_bytes, bytes);
            }
        }
    }

    /// What stands elsewhere. An image's tokens do not depend on its bytes, so it is as good as here.
    fn reference(&mut self, media: Media, detail: Detail) {
        match media {
            Media::Image => self.image(detail),
            _ => add(&mut self.size.unseen_files, 1),
        }
    }

    fn image(&mut self, detail: Detail) {
        match detail {
            Detail::Low => add(&mut self.size.low_detail_images, 1),
            Detail::Full => add(&mut self.size.images, 1),
        }
    }
}

fn add(sum: &mut u64, more: u64) {
    *sum = sum.saturating_add(more);
}

/// How many elements a list has; anything else counts as one.
fn elements(raw: &RawValue) -> u64 {
    serde_json::from_str::<Vec<serde::de::IgnoredAny>>(raw.get()).map_or(1, |list| list.len() as u64)
}
