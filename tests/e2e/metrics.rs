//! The page says what happened: every call once, every token once, no label from a client.

use serde_json::json;
use tollgate_tests::client::{Call, unique};
use tollgate_tests::gateway::{Gateway, Setup, chat_body};
use tollgate_tests::on_own_envoys;
use tollgate_tests::prometheus::{Sample, parse};

const CHAT: &str = "/v1/chat/completions";

/// The name of a histogram as that Envoy has it, for `gateway_request_duration` and the like, and what a second is in it.
pub(crate) fn histogram(gateway: &Gateway, name: &str) -> (String, f64) {
    if gateway.envoy.version().starts_with("1.36.") {
        (format!("{name}_microseconds"), 1e6)
    } else {
        (format!("{name}_seconds"), 1.0)
    }
}

/// Waits until a histogram has counted so many; it comes with Envoy's next flush.
pub(crate) async fn expect_observed(gateway: &Gateway, name: &str, labels: &[(&str, &str)], expected: f64) {
    let (name, _) = histogram(gateway, name);
    gateway.expect_metric(&format!("{name}_count"), labels, expected).await;
}

/// The gateway's own samples, now.
pub(crate) async fn samples(gateway: &Gateway) -> Vec<Sample> {
    let page = gateway.metrics_text().await;
    parse(&page).into_iter().filter(|sample| sample.name.starts_with("gateway_")).collect()
}

on_own_envoys!(every_call_is_counted_once_however_it_ends, async |gateway| {
    let body = chat_body("12345678");
    gateway.post(CHAT, &body).send().await.expect(200);
    gateway.post(CHAT, &body).send().await.expect(200);
    Call::post(&gateway.url(CHAT), &body).send().await.expect(401);
    let mut large = body.clone();
    large["max_tokens"] = json!(5_000);
    gateway.post_as("globex", CHAT, &large).send().await.expect(429);
    for (status, count) in [("200", 2.0), ("401", 1.0), ("429", 1.0)] {
        gateway.expect_metric("gateway_requests_total", &[("status", status)], count).await;
    }
    gateway
        .expect_metric("gateway_requests_total", &[("route", "models"), ("model", "gpt-4.1"), ("status", "200")], 2.0)
        .await;
    gateway.expect_metric("gateway_requests_total", &[], 4.0).await;
    for (tenant, status, count) in [("acme", "200", 2.0), ("globex", "429", 1.0), ("none", "401", 1.0)] {
        let labels = [("tenant", tenant), ("status", status)];
        gateway.expect_metric("gateway_tenant_requests_total", &labels, count).await;
    }
    gateway.expect_metric("gateway_auth_total", &[("result", "allowed"), ("reason", "api_key")], 3.0).await;
    gateway.expect_metric("gateway_auth_total", &[("result", "denied"), ("reason", "missing_credential")], 1.0).await;
    gateway.expect_metric("gateway_budget_total", &[], 3.0).await;
    gateway.expect_metric("gateway_cache_total", &[("result", "miss")], 1.0).await;
    gateway.expect_metric("gateway_cache_total", &[("result", "hit")], 1.0).await;
    // The hit and the refusals cost nothing.
    gateway.expect_metric("gateway_tokens_total", &[("type", "input"), ("tenant", "acme")], 2.0).await;
    gateway.expect_metric("gateway_tokens_total", &[("type", "output"), ("tenant", "acme")], 9.0).await;
    gateway.expect_metric("gateway_tokens_total", &[], 11.0).await;
    expect_observed(gateway, "gateway_request_duration", &[], 4.0).await;
});

on_own_envoys!(both_ways_into_histograms_give_the_same_series, async |gateway| {
    let prompt = unique("prompt");
    gateway.chat_stream(&prompt).send().await.expect(200);
    gateway.chat_stream(&prompt).send().await.expect(200);
    Call::post(&gateway.url(CHAT), &chat_body("x")).send().await.expect(401);
    gateway.post("/nowhere", &json!({})).send().await.expect(404);
    expect_observed(gateway, "gateway_request_duration", &[], 4.0).await;
    let (name, second) = histogram(gateway, "gateway_request_duration");
    let samples = samples(gateway).await;
    let labels = ["route", "model", "provider", "status"];
    let mut series: Vec<_> = samples
        .iter()
        .filter(|sample| sample.name == format!("{name}_count"))
        .map(|sample| labels.map(|label| sample.label(label).unwrap_or("absent")))
        .collect();
    series.sort_unstable();
    let expected = [
        ["models", "gpt-4.1", "none", "200"],
        ["models", "gpt-4.1", "primary", "200"],
        ["models", "none", "none", "401"],
        ["none", "none", "none", "404"],
    ];
    assert_eq!(series, expected);
    let edges: Vec<f64> = samples
        .iter()
        .filter(|sample| sample.name == format!("{name}_bucket") && sample.label("status") == Some("401"))
        .filter_map(|sample| sample.label("le")?.parse().ok())
        .map(|edge: f64| (edge / second * 1e4).round() / 1e4)
        .collect();
    let expected = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0];
    assert_eq!(edges, [&expected[..], &[f64::INFINITY]].concat());
    for other in ["gateway_request_duration_seconds", "gateway_request_duration_microseconds"] {
        assert!(
            other == name || samples.iter().all(|sample| !sample.name.starts_with(other)),
            "{other} is there as well"
        );
    }
});

on_own_envoys!(tokens_of_every_dialect_are_counted_streamed_or_not, async |gateway| {
    let gemini = json!({"contents": [{"role": "user", "parts": [{"text": "12345678"}]}]});
    let messages = json!([{"role": "user", "content": "12345678"}]);
    let chat = json!({"model": "gpt-4.1", "messages": messages});
    let anthropic = json!({"model": "claude-sonnet-4-5", "max_tokens": 100, "messages": messages});
    let model = "/v1beta/models/gemini-2.5-flash";
    let calls = [
        (CHAT.to_owned(), chat, true),
        ("/v1/completions".to_owned(), json!({"model": "gpt-4.1", "prompt": "12345678"}), false),
        ("/v1/responses".to_owned(), json!({"model": "gpt-4.1", "input": "12345678"}), true),
        ("/v1/messages".to_owned(), anthropic, true),
        (format!("{model}:generateContent"), gemini.clone(), false),
        (format!("{model}:streamGenerateContent"), gemini.clone(), false),
        (format!("{model}:streamGenerateContent?alt=sse"), gemini, false),
    ];
    let mut answered = 0.0;
    for (path, body, can_stream) in calls {
        let mut variants = vec![body.clone()];
        if can_stream {
            let mut streamed = body;
            streamed["stream"] = json!(true);
            variants.push(streamed);
        }
        for variant in variants {
            gateway.post(&path, &variant).send().await.expect(200);
            answered += 1.0;
            gateway.expect_metric("gateway_tokens_total", &[("type", "input")], 2.0 * answered).await;
            gateway.expect_metric("gateway_tokens_total", &[("type", "output")], 9.0 * answered).await;
        }
    }
    let embeddings = json!({"model": "text-embedding-3-small", "input": "12345678"});
    gateway.post("/v1/embeddings", &embeddings).send().await.expect(200);
    gateway.expect_metric("gateway_tokens_total", &[("type", "input")], 2.0 * (answered + 1.0)).await;
});

on_own_envoys!(clients_cannot_make_labels, async |gateway| {
    let odd = unique("model-of-a-client");
    for model in [odd.as_str(), "a;.;status=.=b", "x\"} 1\ny{z=\""] {
        gateway.post(CHAT, &json!({"model": model, "messages": []})).send().await;
    }
    gateway.expect_metric("gateway_requests_total", &[("model", "other")], 3.0).await;
    expect_observed(gateway, "gateway_request_duration", &[], 3.0).await;
    let page = gateway.metrics_text().await;
    assert!(!page.contains(&odd) && !page.contains(gateway.key("acme").as_str()));
    let tenants: Vec<_> =
        parse(&page).iter().filter_map(|sample| sample.label("tenant").map(str::to_owned)).collect();
    assert!(!tenants.is_empty() && tenants.iter().all(|tenant| tenant == "acme"), "{tenants:?}");
});

on_own_envoys!(
    tenants_beyond_the_first_are_other_on_all_workers,
    Setup::default().config("metrics", |config| {
        config["max_tenants"] = json!(2);
        config["tenants"] = json!(["late"]);
    }),
    async |gateway| {
        for tenant in ["one", "two", "three", "four", "late", "one", "three"] {
            // A connection each, so both workers get some.
            for _ in 0..4 {
                gateway.post_by(tenant, CHAT, &chat_body(&unique("prompt"))).send().await.expect(200);
            }
        }
        for (tenant, calls) in [("one", 8.0), ("two", 4.0), ("late", 4.0), ("other", 12.0)] {
            gateway.expect_metric("gateway_tenant_requests_total", &[("tenant", tenant)], calls).await;
        }
        gateway.expect_metric("gateway_tenant_requests_total", &[], 28.0).await;
    }
);
