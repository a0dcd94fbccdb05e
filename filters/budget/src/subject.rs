//! What of a call decides which rules it falls under.

use tollgate_core::Identity;

use crate::owner::Dimension;

/// What of a call decides which rules it falls under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject<'a> {
    /// Who calls.
    pub identity: &'a Identity,
    /// The model, its name in lower case; empty if it is not known which. `None`: the call runs none that we know.
    pub model: Option<&'a str>,
    /// Other names that the call gives, in lower case: it may run what any of them names.
    pub other_models: &'a [String],
    /// The route that Envoy chose; empty where no rule asks.
    pub route: &'a str,
}

impl<'a> Subject<'a> {
    /// The value of a dimension; empty if the call has none.
    pub fn value(&self, dimension: Dimension) -> &'a str {
        match dimension {
            Dimension::Tenant => &self.identity.tenant,
            Dimension::Credential => &self.identity.credential_id,
            Dimension::Tier => self.tier(),
            Dimension::Model => self.model.unwrap_or_default(),
            Dimension::Route => self.route,
        }
    }

    /// Every model that the call names.
    pub fn models(&self) -> impl Iterator<Item = &'a str> {
        self.model.into_iter().chain(self.other_models.iter().map(String::as_str))
    }

    /// The caller's service tier; empty if it has none.
    pub fn tier(&self) -> &'a str {
        self.identity.tier.as_deref().unwrap_or_default()
    }
}
