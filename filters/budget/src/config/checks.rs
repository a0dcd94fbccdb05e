//! What of the rules contradicts itself or the prices: better refused than silently without effect.

use tollgate_core::ConfigError;
use tollgate_llm::ModelPattern;

use crate::owner::Dimension;
use crate::price::Prices;
use crate::rule::{Mode, Rule, is_among};
use crate::unit::Unit;

pub(super) fn check_rules(rules: &[Rule], prices: &Prices) -> Result<(), ConfigError> {
    for (index, rule) in rules.iter().enumerate() {
        let path = format!("rules[{index}]");
        check_names(&path, rule)?;
        check_accounts(&path, rule)?;
        check_models(&path, rule)?;
        check_prices(&path, rule, prices)?;
        if rule.is_hard && !rule.unit.grows_with_output() {
            let problem = format!("cuts answers short, but {} do not grow with one", rule.unit.noun());
            return Err(ConfigError::at(format!("{path}.hard_cap"), problem));
        }
        if rule.is_hard && rule.mode == Mode::Shadow {
            return Err(ConfigError::at(format!("{path}.hard_cap"), "has no effect in mode `shadow`"));
        }
    }
    Ok(())
}

/// A limit for somebody whom the rule does not count would never apply.
fn check_names(path: &str, rule: &Rule) -> Result<(), ConfigError> {
    let (scope, limits) = (&rule.scope, &rule.limits);
    let inert = |field: &str, name: &str| {
        ConfigError::at(format!("{path}.{field}.{name}"), "never applies: `match` leaves it out")
    };
    let outside = |names, name: &String| !is_among(names, name);
    if let Some(tenant) = limits.tenants.keys().find(|tenant| outside(&scope.tenants, tenant)) {
        return Err(inert("limits.tenants", tenant));
    }
    if let Some(tier) = limits.tiers.keys().find(|tier| outside(&scope.tiers, tier)) {
        return Err(inert("limits.tiers", tier));
    }
    let matched = scope.credentials.iter().flat_map(|tenants| tenants.keys());
    if let Some(tenant) = matched.into_iter().find(|tenant| outside(&scope.tenants, tenant)) {
        return Err(inert("match.credentials", tenant));
    }
    for (tenant, names) in &limits.credentials {
        let counted = scope.credentials.as_ref().map(|tenants| tenants.get(tenant));
        let is_out = |name: &String| counted.is_some_and(|own| own.is_none_or(|own| !own.contains(name)));
        if outside(&scope.tenants, tenant) {
            return Err(inert("limits.credentials", tenant));
        }
        if let Some(name) = names.keys().find(|name| is_out(name)) {
            return Err(inert("limits.credentials", &format!("{tenant}.{name}")));
        }
    }
    Ok(())
}

/// Callers of one account must have one limit: it is held to, and drains by, that of whoever called last.
fn check_accounts(path: &str, rule: &Rule) -> Result<(), ConfigError> {
    let has = |dimension| rule.per.contains(&dimension);
    let limits = &rule.limits;
    let (field, needed) = match () {
        () if !limits.credentials.is_empty() && !has(Dimension::Credential) => ("credentials", "`credential`"),
        () if !limits.tenants.is_empty() && !has(Dimension::Tenant) => ("tenants", "`tenant` or `credential`"),
        () if !limits.tiers.is_empty() && !has(Dimension::Tenant) && !has(Dimension::Tier) => {
            ("tiers", "`tier`, `tenant` or `credential`")
        }
        () => return Ok(()),
    };
    let problem = format!("needs {needed} in `per`: callers who share an account share its limit");
    Err(ConfigError::at(format!("{path}.limits.{field}"), problem))
}

/// Callers may invent names, and each would take a place in the ledger where a provider takes any.
fn check_models(path: &str, rule: &Rule) -> Result<(), ConfigError> {
    if !rule.per.contains(&Dimension::Model) || rule.scope.models.is_some() {
        return Ok(());
    }
    let problem = "goes by `model`, so name the models in `match.models`: callers could invent any number of others. `*` is good where \
                   providers refuse names they do not know";
    Err(ConfigError::at(format!("{path}.per"), problem))
}

/// A model without a price would be free under a rule that counts money.
fn check_prices(path: &str, rule: &Rule, prices: &Prices) -> Result<(), ConfigError> {
    if rule.unit != Unit::Usd {
        return Ok(());
    }
    let all = [ModelPattern::Prefix(String::new())];
    let models = rule.scope.models.as_deref().unwrap_or(&all);
    match models.iter().find(|models| !prices.covers(models)) {
        None => Ok(()),
        Some(models) => {
            let problem = format!(
                "counts money, but `{}` has no price, so it would be free: add it to `prices`, or name the priced \
                 models in `match.models`",
                shown(models)
            );
            Err(ConfigError::at(path, problem))
        }
    }
}

fn shown(models: &ModelPattern) -> String {
    match models {
        ModelPattern::Exact(name) => name.clone(),
        ModelPattern::Prefix(prefix) => format!("{prefix}*"),
    }
}

pub(super) fn check_range<T: PartialOrd + Copy>(
    path: &str,
    value: T,
    least: T,
    most: T,
    right: &str,
) -> Result<(), ConfigError> {
    if value < least || value > most { Err(ConfigError::at(path, format!("must be {right}"))) } else { Ok(()) }
}
