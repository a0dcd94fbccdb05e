//! Nothing is lost where calls end badly, and nothing grows where callers wish it did.

use std::collections::BTreeSet;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream;
use serde_json::json;
use tollgate_tests::client::raw::{flood, post};
use tollgate_tests::client::unique;
use tollgate_tests::gateway::{Gateway, Setup, wait_until};
use tollgate_tests::on_own_envoys;
use tollgate_tests::prometheus::Sample;

use crate::budget_load::records;
use crate::metrics::{expect_observed, samples};

const CHAT: &str = "/v1/chat/completions";
const ABORTED: u32 = 1_000;
const RANDOM_NAMES: usize = 100_000;
const CONNECTIONS: usize = 32;
/// Those that make what series there are.
const FIRST: usize = 100;

/// A stream that its client leaves: at once, at some word, or when the last one came. How many words came.
async fn abandoned(gateway: &Gateway, number: u32) -> usize {
    let call = gateway.chat_stream(&unique("prompt")).told("words", 30).told("chunk-delay-ms", 3);
    let mut answer = call.open().await;
    assert_eq!(answer.status, 200);
    let (leaves_at, mut words) = (number % 31, 0);
    while words < leaves_at as usize {
        let chunk = answer.chunk().await.unwrap_or_else(|| panic!("the stream ended after {words} words"));
        words += String::from_utf8_lossy(&chunk).matches(r#""delta":{"content":""#).count();
    }
    words
}

on_own_envoys!(a_thousand_streams_that_clients_left_are_a_thousand_calls, async |gateway| {
    let words: usize = stream::iter(0..ABORTED)
        .map(|number| abandoned(gateway, number))
        .buffer_unordered(40)
        .fold(0, async |sum, words| sum + words)
        .await;
    let labels = [("route", "models"), ("model", "gpt-4.1"), ("provider", "primary"), ("status", "200")];
    gateway.expect_metric("gateway_requests_total", &labels, ABORTED.into()).await;
    gateway.expect_metric("gateway_tenant_requests_total", &[("tenant", "acme")], ABORTED.into()).await;
    expect_observed(gateway, "gateway_request_duration", &labels, ABORTED.into()).await;
    gateway.expect_metric("gateway_requests_total", &[], ABORTED.into()).await;

    // The access log is written from the same record, budget charges by it, and nobody counts less than what was received.
    let logged = async || records(gateway).len() == ABORTED as usize;
    wait_until("every call is in the access log", logged).await;
    let all = records(gateway);
    let (input, output) =
        all.values().fold((0, 0), |(input, output), call| (input + call.input, output + call.output));
    gateway.expect_metric("gateway_tokens_total", &[("type", "input")], input as f64).await;
    gateway.expect_metric("gateway_tokens_total", &[("type", "output")], output as f64).await;
    gateway.expect_metric("gateway_budget_tokens_settled_total", &[], (input + output) as f64).await;
    assert!(output as usize >= words, "{output} tokens for {words} words that clients received");
});

/// Requests of one connection, each for a model of its own.
fn asking_for_random_models(gateway: &Gateway, connection: usize) -> Vec<Vec<u8>> {
    let key = format!("authorization: Bearer {}", gateway.key("acme"));
    let request = |number: usize| {
        let model = format!("model-{connection}-{number}-{:016x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        post(CHAT, &[key.as_bytes()], format!(r#"{{"model":"{model}","messages":[]}}"#).as_bytes())
    };
    (0..RANDOM_NAMES / CONNECTIONS).map(request).collect()
}

/// All series, and those of them that have a model.
fn series(samples: &[Sample]) -> (usize, BTreeSet<String>) {
    let of_models = samples.iter().filter(|sample| sample.label("model").is_some());
    (samples.len(), of_models.map(|sample| format!("{}{:?}", sample.name, sample.labels)).collect())
}

on_own_envoys!(
    a_hundred_thousand_random_model_names_add_no_series,
    // Refused when they are whole, so that the provider need not answer so many and connections stay open.
    Setup::default().config("budget", |config| {
        let window = json!({"calendar": "day"});
        config["rules"] =
            json!([{"name": "one", "unit": "requests", "window": window, "per": ["tenant"], "limit": 1}]);
    }),
    async |gateway| {
        let address = gateway.envoy.gateway();
        let first = asking_for_random_models(gateway, CONNECTIONS);
        flood(address, &first[..FIRST]).await;
        expect_observed(gateway, "gateway_request_duration", &[("model", "other")], FIRST as f64).await;
        let before = series(&samples(gateway).await);

        let requests: Vec<_> =
            (0..CONNECTIONS).map(|connection| asking_for_random_models(gateway, connection)).collect();
        let floods = requests.iter().map(|requests| flood(address, requests));
        let answered: usize = join_all(floods).await.iter().sum();
        assert_eq!(answered, RANDOM_NAMES);
        let all = (RANDOM_NAMES + FIRST) as f64;
        gateway.expect_metric("gateway_requests_total", &[("model", "other")], all).await;
        expect_observed(gateway, "gateway_request_duration", &[("model", "other")], all).await;
        let after = series(&samples(gateway).await);
        assert_eq!(after.1, before.1);
        // Workers that meet at an account, and the account itself, may show for the first time.
        assert!(after.0 < before.0 + 10, "{} series were {}", after.0, before.0);
    }
);
