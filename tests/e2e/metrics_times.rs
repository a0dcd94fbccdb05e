//! What the page says of time is what a client with a clock of its own sees.
//!
//! The client stands on the same machine, so both clocks should agree but for the way between them and for Envoy's bins: a value
//! is kept to two digits, which moves a sum by up to five per cent. `SLACK` is for machines that do other things meanwhile.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tollgate_tests::client::{Call, Streaming, unique};
use tollgate_tests::gateway::{Gateway, Setup, chat_body, merge};
use tollgate_tests::on_own_envoys;
use tollgate_tests::prometheus::sum;

use crate::metrics::{expect_observed, histogram, samples};

const CALLS: u32 = 5;
const WORDS: u32 = 20;
/// Between the role and the first word.
const THINK: Duration = Duration::from_millis(300);
/// Before each event, the role's included.
const PACE: Duration = Duration::from_millis(40);
const BINS: f64 = 0.05;
const SLACK: f64 = 0.1;

/// When something came to a client, in seconds after it began to call.
#[derive(Clone, Copy, Debug, Default)]
struct Heard {
    role: f64,
    first: f64,
    last: f64,
    end: f64,
}

async fn listen(mut answer: Streaming, began: Instant) -> Heard {
    let mut heard = Heard::default();
    while let Some(chunk) = answer.chunk().await {
        let now = began.elapsed().as_secs_f64();
        heard.end = now;
        if String::from_utf8_lossy(&chunk).contains(r#""role":"assistant""#) {
            heard.role = now;
        }
        if says_something(&chunk) {
            heard.last = now;
            heard.first = if heard.first == 0.0 { now } else { heard.first };
        }
    }
    heard
}

fn says_something(chunk: &[u8]) -> bool {
    let text = String::from_utf8_lossy(chunk);
    let events = text.lines().filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok());
    let mut words = events.filter_map(|event| Some(event["choices"][0]["delta"]["content"].as_str()?.to_owned()));
    words.any(|word| !word.is_empty())
}

fn slow(gateway: &Gateway) -> Call {
    let mut body = chat_body(&unique("prompt"));
    merge(&mut body, &json!({"stream": true, "stream_options": {"include_usage": true}}));
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap();
    let call = gateway.post("/v1/chat/completions", &body);
    call.told("words", WORDS.into()).told("think-ms", millis(THINK)).told("chunk-delay-ms", millis(PACE))
}

/// The mean of what a histogram observed of those calls, in seconds.
async fn mean(gateway: &Gateway, name: &str) -> f64 {
    expect_observed(gateway, name, &[("model", "gpt-4.1"), ("provider", "primary")], CALLS.into()).await;
    let (name, second) = histogram(gateway, name);
    sum(&samples(gateway).await, &format!("{name}_sum"), &[]) / second / f64::from(CALLS)
}

/// Lets clients listen and compares.
async fn clocks_agree(gateway: &Gateway) {
    let mut heard = Vec::new();
    for _ in 0..CALLS {
        let began = Instant::now();
        let answer = slow(gateway).open().await;
        heard.push(listen(answer, began).await);
    }
    let average = |of: fn(&Heard) -> f64| heard.iter().map(of).sum::<f64>() / f64::from(CALLS);
    let close = |told: f64, heard: f64, slack: f64| {
        assert!((told - heard).abs() <= heard * BINS + slack, "the page says {told} s, the client {heard} s");
    };
    close(mean(gateway, "gateway_request_duration").await, average(|heard| heard.end), SLACK);

    let told = mean(gateway, "gateway_time_to_first_token").await;
    close(told, average(|heard| heard.first), SLACK);
    let role = average(|heard| heard.role);
    assert!(role + THINK.as_secs_f64() * 0.9 < told, "the role came after {role} s and is no token: {told} s");

    let further = f64::from(WORDS - 1);
    let heard = average(|heard| heard.last - heard.first) / further;
    close(mean(gateway, "gateway_time_per_output_token").await, heard, SLACK / further);
}

on_own_envoys!(what_the_page_says_of_time_is_what_clients_see, async |gateway| clocks_agree(gateway).await);

on_own_envoys!(
    without_a_budget_filter_the_page_says_it_too,
    Setup::default().without("tollgate.budget"),
    async |gateway| clocks_agree(gateway).await
);

on_own_envoys!(
    what_has_no_first_token_is_not_in_the_histograms_of_tokens,
    Setup::default().without("tollgate.budget"),
    async |gateway| {
        gateway.chat(&unique("whole")).send().await.expect(200);
        gateway.chat_stream(&unique("failed")).told("status", 400).send().await.expect(400);
        let prompt = unique("stored");
        for _ in 0..2 {
            gateway.chat_stream(&prompt).send().await.expect(200);
        }
        gateway.expect_metric("gateway_cache_total", &[("result", "hit")], 1.0).await;
        expect_observed(gateway, "gateway_request_duration", &[], 4.0).await;
        expect_observed(gateway, "gateway_time_to_first_token", &[], 1.0).await;
    }
);
