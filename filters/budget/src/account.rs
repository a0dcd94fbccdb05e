//! The arithmetic of one tenant's rolling minute: what is spent, what is held, what still fits.
//!
//! A token bucket, kept from the other side: `spent` rises with every settled call and drains at `limit` tokens a
//! minute. A call is admitted if `spent + held + its own reservation` stays within the limit. Its reservation is then
//! *held*, and does not drain: it is a promise about the future, not consumption. Settling takes the hold away and adds
//! what the call really used. So nothing is ever given back that had drained already, and the most that a tenant can
//! overrun is the sum of `actual - reserved` over the calls in flight. What was overrun is debt: `spent` may lie above
//! the limit, and then nothing is admitted until it has drained.
//!
//! A hold is a lease. One that is never settled (the worker's VM died) is given back at its deadline; a call that
//! outlives its lease is charged in full when it ends. Deadlines are rounded up to a grid, and holds of one deadline
//! are kept as one sum, so an account has a fixed size however many calls are in flight.
//!
//! Nothing is rounded: one token is 60·10⁹ ticks, and `limit` ticks drain in a nanosecond.

use std::time::Duration;

use tollgate_core::Timestamp;

/// Ticks of one token: nanoseconds of the window, so that a limit per minute drains in whole ticks a nanosecond.
const TICKS_PER_TOKEN: u128 = 60_000_000_000;
/// How many deadlines are kept apart.
pub const HOLDS: usize = 8;
/// The grid of deadlines is this part of a lease. Of all grid points from now to one lease and one step ahead, at most
/// [`HOLDS`] lie in the future.
const STEPS_PER_LEASE: u64 = HOLDS as u64 - 1;
/// The most that is ever booked as spent: sums with it stay far from the end of `u128`.
pub const MOST_SPENT: u128 = u64::MAX as u128 * TICKS_PER_TOKEN;
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
    pub tokens: u64,
}

/// One tenant's rolling minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Tokens a minute at which `spent` drains. Kept with the account, so that anyone can tell when it is idle.
    pub limit: u64,
    /// When the account was last brought up to date.
    pub at: Timestamp,
    /// Ticks spent and not drained, at most [`MOST_SPENT`]. Above the limit: debt.
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
    pub tokens: u64,
}

/// Whether a call fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It does, and its tokens are held.
    Granted(Lease),
    /// Not now. It would if nothing else came and every call in flight used what it reserved, after this time.
    Later(Duration),
    /// It is larger than the whole limit.
    Never,
}

/// What a tenant may know of its account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balance {
    /// Tokens a minute.
    pub limit: u64,
    /// Tokens spent and not yet drained, rounded up; above the limit it is debt.
    pub used: u64,
    /// Tokens held for calls in flight.
    pub reserved: u64,
    /// Tokens that a call may reserve now.
    pub remaining: u64,
    /// Until the whole limit is free again, if every call in flight used what it reserved.
    pub reset: Duration,
}

impl Account {
    /// Brings the account to `now`, then sets the limit: time that passed drained at the limit of that time.
    pub fn advance(&mut self, now: Timestamp, limit: u64) {
        let now = if now.plus(CLOCK_STEP) < self.at { now } else { now.max(self.at) };
        let drained = now.since(self.at).as_nanos().saturating_mul(u128::from(self.limit));
        self.spent = self.spent.saturating_sub(drained);
        self.at = now;
        self.limit = limit;
        let farthest = now.plus(FARTHEST_DEADLINE);
        for hold in self.holds.iter_mut().filter(|hold| hold.deadline <= now || hold.deadline > farthest) {
            *hold = Hold::default();
        }
    }

    /// Holds tokens for a call of at most `lease`. The account must be up to date.
    pub fn reserve(&mut self, tokens: u64, lease: Duration) -> Verdict {
        if tokens > self.limit {
            return Verdict::Never;
        }
        let excess = (self.level() + ticks(tokens)).saturating_sub(ticks(self.limit));
        if excess > 0 {
            return Verdict::Later(self.drain_time(excess));
        }
        Verdict::Granted(self.hold(tokens, grid_deadline(self.at, lease)))
    }

    /// Ends a call: its hold, if that still lives, makes way for what it really used. The account must be up to date.
    pub fn settle(&mut self, lease: Option<Lease>, actual: u64) {
        if let Some(lease) = lease
            && let Some(hold) = self.holds.iter_mut().find(|hold| hold.deadline == lease.deadline)
        {
            hold.tokens = hold.tokens.saturating_sub(lease.tokens);
        }
        self.spent = (self.spent + ticks(actual)).min(MOST_SPENT);
    }

    /// Whether forgetting the account changes nothing. The account must be up to date.
    pub fn is_idle(&self) -> bool {
        self.level() == 0
    }

    /// The account in figures. The account must be up to date.
    pub fn balance(&self) -> Balance {
        let level = self.level();
        Balance {
            limit: self.limit,
            used: tokens_of(self.spent.div_ceil(TICKS_PER_TOKEN)),
            reserved: self.reserved(),
            remaining: tokens_of(ticks(self.limit).saturating_sub(level) / TICKS_PER_TOKEN),
            reset: self.drain_time(level),
        }
    }

    /// Tokens held for calls in flight.
    fn reserved(&self) -> u64 {
        self.holds.iter().fold(0, |sum, hold| sum.saturating_add(hold.tokens))
    }

    /// `spent + held`: what stands against the limit.
    fn level(&self) -> u128 {
        self.spent + ticks(self.reserved())
    }

    fn drain_time(&self, ticks: u128) -> Duration {
        let nanos = ticks.div_ceil(u128::from(self.limit.max(1)));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    fn hold(&mut self, tokens: u64, deadline: Timestamp) -> Lease {
        // After the lease was changed by a new configuration, old and new deadlines together may be too many. Then
        // the latest one is shared: a lost settlement is given back a little later or earlier.
        let position = (self.holds.iter().position(|hold| hold.tokens > 0 && hold.deadline == deadline))
            .or_else(|| self.holds.iter().position(|hold| hold.tokens == 0));
        let hold = match position {
            Some(position) => self.holds.get_mut(position),
            None => self.holds.iter_mut().max_by_key(|hold| hold.deadline),
        };
        let Some(hold) = hold else { return Lease { deadline, tokens } };
        if hold.tokens == 0 {
            hold.deadline = deadline;
        }
        hold.tokens = hold.tokens.saturating_add(tokens);
        Lease { deadline: hold.deadline, tokens }
    }
}

/// The first grid point that is a whole lease away.
fn grid_deadline(now: Timestamp, lease: Duration) -> Timestamp {
    let lease = u64::try_from(lease.as_nanos()).unwrap_or(u64::MAX);
    let step = lease.div_ceil(STEPS_PER_LEASE).max(1);
    let due = now.as_nanos().saturating_add(lease);
    Timestamp::from_nanos(due.div_ceil(step).saturating_mul(step))
}

fn ticks(tokens: u64) -> u128 {
    u128::from(tokens) * TICKS_PER_TOKEN
}

fn tokens_of(tokens: u128) -> u64 {
    u64::try_from(tokens).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
