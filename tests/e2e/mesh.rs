//! The chain as Istio builds it without pools of providers: nothing holds a request's head, so it goes on before its body was judged. Every promise
//! holds all the same; a refusal or a hit just costs the start of an upstream request.

use std::time::Duration;

use serde_json::{Value, json};
use tollgate_tests::client::raw::{RawClient, chunk, post_chunked};
use tollgate_tests::client::{MARK, unique};
use tollgate_tests::gateway::{Setup, chat_body, merge};
use tollgate_tests::on_own_envoys;

const CHAT: &str = "/v1/chat/completions";

fn mesh() -> Setup {
    Setup::default().unrouted().without("envoy.filters.http.buffer")
}

on_own_envoys!(calls_are_served_replayed_and_refused, mesh(), async |gateway| {
    let body = chat_body(&unique("prompt"));
    let first = gateway.post(CHAT, &body).send().await.expect(200);
    let again = gateway.post(CHAT, &body).send().await.expect(200);
    assert_eq!((first.header("x-gateway-cache"), again.header("x-gateway-cache")), (Some("miss"), Some("hit")));
    assert_eq!(first.json(), again.json());
    let mut large = body.clone();
    merge(&mut large, &json!({"max_tokens": 5_000}));
    let refused = gateway.post_as("globex", CHAT, &large).send().await.expect(429);
    assert_eq!(refused.json()["error"]["code"], "rate_limit_exceeded");
    gateway.post(CHAT, &json!("no object")).send().await.expect(400);
    gateway.expect_metric("gateway_requests_total", &[("status", "200")], 2.0).await;
    gateway.expect_metric("gateway_requests_total", &[("status", "429")], 1.0).await;
    gateway.expect_metric("gateway_tokens_total", &[("type", "output")], 9.0).await;
});

on_own_envoys!(a_stream_that_is_rewritten_arrives_whole_and_its_usage_is_hidden, mesh(), async |gateway| {
    let mark = unique("mesh");
    let mut body = chat_body(&(0..9_000).map(|at| format!("word {at} ")).collect::<String>());
    merge(&mut body, &json!({"stream": true}));
    let bearer = format!("authorization: Bearer {}", gateway.key("acme"));
    let mark_line = format!("{MARK}: {mark}");
    let mut client = RawClient::connect(gateway.envoy.gateway()).await;
    client.write(&post_chunked(CHAT, &[bearer.as_bytes(), mark_line.as_bytes()])).await;
    for piece in body.to_string().as_bytes().chunks(8_192) {
        tokio::time::sleep(Duration::from_millis(10)).await;
        client.write(&chunk(piece)).await;
    }
    client.write(&chunk(b"")).await;
    let answer = client.read().await.expect("an answer");
    assert_eq!(answer.status, 200);
    assert!(answer.text().ends_with("data: [DONE]\n\n") && !answer.text().contains("\"choices\":[]"));
    merge(&mut body, &json!({"stream_options": {"include_usage": true}}));
    let received: Value = serde_json::from_slice(&gateway.upstream_request(&mark).body).expect("one whole JSON body");
    assert!(received == body);
});

on_own_envoys!(a_refused_body_never_reaches_the_provider, mesh(), async |gateway| {
    let mut large = chat_body(&unique("prompt"));
    merge(&mut large, &json!({"max_tokens": 5_000}));
    let call = gateway.post_as("globex", CHAT, &large);
    let mark = call.mark().to_owned();
    call.send().await.expect(429);
    assert!(gateway.upstream_requests(&mark).iter().all(|request| request.body_bytes == 0));
    // The provider's connection is none the worse for it.
    gateway.chat(&unique("prompt")).send().await.expect(200);
});
