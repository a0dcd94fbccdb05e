//! One load under one policy, and what came of it.

use std::cmp::Reverse;
use std::collections::binary_heap::PeekMut;
use std::collections::{BTreeMap, BinaryHeap};

use serde::Serialize;
use tollgate_budget::account::Lease;
use tollgate_core::Timestamp;

use super::book::Book;
use super::load::{Call, Load};
use super::policy::{Estimator, Policy};

/// What a policy did with every call.
pub(crate) struct Run {
    policy: Policy,
    output_weight: u64,
    books: Vec<Book>,
    /// For each call what was reserved for its output; `None`: it was refused.
    admitted: Vec<Option<u64>>,
}

/// How a policy did with each kind of tenant, and over all: the worst overshoot, of the others the mean, in which each kind
/// counts alike, however many calls it makes.
#[derive(Serialize)]
pub(crate) struct Figures {
    policy: String,
    #[serde(flatten)]
    all: Row,
    tenants: BTreeMap<&'static str, Row>,
}

/// In percent, except for the last.
#[derive(Clone, Copy, Default, Serialize)]
struct Row {
    /// The most that any account was above its limit.
    overshoot: f64,
    /// The most that an account was above its limit, on average over the accounts.
    mean_overshoot: f64,
    /// How much of the time an account was above its limit.
    over_limit_time: f64,
    /// Calls refused, of all.
    refused: f64,
    /// Calls refused that the oracle admitted, of all that it admitted.
    false_rejects: f64,
    /// What was admitted, in the budget's unit, of what the oracle admitted.
    admitted: f64,
    /// Output reserved for a unit of output that came, over all admitted calls.
    reserved_to_used: f64,
}

impl Run {
    pub(crate) fn of(load: &Load, policy: Policy, output_weight: u64) -> Self {
        let limit = |limits: (u64, u64)| limits.0 + output_weight * limits.1;
        let books = load.accounts.iter().map(|account| Book::new(limit(account.limits))).collect();
        let mut run = Self { policy, output_weight, books, admitted: Vec::with_capacity(load.calls.len()) };
        let mut estimator = Estimator::new(policy, load.workers);
        let names: Vec<_> = (0..load.accounts.len()).map(|account| account.to_string()).collect();
        let tenant = |call: &Call| names.get(call.account).map_or("", String::as_str);
        let mut in_flight: BinaryHeap<Reverse<(Timestamp, usize, u64, Timestamp)>> = BinaryHeap::new();
        for (index, call) in load.calls.iter().enumerate() {
            while let Some(next) = in_flight.peek_mut().filter(|next| next.0.0 <= call.at) {
                let Reverse((end, ended, tokens, deadline)) = PeekMut::pop(next);
                let Some(ended) = load.calls.get(ended) else { continue };
                run.settle(ended, end, Lease { deadline, amount: tokens });
                estimator.learn(tenant(ended), ended);
            }
            let output = estimator.output(tenant(call), call);
            let lease = run.admit(call, output);
            run.admitted.push(lease.map(|_| output.unwrap_or(0)));
            in_flight
                .extend(lease.map(|lease| Reverse((call.at.plus(call.lasts), index, lease.amount, lease.deadline))));
        }
        run
    }

    fn cost(&self, call: &Call, output: u64) -> u64 {
        call.prompt + self.output_weight * output
    }

    fn admit(&mut self, call: &Call, output: Option<u64>) -> Option<Lease> {
        let cost = output.map(|output| self.cost(call, output));
        self.books.get_mut(call.account)?.admit(call.at, cost)
    }

    fn settle(&mut self, call: &Call, now: Timestamp, lease: Lease) {
        let cost = self.cost(call, call.output);
        if let Some(book) = self.books.get_mut(call.account) {
            book.settle(now, lease, cost);
        }
    }

    /// The most that was spent beyond a limit, in the budget's unit.
    pub(crate) fn overshoot(&self) -> u64 {
        self.books.iter().map(|book| book.highest_excess).max().unwrap_or(0)
    }

    /// Compares with what would have been right.
    pub(crate) fn against(&self, oracle: &Self, load: &Load) -> Figures {
        let is_of = |account: usize, name| load.accounts.get(account).is_some_and(|account| account.name == name);
        let mut names: Vec<_> = load.accounts.iter().map(|account| account.name).collect();
        names.dedup();
        let rows = names.into_iter().map(|name| (name, self.row(oracle, load, |account| is_of(account, name))));
        let tenants: BTreeMap<_, _> = rows.collect();
        Figures { policy: self.policy.to_string(), all: Row::mean(tenants.values().copied()), tenants }
    }

    fn row(&self, oracle: &Self, load: &Load, counts: impl Fn(usize) -> bool) -> Row {
        let mut sums = Sums::default();
        for ((call, mine), right) in load.calls.iter().zip(&self.admitted).zip(&oracle.admitted) {
            if counts(call.account) {
                sums.add(call, *mine, *right, self.cost(call, call.output));
            }
        }
        let books: Vec<_> = self.books.iter().enumerate().filter(|(account, _)| counts(*account)).collect();
        let seconds = load.calls.last().map_or(0.0, |call| call.at.as_nanos() as f64 / 1e9);
        let over = books.iter().map(|(_, book)| book.seconds_over).sum::<f64>();
        let excess = books.iter().map(|(_, book)| percent(book.highest_excess as f64, book.limit() as f64));
        let excess: Vec<_> = excess.collect();
        Row {
            overshoot: excess.iter().copied().fold(0.0, f64::max),
            mean_overshoot: excess.iter().sum::<f64>() / excess.len().max(1) as f64,
            over_limit_time: percent(over, seconds * books.len() as f64),
            refused: percent(sums.refused, sums.calls),
            false_rejects: percent(sums.false_rejects, sums.right),
            admitted: percent(sums.cost, sums.right_cost),
            reserved_to_used: sums.reserved / sums.used.max(1.0),
        }
    }
}

impl Row {
    fn mean(rows: impl ExactSizeIterator<Item = Self>) -> Self {
        let part = 1.0 / rows.len().max(1) as f64;
        rows.fold(Self::default(), |all, row| Self {
            overshoot: all.overshoot.max(row.overshoot),
            mean_overshoot: part.mul_add(row.mean_overshoot, all.mean_overshoot),
            over_limit_time: part.mul_add(row.over_limit_time, all.over_limit_time),
            refused: part.mul_add(row.refused, all.refused),
            false_rejects: part.mul_add(row.false_rejects, all.false_rejects),
            admitted: part.mul_add(row.admitted, all.admitted),
            reserved_to_used: part.mul_add(row.reserved_to_used, all.reserved_to_used),
        })
    }
}

#[derive(Default)]
struct Sums {
    calls: f64,
    refused: f64,
    right: f64,
    false_rejects: f64,
    cost: f64,
    right_cost: f64,
    reserved: f64,
    used: f64,
}

impl Sums {
    fn add(&mut self, call: &Call, mine: Option<u64>, right: Option<u64>, cost: u64) {
        self.calls += 1.0;
        if right.is_some() {
            self.right += 1.0;
            self.right_cost += cost as f64;
        }
        match mine {
            Some(reserved) => {
                self.cost += cost as f64;
                self.reserved += reserved as f64;
                self.used += call.output as f64;
            }
            None => {
                self.refused += 1.0;
                self.false_rejects += if right.is_some() { 1.0 } else { 0.0 };
            }
        }
    }
}

fn percent(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part * 100.0 / whole } else { 0.0 }
}
