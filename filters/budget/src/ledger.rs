//! All accounts, in a fixed set of shared-data slots, changed by compare-and-swap.
//!
//! Shared data can neither delete nor expire, so tenants are hashed into slots and a slot whose account is idle may
//! change hands. A tenant's slot is one of `PROBES` neighbours of its home: it takes the first that is free when it
//! has none. Slots name their owner, so tenants of one hash never pay for each other; if all neighbours are busy with
//! other tenants, that is an outcome ([`Fault::Exhausted`]) and not a merged budget.
//!
//! Every change is read, compute, write-if-unchanged, with bounded tries. Losing all of them is an outcome too. Should
//! a slot fall free in the very moment in which two workers seek a place for the same new tenant, it may get two; the
//! one nearer home is used from then on, the other drains by itself. That is worth one reservation, once.

use std::time::Duration;

use tollgate_core::Timestamp;
use tollgate_core::ports::{Expect, SharedStore};

use crate::account::{Account, Balance, Lease, Verdict};
use crate::codec::{self, TenantId};

/// How many slots may hold a tenant.
const PROBES: u64 = 8;
/// Tries to admit a call. Each lost one means that another worker got on.
const RESERVE_TRIES: u32 = 16;
/// Tries to settle one: more, since an unsettled reservation stays held until its lease ends.
const SETTLE_TRIES: u32 = 64;

/// Who is charged, and at which limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payer {
    /// Whose account.
    pub tenant: TenantId,
    /// Tokens a minute.
    pub limit: u64,
}

/// Why the ledger could not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// All slots that this tenant may use are busy with other tenants.
    Exhausted,
    /// Other workers were faster at every try.
    Contended,
}

impl Fault {
    /// The `decision` label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exhausted => "exhausted",
            Self::Contended => "contended",
        }
    }
}

/// All accounts of the process.
#[derive(Clone, Copy)]
pub struct Ledger<'a> {
    /// Where they are kept.
    pub store: &'a dyn SharedStore,
    /// How many slots there are; at least `PROBES`.
    pub slots: u32,
}

/// A tenant's place, as it was read.
struct Place {
    key: String,
    expect: Expect,
    account: Account,
}

impl Ledger<'_> {
    /// Tries to hold tokens for a call of at most `lease`. The balance is that after the decision.
    pub fn reserve(
        &self,
        payer: &Payer,
        now: Timestamp,
        tokens: u64,
        lease: Duration,
    ) -> Result<(Verdict, Balance), Fault> {
        self.change(payer, now, RESERVE_TRIES, |account| {
            let verdict = account.reserve(tokens, lease);
            // A refusal changes nothing, so it cannot lose a race either.
            let write = matches!(verdict, Verdict::Granted(_));
            ((verdict, account.balance()), write)
        })
    }

    /// Ends a call. Without a lease (it was let through unreserved) it is charged all the same.
    pub fn settle(&self, payer: &Payer, now: Timestamp, lease: Option<Lease>, actual: u64) -> Result<(), Fault> {
        if lease.is_none() && actual == 0 {
            return Ok(());
        }
        self.change(payer, now, SETTLE_TRIES, |account| {
            account.settle(lease, actual);
            ((), true)
        })
    }

    /// The tenant's balance. A tenant without a slot has spent nothing.
    pub fn balance(&self, payer: &Payer, now: Timestamp) -> Balance {
        let mut account = self.find(&payer.tenant, now).map(|place| place.account).unwrap_or_default();
        account.advance(now, payer.limit);
        account.balance()
    }

    fn change<T>(
        &self,
        payer: &Payer,
        now: Timestamp,
        tries: u32,
        mut change: impl FnMut(&mut Account) -> (T, bool),
    ) -> Result<T, Fault> {
        for _ in 0..tries {
            let mut place = self.find(&payer.tenant, now).ok_or(Fault::Exhausted)?;
            place.account.advance(now, payer.limit);
            let (outcome, write) = change(&mut place.account);
            if !write || self.store.put(&place.key, &codec::encode(&payer.tenant, &place.account), place.expect) {
                return Ok(outcome);
            }
        }
        Err(Fault::Contended)
    }

    /// The tenant's slot, else the first free one near its home.
    fn find(&self, tenant: &TenantId, now: Timestamp) -> Option<Place> {
        let mut free = None;
        let slots = u64::from(self.slots.max(1));
        for probe in 0..PROBES {
            let slot = (tenant.home() % slots + probe) % slots;
            let key = format!("tollgate.budget.{slot}");
            let Some(versioned) = self.store.get(&key) else {
                // A slot never used ends the search: the tenant would have taken it.
                return free.or(Some(Place { key, expect: Expect::Absent, account: Account::default() }));
            };
            let expect = Expect::Version(versioned.version);
            match codec::decode(&versioned.value) {
                Some(slot) if tenant.owns(&slot) => return Some(Place { key, expect, account: slot.account }),
                Some(slot) if free.is_some() || !is_free(slot.account, now) => {}
                _ if free.is_some() => {}
                _ => free = Some(Place { key, expect, account: Account::default() }),
            }
        }
        free
    }
}

fn is_free(mut account: Account, now: Timestamp) -> bool {
    account.advance(now, account.limit);
    account.is_idle()
}

#[cfg(test)]
mod tests;
