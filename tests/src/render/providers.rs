//! Envoy's parts for the providers of one run, made by `scripts/lib/providers.py` as the committed file's are.

use std::fs;
use std::io::Write as _;
use std::process::Command;

use serde::Deserialize;
use serde_json::{Map, Value as Json};
use serde_norway::Value;

use super::parts::{chain, list, name_of, routes, walk};
use super::upstream::ca_file;
use super::{Run, missing};
use crate::envoy::repository;
use crate::failure::{Failure, OrFail as _};

/// The provider whose address [`Run::upstream`] replaces.
const PRIMARY: &str = "primary";
const REMEDY: &str = "mend envoy/config/providers.json";
/// What sends an attempt off, and so the one filter of an upstream chain that must be there.
const CODEC: &str = "envoy.filters.http.upstream_codec";
/// What the clusters of pools are called.
pub(super) const POOL: &str = "pool_";

/// What the renderer prints.
#[derive(Deserialize)]
struct Parts {
    filter: Value,
    routes: Vec<Value>,
    clusters: Vec<Value>,
}

/// The committed configuration of providers.
///
/// # Errors
/// If it cannot be read.
pub fn committed() -> Result<Json, Failure> {
    let path = repository().join("envoy/config/providers.json");
    let text = fs::read_to_string(&path).or_fail(format_args!("cannot read {}", path.display()), "restore it")?;
    serde_json::from_str(&text).or_fail("providers.json is no JSON", REMEDY)
}

/// Puts the run's providers in place of the committed ones.
pub(super) fn put(root: &mut Value, run: &Run) -> Result<(), Failure> {
    let mut parts = parts(&config(run)?, run)?;
    if run.is_unrouted {
        lead_directly(&mut parts);
    }
    let resources = root.get_mut("static_resources").ok_or_else(|| missing("static_resources"))?;
    let clusters = list(resources, "clusters")?;
    clusters.retain(|cluster| !name_of(cluster).starts_with(POOL));
    clusters.extend(parts.clusters);
    let gateway = super::named(resources, "listeners", "gateway")?;
    let routes = routes(gateway)?;
    let ours = |route: &Value| parts.routes.iter().any(|made| name_of(made) == name_of(route));
    let at = routes.iter().position(ours).ok_or_else(|| missing("route `models`"))?;
    routes.retain(|route| !ours(route));
    routes.splice(at..at, parts.routes.iter().cloned());
    let name = name_of(&parts.filter).to_owned();
    let place = chain(gateway)?.iter_mut().find(|filter| name_of(filter) == name);
    *place.ok_or_else(|| missing(format_args!("HTTP filter `{name}`")))? = parts.filter;
    Ok(())
}

/// Sends every call to the first pool as it came: no filter chooses, and none is asked for an attempt.
fn lead_directly(parts: &mut Parts) {
    parts.routes.truncate(1);
    for route in &mut parts.routes {
        if let Some(conditions) = route.get_mut("match").and_then(Value::as_mapping_mut) {
            conditions.remove("filter_state");
        }
    }
    for cluster in &mut parts.clusters {
        walk(cluster, &mut |fields| {
            if let Some(filters) = fields.get_mut("http_filters").and_then(Value::as_sequence_mut) {
                filters.retain(|filter| name_of(filter) == CODEC);
            }
        });
    }
}

/// The providers.json of a run.
fn config(run: &Run) -> Result<Json, Failure> {
    let mut config = match &run.providers {
        Some(given) => given.clone(),
        None => committed()?,
    };
    if let Some(upstream) = &run.upstream {
        let what = format_args!("providers.json has no provider `{PRIMARY}` to give another address to");
        let primary = config.get_mut("providers").and_then(|providers| providers.get_mut(PRIMARY)?.as_object_mut());
        let primary = primary.ok_or_else(|| Failure::new(what, "name one so, or give no upstream"))?;
        primary.insert("url".into(), upstream.url().into());
    }
    if run.is_http2 {
        set_in_all(&mut config, "providers", "http2", &Json::Bool(true));
    }
    if let Some(timeout) = &run.route_timeout {
        set_in_all(&mut config, "pools", "timeout", &timeout.as_str().into());
    }
    Ok(config)
}

fn set_in_all(config: &mut Json, list: &str, key: &str, value: &Json) {
    let members = config.get_mut(list).and_then(Json::as_object_mut).into_iter().flat_map(Map::values_mut);
    for fields in members.filter_map(Json::as_object_mut) {
        fields.insert(key.to_owned(), value.clone());
    }
}

fn parts(config: &Json, run: &Run) -> Result<Parts, Failure> {
    let text = format!("{config:#}");
    let mut file = tempfile::NamedTempFile::new().or_fail("no temporary file", "make room in $TMPDIR")?;
    file.write_all(text.as_bytes()).or_fail("no temporary file", "make room in $TMPDIR")?;
    let mut command = Command::new("python3");
    command.arg("-B").arg(repository().join("scripts/lib/providers.py")).arg(file.path());
    command.arg("--filters").arg(&run.filters).arg("--secrets").arg(&run.secrets);
    if text.contains("\"https://") {
        command.arg("--ca-file").arg(ca_file()?);
    }
    let output = command.output().or_fail("python3 does not start", "install Python 3")?;
    if !output.status.success() {
        // The renderer names the place and the remedy itself.
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said
            .trim()
            .strip_prefix("error: ")
            .unwrap_or(said.trim())
            .replace(&*file.path().to_string_lossy(), "providers.json");
        return Err(Failure::new(said, REMEDY));
    }
    serde_json::from_slice(&output.stdout).or_fail("scripts/lib/providers.py gave no parts", "report this as a bug")
}

/// The clusters of pools, taken out of the configuration.
pub(super) fn take_clusters(root: &mut Value) -> Result<Vec<Value>, Failure> {
    let resources = root.get_mut("static_resources").ok_or_else(|| missing("static_resources"))?;
    let clusters = list(resources, "clusters")?;
    let (pools, others) =
        std::mem::take(clusters).into_iter().partition(|cluster| name_of(cluster).starts_with(POOL));
    *clusters = others;
    Ok(pools)
}
