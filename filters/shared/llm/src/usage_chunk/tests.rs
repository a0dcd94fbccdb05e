use proptest::prelude::*;

use super::*;

const CONTENT: &str = r#"data: {"id":"c","choices":[{"index":0,"delta":{"content":"é😀"}}],"usage":null}"#;
const USAGE: &str = r#"data: {"id":"c","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#;
const DONE: &str = "data: [DONE]";

fn filter<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let (mut filter, mut out) = (UsageChunkFilter::new(), Vec::new());
    for piece in pieces {
        out.extend(filter.feed(piece));
        assert!(filter.held.len() <= MAX_HELD);
    }
    out.extend(filter.finish());
    out
}

fn stream(events: &[&str], end: &str) -> String {
    events.iter().map(|event| format!("{event}{end}{end}")).collect()
}

#[test]
fn the_usage_chunk_goes_and_all_else_stays_byte_for_byte() {
    for end in ["\n", "\r\n", "\r"] {
        let (with, without) =
            (stream(&[CONTENT, USAGE, ": ping", DONE], end), stream(&[CONTENT, ": ping", DONE], end));
        for at in 0..=with.len() {
            let (left, right) = with.as_bytes().split_at(at);
            assert_eq!(filter([left, right]), without.as_bytes(), "{end:?} cut at {at}");
        }
        assert_eq!(filter(with.as_bytes().chunks(1)), without.as_bytes());
    }
}

#[test]
fn an_event_that_has_choices_or_no_usage_stays() {
    for event in [
        CONTENT,
        DONE,
        r#"data: {"choices":[{"index":0,"delta":{}}],"usage":{"total_tokens":3}}"#,
        r#"data: {"choices":[],"usage":null}"#,
        r#"data: {"choices":[],"prompt_filter_results":[{"prompt_index":0}]}"#,
        r#"data: {"usage":{"total_tokens":3}}"#,
        r#"data: {"choices":[],"usage":{"total_tokens":3},"error":{"message":"x"}}"#,
        r#"data: {"choices":[],"usage":{"total_tokens":3}"#,
        r#"data: {"choices":null,"usage":{"total_tokens":3}}"#,
        r#"data: {"choices":[1],"choices":[],"usage":{"total_tokens":3}}"#,
        r#"data: {"a":{"choices":[],"usage":{"total_tokens":3}}}"#,
        "event: ping",
    ] {
        let stream = stream(&[event, DONE], "\n");
        assert_eq!(String::from_utf8(filter([stream.as_bytes()])).unwrap(), stream);
    }
}

#[test]
fn an_event_leaves_as_soon_as_it_is_whole() {
    let mut filter = UsageChunkFilter::new();
    assert_eq!(filter.feed(b"data: {\"choices\":[1]}\n"), b"");
    assert_eq!(filter.feed(b"\ndata: {"), b"data: {\"choices\":[1]}\n\n");
    assert_eq!(filter.finish(), b"data: {");
}

#[test]
fn an_event_too_long_to_hold_passes_before_its_end() {
    let long = format!(r#"data: {{"x":"{}","choices":[],"usage":{{}}}}"#, "y".repeat(MAX_HELD));
    let stream = stream(&[&long, USAGE, CONTENT], "\r\n");
    let mut early = UsageChunkFilter::new();
    assert_eq!(early.feed(&stream.as_bytes()[..MAX_HELD + 9]).len(), MAX_HELD + 9);
    let without = self::stream(&[&long, CONTENT], "\r\n");
    assert_eq!(filter([stream.as_bytes()]), without.as_bytes());
    assert_eq!(filter(stream.as_bytes().chunks(7)), without.as_bytes());
}

proptest! {
    #[test]
    fn a_stream_without_usage_passes_untouched(bytes in prop::collection::vec(any::<u8>(), 0..300), piece in 1_usize..9) {
        prop_assert_eq!(filter(bytes.chunks(piece)), bytes);
    }

    #[test]
    fn any_mix_of_events_loses_just_the_usage_chunks(
        picks in prop::collection::vec((0_usize..4, 0_usize..3), 0..8),
        piece in 1_usize..40,
    ) {
        let (mut with, mut without) = (String::new(), String::new());
        for (event, end) in picks {
            let end = ["\n", "\r\n", "\r"][end];
            let event = [CONTENT, USAGE, DONE, ": ping"][event];
            let text = format!("{event}{end}{end}");
            with.push_str(&text);
            if event != USAGE {
                without.push_str(&text);
            }
        }
        prop_assert_eq!(filter(with.as_bytes().chunks(piece)), without.into_bytes());
    }
}
