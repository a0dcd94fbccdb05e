//! Where a list is fetched from.

use std::time::Duration;

use http::Uri;
use http::uri::PathAndQuery;
use serde::Deserialize;
use tollgate_core::ports::Environment;
use tollgate_core::{ConfigError, HumanDuration};

use super::source::variable;
use crate::remote::Address;

const REFRESH: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(24 * 3600));
const TIMEOUT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));

/// A list that a server keeps.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoteSpec {
    /// Envoy's cluster that leads to the server; it brings TLS. In Istio `outbound|443||keys.example.com`.
    pub cluster: String,
    /// What is asked for, as in `https://keys.example.com/jwks.json`.
    pub url: String,
    /// A change at the server is in use no later than this; 5s to 1d. Key sets every `5m`, API keys every `30s` unless
    /// said otherwise.
    pub refresh: Option<HumanDuration>,
    /// The longest time for one answer; `5s` unless said otherwise, 100ms to 30s.
    #[serde(default = "default_timeout")]
    pub timeout: HumanDuration,
    /// How long the last good list may be used while the server cannot be reached; without end unless said otherwise.
    pub max_stale: Option<HumanDuration>,
    /// The environment variable with the token that the server wants as `authorization: Bearer`.
    pub bearer_from_env: Option<String>,
}

fn default_timeout() -> HumanDuration {
    HumanDuration(Duration::from_secs(5))
}

/// Validates a source. `kind` tells documents apart that are read in different ways.
pub(super) fn read(
    spec: &RemoteSpec,
    path: &str,
    env: &dyn Environment,
    refresh: Duration,
    kind: String,
) -> Result<Address, ConfigError> {
    let at = |field: &str, problem: &str| ConfigError::at(format!("{path}.{field}"), problem);
    if spec.cluster.is_empty() {
        return Err(at("cluster", "must be the name of an Envoy cluster that leads to the server"));
    }
    let url = url(&spec.url).ok_or_else(|| {
        at("url", "must read `https://host/path`, without user, password and fragment (`http://` where need be)")
    })?;
    let refresh = spec.refresh.map_or(refresh, |refresh| refresh.0);
    if !(REFRESH.0..=REFRESH.1).contains(&refresh) {
        return Err(at("refresh", "must be 5s to 1d"));
    }
    let timeout = spec.timeout.0;
    if !(TIMEOUT.0..=TIMEOUT.1).contains(&timeout) {
        return Err(at("timeout", "must be 100ms to 30s"));
    }
    let max_stale = spec.max_stale.map(|most| most.0);
    if max_stale.is_some_and(|most| most < refresh * 2) {
        return Err(at("max_stale", "must be twice `refresh` at least: one failed attempt must refuse nobody"));
    }
    let bearer = match &spec.bearer_from_env {
        None => None,
        Some(name) => {
            let token = variable(name, &format!("{path}.bearer_from_env"), env)?.trim().to_owned();
            if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(at("bearer_from_env", "the variable must hold one token without blanks"));
            }
            Some(token)
        }
    };
    Ok(Address { cluster: spec.cluster.clone(), refresh, timeout, max_stale, bearer, kind, ..url })
}

/// An address of which only the parts of the URL are filled in.
fn url(text: &str) -> Option<Address> {
    let uri: Uri = text.parse().ok().filter(|_| !text.contains('#'))?;
    let scheme = uri.scheme_str().filter(|scheme| matches!(*scheme, "http" | "https"))?;
    let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'))?;
    Some(Address {
        cluster: String::new(),
        scheme: scheme.to_owned(),
        authority: authority.as_str().to_owned(),
        path: uri.path_and_query().map_or("/", PathAndQuery::as_str).to_owned(),
        refresh: Duration::ZERO,
        timeout: Duration::ZERO,
        max_stale: None,
        bearer: None,
        kind: String::new(),
    })
}
