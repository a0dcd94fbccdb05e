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
use tollgate_core::Identity;

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

/// All keys of the policy.
#[derive(Default)]
pub struct ApiKeys {
    by_prefix: BTreeMap<u64, Vec<(KeyDigest, Rc<Identity>)>>,
}

impl ApiKeys {
    /// Adds a key. Two keys of one digest are for the configuration to refuse.
    pub fn insert(&mut self, digest: KeyDigest, identity: Identity) {
        self.by_prefix.entry(digest.prefix()).or_default().push((digest, Rc::new(identity)));
    }

    /// Whether there is no key at all.
    pub fn is_empty(&self) -> bool {
        self.by_prefix.is_empty()
    }

    /// Whose key this is.
    pub fn identify(&self, digest: &KeyDigest) -> Option<&Rc<Identity>> {
        let candidates = self.by_prefix.get(&digest.prefix())?;
        candidates.iter().find(|(stored, _)| bool::from(stored.0.ct_eq(&digest.0))).map(|(_, identity)| identity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SHA-256("abc"), FIPS 180-2 appendix B.1.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn identity(id: &str) -> Identity {
        Identity { tenant: "acme".into(), credential_id: id.into(), tier: None }
    }

    #[test]
    fn a_key_is_found_by_its_digest_alone() {
        let mut keys = ApiKeys::default();
        keys.insert(KeyDigest::from_hex(ABC).unwrap(), identity("k"));
        assert_eq!(keys.identify(&KeyDigest::of("abc")), Some(&Rc::new(identity("k"))));
        assert_eq!(keys.identify(&KeyDigest::of("abd")), None);
        assert_eq!(keys.identify(&KeyDigest::of(ABC)), None, "the digest is not the key");
    }

    #[test]
    fn digests_of_one_prefix_are_told_apart_by_all_their_bytes() {
        let mut twin = KeyDigest::of("abc");
        twin.0[31] ^= 1;
        let mut keys = ApiKeys::default();
        keys.insert(twin, identity("twin"));
        assert_eq!(keys.identify(&KeyDigest::of("abc")), None);
        keys.insert(KeyDigest::of("abc"), identity("k"));
        assert_eq!(keys.identify(&KeyDigest::of("abc")), Some(&Rc::new(identity("k"))));
    }

    #[test]
    fn hex_is_read_in_either_case_and_nothing_else_is() {
        assert!(KeyDigest::from_hex(&ABC.to_uppercase()) == KeyDigest::from_hex(ABC));
        for bad in [
            "",
            "ba",
            &ABC.replacen("ba", "b", 1),
            &format!("{ABC}00"),
            &ABC.replacen('b', "g", 1),
            &ABC.replacen("ba", "+a", 1),
        ] {
            assert!(KeyDigest::from_hex(bad).is_none(), "{bad}");
        }
    }
}
