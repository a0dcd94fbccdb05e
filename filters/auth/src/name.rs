//! What may be a tenant, a tier or a credential's id. They end up in logs, metric labels and store keys, so they are
//! short and printable; everything else about them is the operator's choice.

/// Longest tenant, tier or key id, in bytes.
pub(crate) const MAX_NAME: usize = 128;
/// Longest `sub`, in bytes (OpenID Connect Core §2 allows 255).
pub(crate) const MAX_SUBJECT: usize = 255;
/// Begins every credential id that came from a token, so that a token's `sub` never passes for a key's id.
pub(crate) const TOKEN_PREFIX: &str = "jwt:";

/// Whether a text may stand in an identity.
pub(crate) fn is_name(text: &str, max_bytes: usize) -> bool {
    !text.is_empty() && text.len() <= max_bytes && !text.chars().any(char::is_control)
}
