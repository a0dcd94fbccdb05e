//! A stream passes as it comes, and costs what came of it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tollgate_tests::client::{Call, unique};
use tollgate_tests::gateway::{Gateway, chat_body, merge};
use tollgate_tests::{on_both_envoys, on_own_envoys};

/// The answer without what is different each time.
fn settled(events: Vec<String>) -> Vec<String> {
    let mask = |event: String| {
        let Some((before, after)) = event.split_once("scripted") else { return event };
        format!("{before}{}", after.trim_start_matches(|digit: char| digit.is_ascii_digit()))
    };
    // Every id of an event carries the same number.
    events.into_iter().map(|event| (0..4).fold(event, |event, _| mask(event))).collect()
}

async fn directly(gateway: &Gateway, path: &str, body: &Value) -> Vec<String> {
    let url = format!("http://{}{path}", gateway.provider.address());
    settled(Call::post(&url, body).send().await.expect(200).events())
}

on_both_envoys!(events_reach_the_client_while_the_provider_still_speaks, async |gateway| {
    let started = Instant::now();
    let mut answer = gateway.chat_stream(&unique("prompt")).told("chunk-delay-ms", 200).open().await;
    assert_eq!(answer.status, 200);
    answer.read_until("Hello").await;
    let first = started.elapsed();
    let rest = answer.rest().await;
    assert!(rest.is_whole && rest.text().ends_with("data: [DONE]\n\n"), "{rest}");
    assert!(started.elapsed() > first + Duration::from_millis(1_000), "everything came at once");
});

on_both_envoys!(a_client_that_did_not_ask_for_usage_gets_the_providers_own_stream, async |gateway| {
    let mut body = chat_body(&unique("prompt"));
    merge(&mut body, &json!({"stream": true}));
    let call = gateway.post("/v1/chat/completions", &body);
    let mark = call.mark().to_owned();
    let answer = call.send().await.expect(200);
    assert!(answer.header("content-type").unwrap().starts_with("text/event-stream"));
    assert!(answer.chunks().iter().all(|chunk| chunk["choices"] != json!([])), "{answer}");
    // Each chunk may say `"usage": null`, as the provider does where usage is asked for; nothing else may differ.
    let plain = |events: Vec<String>| -> Vec<String> {
        events.into_iter().map(|event| event.replace(",\"usage\":null", "")).collect()
    };
    assert_eq!(plain(settled(answer.events())), directly(gateway, "/v1/chat/completions", &body).await);
    let sent: Value = serde_json::from_slice(&gateway.upstream_request(&mark).body).unwrap();
    assert_eq!(sent["stream_options"]["include_usage"], true, "usage is asked for upstream");
});

on_both_envoys!(other_stream_options_are_kept, async |gateway| {
    let mut body = chat_body(&unique("prompt"));
    merge(&mut body, &json!({"stream": true, "stream_options": {"include_obfuscation": false}}));
    let call = gateway.post("/v1/chat/completions", &body);
    let mark = call.mark().to_owned();
    call.send().await.expect(200);
    let sent: Value = serde_json::from_slice(&gateway.upstream_request(&mark).body).unwrap();
    assert_eq!(sent["stream_options"], json!({"include_obfuscation": false, "include_usage": true}));
});

on_both_envoys!(a_client_that_asked_for_usage_gets_it, async |gateway| {
    let mut body = chat_body(&unique("prompt"));
    merge(&mut body, &json!({"stream": true, "stream_options": {"include_usage": true}}));
    let answer = gateway.post("/v1/chat/completions", &body).send().await.expect(200);
    let last = answer.chunks().pop().unwrap();
    assert_eq!((&last["choices"], &last["usage"]["completion_tokens"]), (&json!([]), &json!(9)));
});

on_both_envoys!(streams_of_the_other_dialects_pass_untouched, async |gateway| {
    let prompt = unique("prompt");
    let messages = json!([{"role": "user", "content": prompt}]);
    let gemini = json!({"contents": [{"role": "user", "parts": [{"text": prompt}]}]});
    let calls = [
        (
            "/v1/messages",
            json!({"model": "claude-sonnet-4-5", "max_tokens": 50, "stream": true, "messages": messages}),
        ),
        ("/v1/responses", json!({"model": "gpt-4.1", "stream": true, "input": prompt})),
        ("/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse", gemini.clone()),
        ("/v1beta/models/gemini-2.5-flash:streamGenerateContent", gemini),
    ];
    for (path, body) in calls {
        let call = gateway.post(path, &body);
        let mark = call.mark().to_owned();
        let answer = call.send().await.expect(200);
        assert!(answer.is_whole);
        assert_eq!(settled(answer.events()), directly(gateway, path, &body).await, "{path}");
        let sent: Value = serde_json::from_slice(&gateway.upstream_request(&mark).body).unwrap();
        assert_eq!(sent, body, "{path}");
    }
});

on_own_envoys!(a_client_that_hangs_up_is_charged_once_for_what_it_received, async |gateway| {
    let call = gateway.chat_stream(&unique("prompt")).told("words", 400).told("chunk-delay-ms", 20);
    let mut answer = call.open().await;
    let read = answer.read_until(" provider.").await;
    let received = read.matches("\"content\"").count() - 1;
    drop(answer);
    gateway.expect_metric("gateway_requests_total", &[], 1.0).await;
    let output = gateway.metric("gateway_tokens_total", &[("type", "output")]).await;
    assert!((1.0..60.0).contains(&output), "{output} tokens charged, {received} words received of 400");
    // Nothing comes after: not from the stream's end, not from the provider's remaining words.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    gateway.expect_metric("gateway_requests_total", &[], 1.0).await;
    gateway.expect_metric("gateway_tokens_total", &[("type", "output")], output).await;
    // The reservation was settled, and what broke off was not stored.
    let again = gateway.chat(&unique("prompt")).send().await.expect(200);
    let remaining = again.number("x-ratelimit-remaining-tokens");
    assert!(remaining > 1_000_000 - 2_000, "{remaining} remaining");
});
