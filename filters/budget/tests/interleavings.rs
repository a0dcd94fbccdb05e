//! Admissions of two workers, interleaved in any way: between any read and its write the other worker may get on, whole calls of it.
//!
//! The promise: no rule ever admits a call that takes what is spent and held beyond its limit. Only what calls use beyond what was
//! held for them may. A schedule tells at which writes the other worker gets a turn, and what it does with it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail loudly, helpers included")]

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use proptest::prelude::*;
use tollgate_budget::admission::{Admission, Charge, Need, Outcome};
use tollgate_budget::config::Policy;
use tollgate_budget::ledger::{Ledger, Terms};
use tollgate_budget::subject::Subject;
use tollgate_budget::unit::Consumption;
use tollgate_core::ports::{Expect, SharedStore, Versioned};
use tollgate_core::{Identity, Timestamp, Usage};
use tollgate_fakehost::FakeStore;

const LEASE: Duration = Duration::from_secs(600);
const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
/// So many that none of these owners is another's neighbour: see `ledger.rs` for what a slot that falls free in a race is worth.
const SLOTS: u32 = 4_096;
const CONFIG: &str = r#"{"rules":[
    {"name":"all","unit":"tokens","window":{"calendar":"month"},"limit":500},
    {"name":"tenant","unit":"tokens","window":{"calendar":"month"},"limit":300,"per":["tenant"]},
    {"name":"calls","unit":"requests","window":{"calendar":"month"},"limit":6,"per":["tenant"]},
    {"name":"key","unit":"input_tokens","window":{"calendar":"month"},"limit":200,"per":["credential"]},
    {"name":"watched","unit":"tokens","window":{"calendar":"month"},"limit":100,"per":["tenant"],"mode":"shadow"}
]}"#;

/// What a worker does in a turn.
#[derive(Clone, Debug)]
enum Act {
    Ask {
        tenant: usize,
        tokens: u64,
    },
    /// Ends one of the calls under way; it used so many hundredths of what was asked for.
    End {
        which: prop::sample::Index,
        hundredths: u64,
    },
}

/// A call under way.
struct Call {
    charges: Vec<Charge>,
    tokens: u64,
}

/// What is spent and held, rule by rule and owner by owner, by the calls that were admitted and ended.
#[derive(Default)]
struct Book {
    calls: Vec<Call>,
    spent: HashMap<[u8; 16], u64>,
    /// Used beyond what was held.
    overrun: HashMap<[u8; 16], u64>,
    /// A rule was over its limit at an admission, and not by what calls used beyond what was held for them.
    overruns: bool,
    admitted: usize,
    refused: usize,
    undecided: usize,
}

struct World<'w> {
    policy: &'w Policy,
    store: FakeStore,
    book: RefCell<Book>,
    /// What the other worker does before the next writes of the first; empty: it has no turn there.
    turns: RefCell<VecDeque<Vec<Act>>>,
}

/// The store as the first worker sees it: before each of its writes the other one may have a turn.
struct Racing<'w>(&'w World<'w>);

impl SharedStore for Racing<'_> {
    fn get(&self, key: &str) -> Option<Versioned> {
        self.0.store.get(key)
    }

    fn put(&self, key: &str, value: &[u8], expect: Expect) -> bool {
        let turn = self.0.turns.borrow_mut().pop_front().unwrap_or_default();
        turn.iter().for_each(|act| self.0.act(&self.0.store, act));
        self.0.store.put(key, value, expect)
    }
}

impl World<'_> {
    fn act(&self, store: &dyn SharedStore, act: &Act) {
        match act {
            Act::Ask { tenant, tokens } => self.ask(store, *tenant, *tokens),
            Act::End { which, hundredths } => self.end(store, which, *hundredths),
        }
    }

    fn terms(&self, tenant: usize) -> Vec<(usize, Terms)> {
        let identity =
            Identity { tenant: format!("t{}", tenant % 2), credential_id: format!("k{tenant}"), tier: None };
        let subject = Subject { identity: &identity, model: Some("m"), other_models: &[], route: "" };
        let rules = self.policy.rules.iter().enumerate();
        rules.filter_map(|(at, rule)| Some((at, rule.terms(&subject)?))).collect()
    }

    fn ask(&self, store: &dyn SharedStore, tenant: usize, tokens: u64) {
        let need = consumption(tokens);
        let need = Need::of(need, None);
        let ledger = Ledger::new(store, SLOTS);
        let admission =
            Admission { rules: &self.policy.rules, ledger: &ledger, now: NOW, lease: LEASE, passes_undecided: false };
        let decision = admission.decide(self.terms(tenant), &need);
        let mut book = self.book.borrow_mut();
        match decision.outcome {
            Outcome::Admitted => {
                book.admitted += 1;
                let held = |charge: &Charge| self.within_limit(&book, charge.rule, &charge.terms);
                book.overruns |= !decision.charges.iter().all(held);
                book.calls.push(Call { charges: decision.charges, tokens });
            }
            Outcome::Refused(_) => book.refused += 1,
            Outcome::Undecided(_) => book.undecided += 1,
        }
    }

    fn end(&self, store: &dyn SharedStore, which: &prop::sample::Index, hundredths: u64) {
        let call = {
            let mut book = self.book.borrow_mut();
            if book.calls.is_empty() {
                return;
            }
            let at = which.index(book.calls.len());
            book.calls.swap_remove(at)
        };
        let used = consumption(call.tokens * hundredths / 100);
        for charge in &call.charges {
            let amount = self.policy.rules[charge.rule].unit.amount(&used, None);
            Ledger::new(store, SLOTS).settle(&charge.terms, NOW, charge.lease, amount).unwrap();
            let mut book = self.book.borrow_mut();
            let owner = charge.terms.owner.digest;
            *book.spent.entry(owner).or_default() += amount;
            *book.overrun.entry(owner).or_default() += amount.saturating_sub(charge.lease_or_none().amount);
        }
    }

    fn within_limit(&self, book: &Book, rule: usize, terms: &Terms) -> bool {
        let balance = Ledger::new(&self.store, SLOTS).balance(terms, NOW);
        let overrun = book.overrun.get(&terms.owner.digest).copied().unwrap_or_default();
        self.policy.rules[rule].name == "watched" || balance.used + balance.reserved <= terms.limit + overrun
    }

    /// What the ledger says at the end, and that nothing was ever admitted that did not fit.
    fn check(&self) -> Result<(), TestCaseError> {
        let book = self.book.borrow();
        let ledger = Ledger::new(&self.store, SLOTS);
        for (rule, terms) in (0..4).flat_map(|tenant| self.terms(tenant)) {
            let spent = book.spent.get(&terms.owner.digest).copied().unwrap_or_default();
            let charges = book.calls.iter().flat_map(|call| &call.charges);
            let own = charges.filter(|charge| charge.terms.owner == terms.owner);
            let held: u64 = own.map(|charge| charge.lease_or_none().amount).sum();
            let balance = ledger.balance(&terms, NOW);
            prop_assert_eq!((balance.used, balance.reserved), (spent, held), "{}", &self.policy.rules[rule].name);
        }
        prop_assert!(!book.overruns);
        Ok(())
    }
}

fn consumption(tokens: u64) -> Consumption {
    Consumption { requests: 1, usage: Usage { input: tokens, ..Usage::default() } }
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => (0_usize..4, 1_u64..120).prop_map(|(tenant, tokens)| Act::Ask { tenant, tokens }),
        2 => (any::<prop::sample::Index>(), 0_u64..150).prop_map(|(which, hundredths)| Act::End { which, hundredths }),
    ]
}

/// Acts of the first worker, and what the second does before each write of them.
fn schedule() -> impl Strategy<Value = (Vec<Act>, Vec<Vec<Act>>)> {
    let turn = prop_oneof![3 => Just(Vec::new()), 2 => prop::collection::vec(act(), 1..3)];
    (prop::collection::vec(act(), 1..25), prop::collection::vec(turn, 0..120))
}

fn run<'w>(policy: &'w Policy, acts: &[Act], turns: &[Vec<Act>]) -> World<'w> {
    let turns = RefCell::new(turns.iter().cloned().collect());
    let world = World { policy, store: FakeStore::default(), book: RefCell::default(), turns };
    acts.iter().for_each(|act| world.act(&Racing(&world), act));
    world
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_the_interleaving_no_rule_admits_more_than_its_limit((acts, turns) in schedule()) {
        let policy = Policy::parse(CONFIG.as_bytes()).unwrap();
        run(&policy, &acts, &turns).check()?;
    }
}

#[test]
fn the_schedules_race_admit_and_refuse() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let policy = Policy::parse(CONFIG.as_bytes()).unwrap();
    let mut runner = TestRunner::deterministic();
    let (mut admitted, mut refused, mut raced) = (0, 0, 0);
    for _ in 0..50 {
        let (acts, turns) = schedule().new_tree(&mut runner).unwrap().current();
        let world = run(&policy, &acts, &turns);
        let book = world.book.borrow();
        admitted += book.admitted;
        refused += book.refused;
        raced += turns.len() - world.turns.borrow().len();
    }
    assert!(admitted > 300 && refused > 100 && raced > 1_000, "{admitted}, {refused}, {raced}");
}
