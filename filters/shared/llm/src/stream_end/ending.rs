//! The last events of a stream, as its API words them when a call reaches its maximum of tokens.
//!
//! Shapes after the providers' references: OpenAI chat completions ("The chat completion chunk object"), completions,
//! responses ("response.incomplete"); Anthropic "Streaming messages"; Gemini "GenerateContentResponse". What the stream
//! itself did not tell (its id, say) is left out, but for `object`: OpenAI's SDK drops chunks that have none.

use serde_json::{Map, Value, json};
use tollgate_core::Usage;

use super::seen::Seen;
use crate::api::Api;

/// All events that end the stream. `show_usage`: the client asked for OpenAI's usage chunk; other APIs always tell.
pub(super) fn events(seen: &Seen, usage: &Usage, show_usage: bool) -> Vec<u8> {
    match seen.api {
        Api::Responses => named("response.incomplete", responses(seen, usage)),
        Api::Messages => messages(seen, usage),
        Api::GenerateContent | Api::StreamGenerateContent => event(&gemini(seen, usage)),
        Api::ChatCompletions | Api::Completions | Api::Embeddings | Api::Other => openai(seen, usage, show_usage),
    }
    .into_bytes()
}

/// The last object of Gemini's array, and the array's end.
pub(super) fn elements(seen: &Seen, usage: &Usage) -> Vec<u8> {
    format!("{}]", gemini(seen, usage)).into_bytes()
}

fn event(data: &Value) -> String {
    format!("data: {data}\n\n")
}

/// An event whose name stands in its `event` line and again in its data.
fn named(name: &str, members: Value) -> String {
    let mut data = Map::from_iter([("type".to_owned(), Value::from(name))]);
    if let Value::Object(members) = members {
        data.extend(members);
    }
    format!("event: {name}\n{}", event(&Value::Object(data)))
}

/// One chunk a choice, the usage, `[DONE]`.
fn openai(seen: &Seen, usage: &Usage, show_usage: bool) -> String {
    let kind = if seen.api == Api::Completions { "text_completion" } else { "chat.completion.chunk" };
    let head = openai_head(seen, kind, "created");
    let chunk = |choices: Value| {
        let mut chunk = head.clone();
        chunk.insert("choices".into(), choices);
        chunk
    };
    let mut out = String::new();
    for index in seen.choices.open() {
        let choice = match seen.api {
            Api::Completions => json!({"text": "", "index": index, "logprobs": null, "finish_reason": "length"}),
            _ => json!({"index": index, "delta": {}, "finish_reason": "length"}),
        };
        out.push_str(&event(&Value::Object(chunk(json!([choice])))));
    }
    if show_usage {
        let mut last = chunk(json!([]));
        last.insert("usage".into(), openai_usage(usage));
        out.push_str(&event(&Value::Object(last)));
    }
    out.push_str("data: [DONE]\n\n");
    out
}

/// What all of a stream's chunks (and a response's objects) have in common; `kind` is what the API calls them.
fn openai_head(seen: &Seen, kind: &str, created: &str) -> Map<String, Value> {
    let object = seen.object.clone().or_else(|| Some(kind.into()));
    known([("id", &seen.id), ("object", &object), (created, &seen.created), ("model", &seen.model)])
}

fn openai_usage(usage: &Usage) -> Value {
    json!({
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.total(),
        "prompt_tokens_details": {"cached_tokens": usage.cached_input},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    })
}

/// The output is not repeated, since none of it was kept: clients have it from the events before.
fn responses(seen: &Seen, usage: &Usage) -> Value {
    let mut response = openai_head(seen, "response", "created_at");
    let rest = [
        ("status", json!("incomplete")),
        ("error", Value::Null),
        ("incomplete_details", json!({"reason": "max_output_tokens"})),
        ("output", json!([])),
        (
            "usage",
            json!({
                "input_tokens": usage.input,
                "input_tokens_details": {"cached_tokens": usage.cached_input},
                "output_tokens": usage.output,
                "output_tokens_details": {"reasoning_tokens": usage.reasoning},
                "total_tokens": usage.total(),
            }),
        ),
    ];
    response.extend(rest.map(|(name, value)| (name.to_owned(), value)));
    let mut data = Map::new();
    if let Some(last) = seen.sequence_number {
        data.insert("sequence_number".into(), last.saturating_add(1).into());
    }
    data.insert("response".into(), Value::Object(response));
    Value::Object(data)
}

fn messages(seen: &Seen, usage: &Usage) -> String {
    let block = seen.open_block.map(|index| named("content_block_stop", json!({"index": index})));
    let delta = json!({
        "delta": {"stop_reason": "max_tokens", "stop_sequence": null},
        "usage": {"output_tokens": usage.output},
    });
    [block.unwrap_or_default(), named("message_delta", delta), named("message_stop", json!({}))].concat()
}

/// An empty part, since clients that read `parts[0].text` of every chunk are many.
fn gemini(seen: &Seen, usage: &Usage) -> Value {
    let candidates = seen.choices.open().map(|index| {
        let content = json!({"parts": [{"text": ""}], "role": "model"});
        json!({"content": content, "finishReason": "MAX_TOKENS", "index": index})
    });
    let candidates = Value::Array(candidates.collect());
    let counts = json!({
        "promptTokenCount": usage.input,
        // Gemini counts thoughts beside the candidates.
        "candidatesTokenCount": usage.output.saturating_sub(usage.reasoning),
        "thoughtsTokenCount": usage.reasoning,
        "cachedContentTokenCount": usage.cached_input,
        "totalTokenCount": usage.total(),
    });
    let mut chunk = Map::from_iter([("candidates".to_owned(), candidates), ("usageMetadata".to_owned(), counts)]);
    chunk.extend(known([("modelVersion", &seen.model), ("responseId", &seen.id)]));
    Value::Object(chunk)
}

/// The members whose value the stream told.
fn known<const N: usize>(members: [(&str, &Option<Value>); N]) -> Map<String, Value> {
    members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?))).collect()
}
