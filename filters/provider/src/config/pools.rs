//! `pools`: which providers serve together. Envoy balances over them; here it matters who they are and in which order.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tollgate_core::ConfigError;
use tollgate_core::handoff::is_provider_name;

use super::providers::Providers;
use super::spec::{EndpointSpec, PoolSpec, StickySpec};
use super::target::WEIGHTS;

const MOST_POOLS: usize = 64;
const MOST_ENDPOINTS: usize = 16;
/// Stands in metrics for no pool at all.
const NO_POOL: &str = "none";
/// What a call or an attempt may take.
const TIMEOUTS: std::ops::RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(86_400);

/// A pool.
#[derive(Debug, PartialEq, Eq)]
pub struct Pool {
    /// Its name in hand-offs, metrics and Envoy's clusters.
    pub name: String,
    /// The providers, in the order of the priorities.
    pub endpoints: Vec<String>,
    /// Whether calls of one prompt prefix go to one endpoint.
    pub is_sticky: bool,
}

/// Which pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolId(usize);

/// All pools.
#[derive(Debug)]
pub struct Pools(Vec<Pool>);

impl Pools {
    pub(super) fn new(specs: BTreeMap<String, PoolSpec>, providers: &Providers) -> Result<Self, ConfigError> {
        if specs.is_empty() || specs.len() > MOST_POOLS {
            return Err(ConfigError::at("pools", format!("give 1 to {MOST_POOLS} pools")));
        }
        specs.into_iter().map(|(name, spec)| pool(name, &spec, providers)).collect::<Result<_, _>>().map(Self)
    }

    /// The pool of a name that stands at a path.
    pub(super) fn find(&self, path: &str, name: &str) -> Result<PoolId, ConfigError> {
        let found = self.0.iter().position(|pool| pool.name == name);
        found.map(PoolId).ok_or_else(|| ConfigError::at(path, "there is no such pool: add it to `pools`"))
    }

    /// The pool itself.
    pub fn get(&self, id: PoolId) -> Option<&Pool> {
        self.0.get(id.0)
    }

    /// The pools' names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|pool| pool.name.as_str())
    }
}

impl PoolId {
    /// Its place among [`Pools::names`].
    pub const fn index(self) -> usize {
        self.0
    }
}

fn pool(name: String, spec: &PoolSpec, providers: &Providers) -> Result<Pool, ConfigError> {
    if !is_provider_name(&name) || name == NO_POOL {
        let problem = format!("a pool's name must be 1 to 40 of `a-z`, `0-9` and `-`, and not `{NO_POOL}`");
        return Err(ConfigError::at("pools", problem));
    }
    let path = format!("pools.{name}");
    check_timeouts(&path, spec)?;
    let priorities = format!("{path}.priorities");
    let count: usize = spec.priorities.iter().map(Vec::len).sum();
    if spec.priorities.iter().any(Vec::is_empty) || !(1..=MOST_ENDPOINTS).contains(&count) {
        let problem = format!("give 1 to {MOST_ENDPOINTS} endpoints, and no empty list");
        return Err(ConfigError::at(priorities, problem));
    }
    let mut seen = BTreeSet::new();
    for (priority, endpoints) in spec.priorities.iter().enumerate() {
        for (index, EndpointSpec { provider, weight }) in endpoints.iter().enumerate() {
            let refuse = |problem: &str| Err(ConfigError::at(format!("{priorities}[{priority}][{index}]"), problem));
            if providers.get(provider).is_none() {
                return refuse("there is no such provider: add it to `providers`");
            }
            if !seen.insert(provider) {
                return refuse("the provider stands in this pool already: name it once");
            }
            if !WEIGHTS.contains(weight) {
                return refuse("`weight` must be from 1 to 1000000");
            }
        }
    }
    let endpoints = spec.priorities.iter().flatten().map(|endpoint| endpoint.provider.clone()).collect();
    Ok(Pool { name, endpoints, is_sticky: spec.sticky == Some(StickySpec::PromptPrefix) })
}

fn check_timeouts(path: &str, spec: &PoolSpec) -> Result<(), ConfigError> {
    let given = [("timeout", spec.timeout), ("per_try_timeout", spec.per_try_timeout)];
    for (field, timeout) in given.iter().filter_map(|(field, timeout)| Some((field, (*timeout)?.0))) {
        if !TIMEOUTS.contains(&timeout) {
            return Err(ConfigError::at(format!("{path}.{field}"), "must be from 1ms to 1d"));
        }
    }
    if let (Some(whole), Some(each)) = (spec.timeout, spec.per_try_timeout)
        && each.0 > whole.0
    {
        let problem = "must not be longer than `timeout`, which all attempts share";
        return Err(ConfigError::at(format!("{path}.per_try_timeout"), problem));
    }
    Ok(())
}
