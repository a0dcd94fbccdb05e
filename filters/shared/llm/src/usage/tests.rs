mod ending;

use proptest::prelude::*;
use tollgate_core::UsageSource;

use super::*;

fn read(api: Api, framing: Framing, body: &str) -> UsageMeter {
    let mut meter = UsageMeter::new(api, framing);
    meter.feed(body.as_bytes());
    meter
}

#[test]
fn content_types_are_read_whatever_their_case_and_parameters() {
    assert_eq!(Framing::of(Some(b"application/json; charset=utf-8")), Some(Framing::Json));
    assert_eq!(Framing::of(Some(b"Text/Event-Stream;charset=utf-8")), Some(Framing::Sse));
    for other in [None, Some(&b""[..]), Some(b"text/html"), Some(b"audio/mpeg"), Some(b"\xff\xfe")] {
        assert_eq!(Framing::of(other), None);
    }
}

#[test]
fn the_estimate_grows_with_the_content_and_is_rounded_up() {
    let mut meter = UsageMeter::new(Api::ChatCompletions, Framing::Sse);
    let outputs: Vec<u64> = ["abcd", "e", "fgh", "i"]
        .iter()
        .map(|text| {
            meter.feed(format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n").as_bytes());
            meter.usage().output
        })
        .collect();
    assert_eq!(outputs, [1, 2, 2, 3]);
    assert_eq!(meter.usage().source, UsageSource::Estimated);
}

#[test]
fn a_usage_that_counts_nothing_is_none() {
    for usage in [
        "{}",
        r#"{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}"#,
        r#"{"prompt_tokens":-7,"total_tokens":33}"#,
    ] {
        let choices = r#""choices":[{"message":{"content":"12345678"},"finish_reason":"stop"}]"#;
        let meter = read(Api::ChatCompletions, Framing::Json, &format!("{{{choices},\"usage\":{usage}}}"));
        assert!(!meter.is_reported() && meter.is_complete(), "{usage}");
        assert_eq!(meter.usage().output, 2, "{usage}");
    }
}

#[test]
fn a_side_that_counts_nothing_beside_content_is_estimated() {
    for output in ["0", "-3", "1e300", "7.5", "null"] {
        let choices = r#""choices":[{"message":{"content":"12345678"},"finish_reason":"stop"}]"#;
        let usage = format!(r#""usage":{{"prompt_tokens":30,"completion_tokens":{output}}}"#);
        let meter = read(Api::ChatCompletions, Framing::Json, &format!("{{{choices},{usage}}}"));
        assert_eq!((meter.is_reported(), meter.usage().input, meter.usage().output), (true, 30, 2), "{output}");
    }
}

#[test]
fn content_that_comes_after_usage_or_after_an_end_makes_neither_final() {
    let chunk = |index: u32, reason: &str, usage: &str| {
        format!(
            "data: {{\"choices\":[{{\"index\":{index},\"delta\":{{\"content\":\"12345678\"}},\"finish_reason\":{reason}}}]{usage}}}\n\n"
        )
    };
    let told = r#","usage":{"prompt_tokens":30,"completion_tokens":1}"#;
    let meter = |stream: String| read(Api::ChatCompletions, Framing::Sse, &stream);
    let early = meter(chunk(0, "null", told) + &chunk(0, "\"stop\"", ""));
    assert_eq!((early.is_reported(), early.usage().output), (false, 4));
    let first_of_two = meter(chunk(0, "\"stop\"", told) + &chunk(1, "null", ""));
    assert_eq!((first_of_two.is_reported(), first_of_two.usage().output), (false, 4));
    let with_every_chunk = meter(chunk(0, "null", told) + &chunk(0, "\"stop\"", told));
    assert_eq!((with_every_chunk.is_reported(), with_every_chunk.usage().output), (true, 1), "the provider knows");
}

#[test]
fn content_counts_before_its_string_ends() {
    let meter = read(Api::ChatCompletions, Framing::Json, r#"{"choices":[{"message":{"content":"12345678"#);
    assert_eq!(meter.usage().output, 2);
}

#[test]
fn what_is_nested_too_deeply_is_taken_for_content() {
    let args = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    let text = "word".repeat(1_000);
    let usage = r#""stop_reason":"tool_use","usage":{"input_tokens":9,"output_tokens":1200}"#;
    let message = format!(r#"{{"content":[{{"input":{{"a":{args},"b":"{text}"}}}}],{usage}}}"#);
    let meter = read(Api::Messages, Framing::Json, &message);
    assert!(!meter.is_reported() && (1_000..1_150).contains(&meter.usage().output), "{:?}", meter.usage());
    let part = format!(r#"{{"functionCall":{{"args":{{"a":{args},"b":"{text}"}}}}}}"#);
    let event = format!("data: {{\"candidates\":[{{\"content\":{{\"parts\":[{part}]}}}}]}}\n\n");
    let output = read(Api::StreamGenerateContent, Framing::Sse, &event).usage().output;
    assert!((1_000..1_150).contains(&output), "{output}");
    // The end of OpenAI's streams is no JSON either, but read.
    assert_eq!(read(Api::ChatCompletions, Framing::Sse, "data: [DONE]\n\n").usage().output, 0);
}

/// vLLM tells the figures of one choice with each of its chunks, Gemini those of all.
#[test]
fn figures_are_not_final_before_every_choice_has_finished() {
    let chunk = |index: u64, text: &str, reason: &str, output: u64| {
        let usage = format!(r#""usage":{{"prompt_tokens":9,"completion_tokens":{output}}}"#);
        let choice = format!(r#"{{"index":{index},"delta":{{"content":"{text}"}},"finish_reason":{reason}}}"#);
        format!("data: {{\"choices\":[{choice}],{usage}}}\n\n")
    };
    let mut meter = read(Api::ChatCompletions, Framing::Sse, &chunk(0, "word", "null", 1));
    meter.feed(chunk(1, "word", "null", 1).as_bytes());
    meter.feed(chunk(0, "", "\"stop\"", 1).as_bytes());
    meter.feed(chunk(1, &"word".repeat(50), "\"\"", 51).as_bytes());
    assert!(!meter.is_reported() && meter.usage().output == 52, "{:?}", meter.usage());
    meter.feed(chunk(1, "", "\"stop\"", 51).as_bytes());
    meter.feed(b"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":53}}\n\n");
    assert!(meter.is_reported() && meter.usage().output == 53);
    let candidates =
        r#"[{"candidates":[{"finishReason":"STOP"},{"index":1}],"usageMetadata":{"promptTokenCount":9}}"#;
    assert!(!read(Api::StreamGenerateContent, Framing::Json, candidates).is_reported());
    assert!(read(Api::StreamGenerateContent, Framing::Json, &format!("{candidates}]")).is_reported());
}

/// Some servers write `""` where OpenAI writes `null`.
#[test]
fn an_empty_reason_ends_nothing() {
    let chunk =
        r#"{"choices":[{"index":0,"delta":{"content":"12345678"},"finish_reason":""}],"usage":{"prompt_tokens":9}}"#;
    let meter = read(Api::ChatCompletions, Framing::Sse, &format!("data: {chunk}\n\n"));
    assert!(!meter.is_reported() && meter.usage().output == 2);
}

#[test]
fn one_choice_cut_short_spoils_the_answer_for_a_cache() {
    let body = |reason: &str| format!(r#"{{"choices":[{{"finish_reason":"stop"}},{{"finish_reason":"{reason}"}}]}}"#);
    assert!(read(Api::ChatCompletions, Framing::Json, &body("stop")).is_complete());
    for reason in ["length", "content_filter", "error", "never heard of"] {
        assert!(!read(Api::ChatCompletions, Framing::Json, &body(reason)).is_complete(), "{reason}");
    }
}

#[test]
fn a_stream_needs_its_terminal_event() {
    let finish = "data: {\"choices\":[{\"finish_reason\":\"stop\"}]}\n\n";
    assert!(!read(Api::ChatCompletions, Framing::Sse, finish).is_complete());
    assert!(read(Api::ChatCompletions, Framing::Sse, &format!("{finish}data: [DONE]\n\n")).is_complete());
    assert!(!read(Api::ChatCompletions, Framing::Sse, "data: [DONE]\n\n").is_complete());
    let garbled = format!("data: {{\"choices\":\n\n{finish}data: [DONE]\n\n");
    assert!(!read(Api::ChatCompletions, Framing::Sse, &garbled).is_complete());
}

#[test]
fn a_terminal_event_without_its_blank_line_still_counts_at_the_end() {
    let mut meter = read(
        Api::ChatCompletions,
        Framing::Sse,
        "data: {\"choices\":[{\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3}}\n\ndata: [DONE]",
    );
    assert!(!meter.is_complete());
    meter.finish();
    assert!(meter.is_complete() && meter.is_reported());
}

#[test]
fn an_error_is_never_forgotten() {
    let body = concat!(
        "data: {\"error\":\"overloaded\"}\n\n",
        "data: {\"choices\":[{\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n"
    );
    assert!(!read(Api::ChatCompletions, Framing::Sse, body).is_complete());
    let body = body.replace("\"overloaded\"", "null");
    assert!(read(Api::ChatCompletions, Framing::Sse, &body).is_complete());
}

#[test]
fn figures_beyond_reason_saturate() {
    let max = u64::MAX;
    let body = format!(
        r#"{{"usage":{{"input_tokens":{max},"cache_read_input_tokens":{max},"output_tokens":{max}}},"stop_reason":"end_turn"}}"#
    );
    let usage = read(Api::Messages, Framing::Json, &body).usage();
    assert_eq!((usage.input, usage.output, usage.total()), (max, max, max));
}

#[test]
fn figures_that_are_no_counts_are_not_taken() {
    let body = r#"{"choices":[{"finish_reason":"stop"}],"usage":{"prompt_tokens":-5,"completion_tokens":"9"}}"#;
    let usage = read(Api::ChatCompletions, Framing::Json, body).usage();
    assert_eq!((usage.input, usage.output), (0, 0));
}

#[test]
fn what_a_garbled_event_announced_does_not_count() {
    let body = concat!(
        "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":21,\"output_tokens\":1}}}\n\n",
        "data: {\"delta\":{\"stop_reason\":\"end_turn\"},\n\n",
        "data: {\"type\":\"ping\"}\n\n"
    );
    assert!(!read(Api::Messages, Framing::Sse, body).is_reported());
}

#[test]
fn a_gemini_stream_is_complete_only_when_its_body_ended() {
    let mut meter =
        read(Api::StreamGenerateContent, Framing::Sse, "data: {\"candidates\":[{\"finishReason\":\"STOP\"}]}\n\n");
    assert!(!meter.is_complete());
    meter.finish();
    assert!(meter.is_complete());
}

#[test]
fn a_later_zero_takes_nothing_back() {
    let body = concat!(
        "data: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":21,\"output_tokens\":1}}}\n\n",
        "data: {\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"input_tokens\":0,\"output_tokens\":9}}\n\n"
    );
    let usage = read(Api::Messages, Framing::Sse, body).usage();
    assert_eq!((usage.input, usage.output, usage.source), (21, 9, UsageSource::Reported));
}

#[test]
fn cached_input_is_known_by_either_name() {
    for member in [r#""prompt_tokens_details":{"cached_tokens":64}"#, r#""prompt_cache_hit_tokens":64"#] {
        let body = format!(r#"{{"usage":{{"prompt_tokens":70,"completion_tokens":1,{member}}}}}"#);
        assert_eq!(read(Api::ChatCompletions, Framing::Json, &body).usage().cached_input, 64);
    }
}

/// Eight bytes each, so two tokens.
#[test]
fn everything_the_model_wrote_counts_and_nothing_else() {
    let text = r#""12345678""#;
    for (api, written, body) in [
        (Api::ChatCompletions, true, r#"{"choices":[{"message":{"reasoning_content":TEXT"#),
        (Api::ChatCompletions, true, r#"{"choices":[{"message":{"tool_calls":[{"function":{"arguments":TEXT"#),
        (Api::ChatCompletions, true, r#"{"choices":[{"delta":{"audio":{"transcript":TEXT"#),
        (Api::ChatCompletions, false, r#"{"choices":[{"delta":{"audio":{"data":TEXT"#),
        (Api::ChatCompletions, false, r#"{"choices":[{"logprobs":{"content":[{"token":TEXT"#),
        (Api::ChatCompletions, false, r#"{"content":TEXT"#),
        (Api::Completions, true, r#"{"choices":[{"text":TEXT"#),
        (Api::Responses, true, r#"{"output":[{"content":[{"text":TEXT"#),
        (Api::Responses, true, r#"{"output":[{"arguments":TEXT"#),
        (Api::Responses, true, r#"{"delta":TEXT"#),
        (Api::Responses, false, r#"{"response":{"output":[{"content":[{"text":TEXT"#),
        (Api::Messages, true, r#"{"content":[{"input":{"any":{"shape":[TEXT"#),
        (Api::Messages, true, r#"{"delta":{"partial_json":TEXT"#),
        (Api::Messages, false, r#"{"content":[{"signature":TEXT"#),
        (Api::GenerateContent, true, r#"{"candidates":[{"content":{"parts":[{"functionCall":{"args":{"any":TEXT"#),
        (Api::StreamGenerateContent, true, r#"[{"candidates":[{"content":{"parts":[{"text":TEXT"#),
        (Api::GenerateContent, false, r#"{"candidates":[{"content":{"parts":[{"thoughtSignature":TEXT"#),
        (Api::Embeddings, false, r#"{"data":[{"embedding":TEXT"#),
    ] {
        let output = read(api, Framing::Json, &body.replace("TEXT", text)).usage().output;
        assert_eq!(output, if written { 2 } else { 0 }, "{body}");
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_survived_and_the_cut_does_not_matter(
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..300),
            r#"(data: |\{|\}|"usage":|"choices":\[|\]|"delta":|"content":"|"finish_reason":|"reasoning":|"|,|1|\n|error){0,40}"#.prop_map(String::into_bytes),
        ],
        api in prop::sample::select(Api::ALL),
        framing in prop::sample::select(&[Framing::Json, Framing::Sse][..]),
        piece in 1_usize..9,
    ) {
        let (mut whole, mut cut) = (UsageMeter::new(api, framing), UsageMeter::new(api, framing));
        whole.feed(&bytes);
        bytes.chunks(piece).for_each(|piece| cut.feed(piece));
        prop_assert_eq!(whole.usage(), cut.usage());
        whole.finish();
        cut.finish();
        prop_assert_eq!(
            (whole.usage(), whole.is_complete(), whole.is_reported()),
            (cut.usage(), cut.is_complete(), cut.is_reported())
        );
        prop_assert_eq!(
            (whole.finish_reason(), whole.shows_reasoning()),
            (cut.finish_reason(), cut.shows_reasoning())
        );
    }
}
