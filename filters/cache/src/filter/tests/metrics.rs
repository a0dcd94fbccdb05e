//! What the cache tells of itself: what became of answers, how full it is, what a hit saved.

use tollgate_core::handoff::{Attempt, set_attempt};
use tollgate_core::{Filter as _, Usage, UsageSource};

use super::*;

impl World {
    fn stores(&self, result: &str) -> u64 {
        self.proxy.meter.value(metric::CACHE_STORES, &[("result", result)])
    }

    /// Entries and bytes as the gauges say after a tick of this worker.
    fn occupancy(&mut self) -> (u64, u64) {
        let filter = Rc::clone(&self.filter);
        self.proxy.tick(&*filter);
        (self.proxy.meter.value(metric::CACHE_ENTRIES, &[]), self.proxy.meter.value(metric::CACHE_BYTES, &[]))
    }
}

/// What an answer takes in its slot.
fn bytes_of(head: &[(&str, &str)], answer: &str) -> u64 {
    (crate::entry::OVERHEAD + head[1].1.len() + answer.len()) as u64
}

#[test]
fn what_became_of_each_answer_that_was_wanted_is_counted_once() {
    let world = World::new(r#"{"max_entry_bytes":1024}"#);
    let asked = |n: usize| QUESTION.replace("Hi", &format!("Hi {n}"));
    let long = ANSWER.replace("Hello", &"x".repeat(2_000));
    let limited = ANSWER.replace("stop", "length");
    let private = [JSON_HEAD, &[("cache-control", "private")]].concat();
    let failed = [(":status", "500"), ("content-type", "application/json")];
    let cases = [
        (JSON_HEAD, ANSWER, "stored"),
        (&failed[..], "{}", "not_cacheable"),
        (&failed[..], "", "not_cacheable"),
        (&private[..], ANSWER, "not_cacheable"),
        (JSON_HEAD, &*long, "too_large"),
        (JSON_HEAD, &*limited, "incomplete"),
        (JSON_HEAD, "", "incomplete"),
    ];
    for (n, (head, answer, result)) in cases.into_iter().enumerate() {
        let before = world.stores(result);
        world.answered(&[], &asked(n), head, answer);
        assert_eq!(world.stores(result), before + 1, "{result}: {answer}");
    }
    let mut call = world.ask(CHAT, &[], QUESTION).unwrap();
    set_attempt(&mut call.handoff, &Attempt { provider: "p".into(), model: Some("m".into()), stands_in: true });
    call.response(JSON_HEAD, ANSWER.as_bytes());
    assert_eq!(world.stores("stand_in"), 1);
    assert_eq!(world.proxy.meter.total(metric::CACHE_STORES), 8);
}

#[test]
fn what_was_not_wanted_or_never_ended_is_not_counted() {
    let world = World::new("{}");
    world.answered(&[("x-gateway-cache", "bypass")], QUESTION, JSON_HEAD, ANSWER);
    let mut cut = world.ask(CHAT, &[], QUESTION).unwrap();
    cut.response_headers(JSON_HEAD, false);
    cut.response_chunk(ANSWER.as_bytes(), false);
    cut.log();
    assert_eq!(world.proxy.meter.total(metric::CACHE_STORES), 0);
    world.answered(&[("x-gateway-cache", "refresh")], QUESTION, JSON_HEAD, ANSWER);
    assert_eq!(world.stores("stored"), 1, "a fresh answer is wanted");
    world.ask(CHAT, &[], QUESTION).expect_err("a hit");
    assert_eq!(world.proxy.meter.total(metric::CACHE_STORES), 1);
}

#[test]
fn gauges_tell_within_ten_seconds_what_lies_in_the_slots_expired_or_not() {
    let mut world = World::new(r#"{"ttl":"60s"}"#);
    assert_eq!(world.filter.pace(), Some(std::time::Duration::from_secs(10)));
    assert_eq!(world.occupancy(), (0, 0));
    world.answered(&[], QUESTION, JSON_HEAD, ANSWER);
    assert_eq!(world.occupancy(), (1, bytes_of(JSON_HEAD, ANSWER)));
    let longer = ANSWER.replace("Hello", "Hello there");
    world.answered(&[("cache-control", "no-cache")], QUESTION, JSON_HEAD, &longer);
    assert_eq!(world.occupancy(), (1, bytes_of(JSON_HEAD, &longer)), "the fresh one stands in its place");
    world.answered(&[], &QUESTION.replace("Hi", "Bye"), JSON_HEAD, ANSWER);
    world.step(600);
    assert_eq!(world.occupancy(), (2, bytes_of(JSON_HEAD, ANSWER) + bytes_of(JSON_HEAD, &longer)));
    assert_eq!(World::new(r#"{"mode":"off"}"#).filter.pace(), None);
}

#[test]
fn an_answer_that_goes_for_another_before_it_expired_is_an_eviction() {
    let mut world = World::new(r#"{"slots":1,"ttl":"60s"}"#);
    world.answered(&[], QUESTION, JSON_HEAD, ANSWER);
    world.answered(&[("cache-control", "no-cache")], QUESTION, JSON_HEAD, ANSWER);
    assert_eq!(world.proxy.meter.total(metric::CACHE_EVICTIONS), 0);
    world.answered(&[], &QUESTION.replace("Hi", "Bye"), JSON_HEAD, ANSWER);
    assert_eq!(world.proxy.meter.total(metric::CACHE_EVICTIONS), 1);
    world.step(60);
    world.answered(&[], QUESTION, JSON_HEAD, ANSWER);
    assert_eq!(world.proxy.meter.total(metric::CACHE_EVICTIONS), 1, "it had expired");
    assert_eq!(world.occupancy(), (1, bytes_of(JSON_HEAD, ANSWER)));
}

#[test]
fn a_worker_that_begins_anew_and_another_number_of_slots_go_on_with_what_is_there() {
    let mut world = World::new("{}");
    world.answered(&[], QUESTION, JSON_HEAD, ANSWER);
    assert_eq!(world.worker().occupancy(), (1, bytes_of(JSON_HEAD, ANSWER)));
    world.filter = world.proxy.configure(r#"{"slots":1}"#).unwrap();
    world.answered(&[], &QUESTION.replace("Hi", "Bye"), JSON_HEAD, ANSWER);
    let (entries, bytes) = world.occupancy();
    assert_eq!(bytes, entries * bytes_of(JSON_HEAD, ANSWER));
    // In the same slot by chance, or in another one.
    assert!((1..=2).contains(&entries));
    assert_eq!(world.proxy.store.keys() as u64, entries + 1);
}

#[test]
fn what_another_layout_left_in_a_slot_was_never_counted() {
    use tollgate_core::ports::{Expect, SharedStore};
    let mut world = World::new(r#"{"slots":1}"#);
    world.proxy.store.put("tollgate.cache.0", &[1; 400], Expect::Anything);
    assert_eq!(world.stored(), None);
    world.answered(&[], QUESTION, JSON_HEAD, ANSWER);
    assert_eq!(world.occupancy(), (1, bytes_of(JSON_HEAD, ANSWER)));
    assert_eq!(world.proxy.meter.total(metric::CACHE_EVICTIONS), 0);
}

#[test]
fn a_hit_leaves_what_the_answer_cost_and_nothing_else_does() {
    let world = World::new("{}");
    let first = world.answered(&[], QUESTION, JSON_HEAD, ANSWER);
    assert_eq!(handoff::saved(&first.handoff), None);
    let mut hit = world.call(Some("acme"));
    hit.request(&head(CHAT), QUESTION.as_bytes()).expect_err("a hit");
    let expected = Usage { input: 9, output: 2, source: UsageSource::Reported, ..Usage::default() };
    assert_eq!(handoff::saved(&hit.handoff).map(|saved| saved.usage), Some(expected));
}

#[test]
fn what_the_provider_did_not_tell_is_estimated_in_what_was_saved() {
    let world = World::new("{}");
    let silent = STREAM.replace(r#""usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}"#, r#""x":0"#);
    world.answered(&[], QUESTION, SSE_HEAD, &silent);
    let mut hit = world.call(Some("acme"));
    hit.request(&head(CHAT), QUESTION.as_bytes()).expect_err("a hit");
    let expected = Usage { input: 0, output: 2, ..Usage::default() };
    assert_eq!(handoff::saved(&hit.handoff).map(|saved| saved.usage), Some(expected));
}
