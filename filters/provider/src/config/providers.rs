//! `providers`: who can be asked, and what makes a request fit each of them.
//!
//! All that can be computed is computed here, once: an attempt only puts pieces together. What the renderer alone needs is
//! checked here as well, so that there is one judge of the file.

pub(crate) mod checks;
mod credential;
mod edits;
mod names;
mod paths;
mod spec;
#[cfg(test)]
mod tests;
mod url;

use std::collections::BTreeMap;

use tollgate_core::ConfigError;
use tollgate_core::handoff::is_provider_name;
use tollgate_core::ports::Environment;

pub use credential::{Credential, Secret, Source};
use names::Names;
pub use names::Served;
pub use paths::{PathRule, Piece};
pub use spec::ProviderSpec;

/// Every provider is an endpoint of a cluster and a label value.
const MAX_PROVIDERS: usize = 64;

/// Who can be asked.
#[derive(Debug)]
pub struct Provider {
    /// Its name in metrics, logs and hand-offs.
    pub name: String,
    /// What stands in `:authority`: the host, and the port where it is not the scheme's own.
    pub authority: String,
    /// What proves who asks; `None`: nothing does.
    pub credential: Option<Credential>,
    /// Which prefixes of a path become what; the longest first.
    pub paths: Vec<PathRule>,
    /// Parameters of the query: name and value as they are, not encoded.
    pub query: Vec<(String, String)>,
    /// Headers that every request gets, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Members that every body gets: name and value as JSON.
    pub set: Vec<(String, String)>,
    /// Members that no body keeps.
    pub drop: Vec<String>,
    names: Names,
}

impl Provider {
    /// What it runs where a model was decided on, and what it calls that.
    pub fn serves<'a>(&'a self, model: &'a str) -> Served<'a> {
        self.names.of(model)
    }

    /// Every model that its configuration names, by the gateway's name for it.
    pub fn models(&self) -> impl Iterator<Item = &str> {
        self.names.all()
    }

    fn new(
        path: &str,
        name: String,
        spec: ProviderSpec,
        env: &dyn Environment,
        wants_secrets: bool,
    ) -> Result<Self, ConfigError> {
        let authority = url::authority(&format!("{path}.url"), &spec.url)?;
        checks::renderer_fields(path, &spec)?;
        let at = |field: &str| format!("{path}.{field}");
        let credential = spec.credential.map(|spec| Credential::new(&at("credential"), spec, env, wants_secrets));
        let credential = credential.transpose()?;
        let own = credential.as_ref().map(|credential| credential.header.as_str());
        Ok(Self {
            name,
            authority,
            paths: paths::rules(&at("paths"), spec.paths)?,
            query: checks::query(&at("query"), spec.query)?,
            headers: checks::headers(&at("headers"), spec.headers, own)?,
            set: edits::set(&at("body.set"), &spec.body)?,
            drop: edits::drop(&at("body.drop"), spec.body)?,
            names: Names::new(path, spec.models, spec.stand_ins)?,
            credential,
        })
    }
}

/// All providers, by name.
#[derive(Debug)]
pub struct Providers(BTreeMap<String, Provider>);

impl Providers {
    /// Checks them all. Who wants secrets must have the environment variables that hold some; who does not, never asks.
    pub fn new(
        specs: BTreeMap<String, ProviderSpec>,
        env: &dyn Environment,
        wants_secrets: bool,
    ) -> Result<Self, ConfigError> {
        if specs.is_empty() || specs.len() > MAX_PROVIDERS {
            return Err(ConfigError::at("providers", format!("give 1 to {MAX_PROVIDERS} providers")));
        }
        let mut providers = BTreeMap::new();
        for (name, spec) in specs {
            if !is_provider_name(&name) {
                let problem = "a provider's name must be 1 to 40 of `a-z`, `0-9` and `-`";
                return Err(ConfigError::at("providers", problem));
            }
            let provider = Provider::new(&format!("providers.{name}"), name.clone(), spec, env, wants_secrets)?;
            providers.insert(name, provider);
        }
        let providers = Self(providers);
        providers.check_headers()?;
        Ok(providers)
    }

    /// Refuses a header that another provider's credential goes by: whose it is could not be told.
    fn check_headers(&self) -> Result<(), ConfigError> {
        let used = |name: &str| self.iter().find(|it| it.credential.as_ref().is_some_and(|it| it.header == name));
        for provider in self.iter() {
            for (name, _) in &provider.headers {
                if let Some(other) = used(name) {
                    let problem =
                        format!("`{name}` carries the credential of provider `{}`: use another header", other.name);
                    return Err(ConfigError::at(format!("providers.{}.headers", provider.name), problem));
                }
            }
        }
        Ok(())
    }

    /// The provider of a name.
    pub fn get(&self, name: &str) -> Option<&Provider> {
        self.0.get(name)
    }

    /// All of them, in the order of their names, for who takes them apart.
    pub fn into_all(self) -> impl Iterator<Item = Provider> {
        self.0.into_values()
    }

    /// All of them, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Provider> {
        self.0.values()
    }
}
