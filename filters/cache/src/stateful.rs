//! Calls whose answer hangs on what the provider remembers and each call changes.
//!
//! The same words said twice in one conversation are two turns with two answers, and the second must reach the provider
//! to become part of it; a container's files change from call to call. What a call builds on without changing it, as
//! `previous_response_id`, is a question like any other.

use serde::Deserialize;
use serde::de::IgnoredAny;
use tollgate_llm::Api;

/// Members that name such a memory. A JSON `null` counts as absent.
#[derive(Deserialize)]
struct Memory {
    /// OpenAI responses: a conversation that the call reads and writes.
    conversation: Option<IgnoredAny>,
    /// Anthropic messages: a container whose files outlive the call.
    container: Option<IgnoredAny>,
}

/// Whether the answer to this whole body may be given only once. What cannot be read has no key anyway.
pub fn is_stateful(api: Api, body: &[u8]) -> bool {
    let memory = match api {
        Api::Responses | Api::Messages => serde_json::from_slice(body).ok(),
        _ => None,
    };
    memory.is_some_and(|Memory { conversation, container }| conversation.is_some() || container.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_or_a_container_makes_a_call_stateful() {
        for (api, body, expected) in [
            (Api::Responses, r#"{"model":"m","input":"Go on.","conversation":"conv_1"}"#, true),
            (Api::Responses, r#"{"input":"Go on.","conv\u0065rsation":{"id":"conv_1"}}"#, true),
            (Api::Messages, r#"{"messages":[],"container":"container_1"}"#, true),
            (Api::Responses, r#"{"input":"Go on.","conversation":null}"#, false),
            (Api::Responses, r#"{"input":"Go on.","previous_response_id":"resp_1"}"#, false),
            (Api::Responses, r#"{"input":[{"conversation":"conv_1"}]}"#, false),
            (Api::ChatCompletions, r#"{"messages":[],"conversation":"a name of its own"}"#, false),
            (Api::Responses, "no json", false),
        ] {
            assert_eq!(is_stateful(api, body.as_bytes()), expected, "{body}");
        }
    }
}
