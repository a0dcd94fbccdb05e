//! The listener `gateway` and the clusters of pools as files of their own, which Envoy reads again whenever they are
//! replaced: how a control plane such as Istio's pushes a new configuration, without a control plane.
//!
//! The rest of the configuration stays static, so a push changes what the filters are told, routes and pools.

use std::path::{Path, PathBuf};

use serde_json::json;
use serde_norway::Value;

use super::missing;
use super::providers::take_clusters;
use crate::failure::{Failure, OrFail as _};

/// The listener that is pushed.
const LISTENER: &str = "gateway";
const LISTENER_TYPE: &str = "type.googleapis.com/envoy.config.listener.v3.Listener";
const CLUSTER_TYPE: &str = "type.googleapis.com/envoy.config.cluster.v3.Cluster";

/// The folder of the files.
#[derive(Clone, Debug)]
pub struct Pushed(pub PathBuf);

impl Pushed {
    /// What Envoy reads the listener from (LDS).
    pub fn listener(&self) -> PathBuf {
        self.0.join("listener.yaml")
    }

    /// What Envoy reads the pools from (CDS).
    pub fn clusters(&self) -> PathBuf {
        self.0.join("clusters.yaml")
    }
}

/// Takes listener and pools out and names their files instead.
pub(super) fn refer(root: &mut Value, files: &Pushed) -> Result<(), Failure> {
    take(root)?;
    take_clusters(root)?;
    let source = |file: &Path| {
        json!({
            "resource_api_version": "V3",
            "path_config_source": {"path": file.to_string_lossy()},
        })
    };
    let sources = json!({"lds_config": source(&files.listener()), "cds_config": source(&files.clusters())});
    let fields = root.as_mapping_mut().ok_or_else(|| missing("members"))?;
    fields.insert("dynamic_resources".into(), to_yaml(&sources)?);
    Ok(())
}

/// The listener's file and the clusters' file.
pub(super) fn texts(root: &mut Value) -> Result<[String; 2], Failure> {
    Ok([resources(vec![take(root)?], LISTENER_TYPE)?, resources(take_clusters(root)?, CLUSTER_TYPE)?])
}

fn resources(members: Vec<Value>, kind: &str) -> Result<String, Failure> {
    let mut file = to_yaml(&json!({"resources": []}))?;
    if let Some(list) = file.get_mut("resources").and_then(Value::as_sequence_mut) {
        for mut member in members {
            let fields = member.as_mapping_mut().ok_or_else(|| missing("fields of a listener or cluster"))?;
            fields.insert("@type".into(), kind.into());
            list.push(member);
        }
    }
    serde_norway::to_string(&file).or_fail("cannot write YAML", "report this as a bug")
}

fn take(root: &mut Value) -> Result<Value, Failure> {
    let no_listener = || missing(format_args!("listener `{LISTENER}`"));
    let listeners = root
        .get_mut("static_resources")
        .and_then(|resources| resources.get_mut("listeners")?.as_sequence_mut())
        .ok_or_else(no_listener)?;
    let is_it = |listener: &Value| listener.get("name").and_then(Value::as_str) == Some(LISTENER);
    let at = listeners.iter().position(is_it).ok_or_else(no_listener)?;
    Ok(listeners.remove(at))
}

fn to_yaml(json: &serde_json::Value) -> Result<Value, Failure> {
    serde_norway::to_value(json).or_fail("cannot write YAML", "report this as a bug")
}
