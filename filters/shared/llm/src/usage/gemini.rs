//! Gemini generateContent. Thoughts and tool results are counted beside candidates and prompt, so they are added.

use super::tally::{Tally, raise};
use crate::scan::Scalar;

/// Strings that the model wrote; a call's arguments are an object of any shape.
pub(super) fn is_content(path: &str) -> bool {
    let Some(part) = path.strip_prefix("candidates[].content.parts[].") else { return false };
    matches!(part, "text" | "functionCall.name" | "executableCode.code") || part.starts_with("functionCall.args")
}

pub(super) fn scalar(tally: &mut Tally, path: &str, value: Scalar<'_>) {
    let figures = &mut tally.figures;
    let [tool_results, _] = &mut figures.input_apart;
    match path {
        "candidates[].finishReason" => tally.finish_reason(value, |reason| reason == "STOP"),
        // A refused prompt has no candidates, so nothing else would announce the end.
        "promptFeedback.blockReason" => tally.finish_reason(value, |_| false),
        "usageMetadata.promptTokenCount" => raise(&mut figures.input, value),
        "usageMetadata.toolUsePromptTokenCount" => raise(tool_results, value),
        "usageMetadata.candidatesTokenCount" => raise(&mut figures.output, value),
        "usageMetadata.thoughtsTokenCount" => {
            raise(&mut figures.output_apart, value);
            raise(&mut figures.reasoning, value);
        }
        "usageMetadata.cachedContentTokenCount" => raise(&mut figures.cached_input, value),
        _ => {}
    }
}
