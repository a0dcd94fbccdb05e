//! From the wire form of the configuration to the policy.
//!
//! The rule is that nobody gets in by mistake: a filter without any credential, an issuer that would take tokens made
//! for others, a variable that is not set: each refuses the plugin, with the path of the field and the remedy. Errors
//! never repeat a value, as it might be a key in the wrong place.

mod headers;
mod issuers;
mod keys;
mod remote;
mod source;
mod spec;
mod terms;

use std::collections::BTreeSet;

use tollgate_core::ports::Environment;
use tollgate_core::{ConfigError, config};
use tollgate_llm::query;

use crate::api_key::ApiKeys;
use crate::jwt::Verifier;
use crate::outgoing::IdentityHeaders;
use crate::remote::{Remote, Watched};
pub use remote::RemoteSpec;
pub use source::Source;
pub use spec::{ApiKeySpec, IssuerSpec, JwtSpec, Spec, UpstreamHeadersSpec};

/// What the filter decides by.
pub struct Policy {
    /// API keys that are at hand.
    pub api_keys: ApiKeys,
    /// API keys that a server keeps.
    pub remote_keys: Option<Remote<ApiKeys>>,
    /// Issuers of tokens.
    pub tokens: Verifier,
    /// Whether a credential may stand in the URL.
    pub query_keys: bool,
    /// Headers that tell the provider who calls.
    pub identity_headers: IdentityHeaders,
    open_paths: BTreeSet<Vec<u8>>,
}

impl Policy {
    /// Reads and validates a configuration.
    pub fn from_json(json: &[u8], env: &dyn Environment) -> Result<Self, ConfigError> {
        let spec: Spec = config::parse(json)?;
        let (api_keys, remote_keys) =
            spec.api_keys.map_or_else(|| Ok(keys::Found::default()), |source| keys::read(source, env))?;
        let tokens = spec.jwt.map_or_else(|| Ok(Verifier::default()), |jwt| issuers::read(jwt, env))?;
        if api_keys.is_empty() && remote_keys.is_none() && tokens.is_empty() {
            let problem = "nobody could get in: give at least one key in `api_keys` or one issuer in `jwt`";
            return Err(ConfigError::at("", problem));
        }
        let identity_headers = headers::read(spec.upstream_headers)?;
        let open_paths = open_paths(spec.open_paths)?;
        Ok(Self { api_keys, remote_keys, tokens, query_keys: spec.query_keys, identity_headers, open_paths })
    }

    /// All documents that servers keep.
    pub fn remotes(&self) -> impl Iterator<Item = &dyn Watched> {
        let keys = self.remote_keys.iter().map(|keys| keys as &dyn Watched);
        keys.chain(self.tokens.remotes().map(|keys| keys as &dyn Watched))
    }

    /// Whether a path needs no credential. Exactly what is configured matches, so no spelling of another path does.
    pub fn is_open(&self, path: &[u8]) -> bool {
        self.open_paths.contains(query::bare(path))
    }
}

fn open_paths(paths: Vec<String>) -> Result<BTreeSet<Vec<u8>>, ConfigError> {
    match paths.iter().position(|path| !path.starts_with('/') || path.contains(['?', '#', '*'])) {
        None => Ok(paths.into_iter().map(String::into_bytes).collect()),
        Some(index) => {
            let problem = "must be one exact path that begins with `/`, without query or wildcard";
            Err(ConfigError::at(format!("open_paths[{index}]"), problem))
        }
    }
}

#[cfg(test)]
mod tests;
