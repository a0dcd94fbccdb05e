//! OpenAI chat completions and completions, the list of models, and OpenAI's errors.

use axum::body::Bytes;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::answer::{Answer, Invalid, is_true, required, required_str, text_of};
use super::script::Script;
use super::wire::{Reply, data};

/// Seconds since 1970 in every answer: fixed, so that answers differ in their number only.
pub(super) const CREATED: u64 = 1_760_000_000;
/// Most choices that are generated for one request.
const MAX_CHOICES: u64 = 16;

/// What differs between chat completions and the older completions.
#[derive(Clone, Copy)]
pub(super) enum Endpoint {
    Chat,
    Completions,
}

impl Endpoint {
    fn prompt(self, body: &Value) -> Result<String, Invalid> {
        required(body, if matches!(self, Self::Chat) { "messages" } else { "prompt" }).map(text_of)
    }

    fn max_tokens(self, body: &Value) -> Option<u64> {
        body.get("max_completion_tokens").or_else(|| body.get("max_tokens")).and_then(Value::as_u64)
    }

    /// The fields around `choices`.
    fn envelope(self, answer: &Answer, choices: &[Value], is_chunk: bool) -> Value {
        let number = answer.number;
        let (id, object) = match (self, is_chunk) {
            (Self::Chat, false) => (format!("chatcmpl-scripted{number}"), "chat.completion"),
            (Self::Chat, true) => (format!("chatcmpl-scripted{number}"), "chat.completion.chunk"),
            (Self::Completions, _) => (format!("cmpl-scripted{number}"), "text_completion"),
        };
        json!({
            "id": id,
            "object": object,
            "created": CREATED,
            "model": answer.model,
            "choices": choices,
            "system_fingerprint": "fp_scripted",
        })
    }

    fn whole_choice(self, answer: &Answer, index: u64) -> Value {
        let text = answer.text();
        match self {
            Self::Chat => json!({
                "index": index,
                "message": {"role": "assistant", "content": text, "refusal": null, "annotations": []},
                "logprobs": null,
                "finish_reason": finish_reason(answer),
            }),
            Self::Completions => {
                json!({"text": text, "index": index, "logprobs": null, "finish_reason": finish_reason(answer)})
            }
        }
    }

    fn chunk_choice(self, index: u64, delta: &Value, text: &str, finish: Option<&str>) -> Value {
        match self {
            Self::Chat => json!({"index": index, "delta": delta, "logprobs": null, "finish_reason": finish}),
            Self::Completions => json!({"text": text, "index": index, "logprobs": null, "finish_reason": finish}),
        }
    }

    /// Answers a request.
    pub(super) fn reply(self, number: u64, body: &Value, script: &Script) -> Result<Reply, Invalid> {
        let model = required_str(body, "model")?;
        let prompt = self.prompt(body)?;
        let choices = body.get("n").and_then(Value::as_u64).unwrap_or(1).clamp(1, MAX_CHOICES);
        let answer = Answer::new(number, model, &prompt, self.max_tokens(body), script);
        if is_true(body, "stream") {
            let asks_usage = body.get("stream_options").is_some_and(|options| is_true(options, "include_usage"));
            return Ok(Reply::events(self.events(&answer, choices, asks_usage)));
        }
        let whole: Vec<_> = (0..choices).map(|index| self.whole_choice(&answer, index)).collect();
        let mut body = self.envelope(&answer, &whole, false);
        set(&mut body, "usage", answer.usage(usage(&answer, choices)));
        Ok(Reply::json(body))
    }

    fn events(self, answer: &Answer, choices: u64, asks_usage: bool) -> Vec<Bytes> {
        let chunk = |choices: &[Value]| {
            let mut chunk = self.envelope(answer, choices, true);
            // With usage asked for, every chunk has the field, and all but the last say null.
            set(&mut chunk, "usage", asks_usage.then_some(Value::Null));
            chunk
        };
        let mut frames = Vec::with_capacity(answer.words.len() + 4);
        for index in 0..choices {
            if matches!(self, Self::Chat) {
                let role = json!({"role": "assistant", "content": "", "refusal": null});
                frames.push(data(&chunk(&[self.chunk_choice(index, &role, "", None)])));
            }
            for word in &answer.words {
                frames.push(data(&chunk(&[self.chunk_choice(index, &json!({"content": word}), word, None)])));
            }
            let finish = Some(finish_reason(answer));
            frames.push(data(&chunk(&[self.chunk_choice(index, &json!({}), "", finish)])));
        }
        if asks_usage && let Some(usage) = answer.usage(usage(answer, choices)) {
            let mut last = chunk(&[]);
            set(&mut last, "usage", Some(usage));
            frames.push(data(&last));
        }
        frames.push(Bytes::from_static(b"data: [DONE]\n\n"));
        frames
    }
}

const fn finish_reason(answer: &Answer) -> &'static str {
    if answer.is_cut { "length" } else { "stop" }
}

fn usage(answer: &Answer, choices: u64) -> Value {
    let output = answer.output() * choices;
    json!({
        "prompt_tokens": answer.input,
        "completion_tokens": output,
        "total_tokens": answer.input + output,
        "prompt_tokens_details": {"cached_tokens": answer.cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    })
}

/// Adds a field at the end of an object, if there is a value for it.
pub(super) fn set(object: &mut Value, name: &str, value: Option<Value>) {
    if let (Value::Object(fields), Some(value)) = (object, value) {
        fields.insert(name.to_owned(), value);
    }
}

/// `GET /v1/models`.
pub(super) fn models() -> Value {
    let model = |id: &str| json!({"id": id, "object": "model", "created": CREATED, "owned_by": "scripted"});
    json!({"object": "list", "data": [model("gpt-4.1"), model("gpt-4.1-mini"), model("text-embedding-3-small")]})
}

/// An error as OpenAI writes it.
pub(super) fn error(status: StatusCode, message: &str) -> Value {
    let (kind, code) = match status.as_u16() {
        401 => ("invalid_request_error", Some("invalid_api_key")),
        429 => ("requests", Some("rate_limit_exceeded")),
        400..=499 => ("invalid_request_error", None),
        _ => ("server_error", None),
    };
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
}
