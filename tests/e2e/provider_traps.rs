//! A chain that lacks a part, a filter that traps, a configuration that changes under load: no call meets a wrong provider.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use futures_util::future::{join, join_all};
use serde_json::{Value, json};
use tollgate_tests::client::raw::{RawClient, chunk, post_chunked};
use tollgate_tests::client::{Answer, Call, MARK, unique};
use tollgate_tests::envoy::modules;
use tollgate_tests::gateway::{Gateway, Setup, wait_until};
use tollgate_tests::provider::record::Recorded;
use tollgate_tests::{on_own_envoys, trap};

use crate::provider_fleet::CHAT;
use crate::provider_outage::chat;

const CALLERS: usize = 8;
/// How long calls are made while a filter traps.
const RUN: Duration = Duration::from_secs(3);

/// Two pools, so that a wrong one would show; each of two providers with other names, paths and keys. `next` leads to `next`.
fn setup(next: &str) -> Setup {
    let provider = |name: &str| {
        json!({
            "url": "http://scripted",
            "credential": {"header": "x-api-key", "from_file": format!("key-{name}.yaml")},
            "models": {"one": format!("one-at-{name}"), "two": format!("two-at-{name}")},
            "paths": {"/v1": format!("/{name}/v1")},
            "headers": {"x-site": name},
        })
    };
    let pool = |names: [&str; 2]| json!({"priorities": [[names[0]], [names[1]]], "timeout": "20s"});
    Setup::default().providers(json!({
        "providers": {"a": provider("a"), "b": provider("b"), "c": provider("c"), "d": provider("d")},
        "pools": {"one": pool(["a", "b"]), "two": pool(["c", "d"])},
        "models": {"one": {"pool": "one"}, "two": {"pool": "two"}, "next": {"model": next}},
        "show_provider": true,
    }))
}

/// Who may be asked for a model.
fn served_by(model: &str) -> [&'static str; 2] {
    if model == "one" { ["a", "b"] } else { ["c", "d"] }
}

/// Fails unless what came to a provider was made for it, whole.
fn assert_fitted(gateway: &Gateway, name: &str, request: &Recorded) {
    let body: Value = serde_json::from_slice(&request.body).expect("a whole body");
    let model = body["model"].as_str().unwrap();
    let asked = model.split_once("-at-").unwrap_or_else(|| panic!("{model} at {name}")).0;
    assert_eq!(model, format!("{asked}-at-{name}"));
    assert!(served_by(asked).contains(&name), "{asked} at {name}");
    assert_eq!(request.path, format!("/{name}/v1/chat/completions"));
    let key = gateway.secrets.provider_key(&format!("key-{name}")).unwrap();
    assert_eq!(request.header("x-api-key"), Some(key.as_bytes()));
    assert_eq!(request.header("x-site"), Some(name.as_bytes()));
    assert_eq!(request.header("authorization"), None);
    assert!(!request.headers.iter().any(|(name, _)| name.starts_with("x-gateway-")), "{:?}", request.headers);
}

/// All that came to any provider; how many requests it was.
fn assert_all_fitted(gateway: &Gateway) -> usize {
    let sites = gateway.providers.iter();
    let all = sites.flat_map(|(name, site)| site.requests().into_iter().map(move |request| (name, request)));
    all.map(|(name, request)| assert_fitted(gateway, name, &request)).count()
}

on_own_envoys!(
    without_route_no_call_reaches_a_provider_and_the_answer_says_so,
    setup("one").without("tollgate.route"),
    async |gateway| {
        for model in ["one", "two", "next", "unknown"] {
            let answer = chat(gateway, model).header("x-gateway-pool", "one").send().await.expect(503);
            assert!(answer.text().contains("no pool of providers was chosen"), "{answer}");
            assert!(answer.json()["error"]["message"].is_string(), "{answer}");
        }
        let models = Call::get(&gateway.url("/v1/models")).bearer(&gateway.key("acme"));
        models.send().await.expect(503);
        assert_eq!(assert_all_fitted(gateway), 0);
    }
);

/// Sends a chat of a model in pieces.
async fn send_slowly(gateway: &Gateway, model: &str) -> u16 {
    let words = "many words ".repeat(10_000);
    let body = json!({"messages": [{"role": "user", "content": unique(&words)}], "model": model}).to_string();
    let bearer = format!("authorization: Bearer {}", gateway.key("acme"));
    let mark = format!("{MARK}: {}", unique("slow"));
    let mut client = RawClient::connect(gateway.envoy.gateway()).await;
    client.write(&post_chunked(CHAT, &[bearer.as_bytes(), mark.as_bytes()])).await;
    for piece in body.as_bytes().chunks(16 << 10) {
        client.write(&chunk(piece)).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    client.write(&chunk(b"")).await;
    client.read().await.map_or(0, |answer| answer.status)
}

on_own_envoys!(
    without_buffer_a_call_is_right_or_refused_and_never_wrong,
    setup("one").without("envoy.filters.http.buffer"),
    async |gateway| {
        let mut statuses = Vec::new();
        for model in ["one", "two", "next"] {
            statuses.push(chat(gateway, model).send().await.status);
            statuses.push(send_slowly(gateway, model).await);
        }
        eprintln!("without buffer: {statuses:?}, {} requests at providers", assert_all_fitted(gateway));
        assert!(statuses.iter().all(|status| matches!(status, 200 | 503)), "{statuses:?}");
    }
);

/// Modules of which that with route and adapt traps now and then.
fn trapping(callback: &'static str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("trapping-provider-{callback}"));
    std::fs::create_dir_all(&dir).unwrap();
    trap::copy_modules(&modules(), &dir, "provider", callback, 97);
    dir
}

static TRAPS_AT_HEADS: LazyLock<PathBuf> = LazyLock::new(|| trapping("proxy_on_request_headers"));
static TRAPS_AT_BODIES: LazyLock<PathBuf> = LazyLock::new(|| trapping("proxy_on_request_body"));

/// Calls of both models, half of which need a second attempt, while VMs die under them. Then all is well.
async fn traps_harm_nobody(gateway: &Gateway) {
    let is_over = Cell::new(false);
    let calls = join_all((0..CALLERS).map(async |at| {
        let mut statuses = Vec::new();
        while !is_over.get() {
            let model = if at % 2 == 0 { "one" } else { "two" };
            let call = chat(gateway, model).told("status.a", 500).told("status.d", 500);
            let Some(answer) = call.try_open().await else { continue };
            let answer = answer.rest().await;
            assert!(matches!(answer.status, 200 | 500 | 503), "{answer}");
            assert!(answer.status != 200 || is_right(model, &answer), "{answer}");
            statuses.push(answer.status);
        }
        statuses
    }));
    let time = async {
        tokio::time::sleep(RUN).await;
        is_over.set(true);
    };
    let statuses = join(calls, time).await.0.concat();
    let good = statuses.iter().filter(|status| **status == 200).count();
    eprintln!("{good} of {} calls answered, {} requests at providers", statuses.len(), assert_all_fitted(gateway));
    assert!(good > 0 && good < statuses.len(), "{statuses:?}");
    assert!(gateway.envoy.log().contains("unreachable"), "nothing trapped");
    wait_until("calls are answered again", async || {
        let answer = chat(gateway, "two").try_open().await;
        answer.is_some_and(|answer| answer.status == 200)
    })
    .await;
}

fn is_right(model: &str, answer: &Answer) -> bool {
    let provider = answer.header("x-gateway-provider").unwrap_or_default();
    answer.json()["model"] == format!("{model}-at-{provider}") && served_by(model).contains(&provider)
}

on_own_envoys!(a_trap_at_a_head_sends_nothing_unfitted, setup("one").filters(&TRAPS_AT_HEADS), traps_harm_nobody);

on_own_envoys!(a_trap_at_a_body_sends_nothing_unfitted, setup("one").filters(&TRAPS_AT_BODIES), traps_harm_nobody);

on_own_envoys!(a_push_under_load_loses_no_call, setup("one").pushed(), async |gateway| {
    let is_over = Cell::new(false);
    let calls = join_all((0..CALLERS).map(async |_| {
        let mut models = Vec::new();
        while !is_over.get() {
            let answer = chat(gateway, "next").send().await.expect(200);
            let model = if answer.json()["model"].as_str().unwrap().starts_with("one") { "one" } else { "two" };
            assert!(is_right(model, &answer), "{answer}");
            models.push(model);
        }
        models
    }));
    let changes = async {
        for next in ["two", "one", "two"] {
            tokio::time::sleep(Duration::from_millis(300)).await;
            gateway.push(&setup(next).pushed()).await;
        }
        // What is under way may still end by the old one.
        tokio::time::sleep(Duration::from_millis(300)).await;
        is_over.set(true);
    };
    let models = join(calls, changes).await.0;
    assert!(models.iter().all(|models| models.last() == Some(&"two")), "{models:?}");
    assert!(models.concat().contains(&"one"));
    assert!(assert_all_fitted(gateway) >= models.concat().len().min(1_000));
});
