//! Endpoints that asked to be left alone.

use std::time::Duration;

use super::*;
use crate::cooling::cool;

/// Somebody notes that a provider cools for a model, by its own name for it.
fn cools(worker: &Worker, provider: &str, name: &str, seconds: u64) {
    let now = worker.proxy.now;
    assert!(cool(&worker.proxy.store, provider, name, now.plus(Duration::from_secs(seconds)), now));
}

fn lane(call: &Call<ProviderStream>) -> Option<String> {
    call.handoff.0.get(handoff::LANE).map(|lane| String::from_utf8(lane.clone()).unwrap())
}

#[test]
fn endpoints_that_cool_are_left_out_for_that_model_alone() {
    let mut worker = Worker::new(&config());
    cools(&worker, "b", "gpt-4.1", 10);
    for (asked, expected) in [("gpt-4.1", Some("101")), ("smart", Some("101")), ("gpt-4.1-mini", None)] {
        let mut call = worker.call();
        assert!(ask(&mut call, asked).is_ok());
        assert_eq!(lane(&call).as_deref(), expected, "{asked}");
    }
    cools(&worker, "a", "gpt-4.1", 5);
    let mut call = worker.call();
    assert!(ask(&mut call, "gpt-4.1").is_ok());
    assert_eq!(lane(&call).as_deref(), Some("001"));
    worker.proxy.now = worker.proxy.now.plus(Duration::from_secs(5));
    let mut call = worker.call();
    assert!(ask(&mut call, "gpt-4.1").is_ok());
    assert_eq!(lane(&call).as_deref(), Some("101"), "what has passed counts no more");
}

#[test]
fn where_all_cool_the_caller_is_told_when_the_first_is_free() {
    let mut worker = Worker::new(&config());
    for (provider, seconds) in [("a", 30), ("b", 7), ("c", 60)] {
        cools(&worker, provider, "gpt-4.1", seconds);
    }
    worker.proxy.now = worker.proxy.now.plus(Duration::from_millis(1_500));
    let mut call = worker.call();
    let reply = call.request(&json_head(CHAT), &asking("gpt-4.1")).unwrap_err();
    assert_eq!(told(&reply), (429, "rate_limit_exceeded".into()));
    assert_eq!(header(&reply, "retry-after"), Some(&b"6"[..]), "rounded up");
    assert!(message(&reply).ends_with("Try again in 6s."), "{}", message(&reply));
    assert!(handoff::routing(&call.handoff).is_none() && call.route.0 == 0);
    assert_eq!(worker.count("gpt", "cooling"), 1);
    // Less than a second is one.
    worker.proxy.now = worker.proxy.now.plus(Duration::from_millis(5_499));
    let reply = worker.call().request(&json_head(CHAT), &asking("gpt-4.1")).unwrap_err();
    assert_eq!(header(&reply, "retry-after"), Some(&b"1"[..]));
    worker.proxy.now = worker.proxy.now.plus(Duration::from_millis(1));
    assert!(ask(&mut worker.call(), "gpt-4.1").is_ok());
}

#[test]
fn nobody_is_left_alone_for_longer_than_is_granted_now() {
    let mut worker = Worker::new(&config_with(&json!({"max_cooldown": "10s"})));
    for provider in ["a", "b", "c"] {
        cools(&worker, provider, "GPT-4.1", 3_600);
    }
    let reply = worker.call().request(&json_head(CHAT), &asking("gpt-4.1")).unwrap_err();
    assert_eq!(header(&reply, "retry-after"), Some(&b"10"[..]));
    let proxy = worker.proxy.clone();
    worker = Worker::new(&config_with(&json!({"max_cooldown": "0s"})));
    worker.proxy.store = proxy.store;
    assert!(ask(&mut worker.call(), "gpt-4.1").is_ok());
}

#[test]
fn a_pool_of_one_has_no_lane() {
    let worker = Worker::new(&config());
    let mut call = worker.call();
    assert!(ask(&mut call, "claude").is_ok());
    assert_eq!(lane(&call), None);
    cools(&worker, "c", "claude", 3);
    assert_eq!(ask(&mut worker.call(), "claude"), Err((429, "rate_limit_exceeded".into())));
    assert!(ask(&mut worker.call(), "claude-2").is_ok());
}

#[test]
fn a_providers_own_name_and_its_stand_in_are_what_cools() {
    let mut config = config();
    config["providers"]["a"]["models"] = json!({"gpt-4.1": "deployment-7"});
    config["providers"]["b"]["stand_ins"] = json!({"gpt-4.1": "mistral"});
    let worker = Worker::new(&config);
    cools(&worker, "a", "gpt-4.1", 9);
    cools(&worker, "b", "gpt-4.1", 9);
    let mut call = worker.call();
    assert!(ask(&mut call, "gpt-4.1").is_ok());
    assert_eq!(lane(&call), None);
    cools(&worker, "a", "deployment-7", 9);
    cools(&worker, "b", "mistral", 9);
    let mut call = worker.call();
    assert!(ask(&mut call, "gpt-4.1").is_ok());
    assert_eq!(lane(&call).as_deref(), Some("001"));
}

#[test]
fn a_pool_of_many_is_left_whole_until_all_of_it_cools() {
    let names: Vec<_> = (0..7).map(|n| format!("p{n}")).collect();
    let providers: serde_json::Map<_, _> =
        names.iter().map(|name| (name.clone(), json!({"url": "https://h"}))).collect();
    let worker = Worker::new(&json!({
        "providers": providers, "pools": {"all": {"priorities": [names]}}, "models": {"*": {"pool": "all"}},
    }));
    for name in &names[1..] {
        cools(&worker, name, "m", 9);
    }
    let mut call = worker.call();
    assert!(ask(&mut call, "m").is_ok());
    assert_eq!(lane(&call), None);
    cools(&worker, "p0", "m", 4);
    assert_eq!(ask(&mut worker.call(), "m"), Err((429, "rate_limit_exceeded".into())));
}

#[test]
fn requests_without_a_model_cool_by_themselves() {
    let worker = Worker::new(&config_with(&json!({"no_model": {"pool": "rest"}})));
    let head = [(":method", "GET"), (":path", "/v1/models")];
    cools(&worker, "d", "m", 9);
    assert_eq!(worker.call().request_headers(&head, true), Flow::Continue);
    cools(&worker, "d", "", 9);
    assert_eq!(told(&refused(worker.call().request_headers(&head, true))).0, 429);
}
