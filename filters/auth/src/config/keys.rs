//! API keys out of the configuration, or out of a list that a server keeps.

use std::collections::BTreeMap;
use std::time::Duration;

use tollgate_core::ports::Environment;
use tollgate_core::{ConfigError, Identity, config};

use super::remote;
use super::source::{Part, Source};
use super::spec::ApiKeySpec;
use super::terms::{self, Problem};
use crate::api_key::{ApiKey, ApiKeys, KeyDigest};
use crate::caller::Caller;
use crate::name::{MAX_NAME, TOKEN_PREFIX, is_name};
use crate::remote::Remote;

/// Most entries of metadata, since every call hands them on.
const MAX_METADATA: usize = 16;

/// Longest list that a server may send, in bytes: some 20,000 keys.
const MAX_REMOTE: usize = 4 * 1024 * 1024;
/// How often a server is asked unless said otherwise: a revoked key is refused within this time.
const REFRESH: Duration = Duration::from_secs(30);

/// Keys that are at hand, and those that a server keeps.
pub(super) type Found = (ApiKeys, Option<Remote<ApiKeys>>);

/// Reads all sources.
pub(super) fn read(mut source: Source<Vec<ApiKeySpec>>, env: &dyn Environment) -> Result<Found, ConfigError> {
    let keys = of_parts(source.read("api_keys", env)?)?;
    let Some(spec) = source.remote else { return Ok((keys, None)) };
    let address = remote::read(&spec, "api_keys.remote", env, REFRESH, "api_keys".to_owned())?;
    Ok((keys, Some(Remote::new("api_keys", address, MAX_REMOTE, Box::new(of_server)))))
}

/// The list as a server sends it: an array as in the configuration. An empty one is a list: nobody has a key any more.
fn of_server(json: &[u8]) -> Result<ApiKeys, String> {
    let value = config::parse(json).map_err(|error| error.to_string())?;
    of_parts(vec![Part { path: String::new(), is_inline: false, value }]).map_err(|error| error.to_string())
}

/// Neither an id nor a digest may come twice in these places. What a server sends is read by itself: keys at hand count first.
fn of_parts(parts: Vec<Part<Vec<ApiKeySpec>>>) -> Result<ApiKeys, ConfigError> {
    let mut keys = ApiKeys::default();
    let mut ids = BTreeMap::new();
    let mut digests = BTreeMap::new();
    for part in parts {
        for (index, spec) in part.value.into_iter().enumerate() {
            let path = format!("{}[{index}]", part.path);
            let at = |(field, problem): Problem| ConfigError::at(format!("{path}.{field}"), problem);
            let digest = check(&spec).map_err(at)?;
            let validity = terms::validity(&spec).map_err(at)?;
            let grant = terms::grant(&spec).map_err(at)?;
            if let Some(first) = ids.insert(spec.id.clone(), path.clone()) {
                let problem = format!("the same id stands at {first}: give each key its own");
                return Err(ConfigError::at(format!("{path}.id"), problem));
            }
            if let Some(first) = digests.insert(digest.to_bytes(), path.clone()) {
                let problem = format!("the same key stands at {first}: remove one of the two");
                return Err(ConfigError::at(format!("{path}.sha256"), problem));
            }
            let identity = Identity { tenant: spec.tenant, credential_id: spec.id, tier: spec.tier };
            keys.insert(ApiKey::new(digest, validity, Caller::new(identity, grant, &spec.metadata)));
        }
    }
    Ok(keys)
}

fn check(spec: &ApiKeySpec) -> Result<KeyDigest, Problem> {
    for (field, name) in [("id", Some(&spec.id)), ("tenant", Some(&spec.tenant)), ("tier", spec.tier.as_ref())] {
        if name.is_some_and(|name| !is_name(name, MAX_NAME)) {
            return Err((field, "must have 1 to 128 bytes and no control characters"));
        }
    }
    if spec.id.starts_with(TOKEN_PREFIX) {
        return Err(("id", "must not begin with `jwt:`, which marks callers with a token: choose another id"));
    }
    let is_good = |(name, value): (&String, &String)| is_name(name, MAX_NAME) && is_name(value, MAX_NAME);
    if spec.metadata.len() > MAX_METADATA || !spec.metadata.iter().all(is_good) {
        return Err(("metadata", "must have at most 16 entries, names and values of 1 to 128 bytes each"));
    }
    KeyDigest::from_hex(&spec.sha256)
        .ok_or(("sha256", "must be the SHA-256 of the key in 64 hexadecimal digits, as scripts/new-key prints it"))
}
