//! What calls cost and what hits saved. The test leaves the records in the stead of budget and cache.

use tollgate_core::UsageRecord;

use super::*;

fn costing(usage: &Usage, cost_nanousd: Option<u64>) -> UsageRecord<'static> {
    UsageRecord { cost_nanousd, ..UsageRecord::from(usage) }
}

fn call(proxy: &Proxy, metrics: &Rc<Metrics>, record: &UsageRecord<'_>, status: &str) {
    let mut call = asked(metrics, proxy);
    handoff::set_usage(&mut call.handoff, record.clone());
    call.response(&[(":status", status), ("content-type", "application/json")], ANSWER);
    call.log();
}

fn cost(proxy: &Proxy) -> u64 {
    let labels = [("model", "gpt-4.1"), ("provider", "openai"), ("tenant", "none")];
    assert_eq!(proxy.meter.value(metric::COST, &labels), proxy.meter.total(metric::COST));
    proxy.meter.total(metric::COST)
}

fn unpriced(proxy: &Proxy) -> u64 {
    proxy.meter.value(metric::UNPRICED, &[("model", "gpt-4.1")])
}

#[test]
fn what_is_below_a_micro_dollar_is_carried_into_the_next_call() {
    let (proxy, metrics) = metrics();
    let shown: Vec<_> = [400, 400, 400, 0, 2_800]
        .map(|nanos| {
            call(&proxy, &metrics, &costing(&reported(9, 3), Some(nanos)), "200");
            cost(&proxy)
        })
        .into();
    assert_eq!(shown, [0, 0, 1, 1, 4]);
    assert_eq!(unpriced(&proxy), 0, "free is a price");
}

#[test]
fn tokens_without_a_price_are_told() {
    let (proxy, metrics) = metrics();
    call(&proxy, &metrics, &costing(&reported(9, 3), None), "200");
    call(&proxy, &metrics, &costing(&Usage::default(), None), "200");
    assert_eq!((cost(&proxy), unpriced(&proxy)), (0, 1), "what took no tokens needs no price");
}

#[test]
fn where_nobody_prices_calls_none_lacks_a_price() {
    let (proxy, metrics) = metrics();
    let mut call = asked(&metrics, &proxy);
    call.response(JSON_HEAD, ANSWER);
    call.log();
    assert_eq!(unpriced(&proxy), 0);
}

#[test]
fn an_estimate_for_a_failed_call_costs_nothing_and_lacks_no_price() {
    let (proxy, metrics) = metrics();
    for cost in [Some(5_000), None] {
        call(&proxy, &metrics, &costing(&Usage { input: 50, ..Usage::default() }, cost), "500");
    }
    assert_eq!((cost(&proxy), unpriced(&proxy)), (0, 0));
    call(&proxy, &metrics, &costing(&reported(50, 0), Some(5_000)), "500");
    assert_eq!(cost(&proxy), 5);
}

#[test]
fn a_hit_saves_what_the_stored_answer_cost() {
    let (proxy, metrics) = metrics();
    for _ in 0..2 {
        let mut call = asked(&metrics, &proxy);
        call.handoff.set(handoff::CACHE, CacheStatus::Hit.as_str().as_bytes());
        handoff::set_reply(&mut call.handoff, "cache");
        handoff::set_saved(&mut call.handoff, &costing(&reported(11, 7), Some(1_500)));
        call.response(JSON_HEAD, ANSWER);
        call.log();
    }
    let saved = ["input", "output"]
        .map(|kind| proxy.meter.value(metric::CACHE_SAVED_TOKENS, &[("type", kind), ("model", "gpt-4.1")]));
    assert_eq!(saved, [22, 14]);
    assert_eq!(proxy.meter.value(metric::CACHE_SAVED_COST, &[("model", "gpt-4.1")]), 3);
    assert_eq!((cost(&proxy), unpriced(&proxy), proxy.meter.total(metric::TOKENS)), (0, 0, 0));
}

#[test]
fn what_was_saved_counts_for_hits_only_and_tokens_without_a_price_save_no_money() {
    let (proxy, metrics) = metrics();
    let mut call = asked(&metrics, &proxy);
    handoff::set_saved(&mut call.handoff, &costing(&reported(11, 7), Some(1_500)));
    call.response(JSON_HEAD, ANSWER);
    call.log();
    assert_eq!(proxy.meter.total(metric::CACHE_SAVED_TOKENS), 0);
    let mut call = asked(&metrics, &proxy);
    call.handoff.set(handoff::CACHE, CacheStatus::Hit.as_str().as_bytes());
    handoff::set_saved(&mut call.handoff, &costing(&reported(11, 7), None));
    call.response(JSON_HEAD, ANSWER);
    call.log();
    assert_eq!(proxy.meter.total(metric::CACHE_SAVED_TOKENS), 18);
    assert_eq!(proxy.meter.total(metric::CACHE_SAVED_COST), 0);
}
