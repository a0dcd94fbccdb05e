//! Every recorded answer through the filter, cut at every byte and byte by byte: what is charged and what the client sees do not
//! depend on the cut, whoever asked for usage, under a hard cap that is not hit or none.

use std::time::Duration;

use tollgate_budget::ledger::Terms;
use tollgate_core::{Usage, handoff};

use crate::fixture::{Recording, recordings};
use crate::gateway::{Gateway, estimated_input, tenant};

const UNITS: &[&str] = &["requests", "tokens", "input_tokens", "output_tokens", "usd"];
/// Enough to tell what was charged where tens of thousands of calls are made.
const TWO_UNITS: &[&str] = &["tokens", "usd"];
/// Dollars a million tokens are nano-dollars a thousandth of a token.
const PRICES: &str = r#""prices":{"*":{"input":"3","cached_input":"0.3","cache_write":"3.75","output":"15"}}"#;

/// One rule a unit. Nothing of a call is left a minute later.
fn config(units: &[&str], is_hard: bool) -> String {
    let rule = |unit: &&str| {
        let limit = if *unit == "usd" { r#""1000000""# } else { "1000000000" };
        let hard = is_hard && ["tokens", "output_tokens", "usd"].contains(unit);
        format!(
            r#"{{"name":"{unit}","unit":"{unit}","window":{{"rolling":"1s"}},"limit":{limit},"per":["tenant"],"hard_cap":{hard}}}"#
        )
    };
    format!(r#"{{"rules":[{}],{PRICES},"slots":64}}"#, units.iter().map(rule).collect::<Vec<_>>().join(","))
}

/// What is to be charged in a unit.
fn due(unit: &str, usage: &Usage) -> u64 {
    let plain = usage.input - usage.cached_input - usage.cache_write;
    let nano_dollars = plain * 3_000 + usage.cached_input * 300 + usage.cache_write * 3_750 + usage.output * 15_000;
    match unit {
        "requests" => 1,
        "tokens" => usage.input + usage.output,
        "input_tokens" => usage.input,
        "output_tokens" => usage.output,
        _ => nano_dollars,
    }
}

/// A gateway and how many calls went through it. Each call names a model of its own, of which nothing was learned.
struct Bench {
    units: &'static [&'static str],
    gateway: Gateway,
    terms: Vec<Terms>,
    calls: u64,
    shows_usage: bool,
}

impl Bench {
    fn all(units: &'static [&'static str]) -> Vec<Self> {
        let variants = [(false, false), (true, true), (false, true), (true, false)];
        let bench = |(is_hard, shows_usage)| {
            let gateway = Gateway::new(&config(units, is_hard));
            let terms = gateway.terms(&tenant("acme"), "m").into_iter().map(|(_, terms)| terms).collect();
            Self { units, gateway, terms, calls: 0, shows_usage }
        };
        variants.into_iter().map(bench).collect()
    }

    /// The answer in these pieces; `is_ended`: the provider ends it, else the client leaves after the last byte.
    fn check<'b>(
        &mut self,
        recording: &Recording,
        pieces: impl Iterator<Item = &'b [u8]>,
        is_ended: bool,
        place: &str,
    ) {
        self.calls += 1;
        self.gateway.wait(Duration::from_secs(60));
        let (model, who) = (format!("m{}", self.calls), tenant("acme"));
        let (path, request) = (recording.path(&model), recording.request(&model, self.shows_usage));
        let mut call = self.gateway.call(&who);
        let sent = call.request(&[(":method", "POST"), (":path", &path)], &request).unwrap();
        if recording.tells_usage_in_a_chunk() {
            let sent: serde_json::Value = serde_json::from_slice(&sent).unwrap();
            assert_eq!(sent["stream_options"]["include_usage"], true, "{place}");
        }
        call.response_headers(recording.head(), false);
        let mut seen: Vec<u8> = pieces.flat_map(|piece| call.response_chunk(piece, false)).collect();
        if is_ended {
            seen.extend(call.response_chunk(b"", true));
        }
        let mut usage = recording.usage;
        if usage.input == 0 {
            usage.input = estimated_input(&path, &request);
        }
        assert_eq!(handoff::usage(&call.handoff), Some(usage), "{place}: the record");
        call.log();
        // All rules are `per` tenant, so they keep the order of the configuration.
        let balances = self.terms.iter().map(|terms| self.gateway.balance(terms));
        let figures: Vec<_> = balances.map(|balance| (balance.used, balance.reserved)).collect();
        let due: Vec<_> = self.units.iter().map(|unit| (due(unit, &usage), 0)).collect();
        assert_eq!(figures, due, "{place}: used and reserved");
        let is_hidden = recording.tells_usage_in_a_chunk() && !self.shows_usage;
        let expected = if is_hidden { &recording.without_usage } else { &recording.body };
        assert!(seen == *expected, "{place}: the client sees {}", String::from_utf8_lossy(&seen));
    }
}

fn check_cut_anywhere(benches: &mut [Bench], recording: &Recording) {
    for at in 0..=recording.body.len() {
        // One and its opposite for OpenAI's streams; to all others it is the same who asked for usage.
        let first = at % 2;
        let variants = if recording.tells_usage_in_a_chunk() { vec![first * 2, first * 2 + 1] } else { vec![first] };
        for variant in variants {
            let (before, after) = recording.body.split_at(at);
            let place = format!("{} cut at {at}, variant {variant}", recording.name);
            benches[variant].check(recording, [before, after].into_iter(), true, &place);
        }
    }
}

#[test]
fn every_recording_in_two_pieces_cut_anywhere_is_charged_and_seen_alike() {
    let recordings = recordings();
    assert!(recordings.len() >= 35, "the recordings were found");
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for first in 0..threads {
            let own = recordings.iter().skip(first).step_by(threads);
            scope.spawn(move || {
                let mut benches = Bench::all(TWO_UNITS);
                own.for_each(|recording| check_cut_anywhere(&mut benches, recording));
            });
        }
    });
}

#[test]
fn every_recording_byte_by_byte_is_charged_and_seen_alike() {
    let mut benches = Bench::all(UNITS);
    for recording in &recordings() {
        for bench in &mut benches {
            bench.check(recording, recording.body.chunks(1), true, &format!("{} byte by byte", recording.name));
        }
    }
}

#[test]
fn a_client_that_leaves_after_the_last_byte_is_charged_alike() {
    // ai-gateway#2563, #2115: what was told only at the end of the stream never came for clients that had left by then.
    let mut benches = Bench::all(UNITS);
    for recording in recordings().iter().filter(|recording| recording.is_reported) {
        for bench in &mut benches {
            bench.check(recording, [&*recording.body].into_iter(), false, &recording.name);
        }
    }
}
