//! Headers that tell the provider who calls.

use std::collections::BTreeSet;

use http::HeaderName;
use tollgate_core::{ConfigError, header};

use super::spec::UpstreamHeadersSpec;
use crate::credential;
use crate::outgoing::IdentityHeaders;

/// Headers that mean something to HTTP, Envoy or every provider already, exact or by how they begin.
const TAKEN: &[&str] = &[
    "connection",
    "cookie",
    "content-",
    "expect",
    "host",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-envoy-",
    "x-forwarded-",
    "x-request-id",
];

/// A name must be a header's, in lower case, not taken and not given twice.
pub(super) fn read(spec: UpstreamHeadersSpec) -> Result<IdentityHeaders, ConfigError> {
    let mut seen = BTreeSet::new();
    let named = [("tenant", &spec.tenant), ("credential_id", &spec.credential_id), ("tier", &spec.tier)];
    for (field, name) in named {
        let Some(name) = name else { continue };
        let problem = match () {
            () if !HeaderName::from_bytes(name.as_bytes()).is_ok_and(|parsed| parsed.as_str() == name) => {
                "must be the name of a header, in lower case"
            }
            () if is_taken(name) => "has a meaning of its own on the way to the provider: choose another name",
            () if name.contains('_') => "may reach the provider as another header's name: write `-` for `_`",
            () if !seen.insert(name) => "is given twice: choose another name",
            () => continue,
        };
        return Err(ConfigError::at(format!("upstream_headers.{field}"), problem));
    }
    Ok(IdentityHeaders { tenant: spec.tenant, credential_id: spec.credential_id, tier: spec.tier })
}

fn is_taken(name: &str) -> bool {
    let is_known = TAKEN.iter().any(|taken| *taken == name || (taken.ends_with('-') && name.starts_with(taken)));
    is_known || credential::HEADERS.contains(&name) || name == header::GATEWAY_CACHE
}
