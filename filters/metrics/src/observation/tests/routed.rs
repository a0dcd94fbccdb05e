//! Calls whose model route decided on, and whom adapt says to have answered. The test leaves what they would leave.

use tollgate_core::UsageRecord;
use tollgate_core::handoff::Routing;

use super::*;

/// A call for `gpt-4.1` that was decided to run another model.
fn routed(metrics: &Rc<Metrics>, proxy: &Proxy, model: Option<&str>) -> Call<Observation> {
    let mut call = asked(metrics, proxy);
    let routing = Routing { asked: Some("gpt-4.1".into()), model: model.map(str::to_owned), pool: "gpt".into() };
    handoff::set_routing(&mut call.handoff, &routing);
    call
}

/// What adapt leaves: attempts that ended, and the last one.
fn attempts(call: &mut Call<Observation>, trail: &str, provider: &str, model: Option<&str>) {
    let attempt = Attempt { provider: provider.into(), model: model.map(str::to_owned), stands_in: false };
    handoff::set_attempt(&mut call.handoff, &attempt);
    call.handoff.set(handoff::ATTEMPTS, trail.as_bytes());
}

fn fallbacks(proxy: &Proxy, model: &str, provider: &str, status: &str) -> u64 {
    proxy.meter.value(metric::FALLBACKS, &[("model", model), ("provider", provider), ("status", status)])
}

#[test]
fn a_call_is_of_the_model_that_ran_at_the_provider_that_answered() {
    let (proxy, metrics) = metrics();
    let mut call = routed(&metrics, &proxy, Some("claude-sonnet-4-5"));
    attempts(&mut call, "anthropic=200", "anthropic", Some("claude-sonnet-4-5"));
    call.response(JSON_HEAD, ANSWER);
    call.log();
    assert_eq!(requests(&proxy, "claude-sonnet-4-5", "anthropic", "200"), 1);
    assert_eq!(proxy.meter.total(metric::REQUESTS), 1);
    assert_eq!(tokens_of(&proxy, "claude-sonnet-4-5"), [7, 4, 0, 5, 2]);
    assert_eq!(proxy.meter.total(metric::FALLBACKS), 0);
}

#[test]
fn tokens_of_a_stand_in_are_its_own_and_never_the_asked_models() {
    for (ran, label) in [("gemini-2.5-flash", "gemini-2.5-flash"), ("unlisted", "other")] {
        let (proxy, metrics) = metrics();
        let mut call = routed(&metrics, &proxy, Some("claude-sonnet-4-5"));
        attempts(&mut call, "anthropic=503", "google", Some(ran));
        let attempt = handoff::attempt(&call.handoff);
        handoff::set_usage(&mut call.handoff, UsageRecord::of(reported(100, 20), attempt.as_ref()));
        call.response(JSON_HEAD, ANSWER);
        call.log();
        assert_eq!(requests(&proxy, label, "google", "200"), 1);
        assert_eq!(tokens_of(&proxy, label), [100, 0, 0, 20, 0]);
        assert_eq!(proxy.meter.total(metric::TOKENS), 120);
        assert_eq!(fallbacks(&proxy, label, "google", "200"), 1);
    }
}

#[test]
fn a_call_that_asked_nobody_is_of_the_model_that_was_decided_on() {
    for filter in ["budget", "cache"] {
        let (proxy, metrics) = metrics();
        let mut call = routed(&metrics, &proxy, Some("claude-sonnet-4-5"));
        handoff::set_reply(&mut call.handoff, filter);
        call.response(JSON_HEAD, ANSWER);
        call.log();
        assert_eq!(requests(&proxy, "claude-sonnet-4-5", "none", "200"), 1);
    }
    let (proxy, metrics) = metrics();
    routed(&metrics, &proxy, Some("claude-sonnet-4-5")).log();
    assert_eq!(requests(&proxy, "claude-sonnet-4-5", "openai", "0"), 1, "the client left before anybody was asked");
}

#[test]
fn a_refusal_of_an_attempt_is_the_gateways() {
    let (proxy, metrics) = metrics();
    let mut call = routed(&metrics, &proxy, Some("claude-sonnet-4-5"));
    attempts(&mut call, "anthropic=503", "google", Some("claude-sonnet-4-5"));
    handoff::set_reply(&mut call.handoff, "provider");
    call.response(&[(":status", "503"), ("content-type", "application/json")], b"{}");
    call.log();
    assert_eq!(requests(&proxy, "claude-sonnet-4-5", "none", "503"), 1);
    assert_eq!(proxy.meter.total(metric::FALLBACKS), 0);
}

#[test]
fn where_no_model_was_decided_on_the_calls_own_name_counts() {
    let (proxy, metrics) = metrics();
    let mut call = routed(&metrics, &proxy, None);
    attempts(&mut call, "", "openai-2", None);
    call.response(JSON_HEAD, ANSWER);
    call.log();
    assert_eq!(requests(&proxy, "gpt-4.1", "openai-2", "200"), 1);
}

#[test]
fn another_provider_than_the_first_is_a_fallback_and_asking_one_again_is_none() {
    for (trail, provider, status, counted) in [
        ("openai=503", "azure-eu", "200", 1),
        ("openai=no_answer azure-us=429 azure-eu=200", "azure-eu", "200", 1),
        ("openai=503 azure-us=503", "azure-eu", "503", 1),
        ("openai=503 openai=200", "openai", "200", 0),
        ("openai=503 azure-eu=503", "openai", "200", 0),
        ("openai=200", "openai", "200", 0),
        ("", "openai", "200", 0),
        ("\u{fffd}", "openai", "200", 1),
    ] {
        let (proxy, metrics) = metrics();
        let mut call = routed(&metrics, &proxy, Some("gpt-4.1"));
        attempts(&mut call, trail, provider, Some("gpt-4.1"));
        call.response(&[(":status", status), ("content-type", "application/json")], ANSWER);
        call.log();
        assert_eq!(fallbacks(&proxy, "gpt-4.1", provider, status), counted, "{trail}");
        assert_eq!(proxy.meter.total(metric::FALLBACKS), counted, "{trail}");
    }
}

#[test]
fn model_names_of_the_hand_offs_make_no_series_either() {
    let (proxy, metrics) = metrics();
    let ask = |model: &str| {
        let mut call = routed(&metrics, &proxy, Some(model));
        call.attributes.duration = Some(Duration::from_millis(100));
        attempts(&mut call, "a=503", "openai", Some(model));
        call.response(JSON_HEAD, ANSWER);
        call.log();
    };
    ask("unlisted");
    let series = proxy.meter.series();
    (0..1_000).for_each(|n| ask(&format!("model-{n}")));
    assert_eq!(proxy.meter.series(), series);
}
