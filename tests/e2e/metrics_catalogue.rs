//! METRICS.md lists what a driven gateway shows, and a driven gateway shows nothing else.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tollgate_tests::client::{Call, unique};
use tollgate_tests::envoy::repository;
use tollgate_tests::gateway::{Gateway, Setup, chat_body, merge, wait_until};
use tollgate_tests::key_server::KeyServer;
use tollgate_tests::on_own_envoys;

use crate::auth_remote::{CHAT, JWKS, jwks, pair, token};
use crate::metrics::{histogram, samples};

/// What cannot be called forth at will, and why.
const NOT_DRIVEN: [&str; 1] = [
    // Two workers must write to one account within microseconds of each other.
    "gateway_budget_conflicts_total",
];
/// What Envoy itself puts beside our labels: the edge of a bucket and, in 1.36, the cluster of an upstream filter.
const ENVOYS_OWN: [&str; 3] = ["le", "of_cluster", "envoy_cluster_name"];

/// Gauges are set every 10 seconds, and histograms flushed every 5.
const PATIENCE: Duration = Duration::from_secs(30);

/// A metric of METRICS.md.
struct Listed {
    kind: String,
    labels: Vec<String>,
}

/// METRICS.md by the names that a gateway shows.
fn listed(gateway: &Gateway) -> BTreeMap<String, Listed> {
    let text = fs::read_to_string(repository().join("filters/metrics/METRICS.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| `gateway_"));
    let metrics = rows.map(|line| {
        let cells: Vec<_> = line.split('|').map(|cell| cell.trim().replace('`', "")).collect();
        let (name, kind) = (cells[1].as_str(), cells[2].clone());
        let labels = cells[4].split(", ").filter(|label| !label.is_empty()).map(str::to_owned).collect();
        let shown = match name.strip_suffix("_seconds").filter(|_| kind == "histogram") {
            Some(stem) => histogram(gateway, stem).0,
            None => name.to_owned(),
        };
        (shown, Listed { kind, labels })
    });
    metrics.collect()
}

/// The metric that a sample is of.
fn metric_of<'a>(name: &'a str, listed: &BTreeMap<String, Listed>) -> &'a str {
    let mut parts = ["_bucket", "_sum", "_count"].iter().filter_map(|part| name.strip_suffix(part));
    parts.find(|stem| listed.get(*stem).is_some_and(|metric| metric.kind == "histogram")).unwrap_or(name)
}

/// Two providers, one slot for answers, one model without a price, and keys that a server has.
fn setup() -> Setup {
    let providers = json!({
        "providers": {"a": {"url": "http://scripted"}, "b": {"url": "http://scripted"}},
        "pools": {"default": {"priorities": [["a"], ["b"]]}},
        "models": {},
        "unknown_model": {"pool": "default"},
    });
    let remote = json!({"cluster": "keys", "url": format!("http://keys.example.com{JWKS}")});
    Setup::default()
        .providers(providers)
        .keys(KeyServer::start().unwrap())
        .config("auth", |config| config["jwt"]["issuers"][0]["jwks"] = json!({"remote": remote}))
        .config("budget", |config| {
            config["prices"] = json!({"gpt-4.1": {"input": "2.00", "output": "8.00"}});
            config["rules"].as_array_mut().unwrap().retain(|rule| rule["unit"] != "usd");
        })
        .config("cache", |config| config["slots"] = json!(1))
}

fn body(more: &Value) -> Value {
    let mut body = chat_body(&unique("prompt"));
    merge(&mut body, more);
    body
}

async fn drive(gateway: &Gateway) {
    let signed = pair("one");
    gateway.keys().set(JWKS, jwks(&[&signed]));
    let stored = body(&json!({}));
    for _ in 0..2 {
        gateway.post(CHAT, &stored).send().await.expect(200);
    }
    // Takes the place of that answer.
    gateway.post(CHAT, &body(&json!({}))).send().await.expect(200);
    gateway.post(CHAT, &body(&json!({"stream": true}))).told("chunk-delay-ms", 5).send().await.expect(200);
    gateway.post(CHAT, &body(&json!({"model": "unpriced"}))).send().await.expect(200);
    gateway.post(CHAT, &body(&json!({}))).told("status.a", 503).send().await.expect(200);
    let beyond = body(&json!({"max_tokens": 5}));
    gateway.post(CHAT, &beyond).told("words", 500).told("no-limit", 1).send().await.expect(200);
    // The server did not have the key when it was asked first.
    let is_known = async || {
        let call = Call::post(&gateway.url(CHAT), &body(&json!({}))).bearer(&token(&signed));
        call.send().await.status == 200
    };
    wait_until("the key is known", is_known).await;
    Call::post(&gateway.url(CHAT), &stored).send().await.expect(401);
}

on_own_envoys!(what_is_listed_is_shown_and_nothing_else, setup(), async |gateway| {
    drive(gateway).await;
    let listed = listed(gateway);
    assert!(listed.len() > 25, "METRICS.md was read");
    let missing = async || {
        let samples = samples(gateway).await;
        let shown: Vec<_> = samples.iter().map(|sample| metric_of(&sample.name, &listed)).collect();
        let wanted = listed.keys().map(String::as_str).filter(|name| !NOT_DRIVEN.contains(name));
        wanted.filter(|name| !shown.contains(name)).map(str::to_owned).collect::<Vec<_>>()
    };
    let deadline = Instant::now() + PATIENCE;
    while !missing().await.is_empty() {
        assert!(Instant::now() < deadline, "listed and not shown: {:?}", missing().await);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    for sample in samples(gateway).await {
        let name = metric_of(&sample.name, &listed);
        let metric = listed.get(name).unwrap_or_else(|| panic!("METRICS.md does not list {name}"));
        let is_known = |label: &str| metric.labels.iter().any(|known| known == label) || ENVOYS_OWN.contains(&label);
        assert!(
            sample.labels.iter().all(|(label, _)| is_known(label)),
            "{sample:?} is listed with {:?}",
            metric.labels
        );
    }
});
