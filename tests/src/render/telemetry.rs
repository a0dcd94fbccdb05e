//! `envoy/opentelemetry.yaml` put into the configuration: what a run tells a collector, and where that is.

use std::fs;

use serde_json::json;
use serde_norway::{Mapping, Sequence, Value};

use super::parts::{chain, endpoint, list, manager, name_of, named, set_address};
use super::{Address, missing};
use crate::envoy::repository;
use crate::failure::{Failure, OrFail as _};

/// The overlay, from the root of the repository.
const FILE: &str = "envoy/opentelemetry.yaml";
/// What its cluster is called.
const CLUSTER: &str = "opentelemetry";
/// The filter that leaves what is told, and the field that makes it do so.
const METRICS: (&str, &str) = ("tollgate.metrics", "gen_ai_attributes");

/// Where log records and spans go, and what the Envoy that tells them can say.
#[derive(Clone, Debug, PartialEq)]
pub struct Telemetry {
    /// The collector, which takes OTLP over gRPC.
    pub collector: Address,
    /// The share of calls without a trace of their own that are traced, 0 to 1.
    pub sampled: f64,
    /// Whether Envoy is 1.36, whose tags cannot be read from filter state.
    pub is_for_1_36: bool,
}

/// Adds the access logger, the tracing and the cluster of the overlay, and has the metrics filter leave the attributes.
pub(super) fn put(root: &mut Value, telemetry: &Telemetry) -> Result<(), Failure> {
    let text =
        fs::read_to_string(repository().join(FILE)).or_fail(format_args!("cannot read {FILE}"), "restore it")?;
    let mut overlay: Value = serde_norway::from_str(&text).or_fail(format_args!("{FILE} is no YAML"), "mend it")?;
    set_address(endpoint(named(&mut overlay, "clusters", CLUSTER)?, CLUSTER)?, &telemetry.collector, CLUSTER)?;
    let resources = root.get_mut("static_resources").ok_or_else(|| missing("static_resources"))?;
    list(resources, "clusters")?.append(list(&mut overlay, "clusters")?);
    let gateway = named(resources, "listeners", "gateway")?;
    let fields = overlay.get_mut("connection_manager").ok_or_else(|| missing("connection_manager"))?;
    if telemetry.is_for_1_36 {
        fit_for_1_36(fields)?;
    }
    let manager = manager(gateway).ok_or_else(|| missing("HTTP connection manager"))?;
    loggers(manager)?.append(loggers(fields)?);
    let mut tracing = fields.get("tracing").cloned().ok_or_else(|| missing("tracing"))?;
    sample(&mut tracing, telemetry.sampled)?;
    manager.as_mapping_mut().ok_or_else(|| missing("HTTP connection manager"))?.insert("tracing".into(), tracing);
    leave_attributes(chain(gateway)?)
}

fn sample<'a>(tracing: &'a mut Value, share: f64) -> Result<(), Failure> {
    let share_of = |provider: &'a mut Value| {
        let sampler = provider.get_mut("typed_config")?.get_mut("sampler")?.get_mut("typed_config")?;
        let of_roots = sampler.get_mut("wrapped_sampler")?.get_mut("typed_config")?;
        of_roots.get_mut("sampling_percentage")?.get_mut("numerator")
    };
    let numerator = tracing.get_mut("provider").and_then(share_of).ok_or_else(|| missing("sampling_percentage"))?;
    // A share is at most 1, so this is a whole number of millionths.
    *numerator = format!("{:.0}", share * 1_000_000.0).parse::<u64>().unwrap_or_default().into();
    Ok(())
}

fn loggers(owner: &mut Value) -> Result<&mut Sequence, Failure> {
    owner.get_mut("access_log").and_then(Value::as_sequence_mut).ok_or_else(|| missing("access_log"))
}

/// Writes tags as attributes, which say `-` for what nobody knows, and the collector's place in an older way. Spans keep
/// Envoy's own tags.
fn fit_for_1_36(fields: &mut Value) -> Result<(), Failure> {
    for logger in loggers(fields)? {
        let config = logger.get_mut("typed_config").and_then(Value::as_mapping_mut);
        let config = config.ok_or_else(|| missing("typed_config of the OpenTelemetry logger"))?;
        let tags = config.remove("custom_tags").unwrap_or_default();
        let values = tags.as_sequence().into_iter().flatten().map(|tag| {
            let part = |name: &str| tag.get(name).and_then(Value::as_str).unwrap_or_default();
            json!({"key": part("tag"), "value": {"string_value": part("value")}})
        });
        config.insert("attributes".into(), to_yaml(&json!({"values": values.collect::<Vec<_>>()}))?);
        let mut common = Mapping::new();
        common.insert("transport_api_version".into(), "V3".into());
        for name in ["log_name", "grpc_service"] {
            common.insert(name.into(), config.remove(name).ok_or_else(|| missing(name))?);
        }
        config.insert("common_config".into(), common.into());
    }
    let tracing = fields.get_mut("tracing").and_then(Value::as_mapping_mut).ok_or_else(|| missing("tracing"))?;
    tracing.remove("custom_tags");
    Ok(())
}

fn to_yaml(json: &serde_json::Value) -> Result<Value, Failure> {
    serde_norway::to_value(json).or_fail("cannot write YAML", "report this as a bug")
}

fn leave_attributes(chain: &mut Sequence) -> Result<(), Failure> {
    let (name, field) = METRICS;
    // A gateway may run without it; then there is nothing to tell of models.
    let Some(filter) = chain.iter_mut().find(|filter| name_of(filter) == name) else { return Ok(()) };
    let value = filter
        .get_mut("typed_config")
        .and_then(|typed| typed.get_mut("config")?.get_mut("configuration")?.get_mut("value"))
        .ok_or_else(|| missing(format_args!("configuration.value in {name}")))?;
    let text = value.as_str().unwrap_or_default();
    let mut config: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(text).or_fail(format_args!("{name} has no JSON"), "mend its configuration")?;
    config.insert(field.into(), true.into());
    *value = Value::from(serde_json::Value::Object(config).to_string());
    Ok(())
}

#[cfg(test)]
mod tests;
