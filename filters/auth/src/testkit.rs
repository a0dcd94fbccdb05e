//! Keys and tokens for tests.

#![allow(clippy::needless_pass_by_value, reason = "cases read better as `json!` literals without borrows")]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jwt_simple::algorithms::{
    ECDSAP256KeyPairLike as _, ES256KeyPair, HS256Key, MACLike as _, RS256KeyPair, RSAKeyPairLike as _,
};
use jwt_simple::claims::JWTClaims;
use serde_json::{Value, json};
use tollgate_core::Timestamp;

pub(crate) const ISSUER: &str = "https://issuer.tollgate.example";
/// The clock of all tests, in seconds since the Unix epoch.
pub(crate) const NOW: u64 = 1_800_000_000;
pub(crate) const SECRET: &[u8] = b"a secret of tests, 32 bytes long";

pub(crate) fn now() -> Timestamp {
    Timestamp::from_secs(NOW)
}

/// Claims that are good now, with these members changed; `null` removes one.
pub(crate) fn claims(changes: Value) -> Value {
    let mut claims = json!({
        "iss": ISSUER, "aud": "tollgate", "sub": "alice", "tenant": "acme",
        "iat": NOW - 60, "nbf": NOW - 60, "exp": NOW + 600,
    });
    let members = claims.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            members.remove(name)
        } else {
            members.insert(name.clone(), value.clone())
        };
    }
    claims
}

/// All claims as custom ones, so that jwt-simple signs them as they are.
fn as_they_are(claims: Value) -> JWTClaims<Value> {
    JWTClaims {
        issued_at: None,
        expires_at: None,
        invalid_before: None,
        issuer: None,
        subject: None,
        audiences: None,
        jwt_id: None,
        nonce: None,
        custom: claims,
    }
}

pub(crate) fn es256(kid: &str) -> ES256KeyPair {
    ES256KeyPair::generate().with_key_id(kid)
}

pub(crate) fn rs256(kid: &str) -> RS256KeyPair {
    RS256KeyPair::from_pem(include_str!("../tests/data/rs256-test-only.pem")).unwrap().with_key_id(kid)
}

pub(crate) fn sign_es256(pair: &ES256KeyPair, claims: Value) -> String {
    pair.sign(as_they_are(claims)).unwrap()
}

pub(crate) fn sign_rs256(pair: &RS256KeyPair, claims: Value) -> String {
    pair.sign(as_they_are(claims)).unwrap()
}

/// A token with any header, signed by HMAC.
pub(crate) fn sign_hs256(secret: &[u8], header: &Value, claims: &Value) -> String {
    let signed = format!("{}.{}", base64(header.to_string()), base64(claims.to_string()));
    let tag = HS256Key::from_bytes(secret).authentication_tag(signed.as_bytes());
    format!("{signed}.{}", base64(tag))
}

pub(crate) fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn jwks(keys: &[String]) -> Value {
    let keys: Vec<Value> = keys.iter().map(|key| serde_json::from_str(key).unwrap()).collect();
    json!({ "keys": keys })
}

pub(crate) fn secret_jwk(secret: &[u8]) -> String {
    json!({"kty": "oct", "alg": "HS256", "k": base64(secret)}).to_string()
}
