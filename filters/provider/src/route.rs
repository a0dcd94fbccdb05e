//! Downstream: which model runs on which pool.
//!
//! The head of a request goes on at once, its body is held where it may name the model. What is decided is left for the
//! filters behind and for Envoy, which then chooses its route anew. The request itself is not changed: budget and cache see
//! what the caller wrote, and adapt fits it to each provider.

mod answer;
mod asked;
mod decide;
mod dice;
mod lane;
mod meters;
mod outcome;
mod sticky;
mod stream;
#[cfg(test)]
mod tests;

use crate::config::Policy;
use dice::Dice;
use meters::Meters;
pub use stream::RouteStream;

/// What route goes by.
pub struct Route {
    policy: Policy,
    meters: Meters,
    dice: Dice,
}

impl std::fmt::Debug for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Route").field("policy", &self.policy).finish_non_exhaustive()
    }
}

impl Route {
    /// From the configuration. `random` must be drawn for this worker alone.
    pub fn new(policy: Policy, random: [u8; 16]) -> Self {
        Self { meters: Meters::new(&policy.pools), dice: Dice::new(random), policy }
    }
}
