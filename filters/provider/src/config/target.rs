//! Where a name leads: to a pool, to another name, or to one of several by their weights.

use std::ops::RangeInclusive;

use tollgate_core::ConfigError;

use super::names::check_name;
use super::pools::{PoolId, Pools};
use super::spec::{BranchSpec, TargetSpec};

/// What weighs something.
pub(super) const WEIGHTS: RangeInclusive<u32> = 1..=1_000_000;
const MOST_BRANCHES: usize = 16;

/// One of these, by their weights. One alone is certain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    branches: Vec<(u32, Leaf)>,
}

/// Where it leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leaf {
    /// To a pool, which runs this model, or the one that led here.
    Pool(PoolId, Option<String>),
    /// To another name, which is looked up.
    Model(String),
}

impl Target {
    pub(super) fn new(path: &str, spec: TargetSpec, pools: &Pools) -> Result<Self, ConfigError> {
        let Some(branches) = spec.split else {
            return Ok(Self { branches: vec![(1, leaf(path, spec.pool, spec.model, pools)?)] });
        };
        if spec.pool.is_some() || spec.model.is_some() {
            return Err(ConfigError::at(path, "`split` stands alone: give `pool` and `model` in its branches"));
        }
        let path = format!("{path}.split");
        if !(1..=MOST_BRANCHES).contains(&branches.len()) {
            return Err(ConfigError::at(path, format!("give 1 to {MOST_BRANCHES} branches")));
        }
        let branches = branches.into_iter().enumerate();
        let branches = branches.map(|(index, branch)| weighted(&format!("{path}[{index}]"), branch, pools));
        Ok(Self { branches: branches.collect::<Result<_, _>>()? })
    }

    /// One of the branches: `below` draws a number below its argument.
    pub fn pick(&self, below: impl FnOnce(u64) -> u64) -> Option<&Leaf> {
        if let [(_, only)] = self.branches.as_slice() {
            return Some(only);
        }
        let total = self.branches.iter().map(|(weight, _)| u64::from(*weight)).sum();
        let mut drawn = below(total);
        for (weight, leaf) in &self.branches {
            let weight = u64::from(*weight);
            if drawn < weight {
                return Some(leaf);
            }
            drawn -= weight;
        }
        self.branches.last().map(|(_, leaf)| leaf)
    }

    /// All branches.
    pub(super) fn leaves(&self) -> impl Iterator<Item = &Leaf> {
        self.branches.iter().map(|(_, leaf)| leaf)
    }

    /// The names that have to be looked up from here.
    pub(super) fn next(&self) -> impl Iterator<Item = &str> {
        self.leaves().filter_map(|leaf| match leaf {
            Leaf::Model(name) => Some(name.as_str()),
            Leaf::Pool(..) => None,
        })
    }
}

fn weighted(path: &str, spec: BranchSpec, pools: &Pools) -> Result<(u32, Leaf), ConfigError> {
    if !WEIGHTS.contains(&spec.weight) {
        return Err(ConfigError::at(format!("{path}.weight"), "must be from 1 to 1000000"));
    }
    Ok((spec.weight, leaf(path, spec.pool, spec.model, pools)?))
}

fn leaf(path: &str, pool: Option<String>, model: Option<String>, pools: &Pools) -> Result<Leaf, ConfigError> {
    if let Some(model) = &model {
        check_name(&format!("{path}.model"), model)?;
    }
    match (pool, model) {
        (Some(pool), model) => Ok(Leaf::Pool(pools.find(&format!("{path}.pool"), &pool)?, model)),
        (None, Some(model)) => Ok(Leaf::Model(model)),
        (None, None) => Err(ConfigError::at(path, "leads nowhere: give `pool`, `model` or both, or `split`")),
    }
}
