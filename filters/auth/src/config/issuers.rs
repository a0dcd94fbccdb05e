//! Issuers of tokens out of the configuration.

use std::time::Duration;

use tollgate_core::ports::Environment;
use tollgate_core::{ConfigError, config};

use super::remote::{self, RemoteSpec};
use super::spec::{IssuerSpec, JwtSpec};
use crate::jwt::{Algorithm, Issuer, Jwks, KeySet, Kind, Verifier, read_keys, usable_keys};
use crate::remote::Remote;

/// Longest leeway: clocks that differ by more should be mended, and a leaked token lives that much longer.
const MAX_LEEWAY: Duration = Duration::from_secs(600);

/// Longest key set that a server may send, in bytes.
const MAX_REMOTE: usize = 1024 * 1024;
/// How often a server is asked unless said otherwise.
const REFRESH: Duration = Duration::from_secs(300);

/// Reads all issuers; a name may come once.
pub(super) fn read(spec: JwtSpec, env: &dyn Environment) -> Result<Verifier, ConfigError> {
    let mut issuers: Vec<Issuer> = Vec::new();
    for (index, spec) in spec.issuers.into_iter().enumerate() {
        let path = format!("jwt.issuers[{index}]");
        if issuers.iter().any(|earlier| earlier.name == spec.issuer) {
            return Err(ConfigError::at(format!("{path}.issuer"), "is configured twice: merge the two entries"));
        }
        issuers.push(issuer(spec, &path, env)?);
    }
    Ok(Verifier::new(issuers))
}

fn issuer(mut spec: IssuerSpec, path: &str, env: &dyn Environment) -> Result<Issuer, ConfigError> {
    check(&spec).map_err(|(field, problem)| ConfigError::at(format!("{path}.{field}"), problem))?;
    let algorithms = algorithms(&spec.algorithms, &format!("{path}.algorithms"))?;
    let jwks_path = format!("{path}.jwks");
    let mut keys = KeySet { algorithms, keys: Vec::new() };
    for part in spec.jwks.read(&jwks_path, env)? {
        keys.append(read_keys(&part.value, &keys.algorithms, &part.path, part.is_inline)?);
    }
    let remote = match &spec.jwks.remote {
        None => None,
        Some(remote) => {
            Some(remote_keys(remote, &spec.issuer, &keys.algorithms, &format!("{jwks_path}.remote"), env)?)
        }
    };
    if let Some(bare) = keys.bare_algorithm()
        && remote.is_none()
    {
        let problem = format!("holds no key for {}: add one or drop the algorithm", bare.as_str());
        return Err(ConfigError::at(jwks_path, problem));
    }
    Ok(Issuer {
        name: spec.issuer,
        audiences: spec.audiences,
        required_claims: spec.required_claims,
        tenant_claim: spec.tenant_claim,
        tier_claim: spec.tier_claim,
        models_claim: spec.models_claim,
        endpoints_claim: spec.endpoints_claim,
        leeway: spec.leeway.0,
        keys,
        remote,
    })
}

fn remote_keys(
    spec: &RemoteSpec,
    issuer: &str,
    algorithms: &[Algorithm],
    path: &str,
    env: &dyn Environment,
) -> Result<Remote<KeySet>, ConfigError> {
    if algorithms.iter().any(|algorithm| algorithm.kind() == Kind::Secret) {
        let problem = "shared secrets (HS*) are never fetched: give them in an environment variable (`from_env`)";
        return Err(ConfigError::at(path, problem));
    }
    let names: Vec<&str> = algorithms.iter().map(|algorithm| algorithm.as_str()).collect();
    let address = remote::read(spec, path, env, REFRESH, format!("jwks {}", names.join(" ")))?;
    let algorithms = algorithms.to_vec();
    let read = move |json: &[u8]| {
        let jwks: Jwks = config::parse(json).map_err(|error| error.to_string())?;
        usable_keys(&jwks, &algorithms)
    };
    Ok(Remote::new(issuer, address, MAX_REMOTE, Box::new(read)))
}

fn check(spec: &IssuerSpec) -> Result<(), (&'static str, &'static str)> {
    if spec.issuer.is_empty() {
        return Err(("issuer", "must be the `iss` of its tokens"));
    }
    if spec.audiences.is_empty() || spec.audiences.iter().any(String::is_empty) {
        return Err(("audiences", "name at least one, none empty: else tokens made for other services would pass"));
    }
    if spec.required_claims.iter().any(|(path, wanted)| path.is_empty() || wanted.is_empty()) {
        return Err(("required_claims", "a claim needs a name and the text that it must be or hold"));
    }
    if spec.tenant_claim.is_empty() {
        return Err(("tenant_claim", "must be the name of a claim"));
    }
    if spec.tier_claim.as_ref().is_some_and(String::is_empty) {
        return Err(("tier_claim", "must be the name of a claim; leave it out if tokens carry no tier"));
    }
    if spec.models_claim.as_ref().is_some_and(String::is_empty) {
        return Err(("models_claim", "must be the name of a claim; leave it out if tokens carry no models"));
    }
    if spec.endpoints_claim.as_ref().is_some_and(String::is_empty) {
        return Err(("endpoints_claim", "must be the name of a claim; leave it out if tokens carry no endpoints"));
    }
    if spec.leeway.0 > MAX_LEEWAY {
        return Err(("leeway", "must be at most 10m"));
    }
    Ok(())
}

fn algorithms(names: &[String], path: &str) -> Result<Vec<Algorithm>, ConfigError> {
    let known = || Algorithm::ALL.iter().map(|algorithm| algorithm.as_str()).collect::<Vec<_>>().join(", ");
    let mut algorithms = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let algorithm = Algorithm::parse(name).ok_or_else(|| {
            let problem = format!("not an algorithm of this filter: use one of {}", known());
            ConfigError::at(format!("{path}[{index}]"), problem)
        })?;
        if !algorithms.contains(&algorithm) {
            algorithms.push(algorithm);
        }
    }
    if algorithms.is_empty() {
        return Err(ConfigError::at(path, format!("name at least one of {}", known())));
    }
    let secrets = algorithms.iter().filter(|algorithm| algorithm.kind() == Kind::Secret).count();
    if secrets != 0 && secrets != algorithms.len() {
        let problem = "HS* must stand alone: a shared secret beside public keys invites their confusion";
        return Err(ConfigError::at(path, problem));
    }
    Ok(algorithms)
}
