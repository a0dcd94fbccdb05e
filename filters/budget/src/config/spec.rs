//! The wire form: what stands in `budget.json`.

use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use tollgate_core::HumanDuration;

use super::unique::UniqueMap;
use crate::estimate::Ratio;
use crate::owner::Dimension;
use crate::rule::Mode;
use crate::unit::Unit;
use crate::window::Period;

/// The whole configuration.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Spec {
    /// All rules. A call must fit into each that counts it.
    pub(super) rules: Vec<RuleSpec>,
    /// Dollars per million tokens, by model name or prefix (`gpt-4.1*`, `*`). The closest counts.
    #[serde(default)]
    pub(super) prices: UniqueMap<PriceSpec>,
    /// What a model costs where it runs at a certain provider, by the provider's name, then as in `prices`.
    #[serde(default)]
    pub(super) provider_prices: UniqueMap<UniqueMap<PriceSpec>>,
    /// What a call is taken to generate before it ran.
    #[serde(default)]
    pub(super) output_estimate: OutputEstimateSpec,
    /// Bytes of text to a token before anything was learned, by model name or prefix: a decimal string from `"1"` to `"16"`.
    #[serde(default)]
    pub(super) bytes_per_token: UniqueMap<Ratio>,
    /// How long a reservation is held for a call that never ends: 1s to 1h.
    #[serde(default = "defaults::lease")]
    pub(super) lease: HumanDuration,
    /// Slots of shared data, 16 to 65536: at least four times as many as accounts in use at once. Another number starts all afresh.
    #[serde(default = "defaults::slots")]
    pub(super) slots: u32,
    /// Longest request body that is read, in bytes: up to 64 MiB. A longer one is refused with 413.
    #[serde(default = "defaults::max_body_bytes")]
    pub(super) max_body_bytes: usize,
    /// What becomes of a call that the ledger cannot decide over.
    #[serde(default)]
    pub(super) on_contention: OnContention,
    /// Whether answers carry `x-gateway-budget`: every rule with limit, used, reserved and what the call needs.
    #[serde(default)]
    pub(super) explain: bool,
    /// Who may list all budgets (`GET /gateway/budget?scope=all`).
    #[serde(default)]
    pub(super) admins: AdminsSpec,
}

/// One rule.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleSpec {
    /// Its name in refusals, metrics and lists: 1 to 64 of `a-z`, `0-9`, `_`, `-`, `.`.
    pub(super) name: String,
    /// What it counts.
    pub(super) unit: Unit,
    /// When that is forgotten.
    pub(super) window: WindowSpec,
    /// The limit of a window for who is not named in `limits`: a whole number, or dollars as in `"25.00"`.
    pub(super) limit: AmountSpec,
    /// Other limits, the closest to the caller counts: credential, tenant, tier.
    #[serde(default)]
    pub(super) limits: LimitsSpec,
    /// What it counts apart; nothing: all calls share one account.
    #[serde(default)]
    pub(super) per: Vec<Dimension>,
    /// Which calls it counts; nothing: all.
    #[serde(default, rename = "match")]
    pub(super) scope: ScopeSpec,
    /// Whether it refuses, or only tells what it would refuse.
    #[serde(default)]
    pub(super) mode: Mode,
    /// Whether answers are kept within what is left.
    #[serde(default)]
    pub(super) hard_cap: bool,
}

/// Exactly one of both.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum WindowSpec {
    /// Drains evenly, the whole limit in this time: 1s to 31d.
    Rolling(HumanDuration),
    /// Whole again at the turn of the period, in UTC.
    Calendar(Period),
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct LimitsSpec {
    /// By tenant, then by credential.
    pub(super) credentials: UniqueMap<UniqueMap<AmountSpec>>,
    /// By tenant.
    pub(super) tenants: UniqueMap<AmountSpec>,
    /// By service tier.
    pub(super) tiers: UniqueMap<AmountSpec>,
}

/// Lists of names; all that are given must hold.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ScopeSpec {
    pub(super) tenants: Option<Vec<String>>,
    /// By tenant.
    pub(super) credentials: Option<UniqueMap<Vec<String>>>,
    pub(super) tiers: Option<Vec<String>>,
    /// Names or prefixes (`gpt-4.1*`), without regard to case.
    pub(super) models: Option<Vec<String>>,
    /// Names of routes in Envoy's configuration.
    pub(super) routes: Option<Vec<String>>,
}

/// Dollars per million tokens, as decimal strings.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PriceSpec {
    pub(super) input: String,
    /// As `input` if left out.
    pub(super) cached_input: Option<String>,
    /// As `input` if left out.
    pub(super) cache_write: Option<String>,
    pub(super) output: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct OutputEstimateSpec {
    /// What is reserved for output.
    pub(super) reserve: ReserveSpec,
    /// What is reserved before anything was learned.
    pub(super) while_cold: WhileColdSpec,
    /// Tokens that an answer is taken to have before anything was learned: 1 to 1000000.
    pub(super) cold: u64,
    /// Which part of the answers seen the estimate covers, in percent: 50 to 99.
    pub(super) quantile: u8,
    /// Answers of a kind seen before the estimate goes by them: 1 to 100.
    pub(super) min_samples: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ReserveSpec {
    /// What finished calls of its kind took.
    Learned,
    /// What it declares as its maximum, else `cold`, whatever `while_cold` says; nothing is learned.
    Declared,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum WhileColdSpec {
    /// The maximum that it declares, else `cold`.
    Declared,
    /// `cold`, or the declared maximum if that is smaller.
    Fixed,
}

impl Default for OutputEstimateSpec {
    fn default() -> Self {
        Self {
            reserve: ReserveSpec::Learned,
            while_cold: WhileColdSpec::Declared,
            cold: 256,
            quantile: 80,
            min_samples: 10,
        }
    }
}

/// What becomes of a call that the ledger cannot decide over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnContention {
    /// It is refused with 503 and may come again.
    #[default]
    Deny,
    /// It passes unreserved, and is charged when it ends.
    Allow,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AdminsSpec {
    pub(super) tenants: Vec<String>,
    pub(super) tiers: Vec<String>,
}

/// A number, or dollars. Which of both is right is the unit's to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum AmountSpec {
    Whole(u64),
    Dollars(String),
}

impl<'de> Deserialize<'de> for AmountSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Amount;

        impl Visitor<'_> for Amount {
            type Value = AmountSpec;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a whole number, or dollars as a string, as in \"25.00\"")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<AmountSpec, E> {
                Ok(AmountSpec::Whole(number))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<AmountSpec, E> {
                Ok(AmountSpec::Dollars(text.to_owned()))
            }
        }

        deserializer.deserialize_any(Amount)
    }
}

mod defaults {
    use std::time::Duration;

    use tollgate_core::HumanDuration;

    pub(super) fn lease() -> HumanDuration {
        HumanDuration(Duration::from_secs(600))
    }

    pub(super) fn slots() -> u32 {
        4096
    }

    pub(super) fn max_body_bytes() -> usize {
        8 << 20
    }
}
