//! The proxy's own cryptography.

use tollgate_core::ports::{Hash, Signatures};

/// How a proxy judges a signature: hash, key, signature, text.
pub type Verify = fn(Hash, &[u8], &[u8], &[u8]) -> Option<bool>;

/// The proxy's own cryptography, as a test gives it.
#[derive(Clone, Debug, Default)]
pub struct FakeSignatures(pub Option<Verify>);

impl Signatures for FakeSignatures {
    fn verify(&self, hash: Hash, spki: &[u8], signature: &[u8], text: &[u8]) -> Option<bool> {
        self.0.and_then(|verify| verify(hash, spki, signature, text))
    }
}
