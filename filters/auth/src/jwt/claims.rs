//! The claims of a token by name. A claim of the wrong type makes the token unreadable: it is never taken for absent.

use std::fmt;

use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::token::{Jws, json};
use crate::denial::Denial;

/// What a token says.
pub struct Claims(Map<String, Value>);

impl Claims {
    /// Reads the payload.
    pub fn decode(jws: &Jws<'_>) -> Result<Self, Denial> {
        json(&jws.payload()?)
    }

    /// A claim by its path, as in `org.id`. A claim whose name is the whole path counts first: names in the form of
    /// URLs have dots of their own (OpenID Connect Core §5.1.2).
    fn at(&self, path: &str) -> Option<&Value> {
        if let Some(claim) = self.0.get(path) {
            return Some(claim);
        }
        let (first, rest) = path.split_once('.')?;
        rest.split('.').try_fold(self.0.get(first)?, |claim, name| claim.get(name))
    }

    /// A string claim.
    pub fn text(&self, path: &str) -> Result<Option<&str>, Denial> {
        self.at(path).map(|value| value.as_str().ok_or(Denial::TokenMalformed)).transpose()
    }

    /// A claim that is an array of strings, or one string of words with blanks between them, as `scope` is (RFC 8693
    /// §4.2).
    pub fn words(&self, path: &str) -> Result<Option<Vec<&str>>, Denial> {
        match self.at(path) {
            None => Ok(None),
            Some(Value::String(words)) => Ok(Some(words.split_ascii_whitespace().collect())),
            Some(Value::Array(words)) => words
                .iter()
                .map(|word| word.as_str().ok_or(Denial::TokenMalformed))
                .collect::<Result<_, _>>()
                .map(Some),
            Some(_) => Err(Denial::TokenMalformed),
        }
    }

    /// Whether a claim is this text, or holds it as a word.
    pub fn require(&self, path: &str, wanted: &str) -> Result<(), Denial> {
        if self.at(path).and_then(Value::as_str) == Some(wanted) {
            return Ok(());
        }
        match self.words(path)? {
            None => Err(Denial::ClaimMissing),
            Some(words) if words.contains(&wanted) => Ok(()),
            Some(_) => Err(Denial::ClaimMismatch),
        }
    }

    /// A NumericDate in whole seconds since the Unix epoch; fractions are cut off.
    pub fn date(&self, name: &str) -> Result<Option<u64>, Denial> {
        self.0.get(name).map(|value| seconds(value).ok_or(Denial::TokenMalformed)).transpose()
    }

    /// Whether `aud`, a string or an array of strings, names this audience.
    pub fn is_for(&self, audience: &str) -> bool {
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
