//! Ways to keep an answer from telling its usage, which no call may take that is metered.
//!
//! Google's APIs let a caller choose which fields of an answer come (`fields`, `$fields`, `X-Goog-FieldMask`) and in which form (`alt`):
//! system parameters, <https://cloud.google.com/apis/docs/system-parameters>. Without `usageMetadata` hidden thoughts would be
//! free, and an answer in protobuf cannot be read at all.

use tollgate_llm::Api;

/// The header that masks an answer of Google's.
pub const HEADER: &str = "x-goog-fieldmask";

/// Whether the path of a call masks its answer.
pub fn is_masked(api: Api, path: &[u8]) -> bool {
    if !matches!(api, Api::GenerateContent | Api::StreamGenerateContent) {
        return false;
    }
    let query = path.iter().position(|byte| *byte == b'?').and_then(|at| path.get(at + 1..)).unwrap_or_default();
    form_urlencoded::parse(query).any(|(name, value)| match name.trim_start_matches('$') {
        "fields" => true,
        "alt" => !matches!(&*value, "json" | "sse"),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_googles_must_be_whole_and_readable() {
        let path = |query: &str| format!("/v1beta/models/g:streamGenerateContent{query}").into_bytes();
        for query in ["", "?alt=sse", "?alt=json&key=k", "?$alt=json", "?x=fields"] {
            assert!(!is_masked(Api::StreamGenerateContent, &path(query)), "{query}");
        }
        for query in
            ["?fields=candidates", "?alt=sse&%24fields=candidates", "?alt=proto", "?$alt=media", "?f%69elds=x"]
        {
            assert!(is_masked(Api::StreamGenerateContent, &path(query)), "{query}");
        }
        assert!(!is_masked(Api::ChatCompletions, b"/v1/chat/completions?fields=x"));
    }
}
