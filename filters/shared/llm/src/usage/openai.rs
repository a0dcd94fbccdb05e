//! OpenAI chat completions, completions and embeddings, and everybody who speaks like them.

use super::tally::{Tally, raise};
use crate::scan::Scalar;

/// Strings that the model wrote: JSON (`message`, `text`) and streamed (`delta`), tool arguments and reasoning included.
pub(super) fn is_content(path: &str) -> bool {
    let Some(within) = path.strip_prefix("choices[].") else { return false };
    let part = within.strip_prefix("delta.").or_else(|| within.strip_prefix("message."));
    part.map_or(within == "text", |part| {
        matches!(
            part,
            "content"
                | "content[].text"
                | "content[].thinking[].text"
                | "refusal"
                | "reasoning"
                | "reasoning_content"
                | "function_call.name"
                | "function_call.arguments"
                | "tool_calls[].function.name"
                | "tool_calls[].function.arguments"
                | "tool_calls[].custom.name"
                | "tool_calls[].custom.input"
                | "audio.transcript"
        )
    })
}

pub(super) fn scalar(tally: &mut Tally, path: &str, value: Scalar<'_>) {
    let figures = &mut tally.figures;
    match path {
        "choices[].finish_reason" => tally.finish_reason(value, is_natural),
        "usage.prompt_tokens" => raise(&mut figures.input, value),
        "usage.completion_tokens" => raise(&mut figures.output, value),
        "usage.total_tokens" => raise(&mut figures.total, value),
        // The second is DeepSeek's.
        "usage.prompt_tokens_details.cached_tokens" | "usage.prompt_cache_hit_tokens" => {
            raise(&mut figures.cached_input, value)
        }
        "usage.completion_tokens_details.reasoning_tokens" => raise(&mut figures.reasoning, value),
        _ => {}
    }
}

fn is_natural(reason: &str) -> bool {
    matches!(reason, "stop" | "tool_calls" | "function_call")
}
