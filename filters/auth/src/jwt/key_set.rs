//! The keys of one issuer: which of them may judge a signature, and what they say.

use tollgate_core::ports::Signatures;

use super::algorithm::Algorithm;
use super::key::Key;
use super::token::Jws;
use crate::denial::Denial;

/// Most keys that are tried for one token: a token without `kid` must not cost a verification for each key of a long
/// set.
const MAX_TRIES: usize = 16;

/// Keys, and the only algorithms that they may be used with.
pub struct KeySet {
    /// The allow-list.
    pub algorithms: Vec<Algorithm>,
    /// Keys of those algorithms only.
    pub keys: Vec<Key>,
}

impl KeySet {
    /// Takes the keys of another part of the set in.
    pub fn append(&mut self, mut other: Self) {
        self.keys.append(&mut other.keys);
    }

    /// An algorithm that no key serves.
    pub fn bare_algorithm(&self) -> Option<Algorithm> {
        self.algorithms.iter().copied().find(|algorithm| !self.keys.iter().any(|key| key.serves(*algorithm)))
    }

    /// Whether one of the keys is called so.
    pub fn names(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.kid.as_deref() == Some(kid))
    }

    /// Whether one of the keys made the signature. What was signed is not looked at.
    pub fn check_signature(&self, jws: &Jws<'_>, proxy: &dyn Signatures) -> Result<(), Denial> {
        let algorithm = Algorithm::parse(jws.algorithm())
            .filter(|algorithm| self.algorithms.contains(algorithm))
            .ok_or(Denial::AlgorithmNotAllowed)?;
        let kid = jws.key_id();
        let candidates = self.keys.iter().filter(|key| key.serves(algorithm) && key.may_be(kid));
        let mut verdict = Err(Denial::UnknownKeyId);
        for key in candidates.take(MAX_TRIES) {
            if key.verify(algorithm, &jws.signature, jws.signed.as_bytes(), proxy) {
                return Ok(());
            }
            verdict = Err(Denial::SignatureInvalid);
        }
        verdict
    }
}
