//! The ledger and the model side by side: each step is done to both, and what each says is compared.

use std::collections::HashMap;
use std::fmt::Debug;
use std::time::Duration;

use tollgate_budget::account::{Balance, Lease, Verdict};
use tollgate_budget::ledger::{Fault, Ledger, Terms};
use tollgate_budget::owner::{Dimension, OwnerSeed};
use tollgate_budget::rule::Mode;
use tollgate_budget::unit::Unit;
use tollgate_budget::window::{Period, Window};
use tollgate_core::Timestamp;

use crate::model::{Account, FARTHEST_DEADLINE, Fit, Reservation};
use crate::steps::Step;
use crate::store::Slots;

const OWNERS: usize = 5;
/// How many slots may hold an owner.
const PROBES: u64 = 16;
/// After so many lost writes an admission, and a settlement, gives up.
const TRIES: [u32; 2] = [16, 64];
const WINDOWS: &[Window] = &[
    Window::Rolling(Duration::from_secs(1)),
    Window::Rolling(Duration::from_secs(60)),
    Window::Rolling(Duration::from_millis(3_600_001)),
    Window::Calendar(Period::Second),
    Window::Calendar(Period::Minute),
    Window::Calendar(Period::Week),
];
/// A Monday, a minute before midnight of the Sunday before.
const START: Timestamp = Timestamp::from_secs(1_700_438_340);
/// The clock of the second worker lies behind.
const BEHIND: Duration = Duration::from_millis(700);

/// How often something happened.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reached {
    pub(crate) granted: u32,
    pub(crate) refused: u32,
    pub(crate) never: u32,
    pub(crate) contended: u32,
    pub(crate) exhausted: u32,
    pub(crate) changed_hands: u32,
    pub(crate) late: u32,
    pub(crate) lapsed: u32,
    pub(crate) crowded: u32,
    pub(crate) indebted_restarts: u32,
}

/// A call under way.
#[derive(Clone, Copy)]
struct Call {
    account: usize,
    id: u64,
    lease: Lease,
}

/// Ledger and model.
pub(crate) struct World {
    slots: Slots,
    count: u32,
    terms: Vec<Terms>,
    accounts: Vec<Account>,
    by_owner: HashMap<[u8; 16], usize>,
    calls: Vec<Call>,
    now: Timestamp,
    lease: Duration,
    next_id: u64,
    pub(crate) reached: Reached,
}

type Outcome<T = ()> = Result<T, String>;

fn same<T: Copy + PartialEq + Debug>(what: &str, ledger: T, model: T) -> Outcome {
    if ledger == model { Ok(()) } else { Err(format!("{what}: the ledger says {ledger:?}, the model {model:?}")) }
}

impl World {
    /// In so many slots.
    pub(crate) fn new(count: u32) -> Self {
        let owners = |rule: usize| {
            let seed = OwnerSeed::new(&format!("rule-{rule}"), Unit::Tokens, WINDOWS[rule], Mode::Enforce);
            (0..OWNERS).map(move |who| Terms {
                owner: seed.owner([(Dimension::Tenant, &*format!("tenant-{who}"))].into_iter()),
                window: WINDOWS[rule],
                limit: 100 << rule,
            })
        };
        let terms: Vec<_> = (0..WINDOWS.len()).flat_map(owners).collect();
        Self {
            slots: Slots::new(count),
            count,
            accounts: terms.iter().map(|terms| Account::new(terms.window)).collect(),
            by_owner: terms.iter().enumerate().map(|(at, terms)| (terms.owner.digest, at)).collect(),
            terms,
            calls: Vec::new(),
            now: START,
            lease: Duration::from_secs(600),
            next_id: 0,
            reached: Reached::default(),
        }
    }

    pub(crate) fn take(&mut self, step: Step) -> Outcome {
        match step {
            Step::Wait { millis } => self.now = self.now.plus(Duration::from_millis(millis)),
            Step::SetBack { seconds } => {
                // Holds are told apart by their deadline. A call whose hold was given back already could be taken for one that gets
                // the same deadline when that time comes once more: worth one reservation, once, and not modelled.
                let (past, back) = (self.now, Timestamp::from_nanos(self.now.as_nanos() - seconds * 1_000_000_000));
                self.calls.retain(|call| (past..back.plus(FARTHEST_DEADLINE)).contains(&call.lease.deadline));
                self.now = back;
            }
            Step::Restart { rule, limit, lease_seconds } => {
                let owners = rule % WINDOWS.len() * OWNERS..;
                for (terms, account) in self.terms[owners.clone()].iter_mut().zip(&self.accounts[owners]).take(OWNERS)
                {
                    terms.limit = limit;
                    self.reached.indebted_restarts += u32::from(account.spent > account.parts(account.limit));
                }
                self.lease = Duration::from_secs(lease_seconds);
            }
            Step::Reserve { worker, account, thousandths, lost } => {
                let account = account % self.terms.len();
                let amount = (self.terms[account].limit * thousandths / 1_000).max(1);
                return self.ask(worker, account, None, amount, lost);
            }
            Step::Extend { worker, call, more, lost } if !self.calls.is_empty() => {
                let call = call % self.calls.len();
                return self.ask(worker, self.calls[call].account, Some(call), more, lost);
            }
            Step::Settle { worker, call, hundredths, lost } if !self.calls.is_empty() => {
                let call = self.calls.swap_remove(call % self.calls.len());
                return self.settle(worker, call.account, Some(call), call.lease.amount * hundredths / 100, lost);
            }
            Step::Charge { worker, account, amount, lost } => {
                return self.settle(worker, account % self.terms.len(), None, amount, lost);
            }
            Step::Die { call } if !self.calls.is_empty() => {
                self.calls.swap_remove(call % self.calls.len());
            }
            Step::Extend { .. } | Step::Settle { .. } | Step::Die { .. } => {}
        }
        Ok(())
    }

    /// A call asks for an amount, or for more than it has.
    fn ask(&mut self, worker: usize, at: usize, call: Option<usize>, more: u64, lost: u32) -> Outcome {
        let now = self.clock(worker);
        let held = call.map(|call| self.calls[call]);
        let (terms, lease) = (self.terms[at].clone(), self.lease);
        let mut account = self.accounts[at].at(now, terms.limit);
        let live = held.and_then(|held| account.live.iter().position(|reservation| reservation.id == held.id));
        let whole = held.map_or(0, |held| held.lease.amount) + more;
        let missing = if live.is_some() { more } else { whole };
        let fit = account.fit(missing, whole);
        // A new limit is written down even if nothing else changes: time drains at it from now on.
        let writes = fit == Fit::Fits || ![0, terms.limit].contains(&self.accounts[at].limit);
        let fault = self.expected_fault(&terms, now, (writes && lost >= TRIES[0]).then_some(Fault::Contended));

        self.slots.lose(lost);
        let ledger = Ledger::new(&self.slots, self.count);
        let told = match held {
            None => ledger.reserve(&terms, now, more, lease),
            Some(held) => ledger.extend(&terms, now, held.lease, more, lease),
        };
        self.forget(now)?;
        same("fault", told.as_ref().err().copied(), fault)?;
        let Ok((verdict, balance)) = told else { return self.note_fault(fault) };
        match (verdict, fit) {
            (Verdict::Granted(granted), Fit::Fits) => {
                same("held for the call", granted.amount, whole)?;
                self.hold(&mut account, at, call, live, granted)?;
                self.reached.granted += 1;
            }
            (Verdict::Later(wait), Fit::Later) if account.wait_is_exact(missing, wait) => self.reached.refused += 1,
            (Verdict::Never, Fit::Never) => self.reached.never += 1,
            _ => return Err(format!("the ledger says {verdict:?}, the model {fit:?} of {missing}: {account:?}")),
        }
        self.compare(&account, &balance)?;
        if writes {
            self.write(at, account);
        }
        Ok(())
    }

    fn hold(
        &mut self,
        account: &mut Account,
        at: usize,
        call: Option<usize>,
        live: Option<usize>,
        lease: Lease,
    ) -> Outcome {
        if let Some(live) = live {
            same("deadline", lease.deadline, account.live[live].deadline)?;
            account.live[live].amount = lease.amount;
        } else {
            let (deadline, is_shared) = account.deadline(self.lease);
            same("deadline", lease.deadline, deadline)?;
            self.reached.crowded += u32::from(is_shared);
            self.next_id += 1;
            account.live.push(Reservation { id: self.next_id, deadline, amount: lease.amount });
        }
        let id = live.map_or(self.next_id, |live| account.live[live].id);
        let held = Call { account: at, id, lease };
        match call {
            Some(call) => self.calls[call] = held,
            None => self.calls.push(held),
        }
        Ok(())
    }

    fn settle(&mut self, worker: usize, at: usize, call: Option<Call>, actual: u64, lost: u32) -> Outcome {
        if call.is_none() && actual == 0 {
            return Ok(());
        }
        let (now, terms) = (self.clock(worker), self.terms[at].clone());
        let mut account = self.accounts[at].at(now, terms.limit);
        let fault = self.expected_fault(&terms, now, (lost >= TRIES[1]).then_some(Fault::Contended));
        self.slots.lose(lost);
        let told = Ledger::new(&self.slots, self.count).settle(&terms, now, call.map(|call| call.lease), actual);
        self.forget(now)?;
        same("fault", told.err(), fault)?;
        if fault.is_some() {
            return self.note_fault(fault);
        }
        if let Some(call) = call {
            let before = account.live.len();
            account.live.retain(|reservation| reservation.id != call.id);
            self.reached.late += u32::from(account.live.len() == before);
        }
        account.spent += account.parts(actual);
        self.write(at, account);
        Ok(())
    }

    fn write(&mut self, at: usize, account: Account) {
        let lapsed = self.accounts[at].live.iter().filter(|reservation| reservation.deadline <= account.at);
        self.reached.lapsed += lapsed.count() as u32;
        self.accounts[at] = account;
    }

    fn note_fault(&mut self, fault: Option<Fault>) -> Outcome {
        match fault {
            Some(Fault::Contended) => self.reached.contended += 1,
            Some(Fault::Exhausted) => self.reached.exhausted += 1,
            None => {}
        }
        Ok(())
    }

    fn clock(&self, worker: usize) -> Timestamp {
        let behind = if worker == 0 { Duration::ZERO } else { BEHIND };
        Timestamp::from_nanos(self.now.as_nanos() - behind.as_nanos() as u64)
    }

    /// Full is a neighbourhood where all slots are others' and none of them idle.
    fn expected_fault(&self, terms: &Terms, now: Timestamp, otherwise: Option<Fault>) -> Option<Fault> {
        let slots = u64::from(self.count);
        let mut neighbours = (0..PROBES).map(|probe| self.slots.owner((terms.owner.home % slots + probe) % slots));
        let is_full = neighbours.all(|owner| {
            owner.filter(|owner| *owner != terms.owner.digest).is_some_and(|owner| {
                let account = &self.accounts[self.by_owner[&owner]];
                !account.at(now, account.limit).is_idle()
            })
        });
        if is_full { Some(Fault::Exhausted) } else { otherwise }
    }

    /// Accounts whose slot went to others must have been idle; they begin anew.
    fn forget(&mut self, now: Timestamp) -> Outcome {
        self.slots.lose(0);
        for owner in self.slots.take_forgotten() {
            let account = &mut self.accounts[self.by_owner[&owner]];
            let then = account.at(now, account.limit);
            if !then.is_idle() {
                return Err(format!("the slot of {then:?} was given to another"));
            }
            *account = Account::new(self.terms[self.by_owner[&owner]].window);
            self.reached.changed_hands += 1;
        }
        Ok(())
    }

    fn compare(&self, account: &Account, balance: &Balance) -> Outcome {
        let told = (u128::from(balance.used), balance.reserved, u128::from(balance.remaining));
        same("used, reserved and remaining", told, account.figures())?;
        same("limit", balance.limit, account.limit)
    }

    /// Every account, as it stands in its slot and as it would be told now.
    pub(crate) fn compare_all(&self) -> Outcome {
        let ledger = Ledger::new(&self.slots, self.count);
        for slot in 0..self.count {
            let Some(owner) = self.slots.owner(u64::from(slot)) else { continue };
            let stored = ledger.read(slot, |slot| slot.account).ok_or("a slot that cannot be read")?;
            let account = &self.accounts[self.by_owner[&owner]];
            same("spent", stored.spent, account.spent)?;
            same("time", stored.at, account.at)?;
            same("held", stored.holds.iter().map(|hold| hold.amount).sum::<u64>(), account.held())?;
        }
        for (terms, account) in self.terms.iter().zip(&self.accounts) {
            let now = self.clock(0);
            self.compare(&account.at(now, terms.limit), &ledger.balance(terms, now))?;
        }
        Ok(())
    }
}
