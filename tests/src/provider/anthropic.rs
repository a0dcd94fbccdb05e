//! Anthropic messages, whole and streamed, and Anthropic's errors.

use axum::body::Bytes;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::answer::{Answer, Invalid, is_true, required, required_str, text_of};
use super::openai::set;
use super::script::Script;
use super::wire::{Reply, named};

/// Answers a request.
pub(super) fn reply(number: u64, body: &Value, script: &Script) -> Result<Reply, Invalid> {
    let model = required_str(body, "model")?;
    let mut prompt = body.get("system").map(text_of).unwrap_or_default();
    prompt.push_str(&text_of(required(body, "messages")?));
    // Unlike OpenAI's, this API knows no default.
    let Some(limit) = body.get("max_tokens").and_then(Value::as_u64) else {
        return Err(Invalid("max_tokens: Field required".to_owned()));
    };
    let answer = Answer::new(number, model, &prompt, Some(limit), script);
    let reply = if is_true(body, "stream") {
        Reply::events(events(&answer))
    } else {
        let content = json!([{"type": "text", "text": answer.text()}]);
        Reply::json(message(&answer, &content, Some(stop_reason(&answer)), answer.output()))
    };
    Ok(reply.with_header("request-id", &format!("req_scripted{number}")))
}

const fn stop_reason(answer: &Answer) -> &'static str {
    if answer.is_cut { "max_tokens" } else { "end_turn" }
}

fn message(answer: &Answer, content: &Value, stop_reason: Option<&str>, output: u64) -> Value {
    let mut message = json!({
        "id": format!("msg_scripted{}", answer.number),
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": null,
    });
    let usage = json!({
        // This API counts them apart.
        "input_tokens": answer.input - answer.cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": answer.cached,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": output,
        "service_tier": "standard",
    });
    set(&mut message, "usage", answer.usage(usage));
    message
}

fn events(answer: &Answer) -> Vec<Bytes> {
    let mut events = Vec::with_capacity(answer.words.len() + 6);
    events.push(json!({"type": "message_start", "message": message(answer, &json!([]), None, 1)}));
    events.push(json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}));
    events.push(json!({"type": "ping"}));
    for word in &answer.words {
        let delta = json!({"type": "text_delta", "text": word});
        events.push(json!({"type": "content_block_delta", "index": 0, "delta": delta}));
    }
    events.push(json!({"type": "content_block_stop", "index": 0}));
    let delta = json!({"stop_reason": stop_reason(answer), "stop_sequence": null});
    let mut last = json!({"type": "message_delta", "delta": delta});
    set(&mut last, "usage", answer.usage(json!({"output_tokens": answer.output()})));
    events.push(last);
    events.push(json!({"type": "message_stop"}));
    events.iter().map(named).collect()
}

/// An error as Anthropic writes it.
pub(super) fn error(status: StatusCode, message: &str) -> Value {
    let kind = match status.as_u16() {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    };
    json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": null})
}
