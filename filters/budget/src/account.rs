//! The arithmetic of one account under one rule: what is spent, what is held, what still fits.
//!
//! A bucket, kept from the other side: `spent` rises with every settled call and drains as the [`Window`] says. A call is
//! admitted if `spent + held + its own reservation` stays within the limit. Its reservation is then *held*, and does not drain: it
//! is a promise about the future, not consumption. Settling takes the hold away and adds what the call really used. So nothing is
//! ever given back that had drained already, and the most that can be overrun is the sum of `actual - reserved` over the calls in
//! flight. What was overrun is debt: `spent` may lie above the limit, and then nothing is admitted until it has drained.
//!
//! A hold is a lease. One that is never settled (the worker's VM died) is given back at its deadline; a call that
//! outlives its lease is charged in full when it ends. Deadlines are rounded up to a grid, and holds of one deadline
//! are kept as one sum, so an account has a fixed size however many calls are in flight.

use std::time::Duration;

use tollgate_core::Timestamp;

use crate::window::Window;

/// How many deadlines are kept apart.
pub const HOLDS: usize = 8;
/// The grid of deadlines is this part of a lease. Of all grid points from now to one lease and one step ahead, at most
/// [`HOLDS`] lie in the future.
const STEPS_PER_LEASE: u64 = HOLDS as u64 - 1;
/// Workers read the clock in any order; a time that lies back further than this is a clock that was set back.
const CLOCK_STEP: Duration = Duration::from_secs(1);
/// No lease is this long. A deadline further ahead was written before the clock was set back.
const FARTHEST_DEADLINE: Duration = Duration::from_secs(2 * 3600);

/// All holds that end at one deadline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hold {
    /// When they are given back.
    pub deadline: Timestamp,
    /// Their sum. 0: the entry is free.
    pub amount: u64,
}

/// One account. Amounts are whole units of its rule: requests, tokens or nano-dollars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// How `spent` drains. Kept with the account, so that anyone can tell when it is idle.
    pub window: Window,
    /// The limit of a window.
    pub limit: u64,
    /// When the account was last brought up to date.
    pub at: Timestamp,
    /// Ticks spent and not drained, at most [`most_spent`]. Above the limit: debt.
    pub spent: u128,
    /// What is reserved.
    pub holds: [Hold; HOLDS],
}

/// The right to settle one reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Until when the reservation is held; names the hold that it is part of.
    pub deadline: Timestamp,
    /// What was reserved.
    pub amount: u64,
}

/// Whether a call fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It does, and its amount is held.
    Granted(Lease),
    /// Not now. It would if nothing else came and every call in flight used what it reserved and ended now, after this time.
    Later(Duration),
    /// It is larger than the whole limit.
    Never,
}

impl Verdict {
    /// The right to settle, if it fits.
    pub const fn granted(self) -> Option<Lease> {
        match self {
            Self::Granted(lease) => Some(lease),
            Self::Later(_) | Self::Never => None,
        }
    }
}

/// What may be known of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balance {
    /// The limit of a window.
    pub limit: u64,
    /// Spent and not yet drained, rounded up; above the limit it is debt.
    pub used: u64,
    /// Held for calls in flight.
    pub reserved: u64,
    /// What a call may reserve now.
    pub remaining: u64,
    /// Until the whole limit is free again, if every call in flight used what it reserved.
    pub reset: Duration,
}

/// The most that is ever booked as spent: sums with it stay far from the end of `u128`.
pub fn most_spent(window: Window) -> u128 {
    window.ticks_per_unit().saturating_mul(u128::from(u64::MAX))
}

impl Account {
    /// An account that nothing was spent from.
    pub fn new(window: Window) -> Self {
        Self { window, limit: 0, at: Timestamp::default(), spent: 0, holds: [Hold::default(); HOLDS] }
    }

    /// Brings the account to `now`, then sets the limit: time that passed drained at the limit of that time.
    pub fn advance(&mut self, now: Timestamp, limit: u64) {
        let now = if now.plus(CLOCK_STEP) < self.at { now } else { now.max(self.at) };
        self.spent = self.spent.saturating_sub(self.window.drained(self.at, now, self.limit));
        self.at = now;
        self.limit = limit;
        let farthest = now.plus(FARTHEST_DEADLINE);
        for hold in self.holds.iter_mut().filter(|hold| hold.deadline <= now || hold.deadline > farthest) {
            *hold = Hold::default();
        }
    }

    /// Holds an amount for a call of at most `lease`; nothing always fits. The account must be up to date.
    pub fn reserve(&mut self, amount: u64, lease: Duration) -> Verdict {
        self.fit(amount, amount).unwrap_or_else(|| Verdict::Granted(self.hold(amount, grid_deadline(self.at, lease))))
    }

    /// Holds more for a call that is under way, under the same lease, or a new one if that ended meanwhile.
    pub fn extend(&mut self, held: Lease, more: u64, lease: Duration) -> Verdict {
        let whole = held.amount.saturating_add(more);
        let is_part_of = |hold: &Hold| hold.deadline == held.deadline && hold.amount >= held.amount;
        // It may also have been given back by a worker whose clock is ahead, or before the clock was set back.
        let lives = held.amount > 0 && held.deadline > self.at && self.holds.iter().any(is_part_of);
        let (missing, deadline) = if lives { (more, held.deadline) } else { (whole, grid_deadline(self.at, lease)) };
        self.fit(missing, whole).unwrap_or_else(|| {
            let lease = self.hold(missing, deadline);
            Verdict::Granted(Lease { amount: whole, ..lease })
        })
    }

    /// Ends a call: its hold, if that still lives, makes way for what it really used. The account must be up to date.
    pub fn settle(&mut self, lease: Option<Lease>, actual: u64) {
        if let Some(lease) = lease
            && let Some(hold) = self.holds.iter_mut().find(|hold| hold.deadline == lease.deadline)
        {
            hold.amount = hold.amount.saturating_sub(lease.amount);
        }
        self.spent = self.spent.saturating_add(self.ticks(actual)).min(most_spent(self.window));
    }

    /// Whether forgetting the account changes nothing. The account must be up to date.
    pub fn is_idle(&self) -> bool {
        self.level() == 0
    }

    /// The account in figures. The account must be up to date.
    pub fn balance(&self) -> Balance {
        let (used, reserved) = (whole(self.spent.div_ceil(self.window.ticks_per_unit())), self.reserved());
        Balance {
            limit: self.limit,
            used,
            reserved,
            // What is left in part of a unit is nothing, as what is used in part of one is a unit.
            remaining: self.limit.saturating_sub(used).saturating_sub(reserved),
            reset: self.window.time_to_drain(self.level(), self.at, self.limit),
        }
    }

    /// `None`: so much more fits. `whole` is what the call needs altogether.
    fn fit(&self, amount: u64, whole: u64) -> Option<Verdict> {
        if amount == 0 {
            return None;
        }
        if whole > self.limit {
            return Some(Verdict::Never);
        }
        let excess = self.level().saturating_add(self.ticks(amount)).saturating_sub(self.ticks(self.limit));
        (excess > 0).then(|| Verdict::Later(self.window.time_to_drain(excess, self.at, self.limit)))
    }

    /// Held for calls in flight.
    fn reserved(&self) -> u64 {
        self.holds.iter().fold(0, |sum, hold| sum.saturating_add(hold.amount))
    }

    /// `spent + held`: what stands against the limit.
    fn level(&self) -> u128 {
        self.spent.saturating_add(self.ticks(self.reserved()))
    }

    fn ticks(&self, amount: u64) -> u128 {
        u128::from(amount).saturating_mul(self.window.ticks_per_unit())
    }

    fn hold(&mut self, amount: u64, deadline: Timestamp) -> Lease {
        // After the lease was changed by a new configuration, old and new deadlines together may be too many. Then
        // the latest one is shared: a lost settlement is given back a little later or earlier.
        let position = (self.holds.iter().position(|hold| hold.amount > 0 && hold.deadline == deadline))
            .or_else(|| self.holds.iter().position(|hold| hold.amount == 0));
        let hold = match position {
            Some(position) => self.holds.get_mut(position),
            None => self.holds.iter_mut().max_by_key(|hold| hold.deadline),
        };
        let Some(hold) = hold.filter(|_| amount > 0) else { return Lease { deadline, amount } };
        if hold.amount == 0 {
            hold.deadline = deadline;
        }
        hold.amount = hold.amount.saturating_add(amount);
        Lease { deadline: hold.deadline, amount }
    }
}

/// The first grid point that is a whole lease away.
fn grid_deadline(now: Timestamp, lease: Duration) -> Timestamp {
    let lease = u64::try_from(lease.as_nanos()).unwrap_or(u64::MAX);
    let step = lease.div_ceil(STEPS_PER_LEASE).max(1);
    let due = now.as_nanos().saturating_add(lease);
    Timestamp::from_nanos(due.div_ceil(step).saturating_mul(step))
}

fn whole(units: u128) -> u64 {
    u64::try_from(units).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
