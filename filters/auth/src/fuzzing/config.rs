//! A configuration, or one of the two lists that a variable may hold.

use serde_json::{Value, json};
use tollgate_core::ConfigError;

use super::canary::{is_discreet, planted};
use super::known::Everywhere;
use super::{Promise, hold};
use crate::config::Policy;

/// Takes the bytes for the whole document, for the list of API keys and for a set of keys of tokens.
pub fn config(bytes: &[u8]) -> Promise {
    let Ok(text) = str::from_utf8(bytes) else {
        return Policy::from_json(bytes, &Everywhere("[]"))
            .err()
            .as_ref()
            .map_or(Err("no UTF-8, but read".into()), is_discreet);
    };
    let document: Option<Value> = serde_json::from_str(text).ok();
    let pick = bytes.iter().fold(bytes.len(), |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)));
    for read in [whole, keys_from_env, set_from_env] {
        promised(&read(text))?;
        if let Some(document) = &document {
            promised(&read(&planted(document, pick).to_string()))?;
        }
    }
    Ok(())
}

fn whole(text: &str) -> Result<Policy, ConfigError> {
    Policy::from_json(text.as_bytes(), &Everywhere(text))
}

fn keys_from_env(text: &str) -> Result<Policy, ConfigError> {
    let config = json!({"api_keys": {"from_env": "KEYS"}});
    Policy::from_json(config.to_string().as_bytes(), &Everywhere(text))
}

fn set_from_env(text: &str) -> Result<Policy, ConfigError> {
    let issuer =
        json!({"issuer": "i", "audiences": ["a"], "algorithms": ["ES512", "EdDSA"], "jwks": {"from_env": "SET"}});
    Policy::from_json(json!({"jwt": {"issuers": [issuer]}}).to_string().as_bytes(), &Everywhere(text))
}

fn promised(read: &Result<Policy, ConfigError>) -> Promise {
    match read {
        Ok(policy) => {
            hold(!policy.api_keys.is_empty() || !policy.tokens.is_empty(), || "a policy that lets nobody in".into())?;
            hold(!policy.is_open(b"") && !policy.is_open(b"?/"), || "a path without a slash is open".into())
        }
        Err(error) => is_discreet(error),
    }
}
