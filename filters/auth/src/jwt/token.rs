//! A token taken apart, before anything in it is believed.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{self, DeserializeOwned, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
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

/// A signed text whose signature nobody has checked yet (RFC 7515 §7.1, compact serialization).
pub struct Jws<'t> {
    pub(super) header: Header,
    /// What was signed: header and payload as they came.
    pub(super) signed: &'t str,
    payload: &'t str,
    pub(super) signature: Vec<u8>,
}

impl<'t> Jws<'t> {
    /// Three parts, at most 8 KiB. Extensions that a token calls critical are unknown here, so it is refused
    /// (RFC 7515 §4.1.11).
    pub fn parse(text: &'t str) -> Result<Self, Denial> {
        if text.len() > MAX_LEN {
            return Err(Denial::TooLong);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(Denial::TokenMalformed)?;
        let (header, payload) = signed.split_once('.').ok_or(Denial::TokenMalformed)?;
        let header: Header = json(&decode(header)?)?;
        if header.crit.is_some() || payload.contains('.') {
            return Err(Denial::TokenMalformed);
        }
        Ok(Self { header, signed, payload, signature: decode(signature)? })
    }

    /// The name in `alg`, whatever it is.
    pub fn algorithm(&self) -> &str {
        &self.header.alg
    }
}

fn decode(part: &str) -> Result<Vec<u8>, Denial> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Denial::TokenMalformed)
}

fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Denial> {
    serde_json::from_slice(bytes).map_err(|_| Denial::TokenMalformed)
}

/// The claims by name. A claim of the wrong type makes the token unreadable: it is never taken for absent.
pub struct Claims(Map<String, Value>);

impl Claims {
    /// Reads the payload.
    pub fn decode(jws: &Jws<'_>) -> Result<Self, Denial> {
        json(&decode(jws.payload)?)
    }

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

/// A name that stands twice has no meaning that all readers share, so it is refused (RFC 7519 §4 leaves the choice).
impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Claims;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Claims, A::Error> {
                let mut claims = Map::new();
                while let Some((name, value)) = members.next_entry::<String, Value>()? {
                    if claims.insert(name, value).is_some() {
                        return Err(de::Error::custom("a claim stands twice"));
                    }
                }
                Ok(Claims(claims))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

fn seconds(value: &Value) -> Option<u64> {
    let fraction = || value.as_f64().filter(|seconds| *seconds >= 0.0);
    // The cast saturates, so a date beyond all clocks stays beyond them.
    value.as_u64().or_else(|| fraction().map(|seconds| seconds as u64))
}
