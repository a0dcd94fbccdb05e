use proxy_wasm::traits::{HttpContext, RootContext as _};
use tollgate_fakehost::abi;

use super::*;
use crate::root::Root;
use crate::testkit::Puppet;

const LABELS: &str = "filter=.=puppet;.;gateway_filter_duration_microseconds";

/// A root context whose clock goes a microsecond with each look.
fn root(order: &str) -> Root<Puppet> {
    let mut root = Root::new(1);
    abi::with(|abi| {
        abi.clock_step = 1_000;
        abi.buffers.insert(7, order.into());
    });
    assert!(root.on_configure(order.len()));
    root
}

fn recorded() -> Vec<(String, u64)> {
    let all = abi::with(|abi| abi.recorded.clone());
    all.into_iter().filter(|(stat, _)| stat.contains("duration")).collect()
}

fn looks_at_the_clock(run: impl FnOnce()) -> u64 {
    let before = abi::with(|abi| abi.now);
    run();
    (abi::with(|abi| abi.now) - before) / 1_000
}

fn all_phases(call: &mut dyn HttpContext) {
    call.on_http_request_headers(0, false);
    call.on_http_request_body(0, true);
    call.on_http_response_headers(0, false);
    call.on_http_response_body(0, true);
    call.on_log();
}

#[test]
fn all_phases_of_a_call_are_one_value_at_its_end() {
    let root = root("continue");
    let mut call = root.create_http_context(2).unwrap();
    all_phases(&mut *call);
    assert_eq!(recorded(), []);
    drop(call);
    assert_eq!(recorded(), [(LABELS.into(), 5)]);
}

#[test]
fn one_call_in_sixteen_is_measured_from_the_first_on() {
    let root = root("continue");
    for _ in 0..33 {
        root.create_http_context(2).unwrap().on_http_request_headers(0, true);
    }
    assert_eq!(recorded().len(), 3);
}

#[test]
fn only_a_call_that_is_measured_looks_at_the_clock_twice_a_phase() {
    let root = root("continue");
    for looks in [10, 5, 5] {
        let mut call = root.create_http_context(2).unwrap();
        assert_eq!(looks_at_the_clock(|| all_phases(&mut *call)), looks);
    }
}

#[test]
fn a_module_without_a_log_phase_is_measured_too() {
    let root = root("continue");
    root.create_http_context(2).unwrap().on_http_request_headers(0, true);
    assert_eq!(recorded(), [(LABELS.into(), 1)]);
}

#[test]
fn what_a_suspended_call_waited_is_no_time_of_the_filter() {
    let mut root = root("suspend");
    let mut call = root.create_http_context(2).unwrap();
    call.on_http_request_headers(0, true);
    abi::with(|abi| abi.now += 1_000_000_000);
    Puppet::decide("go");
    root.on_tick();
    drop(call);
    assert_eq!(recorded(), [(LABELS.into(), 2)], "its head and its waking");
}

#[test]
fn a_request_that_was_answered_in_front_is_no_call() {
    let root = root("continue");
    root.create_http_context(2).unwrap().on_log();
    assert_eq!(recorded(), []);
}

#[test]
fn parts_of_one_filter_are_told_apart() {
    abi::with(|abi| abi.properties.insert(b"plugin_root_id".to_vec(), b"adapt".to_vec()));
    let root = root("continue");
    root.create_http_context(2).unwrap().on_http_request_headers(0, true);
    assert_eq!(recorded(), [(LABELS.replace("puppet", "adapt"), 1)]);
}

#[test]
fn a_clock_that_was_set_back_takes_nothing_away() {
    let mut overhead = Sampler::new("puppet").next().unwrap();
    overhead.came();
    overhead.add(0, 7_400);
    overhead.add(9_000, 2_000);
    overhead.add(0, 100);
    drop(overhead);
    assert_eq!(recorded(), [(LABELS.into(), 8)], "to the nearest microsecond");
}
