//! OpenAI responses. A stream repeats everything in its last event, so only the deltas count as content there.

use super::tally::{Tally, raise};
use crate::scan::Scalar;

/// Strings that the model wrote.
pub(super) fn is_content(path: &str) -> bool {
    matches!(
        path,
        "delta"
            | "output[].content[].text"
            | "output[].content[].refusal"
            | "output[].summary[].text"
            | "output[].arguments"
            | "output[].input"
    )
}

pub(super) fn scalar(tally: &mut Tally, path: &str, value: Scalar<'_>) {
    match (path, value) {
        ("type", Scalar::Text(Some(kind))) => event_type(tally, kind),
        ("status", _) => tally.finish_reason(value, |status| status == "completed"),
        ("incomplete_details.reason" | "response.incomplete_details.reason", _) => tally.event.detailed_reason(value),
        ("response.status", _) => tally.event.told_reason(value),
        ("response.error", _) if value != Scalar::Null => tally.has_error = true,
        _ => usage(tally, path.strip_prefix("response.").unwrap_or(path), value),
    }
}

fn event_type(tally: &mut Tally, kind: &str) {
    match kind {
        "response.completed" => tally.ended_naturally = true,
        "response.incomplete" => tally.ended_otherwise = true,
        "response.failed" | "error" => tally.has_error = true,
        _ => return,
    }
    tally.event.terminates = true;
}

fn usage(tally: &mut Tally, path: &str, value: Scalar<'_>) {
    let figures = &mut tally.figures;
    match path {
        "usage.input_tokens" => raise(&mut figures.input, value),
        "usage.output_tokens" => raise(&mut figures.output, value),
        "usage.total_tokens" => raise(&mut figures.total, value),
        "usage.input_tokens_details.cached_tokens" => raise(&mut figures.cached_input, value),
        "usage.output_tokens_details.reasoning_tokens" => raise(&mut figures.reasoning, value),
        _ => {}
    }
}
