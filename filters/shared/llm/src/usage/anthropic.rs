//! Anthropic messages. `input_tokens` leaves out what was read from or written to the prompt cache, so all three are
//! added; a stream tells the input in `message_start` and the output, cumulatively, in `message_delta`.

use super::tally::{Tally, raise};
use crate::scan::Scalar;

/// Strings that the model wrote; a tool's input is an object of any shape.
pub(super) fn is_content(path: &str) -> bool {
    matches!(
        path,
        "delta.text"
            | "delta.thinking"
            | "delta.partial_json"
            | "content_block.text"
            | "content_block.thinking"
            | "content_block.name"
            | "content[].text"
            | "content[].thinking"
            | "content[].name"
    ) || path.starts_with("content[].input")
}

pub(super) fn scalar(tally: &mut Tally, path: &str, value: Scalar<'_>) {
    match (path, value) {
        ("type", Scalar::Text(Some("message_stop"))) => tally.event.terminates = true,
        ("type", Scalar::Text(Some("error"))) => tally.has_error = true,
        ("stop_reason" | "delta.stop_reason", _) => tally.finish_reason(value, is_natural),
        _ => usage(tally, path.strip_prefix("message.").unwrap_or(path), value),
    }
}

fn is_natural(reason: &str) -> bool {
    matches!(reason, "end_turn" | "tool_use" | "stop_sequence")
}

fn usage(tally: &mut Tally, path: &str, value: Scalar<'_>) {
    let figures = &mut tally.figures;
    let [written, read] = &mut figures.input_apart;
    match path {
        "usage.input_tokens" => raise(&mut figures.input, value),
        "usage.output_tokens" => raise(&mut figures.output, value),
        "usage.cache_creation_input_tokens" => {
            raise(written, value);
            raise(&mut figures.cache_write, value);
        }
        "usage.cache_read_input_tokens" => {
            raise(read, value);
            raise(&mut figures.cached_input, value);
        }
        _ => {}
    }
}
