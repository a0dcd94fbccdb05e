//! A token taken apart, before anything in it is believed.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};

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

    /// What was signed, as bytes of any kind.
    pub(super) fn payload(&self) -> Result<Vec<u8>, Denial> {
        decode(self.payload)
    }

    /// The name in `kid`, whatever it is.
    pub fn key_id(&self) -> Option<&str> {
        self.header.kid.as_deref()
    }

    /// The name in `alg`, whatever it is.
    pub fn algorithm(&self) -> &str {
        &self.header.alg
    }
}

fn decode(part: &str) -> Result<Vec<u8>, Denial> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| Denial::TokenMalformed)
}

pub(super) fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Denial> {
    serde_json::from_slice(bytes).map_err(|_| Denial::TokenMalformed)
}
