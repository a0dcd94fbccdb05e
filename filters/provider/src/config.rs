//! The configuration, the same for both parts: wire types, checked here whole, whichever part reads it.

mod models;
mod names;
mod overrides;
mod pools;
pub mod providers;
mod spec;
mod target;
#[cfg(test)]
mod tests;

use std::time::Duration;

use tollgate_core::ports::Environment;
use tollgate_core::{ConfigError, config};

pub use models::Models;
pub use names::{Names, is_name, key};
pub use overrides::Overrides;
pub use pools::{Pool, PoolId, Pools};
pub use providers::{Provider, ProviderSpec, Providers, Served};
pub use spec::Spec;
pub use target::{Leaf, Target};

/// Envoy's buffers end far below.
const MOST_BODY_BYTES: usize = 64 << 20;
/// Longest time that a provider may be left alone because it asked for it.
const LONGEST_COOLDOWN: Duration = Duration::from_secs(86_400);

/// The whole configuration, checked.
#[derive(Debug)]
pub struct Policy {
    /// Who can be asked.
    pub providers: Providers,
    /// Which of them serve together.
    pub pools: Pools,
    /// What runs for each name.
    pub models: Models,
    /// Who gets something else.
    pub overrides: Overrides,
    /// Who serves names that `models` has no entry for; `None`: nobody.
    pub unknown_model: Option<PoolId>,
    /// Who serves requests that name no model; `None`: nobody.
    pub no_model: Option<PoolId>,
    /// How the configuration writes each model.
    pub names: Names,
    /// Longest request body that is read.
    pub max_body_bytes: usize,
    /// Longest time that a provider is left alone.
    pub max_cooldown: Duration,
    /// Whether answers tell the provider's name.
    pub show_provider: bool,
}

/// Reads the wire form.
pub fn parse(bytes: &[u8]) -> Result<Spec, ConfigError> {
    config::parse(bytes)
}

impl Policy {
    /// Checks all of it. Who `wants_secrets` must have the variables that hold some.
    pub fn new(spec: Spec, env: &dyn Environment, wants_secrets: bool) -> Result<Self, ConfigError> {
        if !(1..=MOST_BODY_BYTES).contains(&spec.max_body_bytes) {
            return Err(ConfigError::at("max_body_bytes", format!("must be from 1 to {MOST_BODY_BYTES}")));
        }
        if spec.max_cooldown.0 > LONGEST_COOLDOWN {
            return Err(ConfigError::at("max_cooldown", "must be from 0s to 1d"));
        }
        let providers = Providers::new(spec.providers, env, wants_secrets)?;
        let pools = Pools::new(spec.pools, &providers)?;
        let unknown_model =
            spec.unknown_model.map(|spec| pools.find("unknown_model.pool", &spec.pool)).transpose()?;
        let no_model = spec.no_model.map(|spec| pools.find("no_model.pool", &spec.pool)).transpose()?;
        let models = Models::new(spec.models, &pools)?;
        models.check(unknown_model.is_some())?;
        let overrides = Overrides::new(spec.overrides, &pools)?;
        overrides.check(&models, unknown_model.is_some())?;
        Ok(Self {
            names: Names::new(&models, &overrides, &providers)?,
            providers,
            pools,
            models,
            overrides,
            unknown_model,
            no_model,
            max_body_bytes: spec.max_body_bytes,
            max_cooldown: spec.max_cooldown.0,
            show_provider: spec.show_provider,
        })
    }
}
