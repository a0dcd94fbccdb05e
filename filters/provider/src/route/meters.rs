//! What route counts: each call once, when it is decided.

use tollgate_core::ports::Meter;
use tollgate_core::{Counter, metric};

use super::decide::How;
use crate::config::{PoolId, Pools};

/// Where no pool was chosen.
const NO_POOL: &str = "none";

/// How a call was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It goes to a pool.
    Sent(PoolId, How),
    /// Everybody in its pool wants to be left alone.
    Cooling(PoolId),
    /// Nobody serves its model, or requests without one.
    NotFound,
    /// It cannot be understood.
    Refused,
}

/// The counters of all pools.
pub(super) struct Meters {
    pools: Vec<OfPool>,
    not_found: Counter,
    refused: Counter,
}

struct OfPool {
    routed: Counter,
    overridden: Counter,
    unknown_model: Counter,
    no_model: Counter,
    cooling: Counter,
}

impl Meters {
    pub(super) fn new(pools: &Pools) -> Self {
        let of = |pool: &str| OfPool {
            routed: counter(pool, "routed"),
            overridden: counter(pool, "overridden"),
            unknown_model: counter(pool, "unknown_model"),
            no_model: counter(pool, "no_model"),
            cooling: counter(pool, "cooling"),
        };
        Self {
            pools: pools.names().map(of).collect(),
            not_found: counter(NO_POOL, "not_found"),
            refused: counter(NO_POOL, "refused"),
        }
    }

    /// Counts a call.
    pub(super) fn count(&self, meter: &mut dyn Meter, verdict: Verdict) {
        let counter = match verdict {
            Verdict::Sent(pool, how) => self.of(pool).map(|of| match how {
                How::Routed => &of.routed,
                How::Overridden => &of.overridden,
                How::UnknownModel => &of.unknown_model,
                How::NoModel => &of.no_model,
            }),
            Verdict::Cooling(pool) => self.of(pool).map(|of| &of.cooling),
            Verdict::NotFound => Some(&self.not_found),
            Verdict::Refused => Some(&self.refused),
        };
        if let Some(counter) = counter {
            counter.increment(meter);
        }
    }

    fn of(&self, pool: PoolId) -> Option<&OfPool> {
        self.pools.get(pool.index())
    }
}

fn counter(pool: &str, result: &str) -> Counter {
    Counter::new(metric::ROUTES, &[("pool", pool), ("result", result)])
}
