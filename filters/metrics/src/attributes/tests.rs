use std::rc::Rc;
use std::time::Duration;

use proptest::prelude::*;
use tollgate_core::handoff::{Attempt, CacheStatus, Identity, Routing};
use tollgate_core::{OutputTimes, Usage};
use tollgate_fakehost::{Call, Proxy};

use super::*;
use crate::Metrics;
use crate::observation::Observation;

const CHAT: &[(&str, &str)] = &[(":method", "POST"), (":path", "/v1/chat/completions?key=canary")];
const ASK: &[u8] = br#"{"messages": [{"role": "user", "content": "canary"}], "model": "gpt-4.1"}"#;
const JSON_HEAD: &[(&str, &str)] = &[(":status", "200"), ("content-type", "application/json")];
const SSE_HEAD: &[(&str, &str)] = &[(":status", "200"), ("content-type", "text/event-stream")];
const USAGE: Usage =
    Usage { input: 9, output: 7, cached_input: 4, cache_write: 2, reasoning: 3, source: UsageSource::Reported };

fn call(config: &str) -> Call<Observation> {
    let mut proxy = Proxy { now: Timestamp::from_secs(1_800_000_000), ..Proxy::default() };
    let metrics: Rc<Metrics> = proxy.configure(config).unwrap();
    Call::open(&metrics, &proxy)
}

/// A call whose request has passed, of a known tenant.
fn asked() -> Call<Observation> {
    let mut call = call(r#"{"gen_ai_attributes": true}"#);
    call.request(CHAT, ASK).unwrap();
    let identity = Identity { tenant: "acme".into(), credential_id: "canary".into(), tier: None };
    handoff::set_identity(&mut call.handoff, &identity);
    call
}

fn answered_by(call: &mut Call<Observation>, provider: &str) {
    let attempt = Attempt { provider: provider.into(), model: Some("gpt-4.1-mini".into()), stands_in: true };
    handoff::set_attempt(&mut call.handoff, &attempt);
}

/// What was left for loggers, apart from what filters leave for each other.
fn left(call: &Call<Observation>) -> Vec<(&str, &str)> {
    let is_ours = |key: &str| key.starts_with("gen_ai.") || key.starts_with("gateway.") || key == "error.type";
    let all = call.handoff.0.iter().filter(|(key, _)| is_ours(key));
    all.map(|(key, value)| (key.as_str(), std::str::from_utf8(value).unwrap())).collect()
}

const ASKED: [(&str, &str); 3] =
    [("gen_ai.operation.name", "chat"), ("gen_ai.provider.name", "openai"), ("gen_ai.request.model", "gpt-4.1")];

#[test]
fn a_stream_is_told_whole_before_its_last_piece_has_gone() {
    let mut call = asked();
    assert_eq!(left(&call), ASKED, "what was asked is known before anybody answers");
    answered_by(&mut call, "azure-eu");
    call.response_headers(SSE_HEAD, false);
    let first = call.proxy.now.plus(Duration::from_millis(1_250));
    let record = UsageRecord {
        usage: USAGE,
        cost_nanousd: Some(84_000),
        output_times: Some(OutputTimes { first, last: first }),
        finish_reason: Some("stop".into()),
        ..UsageRecord::default()
    };
    handoff::set_usage(&mut call.handoff, record);
    call.response_chunk(b"data: canary\n\n", true);
    let told = [
        ("gateway.cost.usd", "0.000084"),
        ("gateway.provider", "azure-eu"),
        ("gateway.tenant", "acme"),
        ("gateway.time_to_first_token", "1.25"),
        ("gateway.usage.source", "reported"),
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "openai"),
        ("gen_ai.request.model", "gpt-4.1"),
        ("gen_ai.response.finish_reasons", "stop"),
        ("gen_ai.response.model", "gpt-4.1-mini"),
        ("gen_ai.usage.cache_creation.input_tokens", "2"),
        ("gen_ai.usage.cache_read.input_tokens", "4"),
        ("gen_ai.usage.input_tokens", "9"),
        ("gen_ai.usage.output_tokens", "7"),
        ("gen_ai.usage.reasoning.output_tokens", "3"),
    ];
    assert_eq!(left(&call), told);
    call.log();
    assert_eq!(left(&call), told, "the log phase has nothing to add");
    let overlay = include_str!("../../../../envoy/opentelemetry.yaml");
    for key in told.iter().map(|(key, _)| key).chain(&["error.type"]) {
        assert!(overlay.contains(&format!("{{tag: {key}, value: \"%FILTER_STATE(wasm.{key}:PLAIN)%\"}}")), "{key}");
    }
}

#[test]
fn a_call_that_was_cut_is_told_in_the_log_phase() {
    let mut call = asked();
    answered_by(&mut call, "primary");
    call.response_headers(SSE_HEAD, false);
    handoff::set_usage(&mut call.handoff, &Usage { input: 9, output: 3, ..Usage::default() });
    call.response_chunk(b"data: canary\n\n", false);
    assert!(!left(&call).iter().any(|(key, _)| key.contains("usage")));
    call.attributes.code_details = Some("upstream_reset_after_response_started{canary text|of a provider}".into());
    call.log();
    let told = left(&call);
    for pair in [
        ("error.type", "upstream_reset_after_response_started"),
        ("gen_ai.usage.output_tokens", "3"),
        ("gateway.usage.source", "estimated"),
    ] {
        assert!(told.contains(&pair), "{pair:?} in {told:?}");
    }
}

#[test]
fn a_call_that_nobody_answered_tells_what_was_asked_and_by_whom() {
    let mut call = asked();
    call.attributes.code_details = Some("downstream_remote_disconnect".into());
    call.log();
    let mut told = vec![("error.type", "downstream_remote_disconnect"), ("gateway.tenant", "acme")];
    told.extend(ASKED);
    assert_eq!(left(&call), told);
}

#[test]
fn a_refusal_names_no_provider_and_no_tokens() {
    let mut call = asked();
    handoff::set_reply(&mut call.handoff, "budget");
    call.response(&[(":status", "429")], b"{}");
    let mut told = vec![("error.type", "429"), ("gateway.tenant", "acme")];
    told.extend(ASKED);
    assert_eq!(left(&call), told);
    let mut refused = self::call(r#"{"gen_ai_attributes": true}"#);
    refused.request_headers(CHAT, false);
    handoff::set_reply(&mut refused.handoff, "auth");
    refused.response(&[(":status", "401")], b"{}");
    assert_eq!(left(&refused), [("error.type", "401"), ASKED[0], ASKED[1]]);
}

#[test]
fn a_hit_names_the_model_that_answered_and_costs_nothing() {
    let mut call = asked();
    handoff::set_reply(&mut call.handoff, "cache");
    call.handoff.set(handoff::CACHE, CacheStatus::Hit.as_str().as_bytes());
    let routing = Routing { asked: Some("fast".into()), model: Some("gpt-4.1-mini".into()), pool: "default".into() };
    handoff::set_routing(&mut call.handoff, &routing);
    handoff::set_saved(&mut call.handoff, &UsageRecord::from(&USAGE));
    call.response(JSON_HEAD, b"{}");
    let told = left(&call);
    assert!(told.contains(&("gen_ai.response.model", "gpt-4.1-mini")), "{told:?}");
    assert!(!told.iter().any(|(key, _)| key.contains("usage") || key.contains("cost")), "{told:?}");
}

#[test]
fn a_failed_call_costs_what_its_provider_says() {
    for (source, counts) in [(UsageSource::Estimated, false), (UsageSource::Reported, true)] {
        let mut call = asked();
        answered_by(&mut call, "primary");
        call.response_headers(&[(":status", "503")], false);
        handoff::set_usage(&mut call.handoff, &Usage { source, ..USAGE });
        call.response_chunk(b"{}", true);
        assert_eq!(left(&call).iter().any(|(key, _)| key.contains("usage")), counts, "{source:?}");
    }
}

#[test]
fn without_a_budget_filter_the_tokens_are_those_read_here() {
    let mut call = asked();
    call.response_headers(JSON_HEAD, false);
    let answer = br#"{"choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}}"#;
    call.response_chunk(answer, true);
    assert!(left(&call).contains(&("gen_ai.usage.input_tokens", "11")), "{:?}", left(&call));
}

#[test]
fn every_api_is_an_operation_of_a_flavor() {
    let told = Api::ALL.iter().filter_map(|api| Some((operation(*api)?, flavor(*api)))).collect::<Vec<_>>();
    let expected = [
        ("chat", "openai"),
        ("text_completion", "openai"),
        ("chat", "openai"),
        ("embeddings", "openai"),
        ("chat", "anthropic"),
        ("generate_content", "gcp.gemini"),
        ("generate_content", "gcp.gemini"),
    ];
    assert_eq!(told, expected);
}

#[test]
fn other_paths_and_gateways_without_opentelemetry_leave_nothing_of_a_model() {
    let mut other = call(r#"{"gen_ai_attributes": true}"#);
    other.request(&[(":method", "GET"), (":path", "/v1/models")], b"").unwrap();
    other.response(JSON_HEAD, b"{}");
    other.log();
    assert_eq!(left(&other), []);
    let mut off = call("{}");
    off.request(CHAT, ASK).unwrap();
    off.response(&[(":status", "503")], b"{}");
    off.log();
    assert!(off.handoff.0.is_empty(), "each would cost a hostcall");
}

#[test]
fn billionths_are_written_without_noise() {
    let written = [0, 1, 84_000, 2_500_000_000, 1_000_000_000].map(decimal);
    assert_eq!(written, ["0", "0.000000001", "0.000084", "2.5", "1"]);
}

proptest! {
    #[test]
    fn a_model_that_a_client_chose_is_a_short_name(model in "\\PC{0,300}") {
        let ask = serde_json::json!({"model": model}).to_string();
        let mut call = call(r#"{"gen_ai_attributes": true}"#);
        call.request(CHAT, ask.as_bytes()).unwrap();
        let told = call.handoff.0.get("gen_ai.request.model").cloned().unwrap_or_default();
        prop_assert!(told.len() <= MOST_BYTES);
        prop_assert!(told.iter().all(|byte| is_of_name(char::from(*byte))), "{told:?}");
    }
}
