//! One verification key, and the two ways to ask whether a signature is its own.
//!
//! The proxy is asked first where it can judge ([`Signatures`]: RS* and ES*, some fifty times faster than WebAssembly);
//! otherwise the same primitives judge here that jwt-simple stands on. Both must agree on every signature, so the form
//! of an ECDSA signature is read here before either sees it.

use ed25519_compact::Signature as Ed25519Signature;
use jwt_simple::algorithms::{HS256Key, HS384Key, HS512Key, MACLike as _};
use p256::ecdsa::Signature as P256Signature;
use p256::ecdsa::signature::Verifier as _;
use p384::ecdsa::Signature as P384Signature;
use p521::ecdsa::Signature as P521Signature;
use rsa::RsaPublicKey;
use rsa::sha2::{Sha256, Sha384, Sha512};
use rsa::signature::Verifier as _;
use rsa::{pkcs1v15, pss};
use subtle::ConstantTimeEq as _;
use tollgate_core::ports::Signatures;

use super::algorithm::Algorithm;

/// A verification key for some algorithms of one kind.
pub struct Key {
    pub(super) kid: Option<String>,
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) material: Material,
    /// The key as DER `SubjectPublicKeyInfo`, for the proxy; empty where there is none.
    pub(super) spki: Vec<u8>,
}

/// What the key is made of.
pub(super) enum Material {
    Ed25519(Box<ed25519_compact::PublicKey>),
    P256(Box<p256::ecdsa::VerifyingKey>),
    P384(Box<p384::ecdsa::VerifyingKey>),
    P521(Box<p521::ecdsa::VerifyingKey>),
    Rsa(Box<RsaPublicKey>),
    Secret(Vec<u8>),
}

impl Key {
    /// Whether the key verifies this algorithm. The list was made when the set was read and holds one kind only, so a
    /// public key can never serve as an HMAC secret.
    pub fn serves(&self, algorithm: Algorithm) -> bool {
        self.algorithms.contains(&algorithm)
    }

    /// Whether a token with this `kid` may be signed by this key. A key or a token without one leaves it open.
    pub fn may_be(&self, kid: Option<&str>) -> bool {
        match (&self.kid, kid) {
            (Some(mine), Some(asked)) => mine == asked,
            _ => true,
        }
    }

    /// Whether the signature over the text is this key's.
    pub fn verify(&self, algorithm: Algorithm, signature: &[u8], text: &[u8], proxy: &dyn Signatures) -> bool {
        if !self.serves(algorithm) {
            return false;
        }
        self.verify_there(algorithm, signature, text, proxy)
            .unwrap_or_else(|| self.verify_here(algorithm, signature, text))
    }

    /// `None`: the proxy cannot judge. It takes ECDSA signatures in DER, where JWS has r and s side by side
    /// (RFC 7518 §3.4).
    fn verify_there(
        &self,
        algorithm: Algorithm,
        signature: &[u8],
        text: &[u8],
        proxy: &dyn Signatures,
    ) -> Option<bool> {
        let ask = |signature: &[u8]| proxy.verify(algorithm.hash(), &self.spki, signature, text);
        match algorithm {
            Algorithm::Rs256 | Algorithm::Rs384 | Algorithm::Rs512 => ask(signature),
            Algorithm::Es256 => match P256Signature::from_slice(signature) {
                Ok(signature) => ask(signature.to_der().as_bytes()),
                Err(_) => Some(false),
            },
            Algorithm::Es384 => match P384Signature::from_slice(signature) {
                Ok(signature) => ask(signature.to_der().as_bytes()),
                Err(_) => Some(false),
            },
            Algorithm::Es512 => match P521Signature::from_slice(signature) {
                Ok(signature) => ask(signature.to_der().as_bytes()),
                Err(_) => Some(false),
            },
            _ => None,
        }
    }

    fn verify_here(&self, algorithm: Algorithm, signature: &[u8], text: &[u8]) -> bool {
        match &self.material {
            Material::Ed25519(key) => {
                Ed25519Signature::from_slice(signature).is_ok_and(|signature| key.verify(text, &signature).is_ok())
            }
            Material::P256(key) => {
                P256Signature::from_slice(signature).is_ok_and(|signature| key.verify(text, &signature).is_ok())
            }
            Material::P384(key) => {
                P384Signature::from_slice(signature).is_ok_and(|signature| key.verify(text, &signature).is_ok())
            }
            Material::P521(key) => {
                P521Signature::from_slice(signature).is_ok_and(|signature| key.verify(text, &signature).is_ok())
            }
            Material::Rsa(key) => verify_rsa(key, algorithm, signature, text),
            Material::Secret(secret) => verify_hmac(secret, algorithm, signature, text),
        }
    }
}

fn verify_rsa(key: &RsaPublicKey, algorithm: Algorithm, signature: &[u8], text: &[u8]) -> bool {
    let key = key.clone();
    let is_pss = matches!(algorithm, Algorithm::Ps256 | Algorithm::Ps384 | Algorithm::Ps512);
    if is_pss {
        // The salt is as long as the hash (RFC 7518 §3.5), which is what `new` asks for.
        let Ok(signature) = pss::Signature::try_from(signature) else { return false };
        return match algorithm {
            Algorithm::Ps256 => pss::VerifyingKey::<Sha256>::new(key).verify(text, &signature).is_ok(),
            Algorithm::Ps384 => pss::VerifyingKey::<Sha384>::new(key).verify(text, &signature).is_ok(),
            Algorithm::Ps512 => pss::VerifyingKey::<Sha512>::new(key).verify(text, &signature).is_ok(),
            _ => false,
        };
    }
    let Ok(signature) = pkcs1v15::Signature::try_from(signature) else { return false };
    match algorithm {
        Algorithm::Rs256 => pkcs1v15::VerifyingKey::<Sha256>::new(key).verify(text, &signature).is_ok(),
        Algorithm::Rs384 => pkcs1v15::VerifyingKey::<Sha384>::new(key).verify(text, &signature).is_ok(),
        Algorithm::Rs512 => pkcs1v15::VerifyingKey::<Sha512>::new(key).verify(text, &signature).is_ok(),
        _ => false,
    }
}

fn verify_hmac(secret: &[u8], algorithm: Algorithm, tag: &[u8], text: &[u8]) -> bool {
    let expected = match algorithm {
        Algorithm::Hs256 => HS256Key::from_bytes(secret).authentication_tag(text),
        Algorithm::Hs384 => HS384Key::from_bytes(secret).authentication_tag(text),
        Algorithm::Hs512 => HS512Key::from_bytes(secret).authentication_tag(text),
        _ => return false,
    };
    expected.ct_eq(tag).into()
}
