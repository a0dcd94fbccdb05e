//! A stream that has begun is never begun again, by nobody.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tollgate_tests::client::{Call, unique};
use tollgate_tests::gateway::{Gateway, merge, wait_until};
use tollgate_tests::on_both_envoys;

use crate::provider_fleet::{CHAT, MESSAGES, chat, fleet, provider, told_at};

fn stream(model: &str, prompt: &str) -> Value {
    let mut body = chat(model, prompt);
    merge(&mut body, &json!({"stream": true, "max_tokens": 200}));
    body
}

/// A caller of its own, and what its account says under a rule once nothing is reserved.
async fn settled(gateway: &Gateway, tenant: &str, rule: &str) -> f64 {
    wait_until("the call is settled", async || gateway.budget(tenant, rule).await["reserved"] == json!(0)).await;
    gateway.budget(tenant, rule).await["used"].as_f64().expect("a number")
}

fn streaming(gateway: &Gateway, tenant: &str, path: &str, model: &str) -> Call {
    gateway.post_by(tenant, path, &stream(model, &unique("prompt")))
}

on_both_envoys!(a_stream_that_breaks_off_is_not_begun_again, fleet(), async |gateway| {
    for (path, model) in [(CHAT, "streams-broken"), (MESSAGES, "streams-broken-messages")] {
        let tenant = unique("caller");
        let told = [("words", 100), ("cut-after", 8), ("chunk-delay-ms", 20)];
        let started = Instant::now();
        let call = told_at(streaming(gateway, &tenant, path, model), "first", &told);
        let answer = call.send().await.expect(200);
        // The end of the body is not that of an answer: a client that reads to the end is told so.
        assert!(!answer.is_whole, "a broken stream looks finished: {answer}");
        assert!(started.elapsed() < Duration::from_secs(10), "the client was left hanging");
        assert!(answer.text().contains("Hello"), "{answer}");
        assert!(!answer.text().contains("[DONE]") && !answer.text().contains("message_stop"), "{answer}");
        assert_eq!(provider(&answer), "first");
        assert_eq!(gateway.requests_at("first", &answer.mark).len(), 1);
        assert!(gateway.requests_at("second", &answer.mark).is_empty(), "a stream was begun again");
        // Once, and for what came.
        assert!((settled(gateway, &tenant, "requests-per-minute").await - 1.0).abs() < 0.1);
        let used = settled(gateway, &tenant, "tokens-per-minute").await;
        assert!((6.0..60.0).contains(&used), "{used} tokens charged for 7 words of 100");
    }
});

on_both_envoys!(a_stream_under_way_may_take_longer_than_an_attempt, fleet(), async |gateway| {
    let started = Instant::now();
    let told = [("words", 8), ("chunk-delay-ms", 250)];
    let call = told_at(streaming(gateway, "acme", CHAT, "streams-long"), "first", &told);
    let answer = call.send().await.expect(200);
    assert!(answer.is_whole && answer.text().ends_with("data: [DONE]\n\n"), "{answer}");
    assert!(started.elapsed() > Duration::from_millis(1_500), "it was no longer than an attempt may take");
    assert_eq!((provider(&answer), gateway.upstream_requests(&answer.mark).len()), ("first", 1));
});

on_both_envoys!(a_stream_falls_back_before_its_first_byte, fleet(), async |gateway| {
    for told in [&[("status", 503)][..], &[("reset", 1)]] {
        let call = told_at(streaming(gateway, "acme", CHAT, "streams-early"), "first", told);
        let answer = call.send().await.expect(200);
        assert!(answer.is_whole && answer.text().ends_with("data: [DONE]\n\n"), "{answer}");
        assert!(answer.header("content-type").unwrap().starts_with("text/event-stream"));
        assert_eq!(provider(&answer), "second");
        assert_eq!(answer.text().matches("\"role\":\"assistant\"").count(), 1, "two streams in one: {answer}");
    }
});

on_both_envoys!(a_client_that_hangs_up_ends_the_call_at_its_provider_alone, fleet(), async |gateway| {
    let told = [("words", 500), ("chunk-delay-ms", 20)];
    let call = told_at(streaming(gateway, "acme", CHAT, "streams-left"), "first", &told);
    let mark = call.mark().to_owned();
    let mut answer = call.open().await;
    answer.read_until("Hello").await;
    drop(answer);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(gateway.requests_at("second", &mark).is_empty(), "nobody waits for this answer");
});
