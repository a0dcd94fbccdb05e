//! An account as one would write it with all the memory in the world: every reservation stands in a list.
//!
//! It shares no arithmetic with the filter: when a window drains, what lapses and when a call fits is said here once more, in the
//! plainest words there are.

use std::collections::BTreeSet;
use std::time::Duration;

use tollgate_budget::account::HOLDS;
use tollgate_budget::window::{Period, Window};
use tollgate_core::Timestamp;

/// A clock that lies back further than this was set back.
const CLOCK_STEP: Duration = Duration::from_secs(1);
/// Nobody holds anything for longer: what would end later was written before the clock was set back.
pub(crate) const FARTHEST_DEADLINE: Duration = Duration::from_secs(2 * 3_600);

/// One reservation that may still be settled.
#[derive(Clone, Debug)]
pub(crate) struct Reservation {
    /// Told apart by this, not by deadline and amount.
    pub(crate) id: u64,
    pub(crate) deadline: Timestamp,
    pub(crate) amount: u64,
}

/// One account.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    window: Window,
    pub(crate) limit: u64,
    pub(crate) at: Timestamp,
    /// In parts of a unit: see [`scale`].
    pub(crate) spent: u128,
    pub(crate) live: Vec<Reservation>,
}

/// What a call that asks for so much is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    Fits,
    Later,
    Never,
}

impl Account {
    pub(crate) fn new(window: Window) -> Self {
        Self { window, limit: 0, at: Timestamp::default(), spent: 0, live: Vec::new() }
    }

    /// The account at another time: what passed drained at the limit of that time.
    pub(crate) fn at(&self, now: Timestamp, limit: u64) -> Self {
        let now = if now.plus(CLOCK_STEP) < self.at { now } else { now.max(self.at) };
        let mut account = self.clone();
        account.spent = self.spent.saturating_sub(drained(self.window, self.at, now) * u128::from(self.limit));
        let farthest = now.plus(FARTHEST_DEADLINE);
        account.live.retain(|reservation| reservation.deadline > now && reservation.deadline <= farthest);
        (account.at, account.limit) = (now, limit);
        account
    }

    pub(crate) fn held(&self) -> u64 {
        self.live.iter().map(|reservation| reservation.amount).sum()
    }

    /// Spent and held, in parts.
    fn level(&self) -> u128 {
        self.spent + self.parts(self.held())
    }

    pub(crate) fn parts(&self, amount: u64) -> u128 {
        u128::from(amount) * scale(self.window)
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.level() == 0
    }

    /// Whether `more` fits for a call that then holds `whole`.
    pub(crate) fn fit(&self, more: u64, whole: u64) -> Fit {
        match () {
            () if whole > self.limit => Fit::Never,
            () if self.level() + self.parts(more) <= self.parts(self.limit) => Fit::Fits,
            () => Fit::Later,
        }
    }

    /// Whether after this wait, and not a nanosecond earlier, so much more fits, if all in flight used what they hold.
    pub(crate) fn wait_is_exact(&self, more: u64, wait: Duration) -> bool {
        let mut settled = self.clone();
        (settled.spent, settled.live) = (self.level(), Vec::new());
        let fits = |wait| settled.at(self.at.plus(wait), self.limit).fit(more, more) == Fit::Fits;
        fits(wait) && !fits(wait - Duration::from_nanos(1))
    }

    /// Used, held and free, as a caller is told: parts of a unit count as a whole one.
    pub(crate) fn figures(&self) -> (u128, u64, u128) {
        let scale = scale(self.window);
        let free = self.parts(self.limit).saturating_sub(self.level()) / scale;
        (self.spent.div_ceil(scale), self.held(), free)
    }

    /// When a new reservation lapses, and whether that is another's deadline. Deadlines lie on a grid of sevenths of a lease, at least
    /// one lease away; only if more of them are in use than an account has room for, the latest is shared.
    pub(crate) fn deadline(&self, lease: Duration) -> (Timestamp, bool) {
        let grid = lease.as_nanos().div_ceil(HOLDS as u128 - 1) as u64;
        let due = Timestamp::from_nanos(self.at.plus(lease).as_nanos().div_ceil(grid) * grid);
        let in_use: BTreeSet<_> = self.live.iter().map(|reservation| reservation.deadline).collect();
        let latest = in_use.last().filter(|_| in_use.len() >= HOLDS && !in_use.contains(&due));
        (latest.copied().unwrap_or(due), latest.is_some())
    }
}

/// Parts of a unit, of which a whole number drains in a nanosecond.
fn scale(window: Window) -> u128 {
    match window {
        Window::Rolling(length) => length.as_nanos(),
        Window::Calendar(_) => 1,
    }
}

/// How many limits drain between two times, in parts: nanoseconds of a rolling window, turns of a calendar.
fn drained(window: Window, from: Timestamp, to: Timestamp) -> u128 {
    let turns = |seconds: u64, offset: u64| {
        let number = |at: Timestamp| (at.as_secs() + offset) / seconds;
        u128::from(number(to).saturating_sub(number(from)))
    };
    match window {
        Window::Rolling(_) => to.since(from).as_nanos(),
        Window::Calendar(Period::Second) => turns(1, 0),
        Window::Calendar(Period::Minute) => turns(60, 0),
        Window::Calendar(Period::Hour) => turns(3_600, 0),
        Window::Calendar(Period::Day) => turns(86_400, 0),
        // The epoch was a Thursday, weeks begin on Monday.
        Window::Calendar(Period::Week) => turns(7 * 86_400, 3 * 86_400),
        Window::Calendar(Period::Month) => unimplemented!("no rule of the model goes by months"),
    }
}
