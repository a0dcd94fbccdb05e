//! Two workers over one store, their calls, and the accounts as they must be.

use std::collections::HashMap;
use std::mem::{Discriminant, discriminant};
use std::time::Duration;

use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use tollgate_budget::account::Balance;
use tollgate_budget::ledger::Terms;
use tollgate_budget::rule::Mode;
use tollgate_core::{Identity, Usage, handoff, metric};

use super::calls::{ENDS, End, Open};
use crate::fixture::Recording;
use crate::gateway::Gateway;
use crate::model::{Account, Reservation};

const LEASE: Duration = Duration::from_secs(120);
/// All units, limits that are met and some that never are, a hard cap, a rule that only watches.
const CONFIG: &str = r#"{"rules":[
    {"name":"calls","unit":"requests","window":{"rolling":"10m"},"limit":4,"per":["credential"]},
    {"name":"kept","unit":"tokens","window":{"calendar":"day"},"limit":100000000,"limits":{"tenants":{"t1":90000}},"per":["tenant"]},
    {"name":"input","unit":"input_tokens","window":{"calendar":"hour"},"limit":90000,"per":["tenant","model"],"match":{"models":["*"]}},
    {"name":"money","unit":"usd","window":{"rolling":"31d"},"limit":"0.02","limits":{"tiers":{"gold":"900"}},"per":["tenant"]},
    {"name":"cap","unit":"output_tokens","window":{"rolling":"2m"},"limit":900,"per":["tenant"],"hard_cap":true},
    {"name":"watched","unit":"tokens","window":{"rolling":"10s"},"limit":400,"per":["tier"],"mode":"shadow"},
    {"name":"all","unit":"output_tokens","window":{"calendar":"week"},"limit":200000}
    ],
    "prices":{"m0":{"input":"1","output":"4"},"*":{"input":"3","cached_input":"0.3","cache_write":"3.75","output":"15"}},
    "lease":"2m","slots":4096,"output_estimate":{"cold":40,"min_samples":3}}"#;
/// Nothing of this rule's drains in the hours that a run takes.
const KEPT: &str = "kept";

/// One account as it must be.
struct Entry {
    account: Account,
    terms: Terms,
    rule: usize,
    /// The sum of all records.
    settled: u64,
}

pub(super) struct World<'r> {
    seed: u64,
    recordings: &'r [Recording],
    workers: [Gateway; 2],
    entries: HashMap<[u8; 16], Entry>,
    calls: Vec<Open<'r>>,
    ended: HashMap<Discriminant<End>, u32>,
    refused: u32,
    next_id: u64,
}

impl<'r> World<'r> {
    pub(super) fn new(seed: u64, recordings: &'r [Recording]) -> Self {
        let first = Gateway::new(CONFIG);
        let mut proxy = first.proxy.clone();
        let workers = [first, Gateway { budget: proxy.configure(CONFIG).unwrap(), proxy }];
        let (entries, calls, ended) = Default::default();
        Self { seed, recordings, workers, entries, calls, ended, refused: 0, next_id: 0 }
    }

    pub(super) fn open(&self) -> usize {
        self.calls.len()
    }

    pub(super) fn pass_time(&mut self, random: &mut ChaCha8Rng) {
        let millis = if random.random_range(0..60) == 0 { 150_000 } else { random.random_range(0..4_000) };
        self.workers.iter_mut().for_each(|worker| worker.wait(Duration::from_millis(millis)));
    }

    /// A call asks.
    pub(super) fn begin(&mut self, random: &mut ChaCha8Rng) {
        let recording = &self.recordings[random.random_range(0..self.recordings.len())];
        let number = random.random_range(0..9);
        let tier = [None, Some("gold".to_owned())][number % 2].clone();
        let credential_id = format!("k{}", random.random_range(0..2));
        let who = Identity { tenant: format!("t{number}"), credential_id, tier };
        let model = format!("m{}", random.random_range(0..3));
        let worker = &self.workers[random.random_range(0..2)];
        let body = recording.request(&model, random.random_range(0..2) == 0);
        let terms = worker.terms(&who, &model);
        let before = self.held(&terms);
        let mut call = worker.call(&who);
        // Other workers are faster, at times until nothing can be decided.
        let lost = [0, 0, 0, 3, 16][random.random_range(0..5)];
        worker.proxy.store.refuse_next(lost);
        let asked = call.request(&[(":method", "POST"), (":path", &recording.path(&model))], &body);
        worker.proxy.store.refuse_next(0);
        self.next_id += 1;
        let id = self.next_id;
        match asked {
            Ok(_) => {
                let mut open = Open::new(id, call, who, model, recording, End::any(random));
                let after = self.held(&terms);
                let unheld =
                    terms.iter().zip(before.iter().zip(after)).filter(|(_, (before, after))| *before == after);
                // Tokens are never estimated at nothing, so a rule that counts them holds what it admits.
                let shadows = unheld.filter(|((rule, _), _)| self.is_shadow(*rule)).map(|((rule, _), _)| *rule);
                open.refused_in_shadow = shadows.collect();
                self.attribute(&open, &terms, &before, "admitted");
                self.calls.push(open);
            }
            Err(reply) => {
                assert!(reply.status == 429 || (reply.status == 503 && lost >= 16), "{}", reply.status);
                self.refused += 1;
                assert_eq!(self.held(&terms), before, "seed {}: call {id} was refused and holds nothing", self.seed);
                self.compare(&terms, &format!("call {id} was refused"));
            }
        }
    }

    /// Something happens to one of the calls under way.
    pub(super) fn step(&mut self, random: &mut ChaCha8Rng) {
        let mut open = self.calls.swap_remove(random.random_range(0..self.calls.len()));
        let worker = &self.workers[0];
        open.call.proxy.now = worker.proxy.now;
        let terms = worker.terms(&open.who, &open.model);
        let before = self.held(&terms);
        if open.answer(random) {
            self.attribute(&open, &terms, &before, "answered");
            self.calls.push(open);
            return;
        }
        let place = format!("call {} of {} ended: {:?}", open.id, open.recording.name, open.end);
        *self.ended.entry(discriminant(&open.end)).or_default() += 1;
        if matches!(open.end, End::Dies { .. }) {
            // What it holds stays in the model until it lapses.
            drop(open);
            return self.compare(&terms, &place);
        }
        // Without an answer's head there is no record.
        let usage = handoff::usage(&open.call.handoff).unwrap_or_default();
        self.check_record(&open, &usage, &place);
        let is_lost = open.end == End::Unsettled;
        worker.proxy.store.refuse_next(if is_lost { u32::MAX } else { random.random_range(0..4) });
        open.call.log();
        open.call.log();
        worker.proxy.store.refuse_next(0);
        if !is_lost {
            self.settle(&open, &terms, &usage);
        }
        self.compare(&terms, &place);
    }

    /// What a record must say, as far as that can be known from outside.
    fn check_record(&self, open: &Open<'_>, usage: &Usage, place: &str) {
        let seed = self.seed;
        if !open.end.is_answered() {
            assert_eq!(usage.total(), 0, "seed {seed}: {place}");
        } else if open.end.is_whole() && open.recording.is_reported {
            assert_eq!(*usage, open.recording.usage, "seed {seed}: {place}");
        } else {
            assert!(usage.input > 0, "seed {seed}: {place}");
        }
    }

    fn settle(&mut self, open: &Open<'_>, all: &[(usize, Terms)], usage: &Usage) {
        let now = self.workers[0].proxy.now;
        for (rule, terms) in all.iter().filter(|(rule, _)| !open.refused_in_shadow.contains(rule)) {
            let unit = self.workers[0].budget.policy.rules[*rule].unit.as_str();
            let amount = amount(unit, usage, &open.model, open.end.is_answered());
            let entry = entry(&mut self.entries, *rule, terms);
            let mut account = entry.account.at(now, terms.limit);
            account.live.retain(|reservation| reservation.id != open.id);
            account.spent += account.parts(amount);
            entry.account = account;
            entry.settled += amount;
        }
    }

    fn is_shadow(&self, rule: usize) -> bool {
        self.workers[0].budget.policy.rules[rule].mode == Mode::Shadow
    }

    fn held(&self, terms: &[(usize, Terms)]) -> Vec<u64> {
        terms.iter().map(|(_, terms)| self.balance(terms).reserved).collect()
    }

    fn balance(&self, terms: &Terms) -> Balance {
        self.workers[0].balance(terms)
    }

    /// What is held more than before is held for this call.
    fn attribute(&mut self, open: &Open<'_>, all: &[(usize, Terms)], before: &[u64], what: &str) {
        let now = self.workers[0].proxy.now;
        for ((rule, terms), before) in all.iter().zip(before) {
            let after = self.balance(terms).reserved;
            if after == *before {
                continue;
            }
            assert!(after > *before, "seed {}: call {} was {what}: {before} held, then {after}", self.seed, open.id);
            let entry = entry(&mut self.entries, *rule, terms);
            let mut account = entry.account.at(now, terms.limit);
            let (deadline, _) = account.deadline(LEASE);
            match account.live.iter_mut().find(|reservation| reservation.id == open.id) {
                Some(reservation) => reservation.amount += after - before,
                None => account.live.push(Reservation { id: open.id, deadline, amount: after - before }),
            }
            entry.account = account;
        }
        self.compare(all, &format!("call {} was {what}", open.id));
    }

    /// Spent and live are the ledger.
    fn compare(&mut self, all: &[(usize, Terms)], place: &str) {
        let now = self.workers[0].proxy.now;
        for (rule, terms) in all {
            let balance = self.balance(terms);
            let account = entry(&mut self.entries, *rule, terms).account.at(now, terms.limit);
            let told = (u128::from(balance.used), balance.reserved, u128::from(balance.remaining));
            let name = &self.workers[0].budget.policy.rules[*rule].name;
            assert_eq!(told, account.figures(), "seed {}, `{name}`: {place}", self.seed);
        }
    }

    /// All calls are over and all leases have ended: what is used is the sum of the records.
    pub(super) fn check_end(&mut self) {
        self.workers.iter_mut().for_each(|worker| worker.wait(3 * LEASE));
        let all: Vec<_> = self.entries.values().map(|entry| (entry.rule, entry.terms.clone())).collect();
        self.compare(&all, "all calls have ended");
        for entry in self.entries.values() {
            let balance = self.balance(&entry.terms);
            assert_eq!(balance.reserved, 0, "seed {}", self.seed);
            if self.workers[0].budget.policy.rules[entry.rule].name == KEPT {
                assert_eq!(balance.used, entry.settled, "seed {}: the sum of the records", self.seed);
            }
        }
        for end in ENDS {
            let times = self.ended.get(&discriminant(&end)).copied().unwrap_or_default();
            assert!(times >= 10, "{end:?}: {times}");
        }
        assert!(self.refused >= 50, "{} refused", self.refused);
        for (decision, rule) in
            [("ended", "cap"), ("shadow_denied", "watched"), ("denied", "calls"), ("denied", "money")]
        {
            let times =
                self.workers[0].proxy.meter.value(metric::BUDGET, &[("decision", decision), ("rule_name", rule)]);
            assert!(times >= 1, "{decision} by {rule}: {times}");
        }
    }
}

fn entry<'e>(entries: &'e mut HashMap<[u8; 16], Entry>, rule: usize, terms: &Terms) -> &'e mut Entry {
    let account = || Account::new(terms.window);
    let new = || Entry { account: account(), terms: terms.clone(), rule, settled: 0 };
    entries.entry(terms.owner.digest).or_insert_with(new)
}

/// What is due in a unit. A dollar a million tokens is a thousand nano-dollars each.
fn amount(unit: &str, usage: &Usage, model: &str, is_answered: bool) -> u64 {
    match unit {
        "requests" => u64::from(is_answered),
        "tokens" => usage.input + usage.output,
        "input_tokens" => usage.input,
        "output_tokens" => usage.output,
        _ if model == "m0" => usage.input * 1_000 + usage.output * 4_000,
        _ => {
            let plain = usage.input - usage.cached_input - usage.cache_write;
            plain * 3_000 + usage.cached_input * 300 + usage.cache_write * 3_750 + usage.output * 15_000
        }
    }
}
