//! `overrides`: what runs for some callers instead.

use std::collections::BTreeSet;

use tollgate_core::{ConfigError, Identity};
use tollgate_llm::ModelPattern;

use super::models::Models;
use super::names::{check_name, key};
use super::pools::Pools;
use super::spec::OverrideSpec;
use super::target::Target;

const MOST_OVERRIDES: usize = 256;
const MOST_NAMES: usize = 1024;

/// All of them, in order.
#[derive(Debug)]
pub struct Overrides(Vec<Override>);

#[derive(Debug)]
struct Override {
    tenants: Option<BTreeSet<String>>,
    tiers: Option<BTreeSet<String>>,
    /// Over keys of names.
    models: Option<Vec<ModelPattern>>,
    target: Target,
}

impl Overrides {
    pub(super) fn new(specs: Vec<OverrideSpec>, pools: &Pools) -> Result<Self, ConfigError> {
        if specs.len() > MOST_OVERRIDES {
            return Err(ConfigError::at("overrides", format!("has more than {MOST_OVERRIDES} entries")));
        }
        let overrides = specs.into_iter().enumerate().map(|(index, spec)| {
            let path = format!("overrides[{index}]");
            if spec.tenants.is_none() && spec.tiers.is_none() {
                return Err(ConfigError::at(path, "is for everybody: name `tenants` or `tiers`, or change `models`"));
            }
            Ok(Override {
                tenants: names(&format!("{path}.tenants"), spec.tenants)?,
                tiers: names(&format!("{path}.tiers"), spec.tiers)?,
                models: patterns(&format!("{path}.models"), spec.models)?,
                target: Target::new(&format!("{path}.use"), spec.target, pools)?,
            })
        });
        overrides.collect::<Result<_, _>>().map(Self)
    }

    /// Makes sure that the names of all targets lead on.
    pub(super) fn check(&self, models: &Models, unknown_ends: bool) -> Result<(), ConfigError> {
        for (index, entry) in self.0.iter().enumerate() {
            models.check_next(&format!("overrides[{index}].use"), &entry.target, unknown_ends)?;
        }
        Ok(())
    }

    /// What runs for this caller instead of a model, by its [`key`], or where no model is named.
    pub fn target(&self, caller: &Identity, model: Option<&str>) -> Option<&Target> {
        self.0.iter().find(|entry| entry.is_for(caller, model)).map(|entry| &entry.target)
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Every target.
    pub(super) fn targets(&self) -> impl Iterator<Item = &Target> {
        self.0.iter().map(|entry| &entry.target)
    }
}

impl Override {
    fn is_for(&self, caller: &Identity, model: Option<&str>) -> bool {
        let has = |names: &Option<BTreeSet<String>>, name: Option<&String>| {
            names.as_ref().is_none_or(|names| name.is_some_and(|name| names.contains(name)))
        };
        let is_meant = |patterns: &Vec<ModelPattern>| {
            model.is_some_and(|model| patterns.iter().any(|pattern| pattern.matches(model)))
        };
        has(&self.tenants, Some(&caller.tenant))
            && has(&self.tiers, caller.tier.as_ref())
            && self.models.as_ref().is_none_or(is_meant)
    }
}

fn names(path: &str, given: Option<Vec<String>>) -> Result<Option<BTreeSet<String>>, ConfigError> {
    let Some(given) = given else { return Ok(None) };
    if !(1..=MOST_NAMES).contains(&given.len()) {
        return Err(ConfigError::at(path, format!("name 1 to {MOST_NAMES}, or leave it out")));
    }
    match given.iter().position(String::is_empty) {
        Some(index) => Err(ConfigError::at(format!("{path}[{index}]"), "must not be empty")),
        None => Ok(Some(given.into_iter().collect())),
    }
}

fn patterns(path: &str, given: Option<Vec<String>>) -> Result<Option<Vec<ModelPattern>>, ConfigError> {
    let Some(given) = given else { return Ok(None) };
    if !(1..=MOST_NAMES).contains(&given.len()) {
        return Err(ConfigError::at(path, format!("name 1 to {MOST_NAMES} models, or leave it out")));
    }
    let patterns = given.iter().enumerate().map(|(index, text)| {
        let path = format!("{path}[{index}]");
        let prefix = text.strip_suffix('*');
        if prefix != Some("") {
            check_name(&path, prefix.unwrap_or(text))?;
        }
        Ok(prefix.map_or_else(|| ModelPattern::Exact(key(text)), |prefix| ModelPattern::Prefix(key(prefix))))
    });
    patterns.collect::<Result<_, _>>().map(Some)
}
