//! How long calls took, by the filter's own reading or by the record that the test leaves in budget's stead.

use tollgate_core::{OutputTimes, UsageRecord};

use super::*;
use crate::durations::{TIME_PER_OUTPUT_TOKEN, TIME_TO_FIRST_TOKEN};

const LABELS: [(&str, &str); 4] =
    [("route", "chat"), ("model", "gpt-4.1"), ("provider", "openai"), ("status", "200")];
const NOTHING: [Vec<u64>; 2] = [Vec::new(), Vec::new()];
const ROLE: &str = r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#;
const USAGE: &str = r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":5,"total_tokens":14,"completion_tokens_details":{"reasoning_tokens":2}}}"#;

fn at(millis: u64) -> Timestamp {
    Timestamp::from_secs(1_800_000_000).plus(Duration::from_millis(millis))
}

fn text(word: &str, finish: &str) -> String {
    format!(r#"{{"choices":[{{"index":0,"delta":{{"content":"{word}"}},"finish_reason":{finish}}}]}}"#)
}

/// A stream whose events pass so many milliseconds after the call's head, to its end.
fn streamed(proxy: &Proxy, metrics: &Rc<Metrics>, events: &[(u64, String)]) -> Call<Observation> {
    let mut call = open(metrics, proxy);
    call.proxy.now = at(0);
    call.request(CHAT, ASK).unwrap();
    call.response_headers(SSE_HEAD, false);
    for (millis, event) in events {
        call.proxy.now = at(*millis);
        call.response_chunk(format!("data: {event}\n\n").as_bytes(), false);
    }
    call
}

/// What is recorded of the first and of each further token, in microseconds.
fn tokens_took(proxy: &Proxy) -> [Vec<u64>; 2] {
    let labels = [("model", "gpt-4.1"), ("provider", "openai")];
    [TIME_TO_FIRST_TOKEN, TIME_PER_OUTPUT_TOKEN].map(|name| proxy.meter.recorded(name, &labels))
}

/// A finished call of which budget left that record.
fn recorded(record: &UsageRecord<'_>, status: &str) -> [Vec<u64>; 2] {
    let (proxy, metrics) = metrics();
    let mut call = open(&metrics, &proxy);
    call.proxy.now = at(0);
    call.request(CHAT, ASK).unwrap();
    handoff::set_usage(&mut call.handoff, record.clone());
    call.response(&[(":status", status), ("content-type", "text/event-stream")], b"data: {}\n\n");
    call.log();
    tokens_took(&proxy)
}

fn record(output: u64, reasoning: u64, shows_reasoning: bool) -> UsageRecord<'static> {
    let usage = Usage { reasoning, ..reported(9, output) };
    let output_times = Some(OutputTimes { first: at(300), last: at(1_300) });
    UsageRecord { output_times, shows_reasoning, ..UsageRecord::from(&usage) }
}

#[test]
fn the_duration_is_the_proxys_own() {
    let (proxy, metrics) = metrics();
    let mut call = asked(&metrics, &proxy);
    call.response(JSON_HEAD, ANSWER);
    call.attributes.duration = Some(Duration::from_micros(2_400_000));
    call.log();
    assert_eq!(proxy.meter.recorded(REQUEST_DURATION, &LABELS), [2_400_000]);
}

#[test]
fn a_role_and_a_keep_alive_are_no_first_token() {
    let (proxy, metrics) = metrics();
    let events = [(10, ROLE.into()), (300, text("hel", "null")), (700, text("lo", "\"stop\"")), (900, USAGE.into())];
    let mut call = streamed(&proxy, &metrics, &events);
    call.response_chunk(b": keep-alive\n\ndata: [DONE]\n\n", true);
    call.log();
    // Three of five tokens are text, two of them after the first.
    assert_eq!(tokens_took(&proxy), [vec![300_000], vec![200_000]]);
}

#[test]
fn a_stream_that_the_client_left_has_a_first_token_and_no_measured_pace() {
    let (proxy, metrics) = metrics();
    let events = [(10, ROLE.into()), (300, text("a long", "null")), (700, text(" enough answer", "null"))];
    let mut call = streamed(&proxy, &metrics, &events);
    call.proxy.now = at(800);
    call.log();
    assert_eq!(tokens_took(&proxy), [vec![300_000], vec![]], "its tokens are an estimate");
    assert_eq!(proxy.meter.recorded(REQUEST_DURATION, &LABELS), [800_000]);
}

#[test]
fn a_stream_that_was_left_before_any_text_has_neither() {
    let (proxy, metrics) = metrics();
    streamed(&proxy, &metrics, &[(10, ROLE.into())]).log();
    assert_eq!(tokens_took(&proxy), NOTHING);
    assert_eq!(requests(&proxy, "gpt-4.1", "openai", "200"), 1);
}

#[test]
fn a_whole_answer_has_no_first_token() {
    let (proxy, metrics) = metrics();
    let mut call = asked(&metrics, &proxy);
    call.response(JSON_HEAD, ANSWER);
    call.log();
    assert_eq!(tokens_took(&proxy), NOTHING);
}

#[test]
fn a_whole_answer_that_came_in_pieces_has_none_either() {
    let (proxy, metrics) = metrics();
    let mut call = asked(&metrics, &proxy);
    call.response_headers(JSON_HEAD, false);
    let (begin, rest) = ANSWER.split_at(ANSWER.len() / 2);
    call.proxy.now = at(300);
    call.response_chunk(begin, false);
    call.response_chunk(rest, true);
    call.log();
    assert_eq!(tokens_took(&proxy), NOTHING);
}

#[test]
fn geminis_array_is_a_stream() {
    let (proxy, metrics) = metrics();
    let mut call = open(&metrics, &proxy);
    call.proxy.now = at(0);
    call.request(&[(":path", "/v1beta/models/gemini-2.5-flash:streamGenerateContent")], b"{}").unwrap();
    call.response_headers(JSON_HEAD, false);
    call.proxy.now = at(250);
    call.response_chunk(br#"[{"candidates":[{"content":{"parts":[{"text":"hello"}]}}]}"#, false);
    call.log();
    let labels = [("model", "gemini-2.5-flash"), ("provider", "openai")];
    assert_eq!(proxy.meter.recorded(TIME_TO_FIRST_TOKEN, &labels), [250_000]);
}

#[test]
fn hidden_reasoning_took_no_time_between_texts_and_shown_reasoning_did() {
    assert_eq!(recorded(&record(11, 0, false), "200"), [vec![300_000], vec![100_000]]);
    assert_eq!(recorded(&record(21, 10, false), "200"), [vec![300_000], vec![100_000]]);
    assert_eq!(recorded(&record(21, 10, true), "200"), [vec![300_000], vec![50_000]]);
}

#[test]
fn a_pace_takes_two_tokens_some_time_and_a_success() {
    for (output, reasoning) in [(0, 0), (1, 0), (12, 11), (12, 12), (12, 13)] {
        assert!(recorded(&record(output, reasoning, false), "200")[1].is_empty(), "{output} {reasoning}");
    }
    let mut at_once = record(11, 0, false);
    at_once.output_times = Some(OutputTimes { first: at(300), last: at(300) });
    assert_eq!(recorded(&at_once, "200"), [vec![300_000], vec![]]);
    assert!(recorded(&record(11, 0, false), "500")[1].is_empty());
}

#[test]
fn a_hit_took_no_time_of_a_provider() {
    let (proxy, metrics) = metrics();
    let mut call = asked(&metrics, &proxy);
    call.handoff.set(handoff::CACHE, CacheStatus::Hit.as_str().as_bytes());
    handoff::set_usage(&mut call.handoff, record(11, 0, false));
    call.response(SSE_HEAD, b"data: {}\n\n");
    call.log();
    assert_eq!(tokens_took(&proxy), NOTHING);
}

#[test]
fn what_is_left_for_access_loggers_is_what_would_be_recorded() {
    let mut proxy = Proxy::default();
    let metrics = proxy.configure(r#"{"models": ["gpt-4.1"], "histograms": "access_log"}"#).unwrap();
    let events = [(10, ROLE.into()), (300, text("hel", "null")), (700, text("lo", "\"stop\"")), (900, USAGE.into())];
    let mut call = streamed(&proxy, &metrics, &events);
    call.attributes.route_name = Some("a;.;b".into());
    call.attributes.duration = Some(Duration::from_nanos(1_234_567_891));
    call.log();
    let left = |name: &str| String::from_utf8(call.handoff.get(name).unwrap_or_default()).unwrap();
    assert_eq!(left(handoff::DURATION_SECONDS), "1.234568");
    assert_eq!(left(handoff::FIRST_TOKEN_SECONDS), "0.300000");
    assert_eq!(left(handoff::OUTPUT_TOKEN_SECONDS), "0.200000");
    assert_eq!(handoff::LABELS.map(|(_, place)| left(place)), ["a_._b", "gpt-4.1", "openai", "200"]);
    assert!(proxy.meter.recorded(REQUEST_DURATION, &LABELS).is_empty(), "one call is in one histogram");
    assert_eq!(tokens_took(&proxy), NOTHING);
}

#[test]
fn what_has_no_value_is_not_left() {
    let mut proxy = Proxy::default();
    let metrics = proxy.configure(r#"{"histograms": "access_log"}"#).unwrap();
    let mut call = asked(&metrics, &proxy);
    call.response(JSON_HEAD, ANSWER);
    call.log();
    assert!(call.handoff.get(handoff::DURATION_SECONDS).is_some());
    for name in [handoff::FIRST_TOKEN_SECONDS, handoff::OUTPUT_TOKEN_SECONDS] {
        assert_eq!(call.handoff.get(name), None);
    }
}
