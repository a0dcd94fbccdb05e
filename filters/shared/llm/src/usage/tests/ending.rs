//! Why an answer ended, and whether reasoning passed.

use super::*;

fn events(api: Api, events: &[&str]) -> UsageMeter {
    let body: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    read(api, Framing::Sse, &body)
}

#[test]
fn the_choice_that_ended_last_says_why() {
    let chunk = |reason: &str| format!(r#"{{"choices":[{{"finish_reason":{reason}}}]}}"#);
    let reason = |reasons: &[&str]| {
        let chunks: Vec<_> = reasons.iter().map(|reason| chunk(reason)).collect();
        let chunks: Vec<_> = chunks.iter().map(String::as_str).collect();
        events(Api::ChatCompletions, &chunks).finish_reason().map(str::to_owned)
    };
    assert_eq!(reason(&["null", "\"\""]), None);
    assert_eq!(reason(&["\"stop\"", "null", "\"length\"", "null"]).as_deref(), Some("length"));
    assert_eq!(reason(&["\"stop\"", "\"no word; at all\"", "7", "true"]).as_deref(), Some("stop"));
    assert_eq!(reason(&[&format!("\"{}\"", "x".repeat(5_000))]), None);
}

#[test]
fn an_incomplete_response_says_what_it_lacks_wherever_that_stands() {
    let detail = r#""incomplete_details":{"reason":"content_filter"}"#;
    for body in [format!(r#"{{"status":"incomplete",{detail}}}"#), format!(r#"{{{detail},"status":"incomplete"}}"#)] {
        assert_eq!(read(Api::Responses, Framing::Json, &body).finish_reason(), Some("content_filter"));
        let event = format!(r#"{{"response":{body},"type":"response.incomplete"}}"#);
        assert_eq!(events(Api::Responses, &[&event]).finish_reason(), Some("content_filter"));
    }
    for (status, reason) in [("completed", Some("completed")), ("in_progress", None), ("queued", None)] {
        let body = format!(r#"{{"status":"{status}","incomplete_details":null}}"#);
        assert_eq!(read(Api::Responses, Framing::Json, &body).finish_reason(), reason);
    }
}

#[test]
fn an_event_that_is_cut_says_nothing_of_the_end() {
    let meter = read(Api::Messages, Framing::Sse, "data: {\"delta\":{\"stop_reason\":\"end_turn\"},\n\ndata: {}\n\n");
    assert_eq!(meter.finish_reason(), None);
}

#[test]
fn reasoning_is_shown_where_its_text_passes_and_not_where_it_is_counted() {
    let text = r#""hm""#;
    for (api, shows, body) in [
        (Api::ChatCompletions, true, r#"{"choices":[{"delta":{"reasoning":TEXT}}]}"#),
        (Api::ChatCompletions, true, r#"{"choices":[{"delta":{"reasoning_content":TEXT}}]}"#),
        (Api::ChatCompletions, true, r#"{"choices":[{"message":{"content":[{"thinking":[{"text":TEXT}]}]}}]}"#),
        (Api::ChatCompletions, false, r#"{"choices":[{"delta":{"content":TEXT,"reasoning_content":""}}]}"#),
        (Api::ChatCompletions, false, r#"{"usage":{"completion_tokens_details":{"reasoning_tokens":300}}}"#),
        (Api::Messages, true, r#"{"delta":{"thinking":TEXT}}"#),
        (Api::Messages, true, r#"{"content_block":{"thinking":TEXT}}"#),
        (Api::Messages, true, r#"{"content":[{"thinking":TEXT}]}"#),
        (Api::Messages, false, r#"{"delta":{"type":"signature_delta","signature":TEXT}}"#),
        (Api::Messages, false, r#"{"content":[{"type":"redacted_thinking","data":TEXT}]}"#),
        (Api::Messages, false, r#"{"content":[{"input":{"why":TEXT}}]}"#),
        (Api::Responses, true, r#"{"type":"response.reasoning_text.delta","delta":TEXT}"#),
        (Api::Responses, true, r#"{"delta":TEXT,"type":"response.reasoning_summary_text.delta"}"#),
        (Api::Responses, false, r#"{"type":"response.reasoning_text.done","text":TEXT}"#),
        (Api::Responses, false, r#"{"type":"response.output_text.delta","delta":TEXT}"#),
        (Api::Responses, true, r#"{"output":[{"content":[{"text":TEXT,"type":"reasoning_text"}]}]}"#),
        (Api::Responses, true, r#"{"output":[{"summary":[{"type":"summary_text","text":TEXT}]}]}"#),
        (Api::Responses, false, r#"{"output":[{"content":[{"type":"output_text","text":TEXT}]}]}"#),
        (Api::GenerateContent, true, r#"{"candidates":[{"content":{"parts":[{"thought":true,"text":TEXT}]}}]}"#),
        (Api::GenerateContent, true, r#"{"candidates":[{"content":{"parts":[{"text":TEXT,"thought":true}]}}]}"#),
        (Api::GenerateContent, false, r#"{"candidates":[{"content":{"parts":[{"text":TEXT,"thought":false}]}}]}"#),
        (Api::GenerateContent, false, r#"{"candidates":[{"content":{"parts":[{"thought":true},{"text":TEXT}]}}]}"#),
        (
            Api::StreamGenerateContent,
            true,
            r#"[{"candidates":[{"content":{"parts":[{"text":TEXT,"thought":true}]}}]}]"#,
        ),
    ] {
        let body = body.replace("TEXT", text);
        assert_eq!(read(api, Framing::Json, &body).shows_reasoning(), shows, "{body}");
        assert_eq!(events(api, &[&body, "{}"]).shows_reasoning(), shows, "{body}");
    }
}

#[test]
fn what_one_event_says_of_its_text_does_not_hold_for_the_next() {
    let empty = r#"{"type":"response.reasoning_text.delta","delta":""}"#;
    let plain = r#"{"type":"response.output_text.delta","delta":"Hi"}"#;
    assert!(!events(Api::Responses, &[empty, plain, empty]).shows_reasoning());
    let cut = "data: {\"type\":\"response.reasoning_text.delta\",\n\n";
    let meter = read(Api::Responses, Framing::Sse, &format!("{cut}data: {plain}\n\n"));
    assert!(!meter.shows_reasoning());
}
