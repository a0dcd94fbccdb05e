//! A JSON Web Key Set to keys, each bound to one algorithm for good.
//!
//! Sets hold keys for other ends too (encryption, other curves, algorithms that the issuer may not use); those are
//! passed over (RFC 7517 §5). A key that is meant for us but weak, broken or misplaced refuses the configuration: a
//! shared secret beside public keys, a private key where a public one belongs.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jwt_simple::JWTError;
use jwt_simple::algorithms::{
    ECDSAP256PublicKeyLike as _, ES256PublicKey, HS256Key, MACLike as _, RS256PublicKey, RSAPublicKeyLike as _,
};
use jwt_simple::claims::NoCustomClaims;
use jwt_simple::common::VerificationOptions;
use jwt_simple::reexports::coarsetime;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tollgate_core::ConfigError;

use super::Algorithm;
use crate::denial::Denial;

/// Shortest HMAC secret in bytes: as long as the hash (RFC 7518 §3.2).
const MIN_SECRET: usize = 32;

/// A JSON Web Key Set (RFC 7517 §5); members other than `keys` are ignored, as it demands.
#[derive(Deserialize)]
pub struct Jwks {
    /// The keys as they came.
    pub keys: Vec<Value>,
}

/// A verification key of one algorithm.
pub struct Key {
    kid: Option<String>,
    material: Material,
}

enum Material {
    Es256(Box<ES256PublicKey>),
    Hs256(HS256Key),
    Rs256(Box<RS256PublicKey>),
}

impl Key {
    /// The only algorithm that this key verifies.
    pub fn algorithm(&self) -> Algorithm {
        match self.material {
            Material::Es256(_) => Algorithm::Es256,
            Material::Hs256(_) => Algorithm::Hs256,
            Material::Rs256(_) => Algorithm::Rs256,
        }
    }

    /// Whether a token with this `kid` may be signed by this key. A key or a token without one leaves it open.
    pub fn may_be(&self, kid: Option<&str>) -> bool {
        match (&self.kid, kid) {
            (Some(mine), Some(asked)) => mine == asked,
            _ => true,
        }
    }

    /// Whether the token's signature holds; another denial means that no key can help. Claims are read, not judged.
    pub fn verify(&self, token: &str) -> Result<(), Denial> {
        let options = Some(signature_only());
        let claims = match &self.material {
            Material::Es256(key) => key.verify_token::<NoCustomClaims>(token, options),
            Material::Hs256(key) => key.verify_token::<NoCustomClaims>(token, options),
            Material::Rs256(key) => key.verify_token::<NoCustomClaims>(token, options),
        };
        claims.map(|_| ()).map_err(|error| match error.downcast_ref() {
            Some(JWTError::InvalidAuthenticationTag | JWTError::InvalidSignature) => Denial::SignatureInvalid,
            _ => Denial::TokenMalformed,
        })
    }
}

/// At the epoch no token has expired and with `accept_future` none is early: no claim is judged, no clock is read.
fn signature_only() -> VerificationOptions {
    VerificationOptions {
        accept_future: true,
        artificial_time: Some(coarsetime::Duration::from_secs(0)),
        time_tolerance: Some(coarsetime::Duration::from_secs(0)),
        ..VerificationOptions::default()
    }
}

/// The keys of a set that serve these algorithms. `path` names the set in errors; `is_public` says that it stands where
/// secrets must not.
pub fn read_keys(
    jwks: &Jwks,
    algorithms: &[Algorithm],
    path: &str,
    is_public: bool,
) -> Result<Vec<Key>, ConfigError> {
    let mut keys = Vec::new();
    for (index, jwk) in jwks.keys.iter().enumerate() {
        let found = read_key(jwk, algorithms, is_public);
        keys.extend(found.map_err(|problem| ConfigError::at(format!("{path}.keys[{index}]"), problem))?);
    }
    Ok(keys)
}

fn read_key(jwk: &Value, algorithms: &[Algorithm], is_public: bool) -> Result<Option<Key>, &'static str> {
    let jwk = jwk.as_object().ok_or("a key is a JSON object with `kty`")?;
    let kty = text(jwk, "kty").ok_or("a key needs `kty`: oct, RSA or EC")?;
    let algorithm = match kty {
        "oct" => Algorithm::Hs256,
        "RSA" => Algorithm::Rs256,
        "EC" => Algorithm::Es256,
        _ => return Ok(None),
    };
    check_place(algorithm, algorithms, is_public)?;
    if !algorithms.contains(&algorithm) || !is_for_signatures(jwk, algorithm) {
        return Ok(None);
    }
    let kid = match jwk.get("kid") {
        None => None,
        Some(Value::String(kid)) => Some(kid.clone()),
        Some(_) => return Err("`kid` must be a string"),
    };
    let material = match algorithm {
        Algorithm::Es256 => Material::Es256(Box::new(ec_key(jwk)?)),
        Algorithm::Hs256 => Material::Hs256(secret(jwk)?),
        Algorithm::Rs256 => Material::Rs256(Box::new(rsa_key(jwk)?)),
    };
    Ok(Some(Key { kid, material }))
}

/// Secrets and public keys must not stand in one set: whoever reads the public set would hold the secret.
fn check_place(algorithm: Algorithm, algorithms: &[Algorithm], is_public: bool) -> Result<(), &'static str> {
    let wants_secrets = algorithms.contains(&Algorithm::Hs256);
    match algorithm {
        Algorithm::Hs256 if !wants_secrets => {
            Err("this is a shared secret (`oct`), but the issuer's algorithms take public keys: remove it")
        }
        Algorithm::Hs256 if is_public => {
            Err("a shared secret must not stand in the configuration: give the set in an environment variable \
                 (`from_env`)")
        }
        Algorithm::Es256 | Algorithm::Rs256 if wants_secrets => {
            Err("this is a public key, but HS256 takes shared secrets (`oct`): remove it or change `algorithms`")
        }
        _ => Ok(()),
    }
}

/// Whether the key's own `use`, `key_ops`, `alg` and `crv` allow what we would do with it.
fn is_for_signatures(jwk: &Map<String, Value>, algorithm: Algorithm) -> bool {
    let allows = |name: &str, wanted: &str| jwk.get(name).is_none_or(|value| value.as_str() == Some(wanted));
    let may_verify = jwk.get("key_ops").is_none_or(|operations| {
        operations.as_array().is_some_and(|list| list.iter().any(|operation| operation.as_str() == Some("verify")))
    });
    let fits_curve = algorithm != Algorithm::Es256 || text(jwk, "crv") == Some("P-256");
    allows("use", "sig") && allows("alg", algorithm.as_str()) && may_verify && fits_curve
}

fn ec_key(jwk: &Map<String, Value>) -> Result<ES256PublicKey, &'static str> {
    refuse_private(jwk)?;
    let bare = json!({"kty": "EC", "crv": "P-256", "x": jwk.get("x"), "y": jwk.get("y")});
    ES256PublicKey::from_jwk(&bare.to_string()).map_err(|_| "`x` and `y` are no point of P-256 in base64url")
}

fn rsa_key(jwk: &Map<String, Value>) -> Result<RS256PublicKey, &'static str> {
    refuse_private(jwk)?;
    let bare = json!({"kty": "RSA", "n": jwk.get("n"), "e": jwk.get("e")});
    RS256PublicKey::from_jwk(&bare.to_string()).map_err(|error| match error.downcast_ref() {
        Some(JWTError::UnsupportedRSAModulus | JWTError::WeakKey) => "an RSA key must have 2048 to 4096 bits",
        _ => "`n` and `e` are no RSA key in base64url with the exponent 65537 (AQAB)",
    })
}

fn secret(jwk: &Map<String, Value>) -> Result<HS256Key, &'static str> {
    let secret = text(jwk, "k").and_then(|k| URL_SAFE_NO_PAD.decode(k).ok());
    let secret = secret.ok_or("`k` must be the secret in base64url without padding")?;
    if secret.len() < MIN_SECRET {
        return Err("a secret for HS256 must have at least 32 bytes");
    }
    Ok(HS256Key::from_bytes(&secret))
}

fn refuse_private(jwk: &Map<String, Value>) -> Result<(), &'static str> {
    if jwk.contains_key("d") {
        return Err(
            "this is a private key (`d`): give the public one only, and replace this key, since it was exposed",
        );
    }
    Ok(())
}

fn text<'j>(jwk: &'j Map<String, Value>, name: &str) -> Option<&'j str> {
    jwk.get(name).and_then(Value::as_str)
}
