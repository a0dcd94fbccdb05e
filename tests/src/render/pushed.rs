//! The listener `gateway` as a file of its own, which Envoy reads again whenever it is replaced: how a control plane such as
//! Istio's pushes a new configuration, without a control plane.
//!
//! The rest of the configuration stays static, so a push changes what the filters are told and nothing else.

use std::path::Path;

use serde_json::json;
use serde_norway::Value;

use super::missing;
use crate::failure::{Failure, OrFail as _};

/// The listener that is pushed.
const LISTENER: &str = "gateway";
const TYPE: &str = "type.googleapis.com/envoy.config.listener.v3.Listener";

/// Takes the listener out and names the file instead.
pub(super) fn refer(root: &mut Value, file: &Path) -> Result<(), Failure> {
    take(root)?;
    let source = json!({"lds_config": {
        "resource_api_version": "V3",
        "path_config_source": {"path": file.to_string_lossy()},
    }});
    let fields = root.as_mapping_mut().ok_or_else(|| missing("members"))?;
    fields.insert("dynamic_resources".into(), to_yaml(&source)?);
    Ok(())
}

/// The file's text.
pub(super) fn file(root: &mut Value) -> Result<String, Failure> {
    let mut listener = take(root)?;
    let fields = listener.as_mapping_mut().ok_or_else(|| missing(format_args!("listener `{LISTENER}`")))?;
    fields.insert("@type".into(), TYPE.into());
    let mut resources = to_yaml(&json!({"resources": []}))?;
    if let Some(list) = resources.get_mut("resources").and_then(Value::as_sequence_mut) {
        list.push(listener);
    }
    serde_norway::to_string(&resources).or_fail("cannot write YAML", "report this as a bug")
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
