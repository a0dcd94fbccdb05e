//! What a request asks for, read from its path and its whole body.
//!
//! A member that decides what the call costs must mean the same here and at the provider. JSON readers differ on a
//! name that stands twice, and some (Go's) also on its case; so both are refused, instead of guessing which one counts.
//! Nothing else is checked: what a provider takes is the provider's business.

mod edit;
mod exact;
mod input_tokens;
mod members;
mod named_models;
mod output_limit;
mod prompt;
mod prompt_prefix;
mod rename;
mod splice;
mod stream_usage;
#[cfg(test)]
mod tests;

use std::fmt;

use serde_json::value::RawValue;

use crate::api::Api;
pub use edit::{BodyEdits, Edited, edit_body};
use exact::CountTokens;
pub use exact::CountedText;
pub use input_tokens::BytesPerToken;
use members::Members;
use named_models::NamedModels;
pub use named_models::{is_plain_path, model_in_body, model_in_path};
pub use output_limit::limit_output;
pub use prompt::PromptSize;
pub use prompt_prefix::prompt_prefix;
pub use rename::{MODEL_PARAMETERS, encoded_name, rename_in_path, rename_in_query};
pub use stream_usage::force_stream_usage;

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestFacts {
    /// The endpoint.
    pub api: Api,
    /// The model that runs: named in the path (Gemini's, or a deployment of Azure OpenAI, percent-decoded), else in the
    /// body.
    pub model: Option<String>,
    /// Names that the request gives besides, each once: a body's model where the path names a deployment. A request may
    /// cost what any of its names costs.
    pub other_models: Vec<String>,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// Whether the client itself asked for usage in the stream (`stream_options.include_usage`).
    pub usage_asked: bool,
    /// Whether the answer is to be fetched later (`background` of OpenAI's responses), so that it tells no usage now.
    pub background: bool,
    /// Most tokens that one choice may take; the largest, if it is said under several names. `None` also if it is said only
    /// under names that the endpoint does not go by, or is 0, which some servers take as no limit: neither binds anybody.
    pub max_output: Option<u64>,
    /// Answers that will be generated, at least 1: `n`, `best_of`, `candidateCount`, times the prompts of a completion.
    pub choices: u64,
    /// How much prompt it brings.
    pub prompt: PromptSize,
}

/// Why a request body is refused: one line for the caller, without anything the caller wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadRequest(String);

impl fmt::Display for BadRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadRequest {}

impl BadRequest {
    fn empty() -> Self {
        Self("the request body is empty: send one JSON object".into())
    }

    fn unreadable(error: &serde_json::Error) -> Self {
        Self(if error.is_data() {
            "the request body must be one JSON object".into()
        } else {
            format!("the request body is not valid JSON (line {}, column {})", error.line(), error.column())
        })
    }

    fn twice(name: &str) -> Self {
        Self(format!("`{name}` is given twice: give it once"))
    }

    fn wrong_case(name: &str) -> Self {
        Self(format!("write `{name}` exactly so: its case differs in the request"))
    }

    fn wrong_type(name: &str, expected: &str) -> Self {
        Self(format!("`{name}` must be {expected}"))
    }
}

impl RequestFacts {
    /// Reads a whole request body. An error: no JSON object, or a deciding member that is ambiguous or of a wrong type.
    pub fn parse(path: &[u8], body: &[u8]) -> Result<Self, BadRequest> {
        Self::parse_with(path, body, |_| None)
    }

    /// As [`Self::parse`], and its text is counted exactly where the model's tokenizer is known and built in (the feature
    /// `exact-tokens`). A filter that does not call this has no tokenizer in its module, whatever features are on.
    pub fn parse_and_count(path: &[u8], body: &[u8]) -> Result<Self, BadRequest> {
        Self::parse_with(path, body, exact::tokenizer_of)
    }

    fn parse_with(
        path: &[u8],
        body: &[u8],
        tokenizer_of: impl FnOnce(&str) -> Option<CountTokens>,
    ) -> Result<Self, BadRequest> {
        let api = Api::of(path);
        let members = Members::of_body(body)?;
        let generation = members.object("generationConfig")?;
        let stream_options = members.object("stream_options")?;
        let named = NamedModels::of(api, path, &members)?;
        let usage_asked = match &stream_options {
            Some(options) => options.flag("include_usage")?,
            None => false,
        };
        let tokenizer = named.runs.as_deref().and_then(tokenizer_of);
        Ok(Self {
            api,
            model: named.runs,
            other_models: named.others,
            stream: is_streamed(api, &members)?,
            usage_asked,
            background: api == Api::Responses && members.flag("background")?,
            max_output: max_output(api, &members, generation.as_ref())?,
            choices: choices(api, &members, generation.as_ref())?,
            prompt: PromptSize::of(&members, generation.as_ref(), tokenizer)?,
        })
    }
}

/// Gemini goes by its path alone. A body that says otherwise would get less reserved than its one JSON answer may take.
fn is_streamed(api: Api, members: &Members<'_>) -> Result<bool, BadRequest> {
    let asked = members.flag("stream")?;
    Ok(match api {
        Api::GenerateContent => false,
        Api::StreamGenerateContent => true,
        _ => asked,
    })
}

/// Providers take the limit under several names and pick one; the largest is the one that cannot be exceeded.
fn max_output(api: Api, members: &Members<'_>, generation: Option<&Members<'_>>) -> Result<Option<u64>, BadRequest> {
    let limits = [
        members.count("max_tokens")?,
        members.count("max_completion_tokens")?,
        members.count("max_output_tokens")?,
        generation.map_or(Ok(None), |config| config.count("maxOutputTokens"))?,
        // Protobuf's JSON takes either spelling.
        generation.map_or(Ok(None), |config| config.count("max_output_tokens"))?,
    ];
    let most = limits.into_iter().flatten().max();
    let Some(holder) = output_limit::holder(api, members, generation) else { return Ok(None) };
    for name in output_limit::known_to(api).unwrap_or_default() {
        if holder.count(name)?.is_some_and(|given| given > 0) {
            return Ok(most);
        }
    }
    Ok(None)
}

fn choices(api: Api, members: &Members<'_>, generation: Option<&Members<'_>>) -> Result<u64, BadRequest> {
    let counts = [
        members.count("n")?,
        members.count("best_of")?,
        generation.map_or(Ok(None), |config| config.count("candidateCount"))?,
    ];
    let prompts = if api == Api::Completions { members.raw("prompt").map_or(1, prompts) } else { 1 };
    Ok(counts.into_iter().flatten().fold(1, u64::max).saturating_mul(prompts))
}

/// A completion may bring many prompts (texts or lists of token ids); one list of numbers is one prompt.
fn prompts(prompt: &RawValue) -> u64 {
    let is_number =
        |element: &&RawValue| element.get().starts_with(|first: char| first == '-' || first.is_ascii_digit());
    match serde_json::from_str::<Vec<&RawValue>>(prompt.get()) {
        Ok(prompts) if !prompts.iter().all(is_number) => prompts.len() as u64,
        _ => 1,
    }
}
