//! The policy: what stands in `budget.json`, and what of it is refused.

mod checks;
mod rules;
mod spec;
mod unique;

use std::collections::HashMap;
use std::time::Duration;

use tollgate_core::handoff::is_provider_name;
use tollgate_core::{ConfigError, Identity, config};
use tollgate_llm::ModelPattern;

use crate::decimal;
use crate::estimate::output::MOST_MIN_SAMPLES;
use crate::estimate::{ColdStart, OutputPolicy, Quantile, Ratio};
use crate::models::{ModelTable, pattern};
use crate::money::NanoUsd;
use crate::price::{Price, Prices};
use crate::rule::Rule;
use checks::check_range;
pub use spec::OnContention;
use spec::{AdminsSpec, OutputEstimateSpec, PriceSpec, ReserveSpec, Spec, WhileColdSpec};
use unique::UniqueMap;

/// A body is held in linear memory, which never shrinks and is capped by Envoy at 1 GiB.
const MAX_BODY: usize = 64 << 20;
/// More than any price of a million tokens: sums of costs stay far from the end of `u64`.
const MAX_PRICE: NanoUsd = NanoUsd(1_000_000 * decimal::ONE);

/// The validated policy.
#[derive(Debug)]
pub struct Policy {
    /// All rules, those with the fewest callers an account first.
    pub rules: Vec<Rule>,
    /// What models cost.
    pub prices: Prices,
    /// What models cost at a certain provider, by its name. Calls are reserved for before it is known who answers, so only ends go by it.
    pub provider_prices: HashMap<String, Prices>,
    /// What a call is taken to generate.
    pub output_estimate: OutputEstimate,
    /// Bytes of text to a token before anything was learned.
    pub bytes_per_token: ModelTable<Ratio>,
    /// How long a reservation is held for a call that never ends.
    pub lease: Duration,
    /// Slots of shared data. Another number starts all budgets afresh.
    pub slots: u32,
    /// Longest request body held for reading.
    pub max_body_bytes: usize,
    /// What becomes of a call that the ledger cannot decide over.
    pub on_contention: OnContention,
    /// Whether answers tell how it was decided.
    pub explain: bool,
    admins: AdminsSpec,
}

/// What a call is taken to generate before it ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputEstimate {
    /// Whether it goes by what was learned.
    pub learns: bool,
    /// How.
    pub policy: OutputPolicy,
}

impl OutputEstimate {
    /// Tokens that an answer is taken to have while nothing is known.
    pub const fn cold(&self) -> u64 {
        match self.policy.cold {
            ColdStart::DeclaredOr(tokens) | ColdStart::Fixed(tokens) => tokens,
        }
    }
}

impl Policy {
    /// Reads and checks the configuration.
    pub fn parse(bytes: &[u8]) -> Result<Self, ConfigError> {
        let spec: Spec = config::parse(bytes)?;
        let prices = prices("prices", spec.prices)?;
        let provider_prices = provider_prices(spec.provider_prices)?;
        let output_estimate = output_estimate(&spec.output_estimate)?;
        check_range("lease", spec.lease.0, Duration::from_secs(1), Duration::from_secs(3600), "from 1s to 1h")?;
        check_range("slots", spec.slots, 16, 65_536, "from 16 to 65536")?;
        check_range("max_body_bytes", spec.max_body_bytes, 1, MAX_BODY, "from 1 to 67108864 (64 MiB)")?;
        let rules = rules::rules(spec.rules)?;
        checks::check_rules(&rules, &prices)?;
        Ok(Self {
            rules: rules::by_breadth(rules),
            prices,
            provider_prices,
            output_estimate,
            bytes_per_token: table("bytes_per_token", spec.bytes_per_token, |_, ratio| Ok(*ratio))?,
            lease: spec.lease.0,
            slots: spec.slots,
            max_body_bytes: spec.max_body_bytes,
            on_contention: spec.on_contention,
            explain: spec.explain,
            admins: spec.admins,
        })
    }

    /// What a model costs at a provider, its name in lower case.
    pub fn price_at(&self, provider: &str, model: &str) -> Option<&Price> {
        let own = self.provider_prices.get(provider).and_then(|prices| prices.of(model));
        own.or_else(|| self.prices.of(model))
    }

    /// Whether somebody may list all budgets.
    pub fn is_admin(&self, identity: &Identity) -> bool {
        let tier = identity.tier.as_ref();
        self.admins.tenants.contains(&identity.tenant) || tier.is_some_and(|tier| self.admins.tiers.contains(tier))
    }
}

fn output_estimate(spec: &OutputEstimateSpec) -> Result<OutputEstimate, ConfigError> {
    check_range("output_estimate.cold", spec.cold, 1, 1_000_000, "tokens, from 1 to 1000000")?;
    let most = MOST_MIN_SAMPLES;
    check_range("output_estimate.min_samples", spec.min_samples, 1, most, "from 1 to 100 answers")?;
    let quantile = Quantile::from_percent(spec.quantile);
    let quantile =
        quantile.ok_or_else(|| ConfigError::at("output_estimate.quantile", "must be percent, from 50 to 99"))?;
    let cold = match spec.while_cold {
        _ if spec.reserve == ReserveSpec::Declared => ColdStart::DeclaredOr(spec.cold),
        WhileColdSpec::Declared => ColdStart::DeclaredOr(spec.cold),
        WhileColdSpec::Fixed => ColdStart::Fixed(spec.cold),
    };
    let policy = OutputPolicy { quantile, cold, min_samples: spec.min_samples, ..OutputPolicy::default() };
    Ok(OutputEstimate { learns: spec.reserve == ReserveSpec::Learned, policy })
}

fn provider_prices(specs: UniqueMap<UniqueMap<PriceSpec>>) -> Result<HashMap<String, Prices>, ConfigError> {
    let of_provider = |(provider, specs): (String, UniqueMap<PriceSpec>)| {
        if !is_provider_name(&provider) {
            let problem = "a name is no provider's: those are 1 to 40 of a-z, 0-9 and `-`, as in `providers.json`";
            return Err(ConfigError::at("provider_prices", problem));
        }
        let path = format!("provider_prices.{provider}");
        if specs.0.is_empty() {
            return Err(ConfigError::at(path, "names no model: price one, or leave the provider out"));
        }
        Ok((provider, prices(&path, specs)?))
    };
    specs.0.into_iter().map(of_provider).collect()
}

fn prices(field: &str, specs: UniqueMap<PriceSpec>) -> Result<Prices, ConfigError> {
    table(field, specs, |path, spec| {
        let dollars = |field: &str, text: &str| {
            NanoUsd::parse(text).filter(|price| *price <= MAX_PRICE).ok_or_else(|| {
                let problem = "must be dollars per million tokens as a string, as in \"2.50\", at most 1000000";
                ConfigError::at(format!("{path}.{field}"), problem)
            })
        };
        let input = dollars("input", &spec.input)?;
        let or_input =
            |field: &str, text: &Option<String>| text.as_ref().map_or(Ok(input), |text| dollars(field, text));
        Ok(Price {
            input,
            cached_input: or_input("cached_input", &spec.cached_input)?,
            cache_write: or_input("cache_write", &spec.cache_write)?,
            output: dollars("output", &spec.output)?,
        })
    })
}

/// A table by model names and prefixes, none of them twice.
fn table<S, T>(
    field: &str,
    specs: UniqueMap<S>,
    value: impl Fn(&str, &S) -> Result<T, ConfigError>,
) -> Result<ModelTable<T>, ConfigError> {
    let mut entries: Vec<(ModelPattern, T)> = Vec::with_capacity(specs.0.len());
    for (name, spec) in specs.0 {
        let path = format!("{field}.{name}");
        let Some(models) = pattern(&name) else {
            return Err(ConfigError::at(field, "a name is no model and no prefix with `*` at its end"));
        };
        if entries.iter().any(|(other, _)| *other == models) {
            return Err(ConfigError::at(path, "stands here twice: the case of a model's name does not matter"));
        }
        entries.push((models, value(&path, &spec)?));
    }
    Ok(ModelTable::new(entries))
}

#[cfg(test)]
mod tests;
