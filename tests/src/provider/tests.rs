use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::http::HeaderValue;
use serde_json::json;

use super::*;
use crate::client::http2::Http2Client;
use crate::client::raw::{RawClient, post};
use crate::client::{Answer, Call};

async fn ask(path: &str, body: serde_json::Value, told: &[(&str, u64)]) -> Answer {
    let provider = Provider::start().unwrap();
    let url = format!("http://{}{path}", provider.address());
    told.iter().fold(Call::post(&url, &body), |call, (what, value)| call.told(what, *value)).send().await
}

fn chat(more: &serde_json::Value) -> serde_json::Value {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "12345678"}]});
    crate::gateway::merge(&mut body, more);
    body
}

#[tokio::test]
async fn tokens_are_bytes_by_four_and_words() {
    let answer = ask("/v1/chat/completions", chat(&json!({})), &[]).await.expect(200).json();
    assert_eq!(answer["usage"]["prompt_tokens"], 2);
    assert_eq!(answer["usage"]["completion_tokens"], 9);
    assert_eq!(
        answer["choices"][0]["message"]["content"],
        "Hello from the scripted provider. You said 8 characters."
    );
}

#[tokio::test]
async fn max_tokens_cut_the_answer() {
    let answer = ask("/v1/chat/completions", chat(&json!({"max_tokens": 2})), &[]).await.json();
    assert_eq!(answer["choices"][0]["finish_reason"], "length");
    assert_eq!(answer["choices"][0]["message"]["content"], "Hello from");
}

#[tokio::test]
async fn a_provider_may_go_past_the_maximum_and_pack_its_answer() {
    let told = [("no-limit", 1), ("words", 5), ("gzip", 1)];
    let answer = ask("/v1/chat/completions", chat(&json!({"max_tokens": 2})), &told).await.expect(200);
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    let unpacked: serde_json::Value = serde_json::from_reader(flate2::read::GzDecoder::new(&*answer.body)).unwrap();
    assert_eq!(unpacked["usage"]["completion_tokens"], 5);
}

#[tokio::test]
async fn an_answer_over_http2_may_end_with_a_trailer() {
    let provider = Provider::start().unwrap();
    let mut client = Http2Client::connect(provider.address()).await;
    for stream in [false, true] {
        let body = chat(&json!({"stream": stream})).to_string();
        let call = client.post("/v1/chat/completions", &[("x-provider-trailers", "1")], &body, None).await;
        let answer = call.answer().await;
        assert_eq!((answer.status, &answer.trailers.unwrap()["x-provider-trailer"]), (200, &HeaderValue::from(1)));
    }
}

#[tokio::test]
async fn a_restart_breaks_what_runs_and_listens_again() {
    let provider = Provider::start().unwrap();
    let url = format!("http://{}/v1/chat/completions", provider.address());
    let mut answer =
        Call::post(&url, &chat(&json!({"stream": true}))).told("words", 500).told("chunk-delay-ms", 20).open().await;
    answer.read_until("Hello").await;
    provider.restart().unwrap();
    assert!(!answer.rest().await.is_whole);
    Call::post(&url, &chat(&json!({}))).send().await.expect(200);
}

#[tokio::test]
async fn a_stream_has_a_usage_chunk_only_if_asked() {
    let plain = ask("/v1/chat/completions", chat(&json!({"stream": true})), &[]).await.expect(200);
    assert!(plain.chunks().iter().all(|chunk| chunk.get("usage").is_none()));
    assert_eq!(plain.events().last().unwrap(), "[DONE]");
    let asked = json!({"stream": true, "stream_options": {"include_usage": true}});
    let asked = ask("/v1/chat/completions", chat(&asked), &[]).await.chunks();
    let last = asked.last().unwrap();
    assert_eq!(last["choices"], json!([]));
    assert_eq!(last["usage"]["completion_tokens"], 9);
}

#[tokio::test]
async fn anthropic_streams_run_from_message_start_to_message_stop() {
    let body = json!({"model": "m", "max_tokens": 50, "stream": true, "messages": [{"role": "user", "content": [{"type": "text", "text": "1234"}]}]});
    let events = ask("/v1/messages", body, &[]).await.expect(200).chunks();
    assert_eq!(events.first().unwrap()["message"]["usage"]["input_tokens"], 1);
    assert_eq!(events[events.len() - 2]["usage"]["output_tokens"], 9);
    assert_eq!(events.last().unwrap()["type"], "message_stop");
}

#[tokio::test]
async fn gemini_streams_are_an_array_or_events() {
    let body = json!({"contents": [{"parts": [{"text": "1234"}]}]});
    let array = ask("/v1beta/models/m:streamGenerateContent", body.clone(), &[]).await.expect(200).json();
    let events = ask("/v1beta/models/m:streamGenerateContent?alt=sse", body, &[]).await.expect(200).chunks();
    for last in [array.as_array().unwrap().last().unwrap(), events.last().unwrap()] {
        assert_eq!(last["usageMetadata"]["totalTokenCount"], 10);
        assert_eq!(last["candidates"][0]["finishReason"], "STOP");
    }
}

#[tokio::test]
async fn told_to_fail_it_fails_in_the_dialect() {
    let told = [("status", 429), ("retry-after", 7)];
    let answer = ask("/v1/messages", json!({}), &told).await.expect(429);
    assert_eq!(answer.header("retry-after"), Some("7"));
    assert_eq!(answer.json()["error"]["type"], "rate_limit_error");
}

#[tokio::test]
async fn told_to_cut_it_sends_so_much_and_breaks_off() {
    let stream = ask("/v1/chat/completions", chat(&json!({"stream": true})), &[("cut-after", 3)]).await;
    assert!(!stream.is_whole);
    assert_eq!(stream.events().len(), 3);
    let json = ask("/v1/chat/completions", chat(&json!({})), &[("cut-after", 10)]).await;
    assert!(!json.is_whole);
    assert_eq!(json.body.len(), 10);
}

#[tokio::test]
async fn told_to_reset_it_answers_nothing() {
    let provider = Provider::start().unwrap();
    let mut client = RawClient::connect(provider.address()).await;
    client.write(&post("/v1/embeddings", &[b"x-provider-reset: 1"], b"{}")).await;
    assert!(client.read().await.is_none());
}

#[tokio::test]
async fn told_to_be_slow_it_is() {
    let started = Instant::now();
    ask("/v1/chat/completions", chat(&json!({})), &[("delay-ms", 300)]).await.expect(200);
    assert!(started.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn it_records_odd_bytes_as_they_came() {
    let provider = Provider::start().unwrap();
    let mut client = RawClient::connect(provider.address()).await;
    client.write(&post("/v1/odd", &[b"x-odd: \xff\xfe"], b"\x00body")).await;
    assert_eq!(client.read().await.unwrap().status, 404);
    let seen = provider.requests();
    assert_eq!(seen[0].header("x-odd"), Some(&b"\xff\xfe"[..]));
    assert_eq!(seen[0].body, Bytes::from_static(b"\x00body"));
}

#[tokio::test]
async fn only_so_many_requests_are_kept() {
    let recorder = Recorder::new(true);
    let (parts, ()) = axum::http::Request::new(()).into_parts();
    for _ in 0..1_100 {
        recorder.record(&parts, &Bytes::new());
    }
    assert_eq!((recorder.requests().len(), recorder.count()), (1_000, 1_100));
}

#[tokio::test]
async fn instructions_for_another_provider_are_not_followed() {
    let provider = Provider::start_named("a").unwrap();
    let url = format!("http://{}/v1/chat/completions", provider.address());
    let call = || Call::post(&url, &chat(&json!({})));
    call().told("status", 503).header("x-provider-at", "b,c").send().await.expect(200);
    call().told("status", 503).header("x-provider-at", "b, a").send().await.expect(503);
    call().told("status", 503).told("status.a", 429).told("status.b", 500).send().await.expect(429);
}

#[tokio::test]
async fn a_system_prompt_that_was_seen_is_cached_where_it_was_seen() {
    let (here, there) = (Provider::start_named("a").unwrap(), Provider::start_named("b").unwrap());
    let cached = async |provider: &Provider, prompt: &str| {
        let url = format!("http://{}/v1/chat/completions", provider.address());
        let body = json!({"model": "m", "messages": [{"role": "system", "content": prompt}, {"role": "user", "content": "x"}]});
        let answer = Call::post(&url, &body).told("prompt-cache", 1).send().await.expect(200).json();
        answer["usage"]["prompt_tokens_details"]["cached_tokens"].as_u64().unwrap()
    };
    assert_eq!(cached(&here, "12345678").await, 0);
    assert_eq!(cached(&here, "123456781234").await, 2);
    assert_eq!(cached(&here, "another one").await, 0);
    assert_eq!(cached(&there, "12345678").await, 0);
}

#[tokio::test]
async fn an_api_is_served_under_any_prefix() {
    let body = chat(&json!({}));
    ask("/openai/deployments/m/v1/chat/completions?api-version=1", body.clone(), &[]).await.expect(200);
    ask("/openai/deployments/m/chat/completions?api-version=1", body, &[]).await.expect(200);
}
