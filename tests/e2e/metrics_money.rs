//! What calls cost and what they leave: the record in the access log, the gauges of budgets and of the cache, in a real Envoy.

use serde_json::{Value, json};
use tollgate_tests::client::unique;
use tollgate_tests::gateway::{Gateway, chat_body, merge};
use tollgate_tests::on_own_envoys;

use crate::provider_fleet::logged;

const CHAT: &str = "/v1/chat/completions";
/// Nano-dollars a token of `gpt-4.1` in `envoy/config/budget.json`: input and output.
const PRICES: (u64, u64) = (2_000, 8_000);

/// The usage record of a call that went to the provider, and its decision.
async fn recorded(gateway: &Gateway, more: &Value, words: u64) -> Value {
    let mut body = chat_body(&unique("prompt"));
    merge(&mut body, more);
    let answer = gateway.post(CHAT, &body).told("words", words).told("chunk-delay-ms", 20).send().await.expect(200);
    let line = logged(gateway, &answer).await;
    let usage = line["usage"].as_str().expect("the record is text");
    serde_json::from_str(usage).expect("the record is JSON")
}

fn cost(record: &Value) -> u64 {
    let tokens = |name: &str| record[name].as_u64().unwrap();
    tokens("input") * PRICES.0 + tokens("output") * PRICES.1
}

on_own_envoys!(streamed_or_not_a_call_is_recorded_and_charged_at_price_times_tokens, async |gateway| {
    let json = recorded(gateway, &json!({}), 30).await;
    let told = json!({"stream": true, "stream_options": {"include_usage": true}});
    let stream = recorded(gateway, &told, 30).await;
    let unasked = recorded(gateway, &json!({"stream": true}), 30).await;
    let mut sum = 0;
    for record in [&json, &stream, &unasked] {
        assert_eq!(record["cost_nanousd"].as_u64(), Some(cost(record)), "{record}");
        assert_eq!((&record["source"], &record["finish_reason"]), (&json!("reported"), &json!("stop")), "{record}");
        sum += cost(record);
    }
    for record in [&stream, &unasked] {
        let at = |which: &str| record["output_times"][which].as_u64().unwrap();
        let millis = (at("last") - at("first")) / 1_000_000;
        // A word an event, 20 ms between them.
        assert!((300..5_000).contains(&millis), "{millis} ms: {record}");
    }
    let of_acme = [("rule_name", "dollars-per-month"), ("tenant", "acme"), ("unit", "microusd")];
    gateway.expect_metric("gateway_budget_used", &of_acme, sum.div_ceil(1_000) as f64).await;
    gateway.expect_metric("gateway_budget_limit", &of_acme, 1_000e6).await;
    gateway.expect_metric("gateway_budget_reserved", &of_acme, 0.0).await;
});

on_own_envoys!(a_gauge_shows_what_is_held_and_an_idle_tenant_recover, async |gateway| {
    let mut body = chat_body(&unique("prompt"));
    merge(&mut body, &json!({"max_tokens": 1_500}));
    let of_globex = [("rule_name", "tokens-per-minute"), ("tenant", "globex"), ("unit", "tokens")];
    let call = gateway.post_as("globex", CHAT, &body).told("words", 1_500).told("delay-ms", 14_000);
    let seen = async {
        gateway.expect_metric("gateway_budget_limit", &of_globex, 2_000.0).await;
        gateway.metric("gateway_budget_reserved", &of_globex).await
    };
    let (answer, reserved) = futures_util::future::join(call.send(), seen).await;
    answer.expect(200);
    assert!(reserved >= 1_500.0, "{reserved} reserved");
    let used = async || gateway.metric("gateway_budget_used", &of_globex).await;
    tollgate_tests::gateway::wait_until("the call is told", async || used().await > 1_000.0).await;
    let spent = used().await;
    // It drains 2,000 a minute, while nobody calls.
    tollgate_tests::gateway::wait_until("it recovers", async || used().await < spent - 200.0).await;
    assert!(gateway.metric("gateway_budget_reserved", &of_globex).await < 1.0);
});

on_own_envoys!(the_cache_tells_what_it_stored_and_how_full_it_is, async |gateway| {
    let body = chat_body(&unique("prompt"));
    for _ in 0..3 {
        gateway.post(CHAT, &body).send().await.expect(200);
    }
    let mut other = chat_body(&unique("prompt"));
    merge(&mut other, &json!({"stream": true}));
    gateway.post(CHAT, &other).send().await.expect(200);
    gateway.post(CHAT, &chat_body(&unique("prompt"))).told("status", 500).send().await.expect(500);
    gateway.expect_metric("gateway_cache_stores_total", &[("result", "stored")], 2.0).await;
    gateway.expect_metric("gateway_cache_stores_total", &[("result", "not_cacheable")], 1.0).await;
    gateway.expect_metric("gateway_cache_entries", &[], 2.0).await;
    let bytes = gateway.metric("gateway_cache_bytes", &[]).await;
    assert!((400.0..20_000.0).contains(&bytes), "{bytes}");
});
