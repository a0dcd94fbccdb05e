//! All accounts, in a fixed set of shared-data slots, changed by compare-and-swap.
//!
//! Shared data can neither delete nor expire, so owners are hashed into slots and a slot whose account is idle may
//! change hands. An owner's slot is one of `PROBES` neighbours of its home: it takes the first that is free when it
//! has none. Slots name their owner, so owners of one hash never pay for each other; if all neighbours are busy with
//! others, that is an outcome ([`Fault::Exhausted`]) and not a merged budget.
//!
//! Every change is read, compute, write-if-unchanged, with bounded tries. Losing all of them is an outcome too. Should
//! a slot fall free in the very moment in which two workers seek a place for the same new owner, it may get two; the
//! one nearer home is used from then on, the other drains by itself. That is worth one reservation, once.

use std::cell::Cell;
use std::time::Duration;

use tollgate_core::Timestamp;
use tollgate_core::ports::{Expect, SharedStore};

use crate::account::{Account, Balance, Lease, Verdict};
use crate::codec::{self, Slot};
use crate::owner::Owner;
use crate::window::Window;

/// How many slots may hold an owner.
const PROBES: u64 = 16;
/// Tries to admit a call. Each lost one means that another worker got on.
const RESERVE_TRIES: u32 = 16;
/// Tries to settle one: more, since an unsettled reservation stays held until its lease ends.
const SETTLE_TRIES: u32 = 64;

/// An account and the terms that it is kept on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Whose account.
    pub owner: Owner,
    /// How it drains.
    pub window: Window,
    /// Its limit.
    pub limit: u64,
}

/// Why the ledger could not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// All slots that this owner may use are busy with others.
    Exhausted,
    /// Other workers were faster at every try.
    Contended,
}

/// All accounts of the process.
pub struct Ledger<'a> {
    store: &'a dyn SharedStore,
    slots: u32,
    conflicts: Cell<u64>,
}

/// An owner's place, as it was read.
struct Place {
    key: String,
    expect: Expect,
    account: Option<Account>,
}

impl<'a> Ledger<'a> {
    /// The ledger in a store of so many slots, at least `PROBES`.
    pub fn new(store: &'a dyn SharedStore, slots: u32) -> Self {
        Self { store, slots, conflicts: Cell::new(0) }
    }

    /// Writes that came too late so far, and were tried again.
    pub fn conflicts(&self) -> u64 {
        self.conflicts.get()
    }

    /// Tries to hold an amount for a call of at most `lease`. The balance is that after the decision.
    pub fn reserve(
        &self,
        terms: &Terms,
        now: Timestamp,
        amount: u64,
        lease: Duration,
    ) -> Result<(Verdict, Balance), Fault> {
        self.decide(terms, now, |account| account.reserve(amount, lease))
    }

    /// What [`Self::reserve`] would say, without holding anything.
    pub fn probe(&self, terms: &Terms, now: Timestamp, amount: u64) -> (Verdict, Balance) {
        let mut account = self.account(terms, now);
        let balance = account.balance();
        (account.reserve(amount, Duration::ZERO), balance)
    }

    /// Tries to hold more for a call that is under way.
    pub fn extend(
        &self,
        terms: &Terms,
        now: Timestamp,
        held: Lease,
        more: u64,
        lease: Duration,
    ) -> Result<(Verdict, Balance), Fault> {
        self.decide(terms, now, |account| account.extend(held, more, lease))
    }

    /// Ends a call. Without a lease (it was let through unreserved) it is charged all the same.
    pub fn settle(&self, terms: &Terms, now: Timestamp, lease: Option<Lease>, actual: u64) -> Result<(), Fault> {
        if lease.is_none_or(|lease| lease.amount == 0) && actual == 0 {
            return Ok(());
        }
        self.change(terms, now, SETTLE_TRIES, |account| {
            account.settle(lease, actual);
            ((), true)
        })
    }

    /// The owner's balance. An owner without a slot has spent nothing.
    pub fn balance(&self, terms: &Terms, now: Timestamp) -> Balance {
        self.account(terms, now).balance()
    }

    /// Reads a slot by its number, for a list of all accounts. `None`: nobody's.
    pub fn read<T>(&self, slot: u32, read: impl FnOnce(&Slot<'_>) -> T) -> Option<T> {
        let versioned = self.store.get(&self.key(u64::from(slot)))?;
        codec::decode(&versioned.value).as_ref().map(read)
    }

    /// Another number of slots is another ledger: an owner's place depends on it.
    fn key(&self, slot: u64) -> String {
        format!("tollgate.budget.{}.{slot}", self.slots)
    }

    fn account(&self, terms: &Terms, now: Timestamp) -> Account {
        let found = self.find(&terms.owner, now).and_then(|place| place.account);
        let mut account = account_on(terms, found);
        account.advance(now, terms.limit);
        account
    }

    fn decide(
        &self,
        terms: &Terms,
        now: Timestamp,
        mut decide: impl FnMut(&mut Account) -> Verdict,
    ) -> Result<(Verdict, Balance), Fault> {
        self.change(terms, now, RESERVE_TRIES, |account| {
            let before = account.holds;
            let verdict = decide(account);
            // What changes nothing cannot lose a race either.
            ((verdict, account.balance()), account.holds != before)
        })
    }

    fn change<T>(
        &self,
        terms: &Terms,
        now: Timestamp,
        tries: u32,
        mut change: impl FnMut(&mut Account) -> (T, bool),
    ) -> Result<T, Fault> {
        for _ in 0..tries {
            let place = self.find(&terms.owner, now).ok_or(Fault::Exhausted)?;
            // A new limit counts from now on, whatever becomes of this call: until it is written, time drains at the old one.
            let is_new_limit = place.account.is_some_and(|account| account.limit != terms.limit);
            let mut account = account_on(terms, place.account);
            account.advance(now, terms.limit);
            let (outcome, write) = change(&mut account);
            if !(write || is_new_limit)
                || self.store.put(&place.key, &codec::encode(&terms.owner, &account), place.expect)
            {
                return Ok(outcome);
            }
            self.conflicts.set(self.conflicts.get().saturating_add(1));
        }
        Err(Fault::Contended)
    }

    /// The owner's slot, else the first free one near its home.
    fn find(&self, owner: &Owner, now: Timestamp) -> Option<Place> {
        let mut free = None;
        let slots = u64::from(self.slots.max(1));
        for probe in 0..PROBES {
            let key = self.key((owner.home % slots + probe) % slots);
            let Some(versioned) = self.store.get(&key) else {
                // A slot never used ends the search: the owner would have taken it.
                return free.or(Some(Place { key, expect: Expect::Absent, account: None }));
            };
            let expect = Expect::Version(versioned.version);
            match codec::decode(&versioned.value) {
                Some(slot) if slot.belongs_to(owner) => {
                    return Some(Place { key, expect, account: Some(slot.account) });
                }
                Some(slot) if free.is_some() || !is_free(slot.account, now) => {}
                _ if free.is_some() => {}
                _ => free = Some(Place { key, expect, account: None }),
            }
        }
        free
    }
}

fn account_on(terms: &Terms, found: Option<Account>) -> Account {
    found.unwrap_or_else(|| Account::new(terms.window))
}

fn is_free(mut account: Account, now: Timestamp) -> bool {
    account.advance(now, account.limit);
    account.is_idle()
}

#[cfg(test)]
mod tests;
