//! OpenAI's Responses API: one object, or the events that build it.

use axum::body::Bytes;
use serde_json::{Value, json};

use super::answer::{Answer, Invalid, is_true, required, required_str, text_of};
use super::openai::{CREATED, set};
use super::script::Script;
use super::wire::{Reply, named};

/// Answers a request.
pub(super) fn reply(number: u64, body: &Value, script: &Script) -> Result<Reply, Invalid> {
    let model = required_str(body, "model")?;
    let mut prompt = body.get("instructions").map(text_of).unwrap_or_default();
    prompt.push_str(&text_of(required(body, "input")?));
    let limit = body.get("max_output_tokens").and_then(Value::as_u64);
    let answer = Answer::new(number, model, &prompt, limit, script);
    if is_true(body, "stream") {
        return Ok(Reply::events(events(&answer, body)));
    }
    Ok(Reply::json(finished(&answer, body)))
}

/// The response object with `status`, without output and usage.
fn object(answer: &Answer, body: &Value, status: &str) -> Value {
    let given = |name: &str, default: Value| body.get(name).cloned().unwrap_or(default);
    json!({
        "id": format!("resp_scripted{}", answer.number),
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "background": false,
        "error": null,
        "incomplete_details": null,
        "instructions": given("instructions", Value::Null),
        "max_output_tokens": given("max_output_tokens", Value::Null),
        "model": answer.model,
        "output": [],
        "parallel_tool_calls": true,
        "previous_response_id": given("previous_response_id", Value::Null),
        "reasoning": {"effort": null, "summary": null},
        "store": true,
        "temperature": given("temperature", json!(1.0)),
        "text": {"format": {"type": "text"}},
        "tool_choice": given("tool_choice", json!("auto")),
        "tools": given("tools", json!([])),
        "top_p": given("top_p", json!(1.0)),
        "truncation": "disabled",
        "usage": null,
        "user": null,
        "metadata": given("metadata", json!({})),
    })
}

fn item(answer: &Answer, status: &str, content: &Value) -> Value {
    json!({
        "id": format!("msg_scripted{}", answer.number),
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": content,
    })
}

fn part(text: &str) -> Value {
    json!({"type": "output_text", "annotations": [], "logprobs": [], "text": text})
}

const fn final_status(answer: &Answer) -> &'static str {
    if answer.is_cut { "incomplete" } else { "completed" }
}

/// The whole response.
fn finished(answer: &Answer, body: &Value) -> Value {
    let status = final_status(answer);
    let mut response = object(answer, body, status);
    set(&mut response, "output", Some(json!([item(answer, status, &json!([part(&answer.text())]))])));
    set(&mut response, "incomplete_details", answer.is_cut.then(|| json!({"reason": "max_output_tokens"})));
    let usage = json!({
        "input_tokens": answer.input,
        "input_tokens_details": {"cached_tokens": answer.cached},
        "output_tokens": answer.output(),
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": answer.input + answer.output(),
    });
    set(&mut response, "usage", answer.usage(usage));
    response
}

fn events(answer: &Answer, body: &Value) -> Vec<Bytes> {
    let status = final_status(answer);
    let id = format!("msg_scripted{}", answer.number);
    let text = answer.text();
    let mut events = Vec::with_capacity(answer.words.len() + 8);
    // Where in the response a text event belongs.
    let place = |kind: &str| json!({"type": kind, "item_id": id, "output_index": 0, "content_index": 0});
    for kind in ["response.created", "response.in_progress"] {
        events.push(json!({"type": kind, "response": object(answer, body, "in_progress")}));
    }
    let started = item(answer, "in_progress", &json!([]));
    events.push(json!({"type": "response.output_item.added", "output_index": 0, "item": started}));
    events.push(with(place("response.content_part.added"), "part", part("")));
    for word in &answer.words {
        let delta = with(place("response.output_text.delta"), "delta", json!(word));
        events.push(with(delta, "logprobs", json!([])));
    }
    let done = with(place("response.output_text.done"), "text", json!(text));
    events.push(with(done, "logprobs", json!([])));
    events.push(with(place("response.content_part.done"), "part", part(&text)));
    let ended = item(answer, status, &json!([part(&text)]));
    events.push(json!({"type": "response.output_item.done", "output_index": 0, "item": ended}));
    events.push(json!({"type": format!("response.{status}"), "response": finished(answer, body)}));
    events
        .into_iter()
        .enumerate()
        .map(|(sequence, event)| named(&with(event, "sequence_number", json!(sequence))))
        .collect()
}

fn with(mut object: Value, name: &str, value: Value) -> Value {
    set(&mut object, name, Some(value));
    object
}
