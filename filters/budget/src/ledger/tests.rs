use std::cell::RefCell;

use proptest::prelude::*;
use tollgate_core::ports::Versioned;
use tollgate_fakehost::FakeStore;

use super::*;
use crate::owner::{Dimension, OwnerSeed};
use crate::rule::Mode;
use crate::unit::Unit;

const LEASE: Duration = Duration::from_secs(600);
const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
const SLOTS: u32 = 16;

fn ledger(store: &dyn SharedStore) -> Ledger<'_> {
    Ledger::new(store, SLOTS)
}

fn terms(name: &str, limit: u64) -> Terms {
    let window = Window::Rolling(Duration::from_secs(60));
    let seed = OwnerSeed::new("tokens-per-minute", Unit::Tokens, window, Mode::Enforce);
    Terms { owner: seed.owner([(Dimension::Tenant, name)].into_iter()), window, limit }
}

fn granted(outcome: Result<(Verdict, Balance), Fault>) -> Lease {
    match outcome {
        Ok((Verdict::Granted(lease), _)) => lease,
        other => panic!("not granted: {other:?}"),
    }
}

/// Names of tenants that all look for their slot in one place first.
fn neighbours(count: usize) -> Vec<Terms> {
    let home = |terms: &Terms| terms.owner.home % u64::from(SLOTS);
    let all = (0..2_000).map(|i| terms(&format!("tenant-{i}"), 1_000));
    let chosen: Vec<_> = all.filter(|terms| home(terms) == 3).take(count).collect();
    assert_eq!(chosen.len(), count);
    chosen
}

type Interruption<'a> = Box<dyn FnOnce(&FakeStore) + 'a>;

/// A store in which others get on between a read and the write that follows it.
struct Racing<'a> {
    store: FakeStore,
    others: RefCell<Vec<Interruption<'a>>>,
}

impl SharedStore for Racing<'_> {
    fn get(&self, key: &str) -> Option<Versioned> {
        self.store.get(key)
    }

    fn put(&self, key: &str, value: &[u8], expect: Expect) -> bool {
        if let Some(other) = self.others.borrow_mut().pop() {
            other(&self.store);
        }
        self.store.put(key, value, expect)
    }
}

#[test]
fn workers_that_race_never_admit_more_than_the_limit() {
    // litellm#18730, ai-gateway#680: check and count must not be apart.
    let acme = terms("acme", 1_000);
    let store = Racing { store: FakeStore::default(), others: RefCell::default() };
    for _ in 0..7 {
        store.others.borrow_mut().push(Box::new(|store| {
            granted(ledger(store).reserve(&acme, NOW, 100, LEASE));
        }));
    }
    let mut own_grants = 0;
    while let (Verdict::Granted(_), _) = ledger(&store).reserve(&acme, NOW, 100, LEASE).unwrap() {
        own_grants += 1;
    }
    assert_eq!(own_grants, 3, "the others got seven of ten");
    assert_eq!(ledger(&store).balance(&acme, NOW).remaining, 0);
}

#[test]
fn losing_every_try_is_contended_and_nothing_is_held() {
    let (store, acme) = (FakeStore::default(), terms("acme", 1_000));
    store.refuse_next(RESERVE_TRIES);
    assert_eq!(ledger(&store).reserve(&acme, NOW, 1, LEASE), Err(Fault::Contended));
    assert_eq!(ledger(&store).balance(&acme, NOW).reserved, 0);
    store.refuse_next(RESERVE_TRIES - 1);
    granted(ledger(&store).reserve(&acme, NOW, 1, LEASE));
}

#[test]
fn settling_tries_harder_than_admitting() {
    let (store, acme) = (FakeStore::default(), terms("acme", 1_000));
    let lease = granted(ledger(&store).reserve(&acme, NOW, 500, LEASE));
    store.refuse_next(SETTLE_TRIES - 1);
    assert_eq!(ledger(&store).settle(&acme, NOW, Some(lease), 20), Ok(()));
    let balance = ledger(&store).balance(&acme, NOW);
    assert_eq!((balance.used, balance.reserved), (20, 0));
}

#[test]
fn tenants_of_one_hash_do_not_pay_for_each_other() {
    let (store, tenants) = (FakeStore::default(), neighbours(PROBES as usize));
    for (index, tenant) in tenants.iter().enumerate() {
        granted(ledger(&store).reserve(tenant, NOW, 100 + index as u64, LEASE));
    }
    for (index, tenant) in tenants.iter().enumerate() {
        assert_eq!(ledger(&store).balance(tenant, NOW).reserved, 100 + index as u64);
    }
    assert_eq!(store.keys(), PROBES as usize);
}

#[test]
fn a_full_neighbourhood_is_exhausted_until_one_of_it_is_idle() {
    let (store, tenants) = (FakeStore::default(), neighbours(PROBES as usize + 1));
    let (newcomer, settled) = (&tenants[PROBES as usize], &tenants[5]);
    let leases: Vec<_> = tenants[..PROBES as usize]
        .iter()
        .map(|tenant| granted(ledger(&store).reserve(tenant, NOW, 500, LEASE)))
        .collect();
    assert_eq!(ledger(&store).reserve(newcomer, NOW, 1, LEASE), Err(Fault::Exhausted));

    ledger(&store).settle(settled, NOW, Some(leases[5]), 500).unwrap();
    assert_eq!(ledger(&store).reserve(newcomer, NOW, 1, LEASE), Err(Fault::Exhausted), "spent is not idle");
    let drained = NOW.plus(Duration::from_secs(30));
    granted(ledger(&store).reserve(newcomer, drained, 1, LEASE));
    assert_eq!(ledger(&store).reserve(settled, drained, 1, LEASE), Err(Fault::Exhausted));
    assert_eq!(store.keys(), PROBES as usize, "the set of keys is fixed");
}

#[test]
fn a_late_settlement_finds_a_new_place_after_its_slot_changed_hands() {
    let (store, tenants) = (FakeStore::default(), neighbours(2));
    let lease = granted(ledger(&store).reserve(&tenants[0], NOW, 500, LEASE));
    let late = lease.deadline;
    granted(ledger(&store).reserve(&tenants[1], late, 1_000, LEASE));
    ledger(&store).settle(&tenants[0], late, Some(lease), 70).unwrap();
    assert_eq!(ledger(&store).balance(&tenants[0], late).used, 70);
    assert_eq!(ledger(&store).balance(&tenants[1], late).reserved, 1_000);
}

#[test]
fn a_raised_limit_drains_debt_from_the_first_call_on_that_is_refused() {
    let (store, poor) = (FakeStore::default(), terms("acme", 60));
    let rich = Terms { limit: 6_000, ..poor.clone() };
    ledger(&store).settle(&poor, NOW, None, 6_600).unwrap();
    let (Verdict::Later(wait), _) = ledger(&store).reserve(&rich, NOW, 100, LEASE).unwrap() else {
        panic!("there is debt")
    };
    assert_eq!(wait, Duration::from_secs(7), "700 tokens, at 100 a second and no longer at one");
    granted(ledger(&store).reserve(&rich, NOW.plus(wait), 100, LEASE));
}

#[test]
fn foreign_bytes_in_a_slot_are_an_empty_slot() {
    let (store, acme) = (FakeStore::default(), terms("acme", 1_000));
    for slot in 0..SLOTS {
        store.put(&format!("tollgate.budget.{SLOTS}.{slot}"), b"\x01not an account", Expect::Anything);
    }
    granted(ledger(&store).reserve(&acme, NOW, 10, LEASE));
    assert_eq!(ledger(&store).balance(&acme, NOW).reserved, 10);
}

proptest! {
    #[test]
    fn every_tenant_is_charged_what_it_owes_and_nothing_else(
        calls in prop::collection::vec((0usize..6, 1u64..50, 0u64..80, any::<bool>()), 1..200),
    ) {
        let store = FakeStore::default();
        let tenants: Vec<_> = (0..6).map(|i| terms(&format!("t{i}"), 1_000_000)).collect();
        let (mut used, mut reserved) = ([0; 6], [0; 6]);
        for (who, tokens, actual, ends) in calls {
            let lease = granted(ledger(&store).reserve(&tenants[who], NOW, tokens, LEASE));
            if ends {
                ledger(&store).settle(&tenants[who], NOW, Some(lease), actual).unwrap();
                used[who] += actual;
            } else {
                reserved[who] += tokens;
            }
        }
        for (who, tenant) in tenants.iter().enumerate() {
            let balance = ledger(&store).balance(tenant, NOW);
            prop_assert_eq!((balance.used, balance.reserved), (used[who], reserved[who]));
        }
    }
}
