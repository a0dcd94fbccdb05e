//! Where a list comes from: the document itself, an environment variable, or both together.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tollgate_core::ports::Environment;
use tollgate_core::{ConfigError, config};

/// A list and where it stands.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source<T> {
    /// The environment variable that holds it as JSON.
    pub from_env: Option<String>,
    /// The list itself.
    pub inline: Option<T>,
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
    /// Reads all places. One at least must be named, and every named one must be readable.
    pub(super) fn read(self, path: &str, env: &dyn Environment) -> Result<Vec<Part<T>>, ConfigError> {
        let mut parts = Vec::new();
        if let Some(value) = self.inline {
            parts.push(Part { path: format!("{path}.inline"), is_inline: true, value });
        }
        if let Some(name) = self.from_env {
            parts.push(Part { path: format!("${name}"), is_inline: false, value: from_env(&name, path, env)? });
        }
        if parts.is_empty() {
            return Err(ConfigError::at(path, "name a source: `from_env` or `inline`"));
        }
        Ok(parts)
    }
}

fn from_env<T: DeserializeOwned>(name: &str, path: &str, env: &dyn Environment) -> Result<T, ConfigError> {
    let text = env.var(name).filter(|text| !text.trim().is_empty()).ok_or_else(|| {
        let problem = format!(
            "the environment variable {name} is not set or empty: set it where Envoy starts and name it in \
             `host_env_keys` (Istio: `vmConfig.env`)"
        );
        ConfigError::at(format!("{path}.from_env"), problem)
    })?;
    config::parse(text.as_bytes()).map_err(|error| {
        let inner = if error.path.is_empty() || error.path.starts_with('[') { "" } else { "." };
        ConfigError::at(format!("${name}{inner}{}", error.path), error.problem)
    })
}
