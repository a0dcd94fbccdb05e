//! The wire form: what stands in `providers.json`.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use tollgate_core::HumanDuration;
use tollgate_core::config::unique;

use super::providers::ProviderSpec;

/// The whole configuration as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Providers by name.
    #[serde(deserialize_with = "unique")]
    pub(super) providers: BTreeMap<String, ProviderSpec>,
    /// Pools by name: which providers serve together.
    #[serde(deserialize_with = "unique")]
    pub(super) pools: BTreeMap<String, PoolSpec>,
    /// What runs for a model's name or prefix (`claude*`). The closest counts.
    #[serde(default, deserialize_with = "unique")]
    pub(super) models: BTreeMap<String, TargetSpec>,
    /// What runs for some callers instead. The first that matches counts.
    #[serde(default)]
    pub(super) overrides: Vec<OverrideSpec>,
    /// Who serves names that `models` has no entry for; nothing: they are refused.
    pub(super) unknown_model: Option<PoolNameSpec>,
    /// Who serves requests that name no model; nothing: they are refused.
    pub(super) no_model: Option<PoolNameSpec>,
    /// Longest request body that is read, in bytes: up to 64 MiB.
    #[serde(default = "defaults::max_body_bytes")]
    pub(super) max_body_bytes: usize,
    /// Longest time that a provider is left alone because it asked for it: 0s to 1d.
    #[serde(default = "defaults::max_cooldown")]
    pub(super) max_cooldown: HumanDuration,
    /// Whether answers carry `x-gateway-provider`.
    #[serde(default)]
    pub(super) show_provider: bool,
}

/// Which providers serve together.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PoolSpec {
    /// Lists of endpoints; a later list is tried where an earlier one has nobody left.
    pub(super) priorities: Vec<Vec<EndpointSpec>>,
    /// How long a call may take, all its attempts together. Read by the renderer.
    pub(super) timeout: Option<HumanDuration>,
    /// How long an attempt may take. Read by the renderer.
    pub(super) per_try_timeout: Option<HumanDuration>,
    /// What calls must have in common to go to one endpoint.
    pub(super) sticky: Option<StickySpec>,
}

/// What calls must have in common to go to one endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum StickySpec {
    /// Tenant, model, tools and system prompt.
    PromptPrefix,
}

/// A provider's name, or that and a weight.
#[derive(Debug)]
pub(super) struct EndpointSpec {
    pub(super) provider: String,
    pub(super) weight: u32,
}

/// What runs: a pool, a model, or both, or a split over several.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TargetSpec {
    /// The pool that serves it.
    pub(super) pool: Option<String>,
    /// The model that runs: with a pool this is the end, else it is looked up again.
    pub(super) model: Option<String>,
    /// One of these, by their weights.
    pub(super) split: Option<Vec<BranchSpec>>,
}

/// A branch of a split.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BranchSpec {
    pub(super) weight: u32,
    pub(super) pool: Option<String>,
    pub(super) model: Option<String>,
}

/// What runs for some callers instead. All lists that are given must hold.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OverrideSpec {
    pub(super) tenants: Option<Vec<String>>,
    pub(super) tiers: Option<Vec<String>>,
    /// Names or prefixes.
    pub(super) models: Option<Vec<String>>,
    #[serde(rename = "use")]
    pub(super) target: TargetSpec,
}

/// A pool and nothing else.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PoolNameSpec {
    pub(super) pool: String,
}

impl<'de> Deserialize<'de> for EndpointSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Weighted {
            provider: String,
            #[serde(default = "defaults::weight")]
            weight: u32,
        }

        struct Endpoint;

        impl<'de> Visitor<'de> for Endpoint {
            type Value = EndpointSpec;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a provider's name, or an object of `provider` and `weight`")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<EndpointSpec, E> {
                Ok(EndpointSpec { provider: name.to_owned(), weight: defaults::weight() })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<EndpointSpec, A::Error> {
                let Weighted { provider, weight } = Weighted::deserialize(MapAccessDeserializer::new(map))?;
                Ok(EndpointSpec { provider, weight })
            }
        }

        deserializer.deserialize_any(Endpoint)
    }
}

mod defaults {
    use std::time::Duration;

    use tollgate_core::HumanDuration;

    pub(super) fn max_body_bytes() -> usize {
        8 << 20
    }

    pub(super) fn max_cooldown() -> HumanDuration {
        HumanDuration(Duration::from_secs(3600))
    }

    pub(super) fn weight() -> u32 {
        1
    }
}
