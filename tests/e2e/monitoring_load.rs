//! A mixed load that moves everything the dashboard shows: kinds of calls, ends of calls, tenants, models and providers.
//!
//! It comes in rounds, since a rate is seen only of what moves between two scrapes.

use std::time::Duration;

use serde_json::{Value, json};
use tollgate_tests::client::{Call, unique};
use tollgate_tests::gateway::{Gateway, Setup, chat_body, merge, wait_until};
use tollgate_tests::key_server::{KeyServer, Page};

use crate::provider_fleet::{CHAT, MESSAGES, told_at};

const JWKS: &str = "/jwks.json";
/// Between two rounds.
const PAUSE: Duration = Duration::from_millis(400);

/// Two providers behind most models, one alone behind another; keys of tokens at a server.
pub(crate) fn setup() -> Setup {
    let server = KeyServer::start().unwrap();
    Setup::default()
        .keys(server)
        .providers_with(|config| {
            for name in ["backup", "impatient"] {
                config["providers"][name] = json!({"url": "http://scripted"});
            }
            config["pools"]["default"]["priorities"] = json!([["primary"], ["backup"]]);
            config["pools"]["alone"] = json!({"priorities": [["impatient"]]});
            config["models"]["gemini-2.5-flash"] = json!({"pool": "alone"});
        })
        .config("auth", |config| {
            let url = format!("http://keys.example.com{JWKS}");
            config["jwt"]["issuers"][0]["jwks"] =
                json!({"remote": {"cluster": "keys", "url": url, "refresh": "5s", "timeout": "1s"}});
        })
        // Models without a price, which no rule in dollars may count.
        .config("budget", |config| {
            let prices = config["prices"].as_object_mut().unwrap();
            prices.remove("*");
            let priced: Vec<_> = prices.keys().cloned().collect();
            config["rules"][2]["match"] = json!({"models": priced});
        })
        // So few that answers displace each other.
        .config("cache", |config| config["slots"] = json!(64))
}

/// Puts the keys at their server, and waits until the gateway has them.
pub(crate) async fn prepare(gateway: &Gateway) {
    let jwks = gateway.secrets.jwks().unwrap();
    gateway.keys().set(JWKS, Page::json(&serde_json::from_str(&jwks).unwrap()));
    let body = chat("gpt-4.1", &unique("prompt"), &json!({}));
    let is_let_in = async || gateway.post_by("acme", CHAT, &body).send().await.status == 200;
    wait_until("the gateway has the keys of tokens", is_let_in).await;
}

/// Makes calls for so long.
pub(crate) async fn drive(gateway: &Gateway, length: Duration) {
    let deadline = tokio::time::Instant::now() + length;
    while tokio::time::Instant::now() < deadline {
        answered(gateway).await;
        refused(gateway).await;
        failed(gateway).await;
        tokio::time::sleep(PAUSE).await;
    }
}

fn chat(model: &str, prompt: &str, more: &Value) -> Value {
    let mut body = chat_body(prompt);
    merge(&mut body, &json!({"model": model}));
    merge(&mut body, more);
    body
}

async fn answered(gateway: &Gateway) {
    gateway.chat(&unique("prompt")).send().await.expect(200);
    // After the first of them a hit.
    gateway.chat("the same again").send().await.expect(200);
    let stream = json!({"stream": true});
    for (tenant, model) in [("acme", "gpt-4.1"), ("umbrella", "gpt-4.1-mini")] {
        let body = chat(model, &unique("prompt"), &stream);
        gateway.post_by(tenant, CHAT, &body).told("chunk-delay-ms", 5).send().await.expect(200);
    }
    let mut anthropic = chat("claude-sonnet-4-5", &unique("prompt"), &stream);
    anthropic["max_tokens"] = json!(100);
    gateway.post(MESSAGES, &anthropic).told("chunk-delay-ms", 5).send().await.expect(200);
    let embeddings = json!({"model": "text-embedding-3-small", "input": unique("input")});
    gateway.post("/v1/embeddings", &embeddings).send().await.expect(200);
    // No price matches it.
    gateway.post(CHAT, &chat("in-house", &unique("prompt"), &json!({}))).send().await.expect(200);
}

async fn refused(gateway: &Gateway) {
    Call::post(&gateway.url(CHAT), &chat_body("hello")).send().await.expect(401);
    gateway
        .post_as("globex", CHAT, &chat("gpt-4.1", "hello", &json!({"max_tokens": 5_000})))
        .send()
        .await
        .expect(429);
    // Asked for patience the first time, and for a while nobody is left to ask.
    let body = chat("gemini-2.5-flash", &unique("prompt"), &json!({}));
    gateway.post(CHAT, &body).told("status", 429).told("retry-after", 1).send().await.expect(429);
    gateway.post(CHAT, &body).send().await.expect(429);
}

async fn failed(gateway: &Gateway) {
    // The other provider answers.
    let told = [("status", 503)];
    told_at(gateway.chat(&unique("prompt")), "primary", &told).send().await.expect(200);
    // Nobody does.
    gateway.chat(&unique("prompt")).told("status", 503).send().await.expect(503);
}
