//! A prompt cache as providers have one: a prompt that begins as an earlier one costs less, at the provider that saw it.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use super::answer::{prompt_tokens, text_of};

/// Prompts kept; older ones are forgotten.
const MAX_PROMPTS: usize = 1_000;

/// The system prompts that a provider saw.
#[derive(Debug, Default)]
pub(super) struct Prompts(Mutex<VecDeque<String>>);

impl Prompts {
    /// The tokens of `body`'s system prompt that were seen before; from now on all of them were.
    pub(super) fn cached(&self, body: &Value) -> u64 {
        let prompt = system_prompt(body);
        if prompt.is_empty() {
            return 0;
        }
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let longest = seen.iter().filter(|earlier| prompt.starts_with(earlier.as_str())).map(String::len).max();
        let cached = longest.and_then(|length| prompt.get(..length)).map_or(0, prompt_tokens);
        if seen.len() == MAX_PROMPTS {
            seen.pop_front();
        }
        seen.push_back(prompt);
        cached
    }
}

/// What stands before the conversation, whatever the dialect.
fn system_prompt(body: &Value) -> String {
    let fields = ["system", "instructions", "systemInstruction", "system_instruction"];
    let mut prompt: String = fields.iter().filter_map(|name| body.get(*name)).map(text_of).collect();
    let messages = body.get("messages").and_then(Value::as_array).into_iter().flatten();
    let is_system =
        |message: &&Value| matches!(message.get("role").and_then(Value::as_str), Some("system" | "developer"));
    prompt.extend(messages.take_while(is_system).map(text_of));
    prompt
}
