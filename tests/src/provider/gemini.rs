//! Gemini `generateContent` and `streamGenerateContent`, and Google's errors.

use axum::body::Bytes;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::answer::{Answer, Invalid, required, text_of};
use super::openai::set;
use super::script::Script;
use super::wire::Reply;

/// How an answer is framed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// One object.
    Json,
    /// A stream that is one JSON array: what the endpoint does unless `alt=sse` is asked for.
    JsonArray,
    /// Server-sent events.
    Sse,
}

/// Answers a request for `model`, which stands in the path.
pub(super) fn reply(
    number: u64,
    model: &str,
    body: &Value,
    framing: Framing,
    script: &Script,
) -> Result<Reply, Invalid> {
    let system = body.get("systemInstruction").or_else(|| body.get("system_instruction"));
    let mut prompt = system.map(text_of).unwrap_or_default();
    prompt.push_str(&text_of(required(body, "contents")?));
    let config = body.get("generationConfig").or_else(|| body.get("generation_config"));
    let limit = config.and_then(|config| config.get("maxOutputTokens")).and_then(Value::as_u64);
    let answer = Answer::new(number, model, &prompt, limit, script);
    Ok(match framing {
        Framing::Json => Reply::json(chunk(&answer, &answer.text(), answer.output(), true)),
        Framing::JsonArray => Reply::stream("application/json; charset=UTF-8", array(&chunks(&answer))),
        // Google ends lines with CRLF.
        Framing::Sse => Reply::stream(
            "text/event-stream",
            chunks(&answer).iter().map(|chunk| Bytes::from(format!("data: {chunk}\r\n\r\n"))).collect(),
        ),
    })
}

/// One response object; `output` is the count of tokens so far.
fn chunk(answer: &Answer, text: &str, output: u64, is_last: bool) -> Value {
    let mut candidate = json!({"content": {"parts": [{"text": text}], "role": "model"}});
    let finish = if answer.is_cut { "MAX_TOKENS" } else { "STOP" };
    set(&mut candidate, "finishReason", is_last.then(|| json!(finish)));
    set(&mut candidate, "index", Some(json!(0)));
    let mut chunk = json!({"candidates": [candidate]});
    let mut usage = json!({
        "promptTokenCount": answer.input,
        "candidatesTokenCount": output,
        "totalTokenCount": answer.input + output,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": answer.input}],
    });
    if answer.cached > 0 {
        set(&mut usage, "cachedContentTokenCount", Some(json!(answer.cached)));
    }
    set(&mut chunk, "usageMetadata", answer.usage(usage));
    set(&mut chunk, "modelVersion", Some(json!(answer.model)));
    set(&mut chunk, "responseId", Some(json!(format!("scripted{}", answer.number))));
    chunk
}

fn chunks(answer: &Answer) -> Vec<Value> {
    let last = answer.words.len().saturating_sub(1);
    answer.words.iter().enumerate().map(|(at, word)| chunk(answer, word, at as u64 + 1, at == last)).collect()
}

/// The chunks as one array, a frame for each element.
fn array(chunks: &[Value]) -> Vec<Bytes> {
    let mut frames: Vec<_> = chunks
        .iter()
        .enumerate()
        .map(|(at, chunk)| Bytes::from(format!("{}{chunk}\n", if at == 0 { "[" } else { ",\r\n" })))
        .collect();
    frames.push(Bytes::from_static(if chunks.is_empty() { b"[]\n" } else { b"]\n" }));
    frames
}

/// An error as Google writes it.
pub(super) fn error(status: StatusCode, message: &str) -> Value {
    let name = match status.as_u16() {
        400 => "INVALID_ARGUMENT",
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        503 => "UNAVAILABLE",
        _ => "INTERNAL",
    };
    json!({"error": {"code": status.as_u16(), "message": message, "status": name}})
}
