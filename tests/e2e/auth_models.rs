//! A caller uses its models and its endpoints, and the provider hears of nothing else.

use std::time::Duration;

use serde_json::{Value, json};
use tollgate_tests::client::raw::{RawAnswer, RawClient, chunk, post_chunked};
use tollgate_tests::client::{Call, MARK, unique};
use tollgate_tests::gateway::{Gateway, Setup, chat_body};
use tollgate_tests::on_own_envoys;

const CHAT: &str = "/v1/chat/completions";
/// SHA-256("abc")
const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/// The key `abc`, limited as said.
fn limited(limits: &Value) -> Setup {
    let mut key = json!({"id": "limited", "tenant": "acme", "sha256": ABC});
    key.as_object_mut().unwrap().extend(limits.as_object().unwrap().clone());
    Setup::default().config("auth", |config| config["api_keys"]["inline"] = json!([key]))
}

fn body(model: &str, prompt: &str) -> Value {
    let mut body = chat_body(prompt);
    body["model"] = json!(model);
    body
}

/// Sends a body in 20 slow pieces.
async fn send_slowly(gateway: &Gateway, mark: &str, body: &[u8]) -> RawAnswer {
    let mark_line = format!("{MARK}: {mark}").into_bytes();
    let mut client = RawClient::connect(gateway.envoy.gateway()).await;
    client.write(&post_chunked(CHAT, &[b"authorization: Bearer abc", &mark_line])).await;
    for piece in body.chunks(body.len().div_ceil(20)) {
        tokio::time::sleep(Duration::from_millis(15)).await;
        assert!(gateway.upstream_requests(mark).is_empty(), "nothing goes on before the verdict");
        client.write(&chunk(piece)).await;
    }
    client.write(&chunk(b"")).await;
    client.read().await.expect("an answer")
}

on_own_envoys!(
    nothing_reaches_the_provider_before_the_verdict_on_a_slow_body,
    limited(&json!({"models": ["gpt-4.1*"]})),
    async |gateway| {
        let long: String = (0..9_000).map(|at| format!("word {at} ")).collect();
        // The model stands last, so no earlier piece could tell.
        let body = |model: &str| {
            format!(r#"{{"messages":[{{"role":"user","content":"{} {long}"}}],"model":"{model}"}}"#, unique("prompt"))
        };
        let (good, bad) = (body("gpt-4.1-mini"), body("o3"));
        let mark = unique("good");
        assert_eq!(send_slowly(gateway, &mark, good.as_bytes()).await.status, 200);
        let seen = gateway.upstream_request(&mark);
        assert!(seen.body == good.as_bytes(), "byte for byte: {} of {} bytes", seen.body_bytes, good.len());
        let mark = unique("bad");
        let upstream = gateway.metric("envoy_cluster_upstream_rq_total", &[]).await;
        assert!(upstream > 0.0, "Envoy counts what goes upstream");
        let answer = send_slowly(gateway, &mark, bad.as_bytes()).await;
        assert_eq!(answer.status, 403);
        let error: Value = serde_json::from_str(&answer.text()).unwrap();
        assert_eq!(error["error"]["code"], "model_not_allowed");
        assert!(answer.text().contains("`o3`") && !answer.text().contains("gpt-4.1"), "{}", answer.text());
        assert!(gateway.upstream_requests(&mark).is_empty());
        assert_eq!(gateway.metric("envoy_cluster_upstream_rq_total", &[]).await, upstream);
        gateway
            .expect_metric("gateway_auth_total", &[("result", "denied"), ("reason", "model_not_allowed")], 1.0)
            .await;
    }
);

on_own_envoys!(
    models_and_endpoints_are_refused_in_the_dialect_of_the_api,
    limited(&json!({"models": ["good"], "endpoints": ["messages", "generate_content", "chat_completions"]})),
    async |gateway| {
        let ask = async |path: &str, body: &Value| Call::post(&gateway.url(path), body).bearer("abc").send().await;
        let anthropic = ask("/v1/messages", &body("bad", "x")).await.expect(403).json();
        assert_eq!(anthropic["error"]["type"], "permission_error");
        assert_eq!(anthropic["error"]["code"], "model_not_allowed");
        let gemini = ask("/v1beta/models/bad:generateContent", &json!({"contents": []})).await.expect(403).json();
        assert_eq!(gemini["error"]["status"], "PERMISSION_DENIED");
        assert_eq!(gemini["error"]["details"][0]["reason"], "MODEL_NOT_ALLOWED");
        let openai = ask("/v1/embeddings", &json!({"model": "good", "input": "x"})).await.expect(403).json();
        assert_eq!(openai["error"]["code"], "endpoint_not_allowed");
        ask(CHAT, &body("good", &unique("prompt"))).await.expect(200);
    }
);

on_own_envoys!(
    a_key_that_is_over_is_told_so,
    limited(&json!({"expires_at": "2020-01-01T00:00:00Z"})),
    async |gateway| {
        let answer = Call::post(&gateway.url(CHAT), &chat_body("x")).bearer("abc").send().await.expect(401);
        assert_eq!(answer.json()["error"]["code"], "key_expired");
    }
);
