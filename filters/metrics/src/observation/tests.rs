mod money;
mod routed;
mod tenants;
mod times;

use std::time::Duration;

use proptest::prelude::*;
use tollgate_core::handoff::{Attempt, CacheStatus};
use tollgate_core::ports::Handoff as _;
use tollgate_core::{Usage, UsageSource, metric};
use tollgate_fakehost::{Call, Proxy};

use super::*;
use crate::durations::REQUEST_DURATION;

const CONFIG: &str = r#"{"models": ["gpt-4.1", "claude-sonnet-4-5", "gemini-2.5-flash"], "max_tenants": 2}"#;
const CHAT: &[(&str, &str)] = &[(":method", "POST"), (":path", "/v1/chat/completions")];
const ASK: &[u8] = br#"{"messages": [{"role": "user", "content": "hi"}], "model": "gpt-4.1"}"#;
const JSON_HEAD: &[(&str, &str)] = &[(":status", "200"), ("content-type", "application/json")];
const SSE_HEAD: &[(&str, &str)] = &[(":status", "200"), ("content-type", "text/event-stream")];
const ANSWER: &[u8] = br#"{"id": "c1", "object": "chat.completion", "model": "gpt-4.1", "choices": [{"index": 0,
    "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18,
    "prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens_details": {"reasoning_tokens": 2}}}"#;

fn metrics() -> (Proxy, Rc<Metrics>) {
    let mut proxy = Proxy::default();
    let metrics = proxy.configure(CONFIG).unwrap();
    (proxy, metrics)
}

/// A call that Envoy routed to the cluster `openai` by the route `chat`.
fn open(metrics: &Rc<Metrics>, proxy: &Proxy) -> Call<Observation> {
    let mut call = Call::open(metrics, proxy);
    call.attributes.route_name = Some("chat".into());
    call.attributes.cluster_name = Some("openai".into());
    call
}

fn asked(metrics: &Rc<Metrics>, proxy: &Proxy) -> Call<Observation> {
    let mut call = open(metrics, proxy);
    assert_eq!(call.request(CHAT, ASK).unwrap(), ASK, "traffic is never changed");
    call
}

fn requests(proxy: &Proxy, model: &str, provider: &str, status: &str) -> u64 {
    let labels = [("route", "chat"), ("model", model), ("provider", provider), ("status", status)];
    proxy.meter.value(metric::REQUESTS, &labels)
}

fn tokens_of(proxy: &Proxy, model: &str) -> [u64; 5] {
    [
        ("input", "uncached"),
        ("input", "cached"),
        ("input", "cache_write"),
        ("output", "answer"),
        ("output", "reasoning"),
    ]
    .map(|(kind, part)| {
        let labels = [("type", kind), ("part", part), ("model", model), ("tenant", "none")];
        proxy.meter.value(metric::TOKENS, &labels)
    })
}

fn reported(input: u64, output: u64) -> Usage {
    Usage { input, output, source: UsageSource::Reported, ..Usage::default() }
}

#[test]
fn a_json_answer_is_counted_with_the_providers_own_tokens() {
    let (proxy, metrics) = metrics();
    let mut call = asked(&metrics, &proxy);
    assert_eq!(call.response(JSON_HEAD, ANSWER), ANSWER, "traffic is never changed");
    assert_eq!(proxy.meter.series(), 0, "nothing is recorded before the call ended");
    call.log();
    assert_eq!(requests(&proxy, "gpt-4.1", "openai", "200"), 1);
    assert_eq!(proxy.meter.total(metric::REQUESTS), 1);
    assert_eq!(tokens_of(&proxy, "gpt-4.1"), [7, 4, 0, 5, 2]);
}

#[test]
fn a_stream_is_counted_from_its_last_chunk() {
    let (proxy, metrics) = metrics();
    let mut call = asked(&metrics, &proxy);
    let events: &[&[u8]] = &[
        b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"hel",
        b"lo\"},\"finish_reason\":\"stop\"}]}\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"compl",
        b"etion_tokens\":3,\"total_tokens\":12}}\n\ndata: [DONE]\n\n",
    ];
    call.response_headers(SSE_HEAD, false);
    for event in events {
        assert_eq!(call.response_chunk(event, false), *event, "traffic is never changed");
    }
    call.response_chunk(b"", true);
    call.log();
    assert_eq!(requests(&proxy, "gpt-4.1", "openai", "200"), 1);
    assert_eq!(tokens_of(&proxy, "gpt-4.1"), [9, 0, 0, 3, 0]);
}

#[test]
fn a_stream_cut_by_the_client_is_counted_with_what_was_seen() {
    let (proxy, metrics) = metrics();
    let mut call = asked(&metrics, &proxy);
    call.response_headers(SSE_HEAD, false);
    call.response_chunk(
        b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a long enough answer\"}}]}\n\n",
        false,
    );
    call.log();
    assert_eq!(requests(&proxy, "gpt-4.1", "openai", "200"), 1);
    let [input @ .., answer, _] = tokens_of(&proxy, "gpt-4.1");
    assert_eq!(input, [0, 0, 0]);
    assert!(answer > 0, "the text that reached the client is estimated");
}

#[test]
fn a_refusal_before_any_body_names_no_model_and_no_provider() {
    let (proxy, metrics) = metrics();
    let mut call = open(&metrics, &proxy);
    call.request_headers(CHAT, false);
    handoff::set_reply(&mut call.handoff, "auth");
    call.response(&[(":status", "401"), ("content-type", "application/json")], br#"{"error": {}}"#);
    call.log();
    assert_eq!(requests(&proxy, "none", "none", "401"), 1);
    assert_eq!(proxy.meter.total(metric::TOKENS), 0);
}

#[test]
fn a_budget_refusal_costs_nothing_even_if_a_record_was_begun() {
    let (proxy, metrics) = metrics();
    let mut call = asked(&metrics, &proxy);
    handoff::set_usage(&mut call.handoff, &Usage { input: 50, ..Usage::default() });
    handoff::set_reply(&mut call.handoff, "budget");
    call.response(&[(":status", "429"), ("content-type", "application/json")], br#"{"error": {}}"#);
    call.log();
    assert_eq!(requests(&proxy, "gpt-4.1", "none", "429"), 1);
    assert_eq!(proxy.meter.total(metric::TOKENS), 0);
}

#[test]
fn a_providers_own_429_is_the_providers() {
    let (proxy, metrics) = metrics();
    let mut call = asked(&metrics, &proxy);
    call.response(&[(":status", "429"), ("content-type", "application/json")], br#"{"error": {}}"#);
    call.log();
    assert_eq!(requests(&proxy, "gpt-4.1", "openai", "429"), 1);
}

#[test]
fn a_cache_hit_spends_no_tokens_and_asks_no_provider() {
    let (proxy, metrics) = metrics();
    let mut call = asked(&metrics, &proxy);
    call.handoff.set(handoff::CACHE, CacheStatus::Hit.as_str().as_bytes());
    handoff::set_usage(&mut call.handoff, &reported(11, 7));
    call.response(JSON_HEAD, ANSWER);
    call.log();
    assert_eq!(requests(&proxy, "gpt-4.1", "none", "200"), 1);
    assert_eq!(proxy.meter.total(metric::TOKENS), 0);
}

#[test]
fn a_cache_hit_spends_no_tokens_where_no_budget_filter_runs_either() {
    let (proxy, metrics) = metrics();
    let mut call = asked(&metrics, &proxy);
    call.handoff.set(handoff::CACHE, CacheStatus::Hit.as_str().as_bytes());
    call.response(JSON_HEAD, ANSWER);
    assert!(call.stream.reading.is_none(), "a stored answer is not parsed");
    call.log();
    assert_eq!(proxy.meter.total(metric::TOKENS), 0);
}

#[test]
fn a_client_that_left_before_any_response_is_counted_with_status_0() {
    let (mut proxy, metrics) = metrics();
    proxy.now = Timestamp::from_secs(100);
    let mut call = asked(&metrics, &proxy);
    call.proxy.now = Timestamp::from_secs(103);
    call.log();
    assert_eq!(requests(&proxy, "gpt-4.1", "openai", "0"), 1);
    let labels = [("route", "chat"), ("model", "gpt-4.1"), ("provider", "openai"), ("status", "0")];
    assert_eq!(proxy.meter.recorded(REQUEST_DURATION, &labels), [3_000_000], "by the filter's own clock");
}

#[test]
fn a_probe_that_was_answered_in_front_is_no_call() {
    let (proxy, metrics) = metrics();
    let mut call = Call::open(&metrics, &proxy);
    call.attributes.response_code = Some(200);
    call.log();
    assert_eq!(proxy.meter.series(), 0);
}

#[test]
fn calls_that_run_no_model_are_counted_with_model_none() {
    let (proxy, metrics) = metrics();
    let mut call = open(&metrics, &proxy);
    call.request(&[(":method", "POST"), (":path", "/v1/files")], ASK).unwrap();
    call.response(JSON_HEAD, ANSWER);
    call.log();
    assert_eq!(requests(&proxy, "none", "openai", "200"), 1);
    assert_eq!(proxy.meter.total(metric::TOKENS), 0);
}

#[test]
fn geminis_model_is_read_from_the_path() {
    let (proxy, metrics) = metrics();
    let mut call = open(&metrics, &proxy);
    call.request(&[(":path", "/v1beta/models/gemini-2.5-flash:generateContent?alt=json")], b"{}").unwrap();
    call.response(JSON_HEAD, b"{}");
    call.log();
    assert_eq!(requests(&proxy, "gemini-2.5-flash", "openai", "200"), 1);
}

#[test]
fn the_handed_off_record_is_preferred_over_what_the_answer_says() {
    let (proxy, metrics) = metrics();
    let mut call = asked(&metrics, &proxy);
    handoff::set_usage(&mut call.handoff, &Usage { input: 50, ..Usage::default() });
    call.response_headers(JSON_HEAD, false);
    assert!(call.stream.reading.is_none(), "the answer is not parsed twice");
    handoff::set_usage(&mut call.handoff, &reported(100, 20));
    call.response_chunk(ANSWER, true);
    call.log();
    assert_eq!(tokens_of(&proxy, "gpt-4.1"), [100, 0, 0, 20, 0]);
}

#[test]
fn a_record_that_is_handed_off_late_is_preferred_too() {
    let (proxy, metrics) = metrics();
    let mut call = asked(&metrics, &proxy);
    call.response(JSON_HEAD, ANSWER);
    handoff::set_usage(&mut call.handoff, &reported(100, 20));
    call.log();
    assert_eq!(tokens_of(&proxy, "gpt-4.1"), [100, 0, 0, 20, 0]);
}

#[test]
fn a_failed_call_counts_reported_tokens_only() {
    for (source, tokens) in [(UsageSource::Estimated, 0), (UsageSource::Reported, 70)] {
        let (proxy, metrics) = metrics();
        let mut call = asked(&metrics, &proxy);
        handoff::set_usage(&mut call.handoff, &Usage { input: 50, output: 20, source, ..Usage::default() });
        call.response(&[(":status", "500"), ("content-type", "application/json")], b"{}");
        call.log();
        assert_eq!(proxy.meter.total(metric::TOKENS), tokens, "{source:?}");
    }
}

#[test]
fn compressed_answers_are_not_taken_for_json() {
    let (proxy, metrics) = metrics();
    let mut call = asked(&metrics, &proxy);
    let head = [(":status", "200"), ("content-type", "application/json"), ("content-encoding", "gzip")];
    call.response(&head, b"\x1f\x8b");
    assert!(call.stream.reading.is_none());
    call.log();
    assert_eq!(requests(&proxy, "gpt-4.1", "openai", "200"), 1);
}

#[test]
fn a_hundred_thousand_random_model_names_make_no_series() {
    let (proxy, metrics) = metrics();
    let ask = |model: &str| {
        let mut call = open(&metrics, &proxy);
        call.attributes.duration = Some(Duration::from_millis(100));
        call.request(CHAT, format!(r#"{{"model": "{model}"}}"#).as_bytes()).unwrap();
        call.response(JSON_HEAD, ANSWER);
        call.log();
    };
    ask("unlisted");
    let series = proxy.meter.series();
    (0..100_000).for_each(|n| ask(&format!("model-{n}-;.;status=.=1;.;\u{e9}")));
    assert_eq!(proxy.meter.series(), series);
    assert_eq!(requests(&proxy, "other", "openai", "200"), 100_001);
}

proptest! {
    #[test]
    fn the_model_is_found_wherever_the_body_is_split(mut cuts in prop::collection::vec(0..=ASK.len(), 0..6)) {
        let (proxy, metrics) = metrics();
        cuts.extend([0, ASK.len()]);
        cuts.sort_unstable();
        let chunks: Vec<&[u8]> = cuts.windows(2).map(|pair| &ASK[pair[0]..pair[1]]).collect();
        let mut call = open(&metrics, &proxy);
        call.request_headers(CHAT, false);
        prop_assert_eq!(call.request_body(&chunks).unwrap(), ASK);
        call.response(JSON_HEAD, ANSWER);
        call.log();
        prop_assert_eq!(requests(&proxy, "gpt-4.1", "openai", "200"), 1);
    }
}
