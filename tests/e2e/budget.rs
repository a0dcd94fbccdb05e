//! A tenant spends its tokens a minute and no more; what a call did not use is given back.

use futures_util::future::join_all;
use serde_json::{Value, json};
use tollgate_tests::client::{Answer, Call, unique};
use tollgate_tests::gateway::{Gateway, chat_body, merge};
use tollgate_tests::{on_both_envoys, on_own_envoys};

/// Tokens a minute of `globex` in `envoy/config/budget.json`.
const LIMIT: u64 = 2_000;
/// What a prompt of these tests may be estimated at, at most.
const PROMPT: u64 = 60;

fn chat(gateway: &Gateway, max_tokens: u64, more: &Value) -> Call {
    let mut body = chat_body(&unique("prompt"));
    merge(&mut body, &json!({"max_tokens": max_tokens}));
    merge(&mut body, more);
    gateway.post_as("globex", "/v1/chat/completions", &body)
}

fn budget_of(own: &Answer, rule: &str) -> Value {
    let budgets = own.json()["budgets"].as_array().unwrap().clone();
    budgets.into_iter().find(|entry| entry["rule"] == rule).unwrap()
}

on_both_envoys!(a_call_larger_than_the_limit_is_refused_with_the_way_out, async |gateway| {
    let call = chat(gateway, 5_000, &json!({}));
    let mark = call.mark().to_owned();
    let answer = call.send().await.expect(429);
    assert_eq!(answer.json()["error"]["code"], "rate_limit_exceeded");
    assert!(answer.number("retry-after") >= 1);
    assert_eq!(answer.number("x-ratelimit-limit-tokens"), LIMIT);
    assert_eq!(answer.header("x-should-retry"), Some("false"));
    assert!(gateway.upstream_requests(&mark).is_empty());
});

on_own_envoys!(what_was_spent_is_gone_for_a_minute_and_only_for_that_tenant, async |gateway| {
    let first = chat(gateway, 1_500, &json!({})).told("words", 1_500).send().await.expect(200);
    assert_eq!(first.number("x-ratelimit-limit-tokens"), LIMIT);
    let refused = chat(gateway, 1_500, &json!({})).send().await.expect(429);
    let wait = refused.number("retry-after");
    assert!((1..=60).contains(&wait), "retry-after: {wait}");
    assert!(refused.number("x-ratelimit-remaining-tokens") <= LIMIT - 1_500);
    gateway.chat(&unique("prompt")).send().await.expect(200);
});

on_own_envoys!(a_reservation_is_settled_from_the_reported_usage, async |gateway| {
    // Each reserves more than half of the limit and uses ten tokens.
    for more in [json!({}), json!({"stream": true}), json!({}), json!({"stream": true})] {
        chat(gateway, 1_500, &more).send().await.expect(200);
    }
    let last = chat(gateway, 10, &json!({})).send().await.expect(200);
    let remaining = last.number("x-ratelimit-remaining-tokens");
    assert!((LIMIT - 4 * (9 + PROMPT) - (10 + PROMPT)..LIMIT - 4 * 9).contains(&remaining), "{remaining} remaining");
});

on_own_envoys!(what_a_provider_does_not_report_is_charged_by_what_it_sent, async |gateway| {
    let stream = json!({"stream": true});
    chat(gateway, 1_800, &stream).told("words", 1_800).told("no-usage", 1).send().await.expect(200);
    let remaining = chat(gateway, 1, &json!({})).send().await.number("x-ratelimit-remaining-tokens");
    assert!(remaining < LIMIT / 2, "{remaining} remaining");
});

on_own_envoys!(a_failed_call_costs_nothing, async |gateway| {
    for _ in 0..3 {
        chat(gateway, 1_500, &json!({})).told("status", 500).send().await.expect(500);
    }
    chat(gateway, 1_500, &json!({})).send().await.expect(200);
});

on_own_envoys!(a_hit_costs_nothing, async |gateway| {
    let mut body = chat_body(&unique("prompt"));
    merge(&mut body, &json!({"max_tokens": 900}));
    for _ in 0..5 {
        gateway.post_as("globex", "/v1/chat/completions", &body).told("words", 900).send().await.expect(200);
    }
});

on_own_envoys!(calls_in_flight_on_all_workers_count_together, async |gateway| {
    const NEED: u64 = 600;
    let calls = (0..12).map(|_| chat(gateway, NEED, &json!({})).told("delay-ms", 1_500).send());
    let answers = join_all(calls).await;
    let passed = answers.iter().filter(|answer| answer.status == 200).count() as u64;
    assert!(answers.iter().all(|answer| matches!(answer.status, 200 | 429)));
    assert_eq!(passed, LIMIT / (NEED + 1), "calls of {NEED} tokens passed at a limit of {LIMIT}");
});

on_own_envoys!(what_is_charged_to_calls_side_by_side_is_what_the_provider_reported, async |gateway| {
    let usage = json!({"stream": true, "stream_options": {"include_usage": true}});
    let calls = (0..60).map(|at| {
        let more = if at % 2 == 0 { usage.clone() } else { json!({}) };
        chat(gateway, 90, &more).told("words", 20 + at).send()
    });
    let answers = join_all(calls).await;
    let reported = |answer: &Answer| match answer.header("content-type") {
        _ if answer.status != 200 => 0,
        Some("application/json") => answer.json()["usage"]["total_tokens"].as_u64().unwrap(),
        _ => answer.chunks().last().unwrap()["usage"]["total_tokens"].as_u64().unwrap(),
    };
    let sum: u64 = answers.iter().map(reported).sum();
    assert!(sum > LIMIT / 4 && answers.iter().any(|answer| answer.status == 429), "{sum} tokens reported");
    gateway.expect_metric("gateway_requests_total", &[], 60.0).await;
    gateway.expect_metric("gateway_tokens_total", &[], sum as f64).await;
    let own = Call::get(&gateway.url("/gateway/budget")).bearer(&gateway.key("globex")).send().await.expect(200);
    assert_eq!(budget_of(&own, "tokens-per-minute")["reserved"], 0);
});

on_own_envoys!(a_tenant_can_read_its_own_budget, async |gateway| {
    chat(gateway, 100, &json!({})).told("words", 100).send().await.expect(200);
    let own = Call::get(&gateway.url("/gateway/budget")).bearer(&gateway.key("globex")).send().await.expect(200);
    let tokens = budget_of(&own, "tokens-per-minute");
    assert_eq!((&tokens["limit"], &tokens["reserved"]), (&json!(LIMIT), &json!(0)), "{own}");
    assert_eq!(budget_of(&own, "requests-per-minute")["limit"], 60_000);
    // 100 tokens out at 8 dollars a million, and the prompt.
    let dollars = budget_of(&own, "dollars-per-month")["used"].as_str().unwrap().to_owned();
    assert!(dollars.starts_with("0.0008"), "{dollars}");
    Call::get(&gateway.url("/gateway/budget")).send().await.expect(401);
});
