//! The story that the README tells, from the first refusal to the empty purse.

use serde_json::json;
use tollgate_tests::client::{Call, unique};
use tollgate_tests::gateway::{chat_body, merge};
use tollgate_tests::{on_both_envoys, on_own_envoys};

const CHAT: &str = "/v1/chat/completions";

on_own_envoys!(refused_served_replayed_streamed_counted_and_stopped, async |gateway| {
    let body = chat_body("Hello");
    Call::post(&gateway.url(CHAT), &body).send().await.expect(401).json();
    let first = gateway.post(CHAT, &body).send().await.expect(200);
    assert!(first.header("x-request-id").is_some());
    let second = gateway.post(CHAT, &body).send().await.expect(200);
    assert_eq!(second.header("x-gateway-cache"), Some("hit"));
    let before = gateway.metric("gateway_tokens_total", &[]).await;
    let stream = gateway.chat_stream("Hello").send().await.expect(200);
    assert!(stream.header("content-type").unwrap().starts_with("text/event-stream"));
    // "Hello" is one token, the answer nine words.
    gateway.expect_metric("gateway_tokens_total", &[], before + 10.0).await;
    let mut large = body.clone();
    merge(&mut large, &json!({"max_tokens": 5_000}));
    let stopped = gateway.post_as("globex", CHAT, &large).send().await.expect(429);
    assert!(stopped.number("retry-after") >= 1);
});

on_both_envoys!(every_endpoint_of_the_contract_answers, async |gateway| {
    let messages = json!([{"role": "user", "content": unique("prompt")}]);
    let gemini = json!({"contents": [{"role": "user", "parts": [{"text": unique("prompt")}]}]});
    let calls = [
        (CHAT, json!({"model": "gpt-4.1", "messages": messages})),
        ("/v1/completions", json!({"model": "gpt-4.1", "prompt": unique("prompt")})),
        ("/v1/responses", json!({"model": "gpt-4.1", "input": unique("prompt")})),
        ("/v1/embeddings", json!({"model": "text-embedding-3-small", "input": unique("prompt")})),
        ("/v1/messages", json!({"model": "claude-sonnet-4-5", "max_tokens": 50, "messages": messages})),
        ("/v1beta/models/gemini-2.5-flash:generateContent", gemini.clone()),
        ("/v1beta/models/gemini-2.5-flash:streamGenerateContent", gemini),
    ];
    for (path, body) in calls {
        let answer = gateway.post(path, &body).send().await.expect(200);
        assert!(answer.header("x-request-id").is_some(), "{path}");
        answer.json();
    }
    let models = Call::get(&gateway.url("/v1/models")).bearer(&gateway.key("acme")).send().await.expect(200);
    assert_eq!(models.json()["object"], "list");
});

on_both_envoys!(every_answer_has_a_request_id_of_its_own, async |gateway| {
    let answers = [gateway.chat(&unique("prompt")).send().await, gateway.chat(&unique("prompt")).send().await];
    let ids: Vec<_> = answers.iter().map(|answer| answer.header("x-request-id").unwrap()).collect();
    assert_ne!(ids[0], ids[1]);
});
