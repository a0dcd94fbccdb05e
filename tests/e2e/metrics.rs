//! The page says what happened: every call once, every token once, no label from a client.

use serde_json::json;
use tollgate_tests::client::{Call, http, unique};
use tollgate_tests::gateway::chat_body;
use tollgate_tests::on_own_envoys;
use tollgate_tests::prometheus::parse;

const CHAT: &str = "/v1/chat/completions";

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
    gateway.expect_metric("gateway_request_duration_seconds_count", &[], 4.0).await;
    gateway.expect_metric("gateway_request_duration_seconds_bucket", &[("le", "+Inf"), ("status", "401")], 1.0).await;
    gateway.expect_metric("gateway_auth_total", &[("result", "allowed"), ("reason", "api_key")], 3.0).await;
    gateway.expect_metric("gateway_auth_total", &[("result", "denied"), ("reason", "missing_credential")], 1.0).await;
    gateway.expect_metric("gateway_budget_total", &[], 3.0).await;
    gateway.expect_metric("gateway_cache_total", &[("result", "miss")], 1.0).await;
    gateway.expect_metric("gateway_cache_total", &[("result", "hit")], 1.0).await;
    // The hit and the refusals cost nothing.
    gateway.expect_metric("gateway_tokens_total", &[("type", "input")], 2.0).await;
    gateway.expect_metric("gateway_tokens_total", &[("type", "output")], 9.0).await;
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
    let page = gateway.metrics_text().await;
    assert!(!page.contains(&odd) && !page.contains(gateway.key("acme").as_str()));
    for sample in parse(&page).iter().filter(|sample| sample.name.starts_with("gateway_")) {
        assert!(!sample.labels.iter().any(|(name, _)| name == "tenant"), "{sample:?}");
    }
});

on_own_envoys!(prometheus_reads_the_same_page_on_a_listener_of_its_own, async |gateway| {
    gateway.chat(&unique("prompt")).send().await.expect(200);
    gateway.expect_metric("gateway_requests_total", &[], 1.0).await;
    let base = format!("http://{}", gateway.envoy.metrics());
    let page = http().get(format!("{base}/metrics")).send().await.unwrap().text().await.unwrap();
    let samples = parse(&page);
    for name in ["gateway_requests_total", "gateway_request_duration_seconds_count", "gateway_tokens_total"] {
        assert!(samples.iter().any(|sample| sample.name == name), "no {name} on\n{page}");
    }
    let filters: Vec<_> = samples.iter().filter(|sample| sample.name == "gateway_build_info").collect();
    for filter in ["auth", "budget", "cache", "metrics"] {
        assert!(filters.iter().any(|sample| sample.label("filter") == Some(filter)), "no build info of {filter}");
    }
    // The rest of the admin page stays where it is.
    for path in ["/quitquitquit", "/config_dump", "/"] {
        assert_eq!(http().post(format!("{base}{path}")).send().await.unwrap().status().as_u16(), 404, "{path}");
    }
});
