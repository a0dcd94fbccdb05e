//! The provider behind the gateway: where it is, whether it speaks TLS and what it is called.

use std::net::IpAddr;
use std::path::Path;
use std::str::FromStr;

use serde_json::json;
use serde_norway::Value;

use super::parts::{set_address, walk};
use super::{Address, missing};
use crate::failure::{Failure, OrFail as _};

/// Where systems keep the authorities they trust: Debian, Fedora, Alpine and macOS.
const CA_FILES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

const PROTOCOL_OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/// A provider's base address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    address: Address,
    is_tls: bool,
    is_http2: bool,
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
        Ok(Self { address, is_tls, is_http2: false })
    }
}

impl Upstream {
    /// A provider without TLS.
    pub const fn plain(address: Address) -> Self {
        Self { address, is_tls: false, is_http2: false }
    }

    /// The same, spoken to in HTTP/2, which alone passes trailers.
    #[must_use]
    pub const fn http2(mut self) -> Self {
        self.is_http2 = true;
        self
    }

    fn is_ip(&self) -> bool {
        self.address.host.parse::<IpAddr>().is_ok()
    }

    /// Points the cluster at the provider.
    pub(super) fn set_cluster(&self, cluster: &mut Value) -> Result<(), Failure> {
        set_address(endpoint(cluster, "provider")?, &self.address, "provider's endpoint")?;
        let fields = cluster.as_mapping_mut().ok_or_else(|| missing("cluster `provider`"))?;
        if !self.is_ip() {
            // Big providers answer DNS with a few of many addresses, another few each time.
            fields.insert("type".into(), "LOGICAL_DNS".into());
            fields.insert("dns_lookup_family".into(), "V4_PREFERRED".into());
            // LOGICAL_DNS knows one endpoint, so there is nothing to balance.
            fields.remove("lb_policy");
        }
        if self.is_tls {
            fields.insert("transport_socket".into(), self.tls()?);
        }
        if self.is_http2 {
            let options = json!({PROTOCOL_OPTIONS: {
                "@type": format!("type.googleapis.com/{PROTOCOL_OPTIONS}"),
                "explicit_http_config": {"http2_protocol_options": {}},
            }});
            let options = serde_norway::to_value(options).or_fail("cannot write YAML", "report this as a bug")?;
            fields.insert("typed_extension_protocol_options".into(), options);
        }
        Ok(())
    }

    /// Public providers serve many names on one address: they must be called by theirs.
    pub(super) fn set_routes(&self, listener: &mut Value) {
        if self.is_ip() {
            return;
        }
        walk(listener, &mut |fields| {
            if fields.get("cluster").and_then(Value::as_str) == Some("provider") {
                fields.insert("host_rewrite_literal".into(), self.authority().into());
            }
        });
    }

    /// What the provider is called in `Host`: the port only where it is not the scheme's own (RFC 9110 §7.2).
    fn authority(&self) -> String {
        let default_port = if self.is_tls { 443 } else { 80 };
        if self.address.port == default_port { self.address.host.clone() } else { self.address.to_string() }
    }

    /// TLS that checks the certificate against the system's authorities and the provider's name.
    fn tls(&self) -> Result<Value, Failure> {
        let given = std::env::var("SSL_CERT_FILE").ok();
        let file =
            given.as_deref().into_iter().chain(CA_FILES).find(|file| Path::new(file).is_file()).ok_or_else(|| {
                Failure::new("no file of trusted authorities", "install ca-certificates or set SSL_CERT_FILE")
            })?;
        let host = &self.address.host;
        let kind = if self.is_ip() { "IP_ADDRESS" } else { "DNS" };
        let mut context = json!({
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            "common_tls_context": {
                "alpn_protocols": ["http/1.1"],
                "validation_context": {
                    "trusted_ca": {"filename": file},
                    "match_typed_subject_alt_names": [{"san_type": kind, "matcher": {"exact": host}}],
                },
            },
        });
        if !self.is_ip()
            && let Some(fields) = context.as_object_mut()
        {
            fields.insert("sni".into(), json!(host));
        }
        serde_norway::to_value(json!({"name": "envoy.transport_sockets.tls", "typed_config": context}))
            .or_fail("cannot write YAML", "report this as a bug")
    }
}

/// Sets how long calls of the provider may take.
pub(super) fn set_timeout(listener: &mut Value, timeout: &str) {
    walk(listener, &mut |fields| {
        if fields.get("cluster").and_then(Value::as_str) == Some("provider") {
            fields.insert("timeout".into(), timeout.into());
        }
    });
}

/// The one endpoint of a cluster.
pub(super) fn endpoint<'a>(cluster: &'a mut Value, name: &str) -> Result<&'a mut Value, Failure> {
    cluster
        .get_mut("load_assignment")
        .and_then(|load| {
            load.get_mut("endpoints")?.get_mut(0)?.get_mut("lb_endpoints")?.get_mut(0)?.get_mut("endpoint")
        })
        .ok_or_else(|| {
            missing(format_args!("load_assignment.endpoints[0].lb_endpoints[0].endpoint in cluster `{name}`"))
        })
}
