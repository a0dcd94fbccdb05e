//! What the model says, before a dialect writes it down.
//!
//! The answer follows from the request: a sentence that tells how much was said, cut to the tokens that the caller
//! allows. A word is a token, four bytes of prompt are a token: wrong for every real model, and easy to check.

use serde_json::Value;

use super::script::Script;

/// Why a request is refused, before a dialect writes it down.
#[derive(Debug)]
pub(super) struct Invalid(pub(super) String);

/// A finished generation.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    /// Unique in this process.
    pub(super) number: u64,
    /// The model that was asked for.
    pub(super) model: String,
    /// The words of the answer; all but the first start with a blank.
    pub(super) words: Vec<String>,
    /// Whether the caller's limit cut it short.
    pub(super) is_cut: bool,
    /// Prompt tokens.
    pub(super) input: u64,
    /// Those of them that the provider's prompt cache had.
    pub(super) cached: u64,
    /// Whether token counts are told.
    pub(super) tells_usage: bool,
}

impl Answer {
    /// Answers `prompt` within `max_tokens`.
    pub(super) fn new(number: u64, model: &str, prompt: &str, max_tokens: Option<u64>, script: &Script) -> Self {
        let said = prompt.chars().count();
        let sentence = format!("Hello from the scripted provider. You said {said} characters.");
        let all = script.words.unwrap_or_else(|| sentence.split(' ').count());
        let kept = max_tokens
            .filter(|_| !script.no_limit)
            .map_or(all, |most| all.min(usize::try_from(most).unwrap_or(usize::MAX)));
        let words = sentence
            .split(' ')
            .cycle()
            .take(kept)
            .enumerate()
            .map(|(at, word)| if at == 0 { word.to_owned() } else { format!(" {word}") })
            .collect();
        Self {
            number,
            model: model.to_owned(),
            words,
            is_cut: kept < all,
            input: prompt_tokens(prompt),
            cached: script.cached.min(prompt_tokens(prompt)),
            tells_usage: !script.no_usage,
        }
    }

    /// All words.
    pub(super) fn text(&self) -> String {
        self.words.concat()
    }

    /// Generated tokens.
    pub(super) fn output(&self) -> u64 {
        self.words.len() as u64
    }

    /// `value` where token counts are told.
    pub(super) fn usage(&self, value: Value) -> Option<Value> {
        self.tells_usage.then_some(value)
    }
}

/// A token for four bytes, and at least one.
pub(super) fn prompt_tokens(prompt: &str) -> u64 {
    (prompt.len() as u64 / 4).max(1)
}

/// All text of a message, a prompt or a list of them, whatever the dialect: strings, and what stands under the keys
/// that hold text. Images, roles and tool definitions count nothing.
pub(super) fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text_of).collect(),
        Value::Object(fields) => {
            ["text", "content", "parts"].iter().filter_map(|key| fields.get(*key)).map(text_of).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => String::new(),
    }
}

/// The string field `name` of `body`, which must not be empty.
pub(super) fn required_str<'a>(body: &'a Value, name: &str) -> Result<&'a str, Invalid> {
    match body.get(name) {
        Some(Value::String(text)) if !text.is_empty() => Ok(text),
        Some(_) => Err(Invalid(format!("Invalid type for '{name}': expected a string."))),
        None => Err(Invalid(format!("Missing required parameter: '{name}'."))),
    }
}

/// The field `name` of `body`.
pub(super) fn required<'a>(body: &'a Value, name: &str) -> Result<&'a Value, Invalid> {
    body.get(name).ok_or_else(|| Invalid(format!("Missing required parameter: '{name}'.")))
}

/// Whether the field `name` is `true`.
pub(super) fn is_true(body: &Value, name: &str) -> bool {
    body.get(name).and_then(Value::as_bool) == Some(true)
}
