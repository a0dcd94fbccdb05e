//! `envoy/envoy.yaml` with the addresses, files and secrets of one run.
//!
//! The committed file stays the one thing to read: it is valid as it is, and only what a run must choose is put in its
//! place here, found by the names of listeners, clusters and filters. What is missing is named, never guessed.

mod edits;
mod parts;
pub mod providers;
mod pushed;
mod telemetry;
#[cfg(test)]
mod tests;
mod tls;
mod upstream;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::json;
use serde_norway::{Mapping, Value};

use crate::failure::{Failure, OrFail as _};
pub use edits::Edit;
use parts::{chain, endpoint, list, name_of, named, set_address, walk};
pub use pushed::Pushed;
pub use telemetry::Telemetry;
pub use tls::Tls;
pub use upstream::Upstream;

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Name or IP address, without brackets.
    pub host: String,
    /// Port; 0 takes a free one where something listens.
    pub port: u16,
}

impl std::str::FromStr for Address {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let parsed = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
        match parsed {
            Some((host, port)) if !host.is_empty() => {
                Ok(Self { host: host.trim_start_matches('[').trim_end_matches(']').to_owned(), port })
            }
            _ => Err(Failure::new(format_args!("`{text}` is no address"), "write HOST:PORT")),
        }
    }
}

impl fmt::Display for Address {
    /// As in a URL: an IPv6 address in brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

impl Address {
    /// A port of the loopback address.
    pub fn loopback(port: u16) -> Self {
        Self { host: "127.0.0.1".into(), port }
    }
}

/// What a run chooses.
#[derive(Clone, Debug)]
pub struct Run {
    /// Where clients call.
    pub listen: Address,
    /// Envoy's admin page.
    pub admin: Address,
    /// Where Prometheus reads.
    pub metrics: Address,
    /// Folder of the wasm modules.
    pub filters: PathBuf,
    /// The providers.json to run with in place of the committed one.
    pub providers: Option<serde_json::Value>,
    /// Another address for the provider `primary`.
    pub upstream: Option<Upstream>,
    /// Whether all providers are spoken to in HTTP/2, which alone passes trailers.
    pub is_http2: bool,
    /// Folder of the secrets.
    pub secrets: PathBuf,
    /// Configurations that replace those of the file, by the filter's name (`tollgate.budget`).
    pub configurations: BTreeMap<String, String>,
    /// HTTP filters to leave out, by name.
    pub without: BTreeSet<String>,
    /// HTTP filters to put right before another one, both by name.
    pub moves: Vec<(String, String)>,
    /// Whether calls go to the first pool as they came, without the provider filter.
    pub is_unrouted: bool,
    /// Clusters without TLS beside those of the file, by name.
    pub clusters: BTreeMap<String, Address>,
    /// The OpenTelemetry collector; `None`: there is none.
    pub telemetry: Option<Telemetry>,
    /// What clients must speak TLS by; `None`: none is spoken.
    pub tls: Option<Tls>,
    /// Single values that are others.
    pub edits: Vec<Edit>,
    /// How long a call may take, as `1s`, in place of what the pools say.
    pub route_timeout: Option<String>,
    /// Whether filters, routes and pools are read from files that `scripts/reload` can replace.
    pub is_split: bool,
    /// The files that the listener `gateway` and the pools are read from, and read again whenever they change.
    pub pushed: Option<Pushed>,
}

/// Reads the file at `input` and gives its text for this run.
///
/// # Errors
/// If the file cannot be read or lacks something that the run must set.
pub fn render(input: &Path, run: &Run) -> Result<String, Failure> {
    render_text(&read(input)?, run)
}

/// The texts of [`Run::pushed`]: the listener and the clusters.
///
/// # Errors
/// If the file at `input` cannot be read or lacks something that the run must set.
pub fn render_pushed(input: &Path, run: &Run) -> Result<[String; 2], Failure> {
    let mut root = tree(&read(input)?, run)?;
    pushed::texts(&mut root)
}

fn read(input: &Path) -> Result<String, Failure> {
    let remedy = "give Tollgate's envoy.yaml with --input";
    std::fs::read_to_string(input).or_fail(format_args!("cannot read {}", input.display()), remedy)
}

fn render_text(text: &str, run: &Run) -> Result<String, Failure> {
    let mut root = tree(text, run)?;
    if let Some(files) = &run.pushed {
        pushed::refer(&mut root, files)?;
    }
    serde_norway::to_string(&root).or_fail("cannot write YAML", "report this as a bug")
}

fn tree(text: &str, run: &Run) -> Result<Value, Failure> {
    let mut root: Value = serde_norway::from_str(text).or_fail("envoy.yaml is no YAML", "mend it at that place")?;
    let admin = root.get_mut("admin").ok_or_else(|| missing("admin"))?;
    set_address(admin, &run.admin, "admin")?;
    providers::put(&mut root, run)?;
    let resources = root.get_mut("static_resources").ok_or_else(|| missing("static_resources"))?;
    for (name, address) in [("gateway", &run.listen), ("metrics", &run.metrics)] {
        set_address(named(resources, "listeners", name)?, address, name)?;
    }
    // What /metrics shows comes from the admin page.
    let admin = named(resources, "clusters", "admin")?;
    set_address(endpoint(admin, "admin")?, &run.admin, "admin's endpoint")?;
    add_clusters(resources, &run.clusters)?;
    set_filters(named(resources, "listeners", "gateway")?, run)?;
    if let Some(told) = &run.telemetry {
        telemetry::put(&mut root, told)?;
    }
    if let Some(tls) = &run.tls {
        tls::put(&mut root, tls)?;
    }
    for edit in &run.edits {
        edits::put(&mut root, edit)?;
    }
    walk(&mut root, &mut |fields| set_files(fields, run));
    Ok(root)
}

fn add_clusters(resources: &mut Value, clusters: &BTreeMap<String, Address>) -> Result<(), Failure> {
    let list = list(resources, "clusters")?;
    for (name, Address { host, port }) in clusters {
        let cluster = json!({
            "name": name, "type": "STATIC", "connect_timeout": "1s",
            "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [{"endpoint": {
                "address": {"socket_address": {"address": host, "port_value": port}},
            }}]}]},
        });
        list.push(serde_norway::to_value(cluster).or_fail("cannot write YAML", "report this as a bug")?);
    }
    Ok(())
}

/// Leaves filters out, moves them and replaces configurations; a name that the file does not have is an error.
fn set_filters(gateway: &mut Value, run: &Run) -> Result<(), Failure> {
    let chain = chain(gateway)?;
    let names: BTreeSet<_> = chain.iter().map(|filter| name_of(filter).to_owned()).collect();
    let moved = run.moves.iter().flat_map(|(name, before)| [name, before]);
    let asked = run.without.iter().chain(run.configurations.keys()).chain(moved);
    if let Some(unknown) = asked.into_iter().find(|name| !names.contains(*name)) {
        return Err(missing(format_args!("HTTP filter `{unknown}`")));
    }
    chain.retain(|filter| !run.without.contains(name_of(filter)));
    for (name, before) in &run.moves {
        let place = |wanted: &String, chain: &[Value]| chain.iter().position(|filter| name_of(filter) == wanted);
        let Some(filter) = place(name, chain).map(|at| chain.remove(at)) else { continue };
        let at = place(before, chain).unwrap_or(chain.len());
        chain.insert(at, filter);
    }
    for filter in chain {
        let name = name_of(filter).to_owned();
        let Some(configuration) = run.configurations.get(&name) else { continue };
        let value = filter
            .get_mut("typed_config")
            .and_then(|typed| typed.get_mut("config")?.get_mut("configuration")?.get_mut("value"))
            .ok_or_else(|| missing(format_args!("configuration.value in {name}")))?;
        *value = Value::from(configuration.as_str());
    }
    Ok(())
}

/// Wasm modules and secret files lie elsewhere under the same names.
fn set_files(fields: &mut Mapping, run: &Run) {
    for (key, dir, suffix) in [("filename", &run.filters, ".wasm"), ("path", &run.secrets, ".yaml")] {
        let Some(value) = fields.get_mut(key) else { continue };
        let file = value.as_str().map(Path::new).and_then(Path::file_name).and_then(|name| name.to_str());
        if let Some(name) = file.filter(|name| name.ends_with(suffix)) {
            *value = Value::from(dir.join(name).to_string_lossy().into_owned());
            if let Some(watched) = fields.get_mut("watched_directory").and_then(Value::as_mapping_mut) {
                watched.insert("path".into(), dir.to_string_lossy().into_owned().into());
            }
        }
    }
}

fn missing(what: impl fmt::Display) -> Failure {
    Failure::new(format_args!("envoy.yaml has no {what}"), "restore it from the committed envoy/envoy.yaml")
}
