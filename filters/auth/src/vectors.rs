//! Runs JWS test vectors through the very verifier of the filter, both ways: judged by the module and by the proxy.
//!
//! The form is that of Project Wycheproof: groups with a key (`jwk`; `public` or `private` in older files), each with
//! tests of a `jws` and its `result`: `valid`, `invalid`, or `acceptable` where libraries may differ. The verifier is
//! asked as for an issuer who lists every algorithm that the key can serve.
//!
//! Natively there is no proxy, so [`OverSpki`] stands in: it reads the same DER keys and DER signatures that Envoy gets,
//! with other code. What BoringSSL says to them is tested with a real Envoy (`tests/e2e/auth_tokens.rs`).

use p256::ecdsa::signature::Verifier as _;
use p256::pkcs8::DecodePublicKey as _;
use rsa::pkcs8::DecodePublicKey as _;
use rsa::sha2::{Sha256, Sha384, Sha512};
use rsa::signature::Verifier as _;
use rsa::{RsaPublicKey, pkcs1v15};
use serde::Deserialize;
use serde_json::Value;
use tollgate_core::ports::{Hash, Signatures};

use crate::jwt::{Algorithm, Jwks, Jws, read_keys};

/// A file of vectors.
#[derive(Deserialize)]
pub struct Vectors {
    /// Tests by key.
    #[serde(rename = "testGroups")]
    pub groups: Vec<Group>,
}

/// Tests of one key.
#[derive(Deserialize)]
pub struct Group {
    #[serde(default)]
    comment: String,
    jwk: Option<Value>,
    public: Option<Value>,
    private: Option<Value>,
    tests: Vec<Test>,
}

/// One test.
#[derive(Deserialize)]
pub struct Test {
    #[serde(rename = "tcId", default)]
    id: u64,
    #[serde(default)]
    comment: String,
    jws: Value,
    result: String,
}

/// What came of a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Tests with the result `valid`.
    pub valid: usize,
    /// Tests with the result `invalid`.
    pub invalid: usize,
    /// All other tests: either verdict agrees, if both ways give the same.
    pub acceptable: usize,
    /// One line for each test that came out otherwise than it should, or that the two ways judge differently.
    pub disagreements: Vec<String>,
}

/// Runs all tests.
pub fn run(vectors: &Vectors) -> Tally {
    let mut tally = Tally::default();
    for group in &vectors.groups {
        for test in &group.tests {
            let (here, there) = (judge(group, test, &NoProxy), judge(group, test, &OverSpki));
            let expected = match test.result.as_str() {
                "valid" => Some(true),
                "invalid" => Some(false),
                _ => None,
            };
            match expected {
                Some(true) => tally.valid += 1,
                Some(false) => tally.invalid += 1,
                None => tally.acceptable += 1,
            }
            if expected.is_some_and(|expected| expected != here.is_ok()) || here.is_ok() != there.is_ok() {
                let say = |verdict: &Result<(), String>| verdict.clone().err().unwrap_or_else(|| "valid".into());
                tally.disagreements.push(format!(
                    "test {} ({}: {}) should be {}; module: {}; proxy: {}",
                    test.id,
                    group.comment,
                    test.comment,
                    test.result,
                    say(&here),
                    say(&there)
                ));
            }
        }
    }
    tally
}

/// Whether the verifier takes the signature; if not, why.
fn judge(group: &Group, test: &Test, proxy: &dyn Signatures) -> Result<(), String> {
    let key =
        [&group.jwk, &group.public, &group.private].into_iter().flatten().next().ok_or("no key in the group")?;
    let set = Jwks { keys: vec![key.clone()] };
    let mut refusal = "no algorithm of this filter takes the key".to_owned();
    let serves = |algorithm: &Algorithm| match read_keys(&set, &[*algorithm], "", false) {
        Ok(found) => !found.keys.is_empty(),
        Err(error) => {
            // Keys of another kind are "misplaced" beside this algorithm; only a word on the key itself is of use.
            if !error.problem.contains("remove it") {
                refusal = error.problem;
            }
            false
        }
    };
    let algorithms: Vec<Algorithm> = Algorithm::ALL.iter().copied().filter(serves).collect();
    if algorithms.is_empty() {
        return Err(refusal);
    }
    let keys = read_keys(&set, &algorithms, "", false).map_err(|error| error.to_string())?;
    let text = test.jws.as_str().ok_or("not in the compact serialization")?;
    let jws = Jws::parse(text).map_err(|denial| format!("{denial:?}"))?;
    keys.check_signature(&jws, proxy).map_err(|denial| format!("{denial:?}"))
}

/// A proxy that cannot judge, so the module does.
pub struct NoProxy;

impl Signatures for NoProxy {
    fn verify(&self, _hash: Hash, _spki: &[u8], _signature: &[u8], _text: &[u8]) -> Option<bool> {
        None
    }
}

/// Judges by the encodings that Envoy's `verify_signature` takes. As there, the key says which algorithm it is.
pub struct OverSpki;

impl Signatures for OverSpki {
    fn verify(&self, hash: Hash, spki: &[u8], signature: &[u8], text: &[u8]) -> Option<bool> {
        if let Ok(key) = p256::ecdsa::VerifyingKey::from_public_key_der(spki) {
            let signature = p256::ecdsa::Signature::from_der(signature);
            return Some(
                hash == Hash::Sha256 && signature.is_ok_and(|signature| key.verify(text, &signature).is_ok()),
            );
        }
        if let Ok(key) = p384::ecdsa::VerifyingKey::from_public_key_der(spki) {
            let signature = p384::ecdsa::Signature::from_der(signature);
            return Some(
                hash == Hash::Sha384 && signature.is_ok_and(|signature| key.verify(text, &signature).is_ok()),
            );
        }
        if let Ok(key) = p521::ecdsa::VerifyingKey::from_public_key_der(spki) {
            let signature = p521::ecdsa::Signature::from_der(signature);
            return Some(
                hash == Hash::Sha512 && signature.is_ok_and(|signature| key.verify(text, &signature).is_ok()),
            );
        }
        let key = RsaPublicKey::from_public_key_der(spki).ok()?;
        let Ok(signature) = pkcs1v15::Signature::try_from(signature) else { return Some(false) };
        let verdict = match hash {
            Hash::Sha256 => pkcs1v15::VerifyingKey::<Sha256>::new(key).verify(text, &signature),
            Hash::Sha384 => pkcs1v15::VerifyingKey::<Sha384>::new(key).verify(text, &signature),
            Hash::Sha512 => pkcs1v15::VerifyingKey::<Sha512>::new(key).verify(text, &signature),
        };
        Some(verdict.is_ok())
    }
}

#[cfg(test)]
mod tests;
