//! The scripted providers of one gateway.
//!
//! A test's providers.json says in `url` what stands behind a name:
//!
//! | `url` | what runs |
//! |---|---|
//! | `http://scripted` | a scripted provider |
//! | `https://scripted` | the same with TLS, called `localhost`; `ca_file` is set to its authority |
//! | `https://self-signed`, `https://misnamed`, `https://expired` | the same, with a certificate that must be refused |
//! | `http://refusing` | nothing |
//!
//! Any other address is left as it is.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "test support: a set-up that fails must end the test at once and say why"
)]

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use crate::envoy::free_address;
use crate::provider::Provider;
use crate::provider::tls::{Authority, Certificate};

/// Providers by name, and where those are that are not there.
#[derive(Debug, Default)]
pub(crate) struct Fleet {
    pub(crate) providers: BTreeMap<String, Arc<Provider>>,
    places: BTreeMap<String, Place>,
}

/// What takes the place of a `url`.
#[derive(Debug)]
struct Place {
    url: String,
    ca_file: Option<String>,
}

impl Fleet {
    /// Starts what a providers.json asks for. Certificates lie in `dir`.
    pub(crate) fn start(config: &Value, dir: &Path) -> Self {
        let authority = Authority::new().expect("the system gives random bytes");
        let ca_file = dir.join("authority.pem");
        fs::write(&ca_file, authority.pem()).expect("the folder is writable");
        let mut fleet = Self::default();
        let members = config.get("providers").and_then(Value::as_object).into_iter().flatten();
        for (name, provider) in members {
            let url = provider.get("url").and_then(Value::as_str).unwrap_or_default();
            let tls = |certificate| Provider::start_tls(name, &authority, certificate);
            let (scheme, started) = match url {
                "http://scripted" => ("http", Some(Provider::start_named(name))),
                "https://scripted" => ("https", Some(tls(Certificate::Good))),
                "https://self-signed" => ("https", Some(tls(Certificate::SelfSigned))),
                "https://misnamed" => ("https", Some(tls(Certificate::Misnamed))),
                "https://expired" => ("https", Some(tls(Certificate::Expired))),
                "http://refusing" => ("http", None),
                _ => continue,
            };
            let started = started.map(|started| Arc::new(started.expect("the scripted provider starts")));
            let address =
                started.as_ref().map_or_else(|| free_address().expect("a port is free"), |found| found.address());
            let ca_file = (scheme == "https").then(|| ca_file.to_string_lossy().into_owned());
            fleet.places.insert(name.clone(), Place { url: url_of(scheme, address), ca_file });
            fleet.providers.extend(started.map(|provider| (name.clone(), provider)));
        }
        fleet
    }

    /// The providers.json with addresses in place of what [`Self::start`] was asked for.
    pub(crate) fn place(&self, mut config: Value) -> Value {
        for (name, place) in &self.places {
            let found = config.get_mut("providers").and_then(|providers| providers.get_mut(name)?.as_object_mut());
            let Some(fields) = found else { continue };
            fields.insert("url".into(), place.url.as_str().into());
            if let Some(ca_file) = &place.ca_file {
                fields.entry("ca_file").or_insert_with(|| ca_file.as_str().into());
            }
        }
        config
    }
}

/// Certificates are for a name, so TLS is spoken with `localhost`.
fn url_of(scheme: &str, address: SocketAddr) -> String {
    let host = if scheme == "https" { "localhost".to_owned() } else { address.ip().to_string() };
    format!("{scheme}://{host}:{}", address.port())
}
