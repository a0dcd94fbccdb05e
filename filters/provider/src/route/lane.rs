//! Which endpoints of a pool may be tried: those that did not ask to be left alone.

use std::time::Duration;

use tollgate_core::Timestamp;

use crate::config::{Pool, Providers};
use crate::cooling::Cooling;

/// Pools of more endpoints have no lanes: each endpoint would have to list too many.
const MOST_ENDPOINTS: usize = 6;

/// Which endpoints may be tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// All of them.
    All,
    /// Those with a `1`, in the pool's order.
    Some(String),
    /// None before this time.
    None(Timestamp),
}

/// What is granted to those who ask to be left alone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    pub(super) now: Timestamp,
    /// No longer than this from now, also if more was granted by an earlier configuration.
    pub(super) most: Duration,
}

impl Lane {
    /// Looks at each endpoint of a pool.
    pub(super) fn of(
        pool: &Pool,
        model: Option<&str>,
        providers: &Providers,
        cooling: &Cooling,
        patience: Patience,
    ) -> Self {
        let Patience { now, most } = patience;
        let until = |endpoint: &String| {
            let name = model.map(|model| providers.get(endpoint).map_or(model, |it| it.serves(model).name));
            let until = cooling.until(endpoint, name.unwrap_or_default(), now)?;
            Some(until.min(now.plus(most))).filter(|until| *until > now)
        };
        let cools: Vec<_> = pool.endpoints.iter().map(until).collect();
        if let Some(first_free) = cools.iter().copied().min().flatten() {
            return Self::None(first_free);
        }
        if cools.iter().all(Option::is_none) || cools.len() > MOST_ENDPOINTS {
            return Self::All;
        }
        Self::Some(cools.iter().map(|until| if until.is_none() { '1' } else { '0' }).collect())
    }
}
