//! The exact words of each API's ending.

use super::super::*;
use super::{USAGE, cut, finishes, says};

/// The ending of a stream that is cut after these events.
fn ending(api: Api, before: &str, show_usage: bool) -> String {
    let mut cutter = StreamCutter::new(api, Framing::Sse);
    assert_eq!(cutter.feed(before.as_bytes()), before.as_bytes());
    match cutter.cut(&USAGE, show_usage) {
        Cut::Now(ending) => String::from_utf8(ending).unwrap(),
        other => panic!("{other:?} after {before}"),
    }
}

const CHUNK: &str = concat!(
    r#"data: {"id":"c\"1","object":"chat.completion.chunk","created":1741569952,"model":"gpt-é","x":1,"#,
    r#""choices":[{"index":0,"delta":{"tool_calls":[{"index":5,"function":{"arguments":"{\"finish_reason\":1"}}]}}]}"#,
    "\n\n"
);
const HEAD: &str = r#""id":"c\"1","object":"chat.completion.chunk","created":1741569952,"model":"gpt-é""#;

#[test]
fn chat_completions() {
    let finish = format!(r#"data: {{{HEAD},"choices":[{{"index":0,"delta":{{}},"finish_reason":"length"}}]}}"#);
    let usage = concat!(
        r#""choices":[],"usage":{"prompt_tokens":11,"completion_tokens":7,"total_tokens":18,"#,
        r#""prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":2}}}"#
    );
    let without = ending(Api::ChatCompletions, CHUNK, false);
    assert_eq!(without, format!("{finish}\n\ndata: [DONE]\n\n"));
    let with = ending(Api::ChatCompletions, CHUNK, true);
    assert_eq!(with, format!("{finish}\n\ndata: {{{HEAD},{usage}\n\ndata: [DONE]\n\n"));
}

#[test]
fn every_open_choice_is_finished_once() {
    let stop = |index: u64| {
        finishes(index)
            .replace("stop", "length")
            .replace("{\"choices", "{\"object\":\"chat.completion.chunk\",\"choices")
    };
    let before = [says(0, "a"), says(2, "b"), says(1, "c"), finishes(2)].concat();
    assert_eq!(ending(Api::ChatCompletions, &before, false), [stop(0), stop(1), "data: [DONE]\n\n".into()].concat());
    let both = concat!(
        r#"data: {"choices":[{"finish_reason":"stop","index":0},{"finish_reason":null,"index":127},"#,
        r#"{"index":128,"finish_reason":"stop"},{"index":99999999999}]}"#,
        "\n\n"
    );
    assert_eq!(ending(Api::ChatCompletions, both, false), [stop(127), "data: [DONE]\n\n".into()].concat());
}

/// A choice that has no bit is cut all the same: it must not run past the cap.
#[test]
fn a_choice_beyond_the_bits_keeps_the_stream_open() {
    let before = [finishes(0), finishes(128)].concat();
    assert_eq!(ending(Api::ChatCompletions, &before, false), "data: [DONE]\n\n");
    assert_eq!(ending(Api::ChatCompletions, &finishes(300), false), "data: [DONE]\n\n");
}

#[test]
fn what_the_stream_did_not_tell_is_left_out_but_for_its_kind() {
    let empty = "data: {\"id\":\"\",\"object\":\"\",\"created\":0,\"model\":\"\",\"choices\":[]}\n\n";
    for before in ["", empty, "data: {\"id\":{},\"created\":null}\n\n"] {
        assert_eq!(ending(Api::ChatCompletions, before, false), super::STOPPED);
    }
    let long = format!("data: {{\"id\":\"{}\",\"model\":\"m\"}}\n\n", "x".repeat(257));
    assert!(ending(Api::ChatCompletions, &long, false).contains("\"model\":\"m\",\"choices\""));
    assert_eq!(
        ending(Api::ChatCompletions, &format!("{empty}{CHUNK}"), false),
        ending(Api::ChatCompletions, CHUNK, false)
    );
}

#[test]
fn completions() {
    let before = concat!(
        r#"data: {"id":"cmpl-7","object":"text_completion","created":1,"#,
        r#""choices":[{"text":"This","index":1,"logprobs":null,"finish_reason":null}],"model":"i"}"#,
        "\n\n"
    );
    let wanted = concat!(
        r#"data: {"id":"cmpl-7","object":"text_completion","created":1,"model":"i","#,
        r#""choices":[{"text":"","index":1,"logprobs":null,"finish_reason":"length"}]}"#,
        "\n\ndata: [DONE]\n\n"
    );
    assert_eq!(ending(Api::Completions, before, false), wanted);
    assert!(ending(Api::Completions, "", false).starts_with("data: {\"object\":\"text_completion\",\"choices\""));
}

const CREATED: &str = concat!(
    "event: response.created\n",
    r#"data: {"type":"response.created","sequence_number":0,"response":{"id":"r1","object":"response","#,
    r#""created_at":1741476542,"status":"in_progress","error":null,"model":"gpt","output":[],"usage":null}}"#,
    "\n\n"
);

#[test]
fn responses() {
    let delta = "data: {\"type\":\"response.output_text.delta\",\"delta\":\"a\",\"sequence_number\":41}\n\n";
    let wanted = concat!(
        "event: response.incomplete\n",
        r#"data: {"type":"response.incomplete","sequence_number":42,"response":{"id":"r1","object":"response","#,
        r#""created_at":1741476542,"model":"gpt","status":"incomplete","error":null,"#,
        r#""incomplete_details":{"reason":"max_output_tokens"},"output":[],"usage":{"input_tokens":11,"#,
        r#""input_tokens_details":{"cached_tokens":4},"output_tokens":7,"#,
        r#""output_tokens_details":{"reasoning_tokens":2},"total_tokens":18}}}"#,
        "\n\n"
    );
    assert_eq!(ending(Api::Responses, &format!("{CREATED}{delta}"), false), wanted);
    let unnumbered = CREATED.replace("\"sequence_number\":0,", "");
    assert!(!ending(Api::Responses, &unnumbered, false).contains("sequence_number"));
}

#[test]
fn a_response_that_told_its_end_is_left_alone() {
    for kind in ["response.completed", "response.incomplete", "response.failed", "response.cancelled", "error"] {
        let last = format!("data: {{\"type\":\"{kind}\"}}\n\n: bye\n\n");
        // The event that tells it may be the one under way.
        for at in 1..last.len() {
            let (begun, rest) = last.split_at(at);
            let cutter = StreamCutter::new(Api::Responses, Framing::Sse);
            assert_eq!(cut(cutter, &format!("{CREATED}{begun}"), rest), format!("{CREATED}{last}"));
        }
    }
}

const START: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\"}}\n\n";
const PING: &str = "event: ping\ndata: {\"type\": \"ping\"}\n\n";
const BLOCK: &str = "data: {\"index\":3,\"type\":\"content_block_start\",\"content_block\":{\"type\":\"text\"}}\n\n";
const STOP: &str = "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":3}\n\n";
const MESSAGE_ENDS: &str = concat!(
    "event: message_delta\n",
    r#"data: {"type":"message_delta","delta":{"stop_reason":"max_tokens","stop_sequence":null},"usage":{"output_tokens":7}}"#,
    "\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"
);

#[test]
fn messages() {
    assert_eq!(ending(Api::Messages, START, false), MESSAGE_ENDS);
    assert_eq!(ending(Api::Messages, &[START, BLOCK, PING].concat(), false), [STOP, MESSAGE_ENDS].concat());
    assert_eq!(ending(Api::Messages, &[START, BLOCK, STOP].concat(), false), MESSAGE_ENDS);
}

#[test]
fn the_opening_event_comes_before_the_ending() {
    let messages = || StreamCutter::new(Api::Messages, Framing::Sse);
    let after = [PING, START, BLOCK].concat();
    assert_eq!(cut(messages(), "", &after), [PING, START, MESSAGE_ENDS].concat());
    assert_eq!(cut(messages(), PING, &after), [PING, PING, START, MESSAGE_ENDS].concat());
    let responses = cut(StreamCutter::new(Api::Responses, Framing::Sse), "", &format!("{CREATED}{CREATED}"));
    assert_eq!(responses, format!("{CREATED}{}", ending(Api::Responses, CREATED, false)));
}

#[test]
fn a_message_that_told_its_end_is_left_alone() {
    let null = "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":null}}\n\n";
    assert_eq!(ending(Api::Messages, &[START, null].concat(), false), MESSAGE_ENDS);
    let told = null.replace("null", "\"end_turn\"");
    let error = "event: error\ndata: {\"type\":\"error\",\"error\":{}}\n\n".to_owned();
    let stop = "data: {\"type\":\"message_stop\"}\n\n".to_owned();
    for last in [told, error, stop] {
        let (before, after) = ([START, BLOCK, STOP, &last].concat(), "event: message_stop\ndata: {}\n\n");
        assert_eq!(cut(StreamCutter::new(Api::Messages, Framing::Sse), &before, after), format!("{before}{after}"));
    }
}

#[test]
fn what_a_garbled_event_told_does_not_count() {
    let garbled = "data: {\"type\":\"message_stop\",\n\n";
    assert_eq!(ending(Api::Messages, &[START, garbled, PING].concat(), false), MESSAGE_ENDS);
}

#[test]
fn gemini() {
    let before = concat!(
        r#"data: {"candidates":[{"content":{"parts":[{"text":"a"}]}},{"index":1,"finishReason":"STOP"},"#,
        r#"{"index":2,"finishReason":"FINISH_REASON_UNSPECIFIED"}],"modelVersion":"gemini","responseId":"r"}"#,
        "\n\n"
    );
    let content = r#"{"content":{"parts":[{"text":""}],"role":"model"},"finishReason":"MAX_TOKENS","index""#;
    let usage = concat!(
        r#""usageMetadata":{"promptTokenCount":11,"candidatesTokenCount":5,"thoughtsTokenCount":2,"#,
        r#""cachedContentTokenCount":4,"totalTokenCount":18},"modelVersion":"gemini","responseId":"r"}"#
    );
    let wanted = format!("data: {{\"candidates\":[{content}:0}},{content}:2}}],{usage}\n\n");
    for api in [Api::StreamGenerateContent, Api::GenerateContent] {
        assert_eq!(ending(api, before, false), wanted);
    }
}
