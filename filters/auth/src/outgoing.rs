//! What a request carries on: no credential, nothing that passes itself off as ours, and the identity if that is wanted.

use tollgate_core::header::GATEWAY_CACHE;
use tollgate_core::ports::Headers;
use tollgate_core::{HeaderList, Identity};

use crate::credential;

/// Names of the headers that tell a provider who calls. Clients cannot set them, on open paths neither.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdentityHeaders {
    /// The tenant.
    pub tenant: Option<String>,
    /// Which credential of the tenant it was.
    pub credential_id: Option<String>,
    /// The tenant's tier; no header for a tenant without one.
    pub tier: Option<String>,
}

impl IdentityHeaders {
    /// All names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        [&self.tenant, &self.credential_id, &self.tier].into_iter().filter_map(Option::as_deref)
    }

    fn set(&self, identity: &Identity, headers: &mut dyn Headers) {
        for (name, value) in [
            (&self.tenant, Some(&identity.tenant)),
            (&self.credential_id, Some(&identity.credential_id)),
            (&self.tier, identity.tier.as_ref()),
        ] {
            if let (Some(name), Some(value)) = (name, value) {
                headers.set(name, value.as_bytes());
            }
        }
    }
}

/// Whether a header must not come from a caller. Some servers read `_` in a name as `-` (CGI, RFC 3875 §4.1.18), and not
/// every proxy in front drops such names.
fn is_foreign(name: &[u8], names: &IdentityHeaders) -> bool {
    if name.contains(&b'_') {
        let read: Vec<u8> = name.iter().map(|byte| if *byte == b'_' { b'-' } else { *byte }).collect();
        return read == GATEWAY_CACHE.as_bytes() || is_foreign(&read, names);
    }
    credential::is_one(name) || credential::is_forgery(name) || names.names().any(|ours| ours.as_bytes() == name)
}

/// Removes every credential, wherever it stood, and whatever passes itself off as ours; then tells who calls.
pub fn rewrite(
    all: &HeaderList,
    path: &[u8],
    names: &IdentityHeaders,
    identity: Option<&Identity>,
    headers: &mut dyn Headers,
) {
    let foreign = all.iter().map(|(name, _)| name).filter(|name| is_foreign(name, names));
    foreign.filter_map(|name| str::from_utf8(name).ok()).for_each(|name| headers.remove(name));
    if let Some(path) = credential::without(path) {
        headers.set(":path", &path);
    }
    if let Some(identity) = identity {
        names.set(identity, headers);
    }
}
