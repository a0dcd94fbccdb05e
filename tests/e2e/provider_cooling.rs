//! A provider that asks to be left alone is left alone, by all workers, for as long as it asked and no longer.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tollgate_tests::client::{Answer, unique};
use tollgate_tests::gateway::Gateway;
use tollgate_tests::on_both_envoys;

use crate::provider_fleet::{CHAT, MESSAGES, chat, fleet, provider, told_at};

/// Calls at once, so that every worker gets some: each comes on a connection of its own.
const CALLS: usize = 24;

async fn ask(gateway: &Gateway, model: &str) -> Answer {
    gateway.post(CHAT, &chat(model, &unique("prompt"))).send().await
}

async fn told(gateway: &Gateway, model: &str, names: &str, status: u64, retry_after: u64) -> Answer {
    let call = gateway.post(CHAT, &chat(model, &unique("prompt")));
    told_at(call, names, &[("status", status), ("retry-after", retry_after)]).send().await
}

/// Connections that each worker of the gateway took so far.
async fn connections(gateway: &Gateway) -> [u64; 2] {
    let name = |worker: u8| format!("listener.127.0.0.1_0.worker_{worker}.downstream_cx_total");
    let mut found = [0; 2];
    for (worker, count) in [0, 1].into_iter().zip(&mut found) {
        *count = gateway.envoy.stat(&name(worker)).await.expect("Envoy counts them");
    }
    found
}

on_both_envoys!(a_provider_is_left_alone_until_its_retry_after_is_over, fleet(), async |gateway| {
    let model = "cooling-for-2s";
    assert_eq!(provider(&ask(gateway, model).await.expect(200)), "first");
    let asked_at = Instant::now();
    let answer = told(gateway, model, "first", 429, 2).await.expect(200);
    assert_eq!(provider(&answer), "second");
    let before = connections(gateway).await;
    let answers = join_all((0..CALLS).map(|_| ask(gateway, model))).await;
    assert!(asked_at.elapsed() < Duration::from_secs(2), "too slow a machine to say anything");
    for answer in answers {
        let answer = answer.expect(200);
        assert_eq!(provider(&answer), "second");
        assert!(gateway.requests_at("first", &answer.mark).is_empty(), "it was asked all the same");
    }
    let after = connections(gateway).await;
    assert!(after.iter().zip(before).all(|(after, before)| *after > before), "one worker took all: {after:?}");
    // It asked for one model, and not for all.
    assert_eq!(provider(&ask(gateway, "cooling-other").await.expect(200)), "first");
    tokio::time::sleep_until((asked_at + Duration::from_millis(2_300)).into()).await;
    assert_eq!(provider(&ask(gateway, model).await.expect(200)), "first", "it was left alone for too long");
});

on_both_envoys!(a_503_with_retry_after_counts_too, fleet(), async |gateway| {
    let model = "shared-cooling-503";
    let answer = told(gateway, model, "first", 503, 3).await.expect(200);
    assert_eq!(provider(&answer), "second");
    let answer = ask(gateway, model).await.expect(200);
    assert_eq!((provider(&answer), gateway.upstream_requests(&answer.mark).len()), ("second", 1));
});

on_both_envoys!(where_all_cool_the_caller_is_told_when_to_come_and_nobody_is_asked, fleet(), async |gateway| {
    let model = "all-cooling-2s";
    let asked_at = Instant::now();
    // The last one's own 429 passes.
    let answer = told(gateway, model, "first,second", 429, 2).await.expect(429);
    assert_eq!(answer.number("retry-after"), 2);
    let gemini = json!({"contents": [{"parts": [{"text": unique("prompt")}]}]});
    let calls: [(&str, Value, &str, Value); 3] = [
        (CHAT, chat(model, "x"), "/error/code", json!("rate_limit_exceeded")),
        (MESSAGES, chat(model, "x"), "/error/type", json!("rate_limit_error")),
        ("/v1beta/models/all-cooling-2s:generateContent", gemini, "/error/status", json!("RESOURCE_EXHAUSTED")),
    ];
    for (path, body, place, expected) in calls {
        let answer = gateway.post(path, &body).send().await.expect(429);
        assert!((1..=2).contains(&answer.number("retry-after")), "{answer}");
        assert_eq!(answer.json().pointer(place), Some(&expected), "{answer}");
        assert!(gateway.upstream_requests(&answer.mark).is_empty(), "a provider that cools was asked");
        assert_eq!(answer.header("x-gateway-provider"), None);
    }
    assert!(asked_at.elapsed() < Duration::from_secs(2), "too slow a machine to say anything");
    gateway.expect_metric("gateway_routes_total", &[("pool", "all-cooling"), ("result", "cooling")], 3.0).await;
    tokio::time::sleep_until((asked_at + Duration::from_millis(2_300)).into()).await;
    assert_eq!(provider(&ask(gateway, model).await.expect(200)), "first");
});
