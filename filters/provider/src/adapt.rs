//! Upstream: each attempt fitted to the provider that Envoy chose.
//!
//! Envoy runs this once an attempt, after it chose an endpoint, and what one attempt did to the head is still there in the
//! next. So every attempt is computed from what the caller sent: `original` keeps that beside the call before anything of it is
//! changed. The body needs no such care, since Envoy sends its own copy of it each time.
//!
//! An attempt that cannot be fitted is answered here and goes nowhere. Such an answer is final, as Envoy tries again only where
//! a provider failed; a provider is left out by route's lane, never from here.

mod body;
mod head;
mod original;
mod patience;
mod plan;
mod stream;
mod target;
#[cfg(test)]
mod tests;
mod trail;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use tollgate_core::{ConfigError, Setup};

use crate::config::Policy;
use crate::config::providers::checks;
use plan::Plan;
pub use stream::AdaptStream;

/// A model that the configuration does not name.
const OTHER: &str = "other";
/// The request names no model.
const NONE: &str = "none";

/// What adapt goes by.
#[derive(Debug)]
pub struct Adapt {
    /// By the provider's name.
    plans: BTreeMap<String, Plan>,
    /// Headers that may carry a credential, the caller's or a provider's. An attempt has its own and no other.
    credentials: BTreeSet<String>,
    /// Headers that some provider gets. An attempt has its own provider's, and for the others what the caller sent.
    set_by_some: BTreeSet<String>,
    /// Models that metrics may name.
    models: HashSet<String>,
    max_body_bytes: usize,
    max_cooldown: Duration,
}

impl Adapt {
    /// From the configuration.
    pub fn new(policy: Policy, _setup: &mut Setup<'_>) -> Result<Self, ConfigError> {
        let models = policy.names.iter().map(str::to_owned).collect();
        let providers = policy.providers;
        let of_providers = providers.iter().filter_map(|provider| provider.credential.as_ref());
        let of_callers = checks::CREDENTIALS.iter().map(|name| (*name).to_owned());
        let credentials = of_providers.map(|credential| credential.header.clone()).chain(of_callers).collect();
        let set = providers.iter().flat_map(|provider| &provider.headers);
        let set_by_some = set.map(|(name, _)| name.clone()).collect();
        Ok(Self {
            plans: providers.into_all().map(|provider| (provider.name.clone(), Plan::new(provider))).collect(),
            credentials,
            set_by_some,
            models,
            max_body_bytes: policy.max_body_bytes,
            max_cooldown: policy.max_cooldown,
        })
    }

    /// The label of a model: clients cannot make series.
    fn label(&self, model: Option<&str>) -> &str {
        model.map_or(NONE, |model| self.models.get(model).map_or(OTHER, String::as_str))
    }
}
