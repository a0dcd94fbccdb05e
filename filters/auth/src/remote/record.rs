//! What all workers know of a remote document: whose turn it is to fetch, and how the last attempts went.
//!
//! Times are nanoseconds since the Unix epoch, 0 for never. A clock that stepped back must not lock anybody out, so no
//! moment further ahead than it could ever have been set counts.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tollgate_core::Timestamp;

use super::address::Address;

/// Between two fetches that callers can cause, once [`MOST_AT_ONCE`] are spent.
pub(super) const ON_DEMAND_EVERY: Duration = Duration::from_secs(10);
/// Fetches that callers can cause at once: two rotations in a row, or a false alarm before a true one.
pub(super) const MOST_AT_ONCE: u32 = 3;
/// After a failure the next attempt is made no later than this.
const RETRY: Duration = Duration::from_secs(5);
/// A server's `max-age` never makes it asked more often.
const SOONEST: Duration = Duration::from_secs(10);
/// How much longer than its answer may take a worker holds the lease.
const LEASE_MARGIN: Duration = Duration::from_secs(2);
/// Longest lease of any configuration: filters that share a record need not agree about its times.
const LONGEST_LEASE: Duration = Duration::from_secs(32);

/// The record. Other versions of this filter read and write it too, so what is missing is the default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Record {
    /// When the first attempt began.
    pub(super) since: u64,
    /// When the newest attempt began; it names the attempt.
    pub(super) started: u64,
    /// Until when that attempt keeps others from another; 0 once it ended.
    pub(super) leased_until: u64,
    /// The newest attempt that ended, well or not.
    pub(super) ended: u64,
    /// The attempt that brought the document.
    pub(super) document: u64,
    /// The newest attempt that found it good.
    pub(super) confirmed: u64,
    /// When the next attempt is due.
    pub(super) due: u64,
    /// Theoretical arrival time of the next fetch on demand (GCRA).
    pub(super) on_demand: u64,
    /// The document's tag.
    pub(super) etag: Option<String>,
    /// For how many seconds its server calls it fresh.
    pub(super) max_age: Option<u64>,
    /// How the last attempt failed.
    pub(super) problem: Option<String>,
}

impl Record {
    /// Reads a stored record; what is not one counts as none.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// Writes it.
    pub(super) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Whether an attempt is under way.
    pub(super) fn is_leased(&self, now: Timestamp) -> bool {
        let left = self.leased_until.saturating_sub(now.as_nanos());
        0 < left && left <= nanos(LONGEST_LEASE)
    }

    /// Whether an attempt that began since has ended.
    pub(super) fn has_ended_since(&self, asked: Timestamp, now: Timestamp) -> bool {
        (asked.as_nanos()..=now.as_nanos()).contains(&self.ended)
    }

    /// Whether it is time for the next attempt.
    pub(super) fn is_due(&self, now: Timestamp, address: &Address) -> bool {
        let left = self.due.saturating_sub(now.as_nanos());
        left == 0 || left > nanos(address.refresh)
    }

    /// Whether a caller may cause an attempt.
    pub(super) fn may_look(&self, now: Timestamp) -> bool {
        self.spent(now) <= nanos(ON_DEMAND_EVERY) * u64::from(MOST_AT_ONCE - 1)
    }

    /// How far fetches on demand are ahead of their pace.
    fn spent(&self, now: Timestamp) -> u64 {
        let ahead = self.on_demand.saturating_sub(now.as_nanos());
        if ahead > nanos(ON_DEMAND_EVERY) * u64::from(MOST_AT_ONCE) { 0 } else { ahead }
    }

    /// Whether the document is too old to be used.
    pub(super) fn is_stale(&self, now: Timestamp, address: &Address) -> bool {
        self.document != 0 && address.max_stale.is_some_and(|most| self.age(now, address) > most)
    }

    /// How long ago the document was found good; without one, how long it has been missed.
    pub(super) fn age(&self, now: Timestamp, address: &Address) -> Duration {
        let is_ahead = self.confirmed.saturating_sub(now.as_nanos()) > nanos(address.refresh);
        match (self.confirmed, self.since) {
            (0, 0) => Duration::ZERO,
            (confirmed, _) if confirmed != 0 && !is_ahead => now.since(Timestamp::from_nanos(confirmed)),
            (_, since) => now.since(Timestamp::from_nanos(since)),
        }
    }

    /// With an attempt begun.
    pub(super) fn begun(mut self, now: Timestamp, address: &Address, on_demand: bool) -> Self {
        let begin = now.as_nanos();
        if on_demand {
            self.on_demand = begin.saturating_add(self.spent(now)).saturating_add(nanos(ON_DEMAND_EVERY));
        }
        if self.since == 0 || self.since > begin {
            self.since = begin;
        }
        self.started = begin;
        self.leased_until = begin.saturating_add(nanos(lease(address)));
        self
    }

    /// With the attempt ended well. The next one is due early enough that every worker uses a change within `refresh` and
    /// the time of a fetch, though the one that fetches and the others may each look a poll late. The moment varies, so
    /// that a fleet does not ask at once.
    pub(super) fn succeeded(mut self, attempt: u64, address: &Address) -> Self {
        let polls = nanos(address.poll()).saturating_mul(2);
        let before_end = |period: Duration| {
            let varied = (nanos(period) / 100).saturating_mul(80 + attempt / 1_000 % 10);
            varied.saturating_sub(polls)
        };
        let fresh = self.max_age.map_or(u64::MAX, |age| before_end(Duration::from_secs(age)).max(nanos(SOONEST)));
        self.end(attempt, attempt.saturating_add(before_end(address.refresh).min(fresh)));
        self.confirmed = attempt;
        self.problem = None;
        self
    }

    /// With the attempt ended badly.
    pub(super) fn failed(mut self, now: Timestamp, address: &Address, problem: &str) -> Self {
        let retry = now.as_nanos().saturating_add(nanos(RETRY.min(address.refresh)));
        self.end(self.started, retry);
        self.problem = Some(problem.to_owned());
        self
    }

    /// Without its document, which is to be fetched whole.
    pub(super) fn without_document(mut self) -> Self {
        (self.document, self.confirmed, self.etag) = (0, 0, None);
        self.due = self.started.saturating_add(nanos(RETRY));
        self
    }

    fn end(&mut self, attempt: u64, due: u64) {
        (self.ended, self.leased_until, self.due) = (attempt, 0, due);
    }
}

fn lease(address: &Address) -> Duration {
    address.timeout.saturating_add(LEASE_MARGIN)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
