//! How an attempt ended is counted once, written down, and a wish for patience is noted.

use std::time::Duration;

use tollgate_core::Timestamp;

use super::*;
use crate::cooling::Cooling;

fn chat() -> World {
    World::chat(r#"{"model":"gpt"}"#)
}

fn counted(world: &World, provider: &str, model: &str, status: &str) -> u64 {
    let labels = [("provider", provider), ("model", model), ("status", status)];
    world.proxy.meter.value("gateway_upstream_attempts_total", &labels)
}

fn cools(world: &World, provider: &str, name: &str) -> Option<Duration> {
    let until = Cooling::load(&world.proxy.store).until(provider, name, world.proxy.now)?;
    Some(until.since(world.proxy.now))
}

#[test]
fn attempts_are_counted_and_leave_a_trail() {
    let mut world = chat();
    let sent = world.attempt("openai").unwrap();
    world.answered(sent, "503", &[]);
    assert_eq!(world.trail(), "openai=503");
    let sent = world.attempt("azure").unwrap();
    world.unanswered(sent, Some("TLS_error:|268435581:SSL routines"));
    let sent = world.attempt("env").unwrap();
    world.unanswered(sent, Some("delayed connect error: Connection refused"));
    let sent = world.attempt("plain").unwrap();
    world.unanswered(sent, None);
    let sent = world.attempt("claude").unwrap();
    world.answered(sent, "200", &[]);
    assert_eq!(world.trail(), "openai=503 azure=tls env=connect plain=no_answer claude=200");
    for (provider, model, status) in [
        ("openai", "gpt", "503"),
        ("azure", "gpt", "no_answer"),
        ("env", "gpt", "no_answer"),
        ("plain", "gpt", "no_answer"),
        ("claude", "claude", "200"),
    ] {
        assert_eq!(counted(&world, provider, model, status), 1, "{provider}");
    }
    assert_eq!(world.proxy.meter.total("gateway_upstream_attempts_total"), 5);
}

#[test]
fn clients_cannot_make_series() {
    for index in 0..20 {
        let mut world = chat();
        let name = format!("invented-{index}");
        world.route(Some(&name), Some(&name));
        let sent = world.attempt("openai").unwrap();
        world.answered(sent, "999", &[]);
        assert_eq!(counted(&world, "openai", "other", "other"), 1);
        assert_eq!(world.proxy.meter.series(), 1);
    }
}

#[test]
fn what_the_provider_says_in_our_name_is_taken_out_and_nothing_else() {
    let mut world = chat();
    let sent = world.attempt("openai").unwrap();
    let headers =
        [("x-gateway-provider", "x"), ("x-ratelimit-limit", "1"), ("x-gateway-y", "z"), ("set-cookie", "c")];
    let left = world.answered(sent, "200", &headers);
    let names: Vec<_> = left.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, [":status", "x-ratelimit-limit", "set-cookie"]);
}

#[test]
fn a_provider_that_asks_for_patience_cools() {
    for (status, headers, expected) in [
        ("429", &[("retry-after", "20")][..], Some(20_000)),
        ("503", &[("retry-after", "20")], Some(20_000)),
        ("429", &[("retry-after-ms", "1500"), ("retry-after", "20")], Some(1_500)),
        ("429", &[("retry-after", "Tue, 24 Nov 2026 12:00:40 GMT")], Some(40_000)),
        ("429", &[("retry-after", "86400")], Some(3_600_000)),
        ("429", &[("retry-after", "soon")], None),
        ("429", &[], None),
        ("200", &[("retry-after", "20")], None),
        ("500", &[("retry-after", "20")], None),
    ] {
        let mut world = chat();
        let sent = world.attempt("env").unwrap();
        world.answered(sent, status, headers);
        assert_eq!(cools(&world, "env", "gpt/e").map(|after| after.as_millis()), expected, "{status} {headers:?}");
        assert_eq!((cools(&world, "env", "gpt"), cools(&world, "openai", "gpt/e")), (None, None));
    }
}

#[test]
fn a_provider_cools_for_the_model_that_ran() {
    let patience = [("retry-after", "20")];
    let mut world = chat();
    let sent = world.attempt("claude").unwrap();
    world.answered(sent, "429", &patience);
    assert!(cools(&world, "claude", "claude-4").is_some());
    let mut world = World::new(&[(":method", "GET"), (":path", "/v1/models"), (":authority", "g")], None);
    world.route(None, None);
    let sent = world.attempt("plain").unwrap();
    world.answered(sent, "429", &patience);
    assert!(cools(&world, "plain", "").is_some() && cools(&world, "plain", "gpt").is_none());
    world.proxy.now = Timestamp::from_nanos(world.proxy.now.as_nanos() + 20_000_000_000);
    assert!(cools(&world, "plain", "").is_none());
}

#[test]
fn an_end_is_told_once() {
    let mut world = chat();
    let mut sent = world.attempt("openai").unwrap();
    sent.call.log();
    sent.call.log();
    assert_eq!(counted(&world, "openai", "gpt", "no_answer"), 1);
}
