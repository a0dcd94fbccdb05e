//! What this worker already knows of tokens, so that a signature is checked once and not on every call.
//!
//! A signature that held, holds: neither time nor call changes that. So what is remembered is the signature's verdict
//! and the claims that were judged with it; `exp`, `nbf` and `iat` are looked at anew on every call, as the clock may
//! have moved either way. Until its `exp` a token costs one digest.
//!
//! - **Verified tokens**: [`MAX_VERIFIED`], the least recently used one leaves first. 4,096 tokens are some 2 MiB a worker,
//!   and never more than 50 MiB, since a token has 8 KiB and names 64 models at most; whoever has more callers at once checks
//!   a signature more.
//! - **Forged tokens**: [`MAX_FORGED`], each for [`FORGED_TTL`], in a list of their own, so that guessing pushes no good
//!   token out. It damps the caller that sends one bad token again and again; a fresh forgery still costs its check.
//!   Only a bad signature is kept: every other refusal is cheaper than the look-up.
//!
//! - **API keys**: [`MAX_KEYS`] digests of keys that let somebody in, so that the SHA-256 by which keys are looked up is worked
//!   out once. It is only ever the digest of the same text, so nothing makes it wrong; whether the key is good is asked anew.
//!   A key that is over is forgotten, else its caller could tell by the time that it is not an unknown one.
//!
//! Both are known by a digest, never by themselves: SipHash-2-4 of 128 bits under a key that this worker drew at random
//! and tells nobody. Without the key no token can be made whose digest is that of another, and it takes an eighth of the
//! time of SHA-256, which for a token of a kilobyte was a good part of what auth costs. The lists belong to the filter's value, so a new
//! configuration begins with empty ones; so does another key set that a server sent, and a key that left lets nobody in.
//! They are each worker's own.

use std::num::NonZeroUsize;
use std::time::Duration;

use lru::LruCache;
use siphasher::sip128::SipHasher24;
use tollgate_core::Timestamp;

use crate::api_key::KeyDigest;
use crate::denial::Denial;
use crate::jwt::Verified;

/// Most verified tokens that are remembered.
pub const MAX_VERIFIED: usize = 4_096;
/// Most forged tokens that are remembered.
pub const MAX_FORGED: usize = 1_024;
/// Most API keys whose digest is remembered.
pub const MAX_KEYS: usize = 1_024;
/// How long a forged token is refused unseen. Short, since a key may join the set at any time.
pub const FORGED_TTL: Duration = Duration::from_secs(10);

/// What a credential is known by, good within one [`Memory`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place(u128);

/// Verdicts by digest.
pub struct Memory {
    key: [u8; 16],
    verified: LruCache<Place, Verified>,
    forged: LruCache<Place, Timestamp>,
    keys: LruCache<Place, KeyDigest>,
}

impl Memory {
    /// Nothing remembered yet. The key must be random and secret.
    pub fn new(key: [u8; 16]) -> Self {
        let bounded = |most| NonZeroUsize::new(most).unwrap_or(NonZeroUsize::MIN);
        Self {
            key,
            verified: LruCache::new(bounded(MAX_VERIFIED)),
            forged: LruCache::new(bounded(MAX_FORGED)),
            keys: LruCache::new(bounded(MAX_KEYS)),
        }
    }

    /// Where a credential is remembered.
    pub fn place(&self, credential: &str) -> Place {
        Place(SipHasher24::new_with_key(&self.key).hash(credential.as_bytes()).as_u128())
    }

    /// The digest of an API key that was found before.
    pub fn key_digest(&mut self, place: Place) -> Option<KeyDigest> {
        self.keys.get(&place).copied()
    }

    /// Remembers the digest of a good API key, or forgets that of another: guesses must push no good one out.
    pub fn keep_key_digest(&mut self, place: Place, digest: KeyDigest, is_good: bool) {
        if is_good {
            self.keys.put(place, digest);
        } else {
            self.keys.pop(&place);
        }
    }

    /// What is known of a token: its claims, that it is forged, or nothing.
    pub fn recall(&mut self, place: Place, now: Timestamp) -> Option<Result<Verified, Denial>> {
        if let Some(verified) = self.verified.get(&place) {
            return Some(Ok(verified.clone()));
        }
        let seen = *self.forged.get(&place)?;
        // A clock that stepped back does not lengthen the time.
        if seen <= now && now.since(seen) < FORGED_TTL {
            return Some(Err(Denial::SignatureInvalid));
        }
        self.forged.pop(&place);
        None
    }

    /// Forgets all tokens, as the keys have changed.
    pub fn clear(&mut self) {
        self.verified.clear();
        self.forged.clear();
    }

    /// Remembers how a signature was judged.
    pub fn learn(&mut self, place: Place, verdict: &Result<Verified, Denial>, now: Timestamp) {
        match verdict {
            Ok(verified) => {
                self.verified.put(place, verified.clone());
            }
            Err(Denial::SignatureInvalid) => {
                self.forged.put(place, now);
            }
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests;
