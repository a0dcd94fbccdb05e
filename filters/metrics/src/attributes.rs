//! What a call was, in the words of OpenTelemetry's conventions for generative AI.
//!
//! Left as filter state, where Envoy's own OpenTelemetry access logger and tracer read it (`envoy/opentelemetry.yaml` names
//! every key). What the conventions have no word for is under `gateway.*`. A value that nobody knows is not left.
//!
//! Envoy reads a span's attributes when the answer has ended and a log record's after the filters' log phase. So each value
//! is left as soon as it is known: what was asked with the request, who answers with the answer's head, what it used with
//! the answer's last piece. A call that is cut before that piece has its figures in the log record alone.
//!
//! Nothing of a prompt, an answer, a key or a claim is among them. What a client or a provider chose (a model's name, why
//! it stopped) is cut short and stripped of whatever could be read as more than a name.

use std::borrow::Cow;

use tollgate_core::handoff;
use tollgate_core::ports::Handoff;
use tollgate_core::{Cx, Timestamp, UsageRecord, UsageSource};
use tollgate_llm::Api;

use crate::outcome::AnsweredBy;

/// Longest name of a model, and of anything else.
const MOST_BYTES: usize = 128;

/// What is left of one call, phase by phase.
#[derive(Clone, Copy, Debug)]
pub struct Attributes {
    is_wanted: bool,
    /// Whether the answer's last piece has passed.
    has_ended: bool,
}

impl Attributes {
    /// Of a call that is about to come. Where they are not wanted, every phase does nothing.
    pub const fn new(is_wanted: bool) -> Self {
        Self { is_wanted, has_ended: false }
    }

    /// The request's head: what kind of call it is, if it runs a model.
    pub fn on_request_head(self, cx: &mut Cx<'_>, api: Api) {
        if let Some(operation) = operation(api).filter(|_| self.is_wanted) {
            set(cx.handoff, "gen_ai.operation.name", operation);
            set(cx.handoff, "gen_ai.provider.name", flavor(api));
        }
    }

    /// The request's end: the model that it names.
    pub fn on_request_end(self, cx: &mut Cx<'_>, model: Option<&str>) {
        if let Some(model) = model.filter(|_| self.is_wanted) {
            set(cx.handoff, "gen_ai.request.model", &name(model));
        }
    }

    /// The answer's head: whose call it is, and who answers.
    pub fn on_answer(self, cx: &mut Cx<'_>) {
        if !self.is_wanted {
            return;
        }
        if let Some(identity) = handoff::identity(cx.handoff) {
            set(cx.handoff, "gateway.tenant", &name(&identity.tenant));
        }
        let model = match AnsweredBy::of(cx.handoff) {
            AnsweredBy::Gateway => None,
            // What is stored is an answer of the very model that was decided on.
            AnsweredBy::Cache => handoff::routing(cx.handoff).and_then(|routing| routing.model),
            AnsweredBy::Provider => handoff::attempt(cx.handoff).and_then(|attempt| {
                set(cx.handoff, "gateway.provider", &name(&attempt.provider));
                attempt.model
            }),
        };
        if let Some(model) = model {
            set(cx.handoff, "gen_ai.response.model", &name(&model));
        }
    }

    /// The answer's end: what it used, and whether it was an error. `counted` tells what this filter read itself.
    pub fn on_answer_end(
        &mut self,
        cx: &mut Cx<'_>,
        started: Timestamp,
        counted: impl FnOnce() -> Option<UsageRecord<'static>>,
    ) {
        self.has_ended = true;
        if !self.is_wanted {
            return;
        }
        let status = cx.attributes.response_code().filter(|code| *code >= 400);
        if let Some(status) = status {
            set(cx.handoff, "error.type", &status.to_string());
        }
        if AnsweredBy::of(cx.handoff) != AnsweredBy::Provider {
            return;
        }
        let record = handoff::usage_record(cx.handoff).or_else(counted);
        // As in metrics: a failed call costs what its provider says, so an estimate does not count for it.
        let counts = |record: &UsageRecord<'_>| status.is_none() || record.usage.source == UsageSource::Reported;
        if let Some(record) = record.filter(counts) {
            leave(cx.handoff, &record, started);
        }
    }

    /// The log phase: what a call that was cut came to, and the proxy's word for what cut it.
    pub fn on_log(
        &mut self,
        cx: &mut Cx<'_>,
        started: Timestamp,
        counted: impl FnOnce() -> Option<UsageRecord<'static>>,
    ) {
        if self.has_ended || !self.is_wanted {
            return;
        }
        self.on_answer(cx);
        if let Some(details) = cx.attributes.code_details() {
            set(cx.handoff, "error.type", &cause(&details));
        }
        self.on_answer_end(cx, started, counted);
    }
}

fn leave(handoff: &mut dyn Handoff, record: &UsageRecord<'_>, started: Timestamp) {
    let usage = record.usage;
    set(handoff, "gen_ai.usage.input_tokens", &usage.input.to_string());
    set(handoff, "gen_ai.usage.output_tokens", &usage.output.to_string());
    for (key, tokens) in [
        ("gen_ai.usage.cache_read.input_tokens", usage.cached_input),
        ("gen_ai.usage.cache_creation.input_tokens", usage.cache_write),
        ("gen_ai.usage.reasoning.output_tokens", usage.reasoning),
    ] {
        if tokens > 0 {
            set(handoff, key, &tokens.to_string());
        }
    }
    let source = match usage.source {
        UsageSource::Estimated => "estimated",
        UsageSource::Reported => "reported",
    };
    set(handoff, "gateway.usage.source", source);
    if let Some(reason) = &record.finish_reason {
        set(handoff, "gen_ai.response.finish_reasons", &name(reason));
    }
    if let Some(nanos) = record.cost_nanousd {
        set(handoff, "gateway.cost.usd", &decimal(u128::from(nanos)));
    }
    if let Some(times) = record.output_times {
        set(handoff, "gateway.time_to_first_token", &decimal(times.first.since(started).as_nanos()));
    }
}

fn set(handoff: &mut dyn Handoff, key: &str, value: &str) {
    if !value.is_empty() {
        handoff.set(key, value.as_bytes());
    }
}

/// `gen_ai.operation.name`
const fn operation(api: Api) -> Option<&'static str> {
    match api {
        Api::ChatCompletions | Api::Responses | Api::Messages => Some("chat"),
        Api::Completions => Some("text_completion"),
        Api::Embeddings => Some("embeddings"),
        Api::GenerateContent | Api::StreamGenerateContent => Some("generate_content"),
        Api::Other => None,
    }
}

/// `gen_ai.provider.name`: whose API the caller speaks. The conventions want one of a fixed set, in which a name that an
/// operator gave a provider does not stand; that name is `gateway.provider`.
const fn flavor(api: Api) -> &'static str {
    match api {
        Api::Messages => "anthropic",
        Api::GenerateContent | Api::StreamGenerateContent => "gcp.gemini",
        Api::ChatCompletions | Api::Completions | Api::Responses | Api::Embeddings | Api::Other => "openai",
    }
}

/// What may stand for a name: ASCII without spaces, quotes and brackets, anything else as `_`, and no more than enough.
fn name(text: &str) -> Cow<'_, str> {
    if text.len() <= MOST_BYTES && text.chars().all(is_of_name) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().take(MOST_BYTES).map(|char| if is_of_name(char) { char } else { '_' }).collect())
}

const fn is_of_name(char: char) -> bool {
    char.is_ascii_alphanumeric() || matches!(char, '.' | '_' | '-' | '/' | ':' | '@' | '+' | ',' | '*' | '=')
}

/// The proxy's word for what happened, without the particulars that follow it: `upstream_reset_after_response_started{…}`.
fn cause(details: &str) -> Cow<'_, str> {
    name(details.split('{').next().unwrap_or_default())
}

/// Billionths as a decimal, without a float's noise: `0.000084`, `2.5`, `0`.
fn decimal(nanos: u128) -> String {
    let text = format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests;
