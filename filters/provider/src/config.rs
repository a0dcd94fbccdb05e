//! The configuration, the same for both parts: wire types, checked here whole, whichever part reads it.

pub mod providers;

use std::collections::BTreeMap;

use serde::Deserialize;
use tollgate_core::{ConfigError, config};

pub use providers::{Provider, ProviderSpec, Providers, Served};

/// The whole configuration as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Providers by name.
    #[serde(deserialize_with = "providers::unique")]
    pub providers: BTreeMap<String, ProviderSpec>,
}

/// Reads it.
pub fn parse(bytes: &[u8]) -> Result<Spec, ConfigError> {
    config::parse(bytes)
}
