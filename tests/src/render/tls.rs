//! `envoy/tls.yaml` put into the configuration: what the gateway shows to its clients, and whom it lets in.

use std::fs;
use std::path::{Path, PathBuf};

use serde_norway::{Mapping, Value};

use super::missing;
use super::parts::named;
use crate::envoy::repository;
use crate::failure::{Failure, OrFail as _};

/// The overlay, from the root of the repository.
const FILE: &str = "envoy/tls.yaml";
/// Its secrets: the gateway's certificate, and the authority of its clients'.
const CERTIFICATE: &str = "gateway-certificate.yaml";
const CLIENT_CA: &str = "gateway-client-ca.yaml";

/// PEM files of a gateway that speaks TLS. Envoy reads them anew when something is moved into their folders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The certificate and those between it and its authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authority of the clients' certificates; `None`: nobody is asked for one.
    pub client_ca: Option<PathBuf>,
}

impl Tls {
    /// Writes what Envoy reads the file names from into the folder of the secrets.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write(&self, secrets: &Path) -> Result<(), Failure> {
        let mut overlay = overlay()?;
        let files = overlay.get_mut("secrets").ok_or_else(|| missing(format_args!("secrets in {FILE}")))?;
        let pair = [("certificate_chain", &self.certificate), ("private_key", &self.key)];
        write(files, CERTIFICATE, "tls_certificate", &pair, secrets)?;
        match &self.client_ca {
            Some(authority) => write(files, CLIENT_CA, "validation_context", &[("trusted_ca", authority)], secrets),
            None => Ok(()),
        }
    }
}

/// Writes one secret with other file names than the overlay's.
fn write(files: &mut Value, name: &str, kind: &str, sources: &[(&str, &PathBuf)], dir: &Path) -> Result<(), Failure> {
    let nothing = || missing(format_args!("{kind} of {name} in {FILE}"));
    let file = files.get_mut(name).ok_or_else(nothing)?;
    let secret = file.get_mut("resources").and_then(|list| list.get_mut(0)?.get_mut(kind)).ok_or_else(nothing)?;
    for (field, path) in sources {
        put_text(secret, field, "filename", path)?;
        let folder = path.parent().unwrap_or_else(|| Path::new("/"));
        put_text(secret, "watched_directory", "path", folder)?;
    }
    let text = serde_norway::to_string(file).or_fail("cannot write YAML", "report this as a bug")?;
    let path = dir.join(name);
    fs::write(&path, text).or_fail(format_args!("cannot write {}", path.display()), "give a writable folder")
}

fn put_text(secret: &mut Value, field: &str, key: &str, path: &Path) -> Result<(), Failure> {
    let place = secret.get_mut(field).and_then(|found| found.get_mut(key));
    *place.ok_or_else(|| missing(format_args!("{field}.{key} in {FILE}")))? =
        Value::from(path.to_string_lossy().into_owned());
    Ok(())
}

/// Puts TLS into the filter chain of the listener `gateway`.
pub(super) fn put(root: &mut Value, tls: &Tls) -> Result<(), Failure> {
    let mut overlay = overlay()?;
    let mut fields = take(&mut overlay, "filter_chain")?;
    if tls.client_ca.is_some() {
        let context = fields.get_mut("transport_socket").and_then(|socket| socket.get_mut("typed_config"));
        let context = context.and_then(Value::as_mapping_mut);
        merge(
            context.ok_or_else(|| missing(format_args!("typed_config in {FILE}")))?,
            take(&mut overlay, "client_certificates")?,
        );
    }
    let resources = root.get_mut("static_resources").ok_or_else(|| missing("static_resources"))?;
    let chain =
        named(resources, "listeners", "gateway")?.get_mut("filter_chains").and_then(|chains| chains.get_mut(0));
    merge(
        chain.and_then(Value::as_mapping_mut).ok_or_else(|| missing("filter chain of the listener `gateway`"))?,
        fields,
    );
    Ok(())
}

/// Puts the fields of `more` into `fields`, and into what both have as mappings.
fn merge(fields: &mut Mapping, more: Mapping) {
    for (name, value) in more {
        match (fields.get_mut(&name), value) {
            (Some(Value::Mapping(inner)), Value::Mapping(more)) => merge(inner, more),
            (_, value) => {
                fields.insert(name, value);
            }
        }
    }
}

fn overlay() -> Result<Value, Failure> {
    let text =
        fs::read_to_string(repository().join(FILE)).or_fail(format_args!("cannot read {FILE}"), "restore it")?;
    serde_norway::from_str(&text).or_fail(format_args!("{FILE} is no YAML"), "mend it")
}

fn take(overlay: &mut Value, name: &str) -> Result<Mapping, Failure> {
    let fields = overlay.as_mapping_mut().and_then(|members| members.remove(name));
    match fields {
        Some(Value::Mapping(fields)) => Ok(fields),
        _ => Err(missing(format_args!("{name} in {FILE}"))),
    }
}

#[cfg(test)]
mod tests;
