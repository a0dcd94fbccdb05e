//! Rules: wire form to validated ones, each for itself.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tollgate_core::ConfigError;
use tollgate_llm::ModelPattern;

use super::checks::check_range;
use super::spec::{AmountSpec, LimitsSpec, RuleSpec, ScopeSpec, WindowSpec};
use super::unique::UniqueMap;
use crate::decimal;
use crate::models::pattern;
use crate::money::NanoUsd;
use crate::owner::{Dimension, OwnerSeed};
use crate::rule::{Limits, Rule, Scope};
use crate::unit::Unit;
use crate::window::Window;

/// Each call asks every rule.
const MAX_RULES: usize = 64;
/// Far above every budget, far below where sums would saturate; the largest integer of a structured header (RFC 9651 §3.3.1).
const MAX_LIMIT: u64 = 999_999_999_999_999;
const MAX_DOLLARS: u64 = 1_000_000_000 * decimal::ONE;
/// A rolling window of a month.
const LONGEST: Duration = Duration::from_secs(31 * 86_400);

pub(super) fn rules(specs: Vec<RuleSpec>) -> Result<Vec<Rule>, ConfigError> {
    check_range("rules", specs.len(), 1, MAX_RULES, "from 1 to 64 rules")?;
    let mut rules: Vec<Rule> = Vec::with_capacity(specs.len());
    for (index, spec) in specs.into_iter().enumerate() {
        let path = format!("rules[{index}]");
        let rule = rule(&path, spec)?;
        if rules.iter().any(|other| other.name == rule.name) {
            return Err(ConfigError::at(format!("{path}.name"), "is the name of another rule: names are unique"));
        }
        rules.push(rule);
    }
    Ok(rules)
}

/// Those with the fewest callers an account first, else in the order of the configuration.
pub(super) fn by_breadth(mut rules: Vec<Rule>) -> Vec<Rule> {
    rules.sort_by_key(Rule::breadth);
    rules
}

fn rule(path: &str, spec: RuleSpec) -> Result<Rule, ConfigError> {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.".contains(&byte);
    if !(1..=64).contains(&spec.name.len()) || !spec.name.bytes().all(is_word) {
        return Err(ConfigError::at(format!("{path}.name"), "must be 1 to 64 of a-z, 0-9, `_`, `-` and `.`"));
    }
    let window = window(path, &spec.window)?;
    let per = dimensions(path, spec.per)?;
    let limits = limits(path, spec.unit, &spec.limit, &spec.limits)?;
    let seed = OwnerSeed::new(&spec.name, spec.unit, window, spec.mode);
    Ok(Rule {
        unit: spec.unit,
        mode: spec.mode,
        is_hard: spec.hard_cap,
        scope: scope(&format!("{path}.match"), spec.scope)?,
        name: spec.name,
        window,
        per,
        limits,
        seed,
    })
}

fn window(path: &str, spec: &WindowSpec) -> Result<Window, ConfigError> {
    match spec {
        WindowSpec::Calendar(period) => Ok(Window::Calendar(*period)),
        WindowSpec::Rolling(length) => {
            let path = format!("{path}.window.rolling");
            check_range(&path, length.0, Duration::from_secs(1), LONGEST, "from 1s to 31d")?;
            Ok(Window::Rolling(length.0))
        }
    }
}

/// Credentials of two tenants may have one name.
fn dimensions(path: &str, mut per: Vec<Dimension>) -> Result<Vec<Dimension>, ConfigError> {
    let count = per.len();
    per.sort_unstable();
    per.dedup();
    if per.len() < count {
        return Err(ConfigError::at(format!("{path}.per"), "names a dimension twice"));
    }
    if per.contains(&Dimension::Credential) && !per.contains(&Dimension::Tenant) {
        per.insert(0, Dimension::Tenant);
    }
    Ok(per)
}

fn limits(path: &str, unit: Unit, default: &AmountSpec, spec: &LimitsSpec) -> Result<Limits, ConfigError> {
    let named = |path: &str, map: &UniqueMap<AmountSpec>| -> Result<HashMap<String, u64>, ConfigError> {
        let amounts = map.0.iter().map(|(name, spec)| {
            let path = format!("{path}.{name}");
            Ok((a_name(&path, name)?.to_owned(), amount(&path, unit, spec)?))
        });
        amounts.collect()
    };
    let credentials = spec.credentials.0.iter().map(|(tenant, map)| {
        let path = format!("{path}.limits.credentials.{tenant}");
        Ok((a_name(&path, tenant)?.to_owned(), named(&path, map)?))
    });
    Ok(Limits {
        default: amount(&format!("{path}.limit"), unit, default)?,
        credentials: credentials.collect::<Result<_, _>>()?,
        tenants: named(&format!("{path}.limits.tenants"), &spec.tenants)?,
        tiers: named(&format!("{path}.limits.tiers"), &spec.tiers)?,
    })
}

fn amount(path: &str, unit: Unit, spec: &AmountSpec) -> Result<u64, ConfigError> {
    let most = if unit == Unit::Usd { MAX_DOLLARS } else { MAX_LIMIT };
    let (amount, right) = match (unit, spec) {
        (Unit::Usd, AmountSpec::Dollars(text)) => {
            (NanoUsd::parse(text).map(|money| money.0), "dollars, at most \"1000000000\"")
        }
        (Unit::Usd, AmountSpec::Whole(_)) => (None, "dollars as a string, as in \"25.00\""),
        (_, AmountSpec::Whole(number)) => (Some(*number), "a whole number, at most 999999999999999"),
        (_, AmountSpec::Dollars(_)) => (None, "a whole number: the unit is not `usd`"),
    };
    amount.filter(|amount| *amount <= most).ok_or_else(|| ConfigError::at(path, format!("must be {right}")))
}

fn scope(path: &str, spec: ScopeSpec) -> Result<Scope, ConfigError> {
    let set = |field: &str, list: Option<Vec<String>>| names(&format!("{path}.{field}"), list);
    let models = spec.models.map(|list| models(&format!("{path}.models"), &list)).transpose()?;
    let credentials = spec.credentials.map(|tenants| {
        let path = format!("{path}.credentials");
        not_empty(&path, tenants.0.len())?;
        let each = tenants.0.into_iter().map(|(tenant, list)| {
            let names = names(&format!("{path}.{tenant}"), Some(list))?.unwrap_or_default();
            Ok((tenant, names))
        });
        each.collect::<Result<HashMap<_, _>, _>>()
    });
    Ok(Scope {
        tenants: set("tenants", spec.tenants)?,
        tiers: set("tiers", spec.tiers)?,
        routes: set("routes", spec.routes)?,
        credentials: credentials.transpose()?,
        models,
    })
}

fn models(path: &str, list: &[String]) -> Result<Vec<ModelPattern>, ConfigError> {
    not_empty(path, list.len())?;
    let patterns: Option<Vec<_>> = list.iter().map(|text| pattern(text)).collect();
    patterns.ok_or_else(|| ConfigError::at(path, "must be names, or prefixes with `*` at their end"))
}

fn names(path: &str, list: Option<Vec<String>>) -> Result<Option<HashSet<String>>, ConfigError> {
    let Some(list) = list else { return Ok(None) };
    not_empty(path, list.len())?;
    for name in &list {
        a_name(path, name)?;
    }
    Ok(Some(list.into_iter().collect()))
}

fn not_empty(path: &str, length: usize) -> Result<(), ConfigError> {
    let problem = "is empty, so the rule could never match: leave the list out to match all";
    if length == 0 { Err(ConfigError::at(path, problem)) } else { Ok(()) }
}

fn a_name<'n>(path: &str, name: &'n str) -> Result<&'n str, ConfigError> {
    if name.is_empty() { Err(ConfigError::at(path, "a name is empty")) } else { Ok(name) }
}
