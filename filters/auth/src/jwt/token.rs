//! A token taken apart, before anything in it is believed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Map, Value};

use crate::credential::MAX_LEN;
use crate::denial::Denial;

/// The members of the JOSE header that decide. `jwk`, `jku` and `x5u` are not among them: a token does not bring its
/// own key.
#[derive(Deserialize)]
pub(super) struct Header {
    pub(super) alg: String,
    pub(super) kid: Option<String>,
    crit: Option<IgnoredAny>,
}

/// A token whose signature nobody has checked yet.
pub(super) struct Unverified<'t> {
    pub(super) text: &'t str,
    pub(super) header: Header,
    pub(super) claims: Claims,
}

impl<'t> Unverified<'t> {
    /// Three parts, at most 8 KiB. Extensions that a token calls critical are unknown here, so it is refused
    /// (RFC 7515 §4.1.11).
    pub(super) fn parse(text: &'t str) -> Result<Self, Denial> {
        if text.len() > MAX_LEN {
            return Err(Denial::TooLong);
        }
        let mut parts = text.split('.');
        let (Some(header), Some(claims), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Denial::TokenMalformed);
        };
        let header: Header = decode(header)?;
        if header.crit.is_some() {
            return Err(Denial::TokenMalformed);
        }
        Ok(Self { text, header, claims: Claims(decode(claims)?) })
    }
}

fn decode<T: DeserializeOwned>(part: &str) -> Result<T, Denial> {
    let json = URL_SAFE_NO_PAD.decode(part).map_err(|_| Denial::TokenMalformed)?;
    serde_json::from_slice(&json).map_err(|_| Denial::TokenMalformed)
}

/// The claims by name. A claim of the wrong type makes the token unreadable: it is never taken for absent.
pub(super) struct Claims(Map<String, Value>);

impl Claims {
    /// A string claim.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, Denial> {
        self.0.get(name).map(|value| value.as_str().ok_or(Denial::TokenMalformed)).transpose()
    }

    /// A NumericDate in whole seconds since the Unix epoch; fractions are cut off.
    pub(super) fn date(&self, name: &str) -> Result<Option<u64>, Denial> {
        self.0.get(name).map(|value| seconds(value).ok_or(Denial::TokenMalformed)).transpose()
    }

    /// Whether `aud`, a string or an array of strings, names this audience.
    pub(super) fn is_for(&self, audience: &str) -> bool {
        match self.0.get("aud") {
            Some(Value::String(name)) => name == audience,
            Some(Value::Array(names)) => names.iter().any(|name| name.as_str() == Some(audience)),
            _ => false,
        }
    }
}

fn seconds(value: &Value) -> Option<u64> {
    let fraction = || value.as_f64().filter(|seconds| *seconds >= 0.0);
    // The cast saturates, so a date beyond all clocks stays beyond them.
    value.as_u64().or_else(|| fraction().map(|seconds| seconds as u64))
}
