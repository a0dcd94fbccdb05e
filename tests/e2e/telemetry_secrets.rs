//! What is told of calls, anywhere, holds nothing of what they say or who may make them: prompts, answers, keys, claims and
//! queries stay out of the access log, Envoy's log, the metrics page, and OpenTelemetry's log records and spans. And what
//! does leave the gateway on a call's behalf carries the call's trace, and no more of it.

use std::time::Duration;

use jwt_simple::algorithms::ECDSAP256KeyPairLike as _;
use jwt_simple::claims::Claims;
use serde_json::{Map, Value, json};
use tollgate_tests::client::Call;
use tollgate_tests::collector::Collector;
use tollgate_tests::gateway::{Gateway, Setup, chat_body, wait_until};
use tollgate_tests::key_server::KeyServer;
use tollgate_tests::on_own_envoys;
use tollgate_tests::secrets::{AUDIENCE, ISSUER};

use crate::auth_remote::{CHAT, JWKS, fetching_from, jwks, pair, token};
use crate::telemetry::{new_trace, traceparent};

/// In prompts, in every dialect's place for them.
const PROMPT: &str = "canary-of-a-prompt";
/// In headers, queries, claims and credentials that nobody knows.
const HEADER: &str = "canary-of-a-header";
const QUERY: &str = "canary-of-a-query";
const CLAIM: &str = "canary-of-a-claim";
const KEY: &str = "canary-of-a-key";

fn fetching() -> Setup {
    let server = KeyServer::start().unwrap();
    server.set("/api-keys.json", tollgate_tests::key_server::Page::json(&json!([])));
    fetching_from(server, "5s").collector(Collector::start().unwrap())
}

/// A good token with a claim that nobody asked for.
fn token_with_claims(pair: &jwt_simple::algorithms::ES256KeyPair) -> String {
    let custom = Map::from_iter([("tenant".to_owned(), json!("acme")), ("email".to_owned(), json!(CLAIM))]);
    let claims = Claims::with_custom_claims(custom, Duration::from_secs(3600).into())
        .with_issuer(ISSUER)
        .with_audience(AUDIENCE)
        .with_subject("user-1");
    pair.sign(claims).unwrap()
}

/// Calls that reach every filter, and every way in which one of them ends a call.
fn calls(gateway: &Gateway, token: &str) -> Vec<Call> {
    let to = |path: &str, body: &Value| {
        let separator = if path.contains('?') { '&' } else { '?' };
        Call::post(&gateway.url(&format!("{path}{separator}q={QUERY}")), body).header("x-note", HEADER)
    };
    let chat = chat_body(PROMPT);
    let mut streamed = chat.clone();
    streamed["stream"] = json!(true);
    let mut large = chat.clone();
    large["max_tokens"] = json!(90_000_000);
    let mut other = chat.clone();
    other["temperature"] = json!(0.5);
    let tools = json!({"model": "gpt-4.1", "messages": [{"role": "user", "content": PROMPT}],
        "tools": [{"type": "function", "function": {"name": "f", "description": PROMPT}}]});
    let message = json!({"model": "claude-sonnet-4-5", "max_tokens": 50, "system": PROMPT,
        "messages": [{"role": "user", "content": PROMPT}]});
    let gemini = json!({"contents": [{"role": "user", "parts": [{"text": PROMPT}]}]});
    let by = |call: Call| call.bearer(token);
    vec![
        by(to(CHAT, &chat)),
        // The same again is a hit.
        by(to(CHAT, &chat)),
        by(to(CHAT, &streamed)),
        by(to(CHAT, &tools)),
        by(to("/v1/completions", &json!({"model": "gpt-4.1", "prompt": PROMPT}))),
        by(to("/v1/responses", &json!({"model": "gpt-4.1", "input": PROMPT}))),
        by(to("/v1/embeddings", &json!({"model": "text-embedding-3-small", "input": PROMPT}))),
        by(to("/v1/messages", &message)),
        by(to("/v1beta/models/gemini-2.5-flash:generateContent", &gemini)),
        by(to("/v1/files", &json!({"purpose": PROMPT}))),
        by(to("/elsewhere", &chat)),
        // Refused by budget, route, or the provider.
        by(to(CHAT, &large)),
        by(Call::post_bytes(&gateway.url(CHAT), format!("{{\"messages\":\"{PROMPT}").into_bytes())),
        by(to(CHAT, &other)).told("status", 400),
        by(to(CHAT, &other)).told("status", 503),
        by(to(CHAT, &streamed)).told("words", 40).told("cut-after", 3),
        by(to(CHAT, &other)).told("reset", 1),
        // Refused by auth.
        to(CHAT, &chat),
        to(CHAT, &chat).bearer(KEY),
        to(CHAT, &chat).header("x-api-key", KEY),
        to(CHAT, &chat).bearer(&format!("{token}{KEY}")),
        to(CHAT, &chat).header("authorization", &format!("Basic {KEY}")),
        to(&format!("{CHAT}?key={KEY}"), &chat),
        to("/v1/messages", &message).header("x-api-key", KEY),
    ]
}

on_own_envoys!(nothing_that_is_told_holds_prompts_keys_claims_or_queries, fetching(), async |gateway| {
    let pair = pair("one");
    gateway.keys().set(JWKS, jwks(&[&pair]));
    gateway.expect_metric("gateway_auth_key_fetches_total", &[("source", ISSUER), ("result", "fetched")], 1.0).await;
    let token = token_with_claims(&pair);
    let calls = calls(gateway, &token);
    let (count, mut statuses, mut upstream) = (calls.len(), Vec::new(), None);
    for call in calls {
        let mark = call.mark().to_owned();
        let Some(stream) = call.try_open().await else { continue };
        statuses.push(stream.rest().await.status);
        upstream = gateway.upstream_requests(&mark).pop().or(upstream);
    }
    for status in [200, 400, 401, 404, 429, 503] {
        assert!(statuses.contains(&status), "no call ended with {status}: {statuses:?}");
    }
    let upstream = upstream.expect("some calls reached the provider");
    let provider_key = upstream.header("authorization").expect("with its key").strip_prefix(b"Bearer ").unwrap();
    let provider_key = String::from_utf8_lossy(provider_key).into_owned();

    // All of it has been told, and each surface is one that tells.
    wait_until("all calls were told", async || gateway.collector().logs().len() >= count).await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    let (logged, told) = (gateway.envoy.log(), gateway.collector().text());
    assert!(logged.lines().filter(|line| line.starts_with('{')).count() >= count);
    assert!(told.contains("gen_ai.request.model") && gateway.collector().spans().len() > count);
    let page = gateway.metrics_text().await;
    assert!(page.contains("gateway_requests_total"));
    let (key, signature) = (gateway.key("acme"), token.rsplit('.').next().unwrap());
    let claims = token.split('.').nth(1).unwrap();
    for secret in [PROMPT, HEADER, QUERY, CLAIM, KEY, &key, signature, claims, &provider_key] {
        for (surface, text) in [("logs", &logged), ("metrics", &page), ("OpenTelemetry", &told)] {
            let line = text.lines().find(|line| line.contains(secret));
            assert_eq!(line, None, "{secret} is in the {surface}");
        }
    }
});

on_own_envoys!(a_fetch_that_a_call_waits_for_is_in_its_trace, fetching(), async |gateway| {
    gateway.keys().set(JWKS, jwks(&[&pair("one")]));
    wait_until("the first keys came", async || gateway.keys().requests(JWKS).len() >= 2).await;
    let known = gateway.keys().requests(JWKS);
    assert!(known.iter().all(|head| !head.contains_key("traceparent")), "nobody waited for these");
    let rotated = pair("two");
    gateway.keys().set(JWKS, jwks(&[&rotated]).after(Duration::from_millis(300)));
    let trace = new_trace();
    let call = Call::post(&gateway.url(CHAT), &chat_body(PROMPT)).bearer(&token(&rotated));
    let call = call.header("traceparent", &traceparent(&trace, "01")).header("tracestate", "vendor=secret");
    call.send().await.expect(200);
    let traced = |heads: &[axum::http::HeaderMap]| -> Vec<String> {
        let values = heads.iter().filter_map(|head| head.get("traceparent"));
        values.map(|value| value.to_str().unwrap().to_owned()).collect()
    };
    let heads = gateway.keys().requests(JWKS);
    assert_eq!(traced(&heads), [traceparent(&trace, "01")], "the one that the call waited for");
    assert!(heads.iter().all(|head| !head.contains_key("tracestate")));
});
