//! API keys by their SHA-256 digest: no key is ever kept, so none can leak.
//!
//! A fast hash is right here, unlike for passwords: keys are long and random, so there is no list to try.
//!
//! Look-up is by the digest's first eight bytes, then the whole digest is compared in constant time. How long the map
//! takes can tell only about a prefix of SHA-256(guess); a caller can neither steer that towards a stored digest nor
//! get back from it to a key. So the map may be a plain one, and the cost does not grow with the number of keys.

use std::collections::BTreeMap;
use std::rc::Rc;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tollgate_core::Timestamp;

use crate::caller::Caller;
use crate::denial::Denial;
use crate::validity::{Phase, Validity};

/// SHA-256 of a credential.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyDigest([u8; 32]);

impl KeyDigest {
    /// Digest of a credential as it was presented.
    pub fn of(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }

    /// Reads 64 hexadecimal digits, in either case: tools differ.
    pub fn from_hex(text: &str) -> Option<Self> {
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if pairs.len() != 32 || !rest.is_empty() {
            return None;
        }
        let mut digest = [0; 32];
        for (byte, [high, low]) in digest.iter_mut().zip(pairs) {
            *byte = nibble(*high)? << 4 | nibble(*low)?;
        }
        Some(Self(digest))
    }

    /// The digest itself.
    pub const fn to_bytes(self) -> [u8; 32] {
        self.0
    }

    fn prefix(&self) -> u64 {
        self.0.iter().take(8).fold(0, |prefix, byte| prefix << 8 | u64::from(*byte))
    }
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// One key.
pub struct ApiKey {
    digest: KeyDigest,
    validity: Validity,
    caller: Rc<Caller>,
}

impl ApiKey {
    /// A key, whose it is and when it is good.
    pub fn new(digest: KeyDigest, validity: Validity, caller: Caller) -> Self {
        Self { digest, validity, caller: Rc::new(caller) }
    }

    /// Whose key it is, if it is good now.
    pub fn judge(&self, now: Timestamp) -> Result<Rc<Caller>, Denial> {
        match self.validity.phase(now) {
            Phase::Now => Ok(Rc::clone(&self.caller)),
            Phase::Over => Err(Denial::KeyExpired),
            Phase::Early => Err(Denial::KeyNotYetValid),
        }
    }
}

/// All keys of the policy.
#[derive(Default)]
pub struct ApiKeys {
    by_prefix: BTreeMap<u64, Vec<ApiKey>>,
}

impl ApiKeys {
    /// Adds a key. Two keys of one digest are for the configuration to refuse.
    pub fn insert(&mut self, key: ApiKey) {
        self.by_prefix.entry(key.digest.prefix()).or_default().push(key);
    }

    /// Whether there is no key at all.
    pub fn is_empty(&self) -> bool {
        self.by_prefix.is_empty()
    }

    /// The key of this digest, good or over: time is looked at only once the whole digest matched, so how long it takes
    /// tells nobody who guesses whether a key was ever in use.
    pub fn find(&self, digest: &KeyDigest) -> Option<&ApiKey> {
        let candidates = self.by_prefix.get(&digest.prefix())?;
        candidates.iter().find(|key| bool::from(key.digest.0.ct_eq(&digest.0)))
    }
}

#[cfg(test)]
mod tests;
