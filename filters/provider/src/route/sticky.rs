//! What calls have in common that share a provider's prompt cache: tenant, model and the beginning of the prompt.
//!
//! The hash must be the same in every worker, process and version, or a restart would leave all caches behind. So it has no
//! secret key: who looks for a collision may find one, and shares an endpoint with somebody else, nothing more.

use std::hash::Hasher as _;

use siphasher::sip::SipHasher13;
use tollgate_llm::prompt_prefix;

/// Most bytes of a prompt that are looked at: some thousand tokens, and providers begin to cache at one or two thousand.
const MOST_BYTES: usize = 16 * 1024;

/// The hash in decimal; `None`: the body has no prompt.
pub(super) fn hash(tenant: &str, model: &str, body: &[u8]) -> Option<String> {
    let mut hasher = SipHasher13::new();
    write(&mut hasher, tenant.as_bytes());
    write(&mut hasher, model.as_bytes());
    let mut has_prompt = false;
    prompt_prefix(body, MOST_BYTES, |piece| {
        has_prompt = true;
        write(&mut hasher, piece);
    });
    has_prompt.then(|| hasher.finish().to_string())
}

/// The length stands in front, so that no two lists of pieces are the same bytes.
fn write(hasher: &mut SipHasher13, piece: &[u8]) {
    hasher.write(&(piece.len() as u64).to_le_bytes());
    hasher.write(piece);
}
