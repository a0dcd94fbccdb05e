//! What classes and models are known by: SipHash-2-4 of 128 bits under a secret key.
//!
//! Tenants and models are strings of any length, many of them chosen by clients; a digest keeps an entry small. The key
//! is drawn at random for each configuration (`Setup::random`), so nobody can make two names collide, and 128 bits do not
//! collide by chance: the tables go by the digest alone.

use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher24};

/// Makes digests under one key.
#[derive(Clone, Copy)]
pub struct Digester([u8; 16]);

impl Digester {
    /// The key must be random and secret.
    pub const fn new(key: [u8; 16]) -> Self {
        Self(key)
    }

    /// The digest of some fields. Each is preceded by its length, so that no two lists of fields run into the same bytes.
    pub fn digest(&self, fields: &[&[u8]]) -> u128 {
        let mut hasher = SipHasher24::new_with_key(&self.0);
        for field in fields {
            hasher.write(&(field.len() as u64).to_le_bytes());
            hasher.write(field);
        }
        hasher.finish128().as_u128()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_do_not_run_into_one_another() {
        let digester = Digester::new([7; 16]);
        let digest =
            |fields: &[&str]| digester.digest(&fields.iter().map(|field| field.as_bytes()).collect::<Vec<_>>());
        assert_eq!(digest(&["ab", "c"]), digest(&["ab", "c"]));
        assert_ne!(digest(&["ab", "c"]), digest(&["a", "bc"]));
        assert_ne!(digest(&["ab", ""]), digest(&["ab"]));
    }

    #[test]
    fn another_key_gives_another_digest() {
        assert_ne!(Digester::new([7; 16]).digest(&[b"a"]), Digester::new([8; 16]).digest(&[b"a"]));
    }
}
