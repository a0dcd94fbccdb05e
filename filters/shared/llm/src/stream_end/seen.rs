//! What a stream said so far that its ending must repeat, continue or close.
//!
//! Every part is bounded: captured values by [`MAX_VALUE`](crate::scan::MAX_VALUE), choices by a fixed number of bits.

use serde_json::{Number, Value};

use super::choices::Choices;
use crate::api::Api;
use crate::scan::{Scalar, Visitor};

/// Whether there is anything to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// The event that must be a client's first has not come; it holds no output.
    NotBegun,
    /// The model may go on.
    Open,
    /// The stream told its own end: nothing more is generated.
    Over,
}

/// Facts of one stream.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) api: Api,
    /// OpenAI's `id`, Gemini's `responseId`.
    pub(super) id: Option<Value>,
    pub(super) object: Option<Value>,
    /// OpenAI's `created` or `created_at`.
    pub(super) created: Option<Value>,
    /// OpenAI's `model`, Gemini's `modelVersion`.
    pub(super) model: Option<Value>,
    pub(super) choices: Choices,
    /// The largest `sequence_number` of OpenAI's responses.
    pub(super) sequence_number: Option<u64>,
    /// Anthropic's content block under way.
    pub(super) open_block: Option<u64>,
    has_begun: bool,
    is_over: bool,
    event: Event,
}

/// What is known of the event under way.
#[derive(Debug, Default)]
struct Event {
    kind: Kind,
    index: Option<u64>,
    /// It tells that nothing more is generated.
    is_last: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Other,
    Ping,
    BlockStart,
    BlockStop,
}

impl Seen {
    pub(super) fn new(api: Api) -> Self {
        Self {
            api,
            id: None,
            object: None,
            created: None,
            model: None,
            choices: Choices::default(),
            sequence_number: None,
            open_block: None,
            has_begun: false,
            is_over: false,
            event: Event::default(),
        }
    }

    pub(super) fn standing(&self) -> Standing {
        let needs_opening = matches!(self.api, Api::Messages | Api::Responses);
        if self.is_over || (!needs_opening && !self.choices.is_any_open()) {
            Standing::Over
        } else if needs_opening && !self.has_begun {
            Standing::NotBegun
        } else {
            Standing::Open
        }
    }

    /// The end of the whole stream was told in other words than JSON: `[DONE]`.
    pub(super) fn terminated(&mut self) {
        self.is_over = true;
    }

    /// The event that comes next knows nothing of the last, even if that was no whole JSON.
    pub(super) fn next_event(&mut self) {
        self.event = Event::default();
    }

    fn event_ended(&mut self) {
        let event = std::mem::take(&mut self.event);
        self.is_over |= event.is_last;
        self.has_begun |= event.kind != Kind::Ping;
        match event.kind {
            Kind::BlockStart => self.open_block = event.index,
            Kind::BlockStop => self.open_block = None,
            Kind::Other | Kind::Ping => {}
        }
    }

    fn openai(&mut self, path: &str, value: Scalar<'_>) {
        match path {
            "id" => keep(&mut self.id, value),
            "object" => keep(&mut self.object, value),
            "created" => keep(&mut self.created, value),
            "model" => keep(&mut self.model, value),
            "choices[].index" => self.choices.index(value.count()),
            "choices[].finish_reason" if is_reason(value) => self.choices.finish_reason(),
            _ => {}
        }
    }

    fn responses(&mut self, path: &str, value: Scalar<'_>) {
        match (path, value) {
            ("type", Scalar::Text(Some(kind))) => {
                self.event.is_last |= matches!(
                    kind,
                    "response.completed" | "response.incomplete" | "response.failed" | "response.cancelled" | "error"
                );
            }
            ("sequence_number", _) => self.sequence_number = self.sequence_number.max(value.count()),
            ("response.id", _) => keep(&mut self.id, value),
            ("response.object", _) => keep(&mut self.object, value),
            ("response.created_at", _) => keep(&mut self.created, value),
            ("response.model", _) => keep(&mut self.model, value),
            _ => {}
        }
    }

    fn messages(&mut self, path: &str, value: Scalar<'_>) {
        match (path, value) {
            ("type", Scalar::Text(Some(kind))) => match kind {
                "ping" => self.event.kind = Kind::Ping,
                "content_block_start" => self.event.kind = Kind::BlockStart,
                "content_block_stop" => self.event.kind = Kind::BlockStop,
                "message_stop" => self.event.is_last = true,
                _ => {}
            },
            ("index", _) => self.event.index = value.count(),
            ("delta.stop_reason", _) => self.event.is_last |= is_reason(value),
            _ => {}
        }
    }

    fn gemini(&mut self, path: &str, value: Scalar<'_>) {
        match path {
            "responseId" => keep(&mut self.id, value),
            "modelVersion" => keep(&mut self.model, value),
            "candidates[].index" => self.choices.index(value.count()),
            "candidates[].finishReason" if is_reason(value) => self.choices.finish_reason(),
            // A refused prompt has no candidates.
            "promptFeedback.blockReason" => self.event.is_last |= is_reason(value),
            _ => {}
        }
    }
}

impl Visitor for Seen {
    fn text(&mut self, path: &str, _bytes: u64) {
        let is_content = match self.api {
            Api::GenerateContent | Api::StreamGenerateContent => path.starts_with("candidates[].content.parts[]"),
            _ => path == "choices[].text" || (path.starts_with("choices[].delta.") && path != "choices[].delta.role"),
        };
        if is_content {
            self.choices.content();
        }
    }

    fn scalar(&mut self, path: &str, value: Scalar<'_>) {
        self.event.is_last |= path == "error" && value != Scalar::Null;
        match self.api {
            Api::ChatCompletions | Api::Completions | Api::Embeddings | Api::Other => self.openai(path, value),
            Api::Responses => self.responses(path, value),
            Api::Messages => self.messages(path, value),
            Api::GenerateContent | Api::StreamGenerateContent => self.gemini(path, value),
        }
    }

    fn begin(&mut self, path: &str) {
        match path {
            "choices[]" | "candidates[]" => self.choices.begin(),
            // Of any API. A client reads no further, whatever the provider sends after it.
            "error" => self.event.is_last = true,
            _ => {}
        }
    }

    fn end(&mut self, path: &str) {
        match path {
            "choices[]" | "candidates[]" => self.choices.end(),
            "" => self.event_ended(),
            _ => {}
        }
    }
}

/// Servers that speak like OpenAI may say `""` where it says `null`; Protobuf's default is a name of its own.
pub(crate) fn is_reason(value: Scalar<'_>) -> bool {
    !matches!(value, Scalar::Null | Scalar::Text(Some("" | "FINISH_REASON_UNSPECIFIED" | "BLOCK_REASON_UNSPECIFIED")))
}

/// Takes a value once. Azure's first chunk, which tells of the prompt's filters, has them all empty or 0.
fn keep(slot: &mut Option<Value>, value: Scalar<'_>) {
    if slot.is_none() {
        *slot = match value {
            Scalar::Text(Some(text)) if !text.is_empty() => Some(Value::from(text)),
            Scalar::Number(Some(digits)) if digits != "0" => digits.parse::<Number>().ok().map(Value::Number),
            _ => None,
        };
    }
}
