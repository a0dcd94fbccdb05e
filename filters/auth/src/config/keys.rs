//! API keys out of the configuration.

use std::collections::BTreeMap;

use tollgate_core::ports::Environment;
use tollgate_core::{ConfigError, Identity};

use super::source::Source;
use super::spec::ApiKeySpec;
use crate::api_key::{ApiKeys, KeyDigest};
use crate::name::{MAX_NAME, TOKEN_PREFIX, is_name};

/// Reads all keys; neither an id nor a digest may come twice, in whatever places.
pub(super) fn read(source: Source<Vec<ApiKeySpec>>, env: &dyn Environment) -> Result<ApiKeys, ConfigError> {
    let mut keys = ApiKeys::default();
    let mut ids = BTreeMap::new();
    let mut digests = BTreeMap::new();
    for part in source.read("api_keys", env)? {
        for (index, spec) in part.value.into_iter().enumerate() {
            let path = format!("{}[{index}]", part.path);
            let digest =
                check(&spec).map_err(|(field, problem)| ConfigError::at(format!("{path}.{field}"), problem))?;
            if let Some(first) = ids.insert(spec.id.clone(), path.clone()) {
                let problem = format!("the same id stands at {first}: give each key its own");
                return Err(ConfigError::at(format!("{path}.id"), problem));
            }
            if let Some(first) = digests.insert(digest.to_bytes(), path.clone()) {
                let problem = format!("the same key stands at {first}: remove one of the two");
                return Err(ConfigError::at(format!("{path}.sha256"), problem));
            }
            keys.insert(digest, Identity { tenant: spec.tenant, credential_id: spec.id, tier: spec.tier });
        }
    }
    Ok(keys)
}

fn check(spec: &ApiKeySpec) -> Result<KeyDigest, (&'static str, &'static str)> {
    for (field, name) in [("id", Some(&spec.id)), ("tenant", Some(&spec.tenant)), ("tier", spec.tier.as_ref())] {
        if name.is_some_and(|name| !is_name(name, MAX_NAME)) {
            return Err((field, "must have 1 to 128 bytes and no control characters"));
        }
    }
    if spec.id.starts_with(TOKEN_PREFIX) {
        return Err(("id", "must not begin with `jwt:`, which marks callers with a token: choose another id"));
    }
    KeyDigest::from_hex(&spec.sha256)
        .ok_or(("sha256", "must be the SHA-256 of the key in 64 hexadecimal digits, as scripts/new-key prints it"))
}
