//! Another address for the provider `primary`: where it is and whether it speaks TLS.

use std::path::Path;
use std::str::FromStr;

use super::Address;
use crate::failure::Failure;

/// Where systems keep the authorities they trust: Debian, Fedora, Alpine and macOS.
const CA_FILES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// A provider's base address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    address: Address,
    is_tls: bool,
}

impl FromStr for Upstream {
    type Err = Failure;

    /// `http://HOST[:PORT]` or `https://HOST[:PORT]`. A path could not be told from the client's own, so none may follow.
    fn from_str(url: &str) -> Result<Self, Failure> {
        let wrong = |what: &str| {
            Failure::new(format_args!("upstream `{url}` {what}"), "write http://HOST:PORT or https://HOST")
        };
        let (is_tls, rest) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return Err(wrong("is no http:// or https:// address")),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#']) {
            return Err(wrong("has a path, which the gateway does not add to calls"));
        }
        if authority.contains('@') {
            return Err(Failure::new("the upstream address holds a credential", "give it as UPSTREAM_API_KEY"));
        }
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
        let address = if has_port {
            authority.parse().map_err(|_: Failure| wrong("has no valid port"))?
        } else {
            format!("{authority}:{}", if is_tls { 443 } else { 80 })
                .parse()
                .map_err(|_: Failure| wrong("has no host"))?
        };
        Ok(Self { address, is_tls })
    }
}

impl Upstream {
    /// A provider without TLS.
    pub const fn plain(address: Address) -> Self {
        Self { address, is_tls: false }
    }

    /// As it stands in providers.json.
    pub fn url(&self) -> String {
        format!("{}://{}", if self.is_tls { "https" } else { "http" }, self.address)
    }
}

/// The system's authorities; `SSL_CERT_FILE` names others.
pub(super) fn ca_file() -> Result<String, Failure> {
    let given = std::env::var("SSL_CERT_FILE").ok();
    let mut files = given.as_deref().into_iter().chain(CA_FILES);
    files
        .find(|file| Path::new(file).is_file())
        .map(ToOwned::to_owned)
        .ok_or_else(|| Failure::new("no file of trusted authorities", "install ca-certificates or set SSL_CERT_FILE"))
}
