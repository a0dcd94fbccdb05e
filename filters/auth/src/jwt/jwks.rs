//! A JSON Web Key Set to keys, each bound for good to algorithms of its own kind.
//!
//! Sets hold keys for other ends too (encryption, other curves, algorithms that the issuer may not use); those are
//! passed over (RFC 7517 §5). A key of the configuration that is meant for us but weak, broken or misplaced refuses it: a
//! shared secret beside public keys, a private key where a public one belongs. Of a set that a server sends such keys are
//! passed over too: the operator here cannot mend it, and the other keys are none the worse.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jwt_simple::JWTError;
use jwt_simple::algorithms::{
    ECDSAP256PublicKeyLike as _, ECDSAP384PublicKeyLike as _, ES256PublicKey, ES384PublicKey, Ed25519PublicKey,
    EdDSAPublicKeyLike as _, RS256PublicKey,
};
use p521::pkcs8::EncodePublicKey as _;
use rsa::RsaPublicKey;
use rsa::pkcs8::DecodePublicKey as _;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tollgate_core::ConfigError;

use super::algorithm::{Algorithm, Kind};
use super::key::{Key, Material};
use super::key_set::KeySet;

/// A JSON Web Key Set (RFC 7517 §5); members other than `keys` are ignored, as it demands.
#[derive(Deserialize)]
pub struct Jwks {
    /// The keys as they came.
    pub keys: Vec<Value>,
}

/// Most keys of a set that are used. Whoever has more would make every worker read them at every change.
pub const MAX_KEYS: usize = 256;

/// The keys of a set that serve these algorithms. `path` names the set in errors; `is_public` says that it stands where
/// secrets must not.
pub fn read_keys(jwks: &Jwks, algorithms: &[Algorithm], path: &str, is_public: bool) -> Result<KeySet, ConfigError> {
    let mut keys = Vec::new();
    for (index, jwk) in jwks.keys.iter().enumerate() {
        let found = read_key(jwk, algorithms, is_public);
        keys.extend(found.map_err(|problem| ConfigError::at(format!("{path}.keys[{index}]"), problem))?);
    }
    Ok(KeySet { algorithms: algorithms.to_vec(), keys })
}

/// The keys of a server's set that serve these algorithms and are sound. An empty set says that no key is good any more. A set
/// of which no key can be used is an error: then the last good one is worth more.
pub fn usable_keys(jwks: &Jwks, algorithms: &[Algorithm]) -> Result<KeySet, String> {
    let mut keys = Vec::new();
    let mut first_problem = None;
    for jwk in &jwks.keys {
        match read_key(jwk, algorithms, true) {
            Ok(key) => keys.extend(key),
            Err(problem) => first_problem = first_problem.or(Some(problem)),
        }
        if keys.len() > MAX_KEYS {
            return Err(format!("the set has more than {MAX_KEYS} keys"));
        }
    }
    if keys.is_empty() && !jwks.keys.is_empty() {
        let problem = first_problem.unwrap_or("none is for signatures of the issuer's `algorithms`");
        return Err(format!("none of the set's {} keys can be used: {problem}", jwks.keys.len()));
    }
    Ok(KeySet { algorithms: algorithms.to_vec(), keys })
}

fn read_key(jwk: &Value, algorithms: &[Algorithm], is_public: bool) -> Result<Option<Key>, &'static str> {
    let jwk = jwk.as_object().ok_or("a key is a JSON object with `kty`")?;
    let kty = text(jwk, "kty").ok_or("a key needs `kty`: oct, RSA, EC or OKP")?;
    let Some(kind) = Kind::of(kty, text(jwk, "crv")) else { return Ok(None) };
    check_place(kind, algorithms, is_public)?;
    let is_ours = |algorithm: &Algorithm| algorithm.kind() == kind && allows(jwk, "alg", algorithm.as_str());
    let serves: Vec<Algorithm> = algorithms.iter().copied().filter(is_ours).collect();
    if serves.is_empty() || !is_for_signatures(jwk) {
        return Ok(None);
    }
    let kid = match jwk.get("kid") {
        None => None,
        Some(Value::String(kid)) => Some(kid.clone()),
        Some(_) => return Err("`kid` must be a string"),
    };
    let (material, spki) = match kind {
        Kind::Secret => (Material::Secret(secret(jwk, &serves)?), Vec::new()),
        Kind::Rsa => rsa_key(jwk)?,
        Kind::P256 | Kind::P384 | Kind::P521 => ec_key(jwk, kind)?,
        Kind::Ed25519 => (ed25519_key(jwk)?, Vec::new()),
    };
    Ok(Some(Key { kid, algorithms: serves, material, spki }))
}

/// Secrets and public keys must not stand in one set: whoever reads the public set would hold the secret.
fn check_place(kind: Kind, algorithms: &[Algorithm], is_public: bool) -> Result<(), &'static str> {
    let wants_secrets = algorithms.iter().any(|algorithm| algorithm.kind() == Kind::Secret);
    match kind {
        Kind::Secret if !wants_secrets => {
            Err("this is a shared secret (`oct`), but the issuer's algorithms take public keys: remove it")
        }
        Kind::Secret if is_public => {
            Err("a shared secret must not stand in the configuration: give the set in an environment variable \
                 (`from_env`)")
        }
        Kind::Rsa | Kind::P256 | Kind::P384 | Kind::P521 | Kind::Ed25519 if wants_secrets => {
            Err("this is a public key, but HS* takes shared secrets (`oct`): remove it or change `algorithms`")
        }
        _ => Ok(()),
    }
}

/// Whether the key's own `use` and `key_ops` allow what we would do with it.
fn is_for_signatures(jwk: &Map<String, Value>) -> bool {
    let may_verify = jwk.get("key_ops").is_none_or(|operations| {
        operations.as_array().is_some_and(|list| list.iter().any(|operation| operation.as_str() == Some("verify")))
    });
    allows(jwk, "use", "sig") && may_verify
}

fn allows(jwk: &Map<String, Value>, name: &str, wanted: &str) -> bool {
    jwk.get(name).is_none_or(|value| value.as_str() == Some(wanted))
}

fn ec_key(jwk: &Map<String, Value>, kind: Kind) -> Result<(Material, Vec<u8>), &'static str> {
    const BROKEN: &str = "`x` and `y` are no point of the curve in base64url";
    refuse_private(jwk)?;
    if kind == Kind::P521 {
        return p521_key(jwk).ok_or(BROKEN);
    }
    let bare = json!({"kty": "EC", "crv": jwk.get("crv"), "x": jwk.get("x"), "y": jwk.get("y")}).to_string();
    if kind == Kind::P256 {
        let key = ES256PublicKey::from_jwk(&bare).map_err(|_| BROKEN)?;
        return Ok((Material::P256(Box::new(*key.public_key().as_ref())), key.to_der().map_err(|_| BROKEN)?));
    }
    let key = ES384PublicKey::from_jwk(&bare).map_err(|_| BROKEN)?;
    Ok((Material::P384(Box::new(*key.public_key().as_ref())), key.to_der().map_err(|_| BROKEN)?))
}

/// jwt-simple has no P-521. Each coordinate has exactly 66 bytes, leading zeros too (RFC 7518 §6.2.1.2).
fn p521_key(jwk: &Map<String, Value>) -> Option<(Material, Vec<u8>)> {
    const COORDINATE: usize = 66;
    const UNCOMPRESSED: u8 = 4;
    let mut point = vec![UNCOMPRESSED];
    for name in ["x", "y"] {
        let coordinate = URL_SAFE_NO_PAD.decode(text(jwk, name)?).ok()?;
        point.extend((coordinate.len() == COORDINATE).then_some(coordinate)?);
    }
    let key = p521::ecdsa::VerifyingKey::from_sec1_bytes(&point).ok()?;
    let spki = key.to_public_key_der().ok()?.into_vec();
    Some((Material::P521(Box::new(key)), spki))
}

fn ed25519_key(jwk: &Map<String, Value>) -> Result<Material, &'static str> {
    refuse_private(jwk)?;
    let bare = json!({"kty": "OKP", "crv": "Ed25519", "x": jwk.get("x")});
    let key = Ed25519PublicKey::from_jwk(&bare.to_string()).map_err(|_| "`x` is no Ed25519 key in base64url")?;
    Ok(Material::Ed25519(Box::new(*key.public_key().as_ref())))
}

fn rsa_key(jwk: &Map<String, Value>) -> Result<(Material, Vec<u8>), &'static str> {
    const BROKEN: &str = "`n` and `e` are no RSA key in base64url with the exponent 65537 (AQAB)";
    refuse_private(jwk)?;
    let bare = json!({"kty": "RSA", "n": jwk.get("n"), "e": jwk.get("e")});
    let key = RS256PublicKey::from_jwk(&bare.to_string()).map_err(|error| match error.downcast_ref() {
        Some(JWTError::UnsupportedRSAModulus | JWTError::WeakKey) => "an RSA key must have 2048 to 4096 bits",
        _ => BROKEN,
    })?;
    let spki = key.to_der().map_err(|_| BROKEN)?;
    let key = RsaPublicKey::from_public_key_der(&spki).map_err(|_| BROKEN)?;
    Ok((Material::Rsa(Box::new(key)), spki))
}

/// A secret as long as the hash at least (RFC 7518 §3.2).
fn secret(jwk: &Map<String, Value>, serves: &[Algorithm]) -> Result<Vec<u8>, &'static str> {
    let secret = text(jwk, "k").and_then(|k| URL_SAFE_NO_PAD.decode(k).ok());
    let secret = secret.ok_or("`k` must be the secret in base64url without padding")?;
    for algorithm in serves {
        match algorithm {
            Algorithm::Hs512 if secret.len() < 64 => return Err("a secret for HS512 must have at least 64 bytes"),
            Algorithm::Hs384 if secret.len() < 48 => return Err("a secret for HS384 must have at least 48 bytes"),
            _ if secret.len() < 32 => return Err("a secret for HS256 must have at least 32 bytes"),
            _ => {}
        }
    }
    Ok(secret)
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
