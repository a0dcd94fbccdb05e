//! One rule: which calls it counts, whose account pays, up to which limit.

use std::collections::{HashMap, HashSet};

use tollgate_core::Identity;
use tollgate_llm::ModelPattern;

use crate::ledger::Terms;
use crate::owner::{Dimension, OwnerSeed};
use crate::subject::Subject;
use crate::unit::Unit;
use crate::window::Window;

/// What a rule does to a call that does not fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// It refuses it.
    #[default]
    Enforce,
    /// It counts what it would have refused, and lets it pass.
    Shadow,
}

impl Mode {
    /// The word in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Shadow => "shadow",
        }
    }
}

/// One rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name, unique in a policy.
    pub name: String,
    /// What it counts.
    pub unit: Unit,
    /// When that is forgotten.
    pub window: Window,
    /// What it does to a call that does not fit.
    pub mode: Mode,
    /// Whether an answer is kept within what is left: its maximum is lowered, and a stream ends where nothing is left.
    pub is_hard: bool,
    /// Which calls it counts.
    pub scope: Scope,
    /// What it counts apart. A credential is one within its tenant.
    pub per: Vec<Dimension>,
    /// Its limits.
    pub limits: Limits,
    /// The beginning of all its owners.
    pub seed: OwnerSeed,
}

/// Which calls a rule counts: those that every list names that there is.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// Tenants.
    pub tenants: Option<HashSet<String>>,
    /// Credentials, by tenant.
    pub credentials: Option<HashMap<String, HashSet<String>>>,
    /// Service tiers.
    pub tiers: Option<HashSet<String>>,
    /// Models.
    pub models: Option<Vec<ModelPattern>>,
    /// Routes.
    pub routes: Option<HashSet<String>>,
}

/// Limits in whole units; the closest to the caller counts.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// For who is not named below.
    pub default: u64,
    /// By credential, within its tenant.
    pub credentials: HashMap<String, HashMap<String, u64>>,
    /// By tenant.
    pub tenants: HashMap<String, u64>,
    /// By service tier.
    pub tiers: HashMap<String, u64>,
}

impl Rule {
    /// The account that pays for a call, if the rule counts it.
    pub fn terms(&self, subject: &Subject<'_>) -> Option<Terms> {
        self.counts(subject).then(|| self.account(subject))
    }

    /// The account of a tenant, of a rule that keeps none by anything else. The tier is as it calls, empty if it has none.
    pub fn terms_of(&self, tenant: &str, tier: &str) -> Terms {
        let (tenant, tier) = (tenant.to_owned(), Some(tier.to_owned()));
        let identity = Identity { tenant, credential_id: String::new(), tier };
        self.account(&Subject { identity: &identity, model: None, other_models: &[], route: "" })
    }

    /// Tenants that it names: their number is the operator's.
    pub fn named_tenants(&self) -> impl Iterator<Item = &str> {
        let matched = self.scope.tenants.iter().flatten();
        self.limits.tenants.keys().chain(matched).map(String::as_str)
    }

    /// Whether this caller must name a model.
    pub fn asks_for_model(&self, subject: &Subject<'_>) -> bool {
        self.needs_model() && self.scope.contains_caller(subject)
    }

    /// Whether it must know the model of a call.
    pub fn needs_model(&self) -> bool {
        self.scope.models.is_some() || self.per.contains(&Dimension::Model) || self.unit == Unit::Usd
    }

    /// Whether it counts calls that run no model we know: how many there are, and nothing else.
    pub fn counts_other(&self) -> bool {
        self.unit == Unit::Requests && !self.needs_model()
    }

    /// Whether it must know the route of a call.
    pub fn needs_route(&self) -> bool {
        self.scope.routes.is_some() || self.per.contains(&Dimension::Route)
    }

    /// How many callers share one account, roughly: those that share the fewest are asked first, so that who is over a limit of
    /// its own never touches what it shares with others.
    pub fn breadth(&self) -> u8 {
        let has = |dimension| self.per.contains(&dimension);
        match () {
            () if has(Dimension::Credential) => 0,
            () if has(Dimension::Tenant) => 1,
            () if has(Dimension::Tier) => 2,
            () if !self.per.is_empty() => 3,
            () => 4,
        }
    }

    fn account(&self, subject: &Subject<'_>) -> Terms {
        let owner = self.seed.owner(self.per.iter().map(|dimension| (*dimension, subject.value(*dimension))));
        Terms { owner, window: self.window, limit: self.limits.of(subject) }
    }

    fn counts(&self, subject: &Subject<'_>) -> bool {
        (subject.model.is_some() || self.counts_other()) && self.scope.contains(subject)
    }
}

impl Scope {
    fn contains(&self, subject: &Subject<'_>) -> bool {
        let names_one = |patterns: &[ModelPattern]| {
            subject.models().any(|model| patterns.iter().any(|pattern| pattern.matches(model)))
        };
        self.contains_caller(subject) && self.models.as_deref().is_none_or(names_one)
    }

    fn contains_caller(&self, subject: &Subject<'_>) -> bool {
        let identity = subject.identity;
        is_among(&self.tenants, &identity.tenant)
            && is_among(&self.tiers, subject.tier())
            && is_among(&self.routes, subject.route)
            && self.credentials.as_ref().is_none_or(|tenants| {
                tenants.get(&identity.tenant).is_some_and(|names| names.contains(&identity.credential_id))
            })
    }
}

/// Whether a list lets a name in; no list lets in all.
pub fn is_among(names: &Option<HashSet<String>>, name: &str) -> bool {
    names.as_ref().is_none_or(|names| names.contains(name))
}

impl Limits {
    fn of(&self, subject: &Subject<'_>) -> u64 {
        let identity = subject.identity;
        let own = self.credentials.get(&identity.tenant).and_then(|names| names.get(&identity.credential_id));
        let of_tenant = || self.tenants.get(&identity.tenant);
        let of_tier = || self.tiers.get(subject.tier());
        own.or_else(of_tenant).or_else(of_tier).copied().unwrap_or(self.default)
    }
}

#[cfg(test)]
mod tests;
