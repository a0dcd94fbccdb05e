//! Where a list comes from: the document itself, an environment variable, a server, or several of them together.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tollgate_core::ports::Environment;
use tollgate_core::{ConfigError, config};

use super::remote::RemoteSpec;

/// A list and where it stands.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source<T> {
    /// The environment variable that holds it as JSON.
    pub from_env: Option<String>,
    /// The list itself.
    pub inline: Option<T>,
    /// The server that keeps it.
    pub remote: Option<RemoteSpec>,
}

/// What one place gave.
pub(super) struct Part<T> {
    /// The place as errors name it: `api_keys.inline`, or `$NAME` for a variable.
    pub(super) path: String,
    /// Whether it stands in the document, where secrets must not.
    pub(super) is_inline: bool,
    /// The list.
    pub(super) value: T,
}

impl<T: DeserializeOwned> Source<T> {
    /// Reads the places that are at hand. One at least must be named, and every named one must be readable.
    pub(super) fn read(&mut self, path: &str, env: &dyn Environment) -> Result<Vec<Part<T>>, ConfigError> {
        let mut parts = Vec::new();
        if let Some(value) = self.inline.take() {
            parts.push(Part { path: format!("{path}.inline"), is_inline: true, value });
        }
        if let Some(name) = &self.from_env {
            parts.push(Part {
                path: format!("${}", shown(name)),
                is_inline: false,
                value: from_env(name, path, env)?,
            });
        }
        if parts.is_empty() && self.remote.is_none() {
            return Err(ConfigError::at(path, "name a source: `from_env`, `inline` or `remote`"));
        }
        Ok(parts)
    }
}

fn from_env<T: DeserializeOwned>(name: &str, path: &str, env: &dyn Environment) -> Result<T, ConfigError> {
    let text = variable(name, &format!("{path}.from_env"), env)?;
    config::parse(text.as_bytes()).map_err(|error| {
        let inner = if error.path.is_empty() || error.path.starts_with('[') { "" } else { "." };
        ConfigError::at(format!("${}{inner}{}", shown(name), error.path), error.problem)
    })
}

/// A variable that must be set. `path` is where it is named.
pub(super) fn variable(name: &str, path: &str, env: &dyn Environment) -> Result<String, ConfigError> {
    env.var(name).filter(|text| !text.trim().is_empty()).ok_or_else(|| {
        let problem = format!(
            "the environment variable {} is not set or empty: set it where Envoy starts and name it in \
             `host_env_keys` (Istio: `vmConfig.env`)",
            shown(name)
        );
        ConfigError::at(path, problem)
    })
}

/// A variable's name as errors show it: not where it might be a key that was pasted in its place.
fn shown(name: &str) -> &str {
    let is_name = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    if name.len() <= 64 && name.bytes().all(is_name) { name } else { "…" }
}
