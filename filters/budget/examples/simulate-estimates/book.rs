//! The account of one tenant, and how far it went over: the one place here that knows the filter's account.

use std::time::Duration;

use tollgate_budget::account::{Account, Lease, Verdict};
use tollgate_budget::window::Window;
use tollgate_core::Timestamp;

/// Longer than any call of the load.
const LEASE: Duration = Duration::from_secs(3_600);
const MINUTE: f64 = 60.0;
const WINDOW: Window = Window::Rolling(Duration::from_secs(60));

/// An account with its limit a minute.
pub(crate) struct Book {
    limit: u64,
    account: Account,
    at: Timestamp,
    excess: u64,
    /// The most that was spent beyond the limit.
    pub(crate) highest_excess: u64,
    /// How long more was spent than the limit.
    pub(crate) seconds_over: f64,
}

impl Book {
    pub(crate) fn new(limit: u64) -> Self {
        Self {
            limit,
            account: Account::new(WINDOW),
            at: Timestamp::default(),
            excess: 0,
            highest_excess: 0,
            seconds_over: 0.0,
        }
    }

    pub(crate) const fn limit(&self) -> u64 {
        self.limit
    }

    /// Holds what a call may cost, if it fits. `None`: nothing is held, and it fits as long as the limit is not used up.
    pub(crate) fn admit(&mut self, now: Timestamp, cost: Option<u64>) -> Option<Lease> {
        self.advance(now);
        if cost.is_none() && self.account.balance().used >= self.limit {
            return None;
        }
        match self.account.reserve(cost.unwrap_or(0), LEASE) {
            Verdict::Granted(lease) => Some(lease),
            Verdict::Later(_) | Verdict::Never => None,
        }
    }

    /// Ends a call.
    pub(crate) fn settle(&mut self, now: Timestamp, lease: Lease, cost: u64) {
        self.advance(now);
        self.account.settle(Some(lease), cost);
        self.excess = self.account.balance().used.saturating_sub(self.limit);
        self.highest_excess = self.highest_excess.max(self.excess);
    }

    /// Lets time pass. What is over drains at the limit.
    fn advance(&mut self, now: Timestamp) {
        let drains = self.excess as f64 * MINUTE / self.limit.max(1) as f64;
        self.seconds_over += now.since(self.at).as_secs_f64().min(drains);
        self.account.advance(now, self.limit);
        self.excess = self.account.balance().used.saturating_sub(self.limit);
        self.at = now;
    }
}
