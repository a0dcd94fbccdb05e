//! Finding the parts of an Envoy configuration by name.

use serde_norway::{Mapping, Sequence, Value};

use super::{Address, missing};
use crate::failure::Failure;

/// What a filter, a route, a listener or a cluster is called.
pub(super) fn name_of(member: &Value) -> &str {
    member.get("name").and_then(Value::as_str).unwrap_or_default()
}

/// A list among `static_resources`.
pub(super) fn list<'a>(resources: &'a mut Value, list: &str) -> Result<&'a mut Sequence, Failure> {
    let found = resources.get_mut(list).and_then(Value::as_sequence_mut);
    found.ok_or_else(|| missing(format_args!("static_resources.{list}")))
}

/// The member of `resources.<list>` that is called `name`.
pub(super) fn named<'a>(resources: &'a mut Value, list: &str, name: &str) -> Result<&'a mut Value, Failure> {
    resources
        .get_mut(list)
        .and_then(Value::as_sequence_mut)
        .and_then(|members| members.iter_mut().find(|member| name_of(member) == name))
        .ok_or_else(|| missing(format_args!("`{name}` among static_resources.{list}")))
}

/// Sets `address.socket_address` of `owner`.
pub(super) fn set_address(owner: &mut Value, address: &Address, name: &str) -> Result<(), Failure> {
    let socket = owner
        .get_mut("address")
        .and_then(|found| found.get_mut("socket_address")?.as_mapping_mut())
        .ok_or_else(|| missing(format_args!("address.socket_address of {name}")))?;
    socket.insert("address".into(), address.host.as_str().into());
    socket.insert("port_value".into(), address.port.into());
    Ok(())
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

/// The HTTP filters of a listener.
pub(super) fn chain(listener: &mut Value) -> Result<&mut Sequence, Failure> {
    manager(listener)
        .and_then(|manager| manager.get_mut("http_filters")?.as_sequence_mut())
        .ok_or_else(|| missing("http_filters in the listener `gateway`"))
}

/// The routes of a listener.
pub(super) fn routes(listener: &mut Value) -> Result<&mut Sequence, Failure> {
    manager(listener)
        .and_then(|manager| manager.get_mut("route_config")?.get_mut("virtual_hosts")?.get_mut(0)?.get_mut("routes"))
        .and_then(Value::as_sequence_mut)
        .ok_or_else(|| missing("routes in the listener `gateway`"))
}

/// The HTTP connection manager of a listener.
pub(super) fn manager(listener: &mut Value) -> Option<&mut Value> {
    listener.get_mut("filter_chains")?.get_mut(0)?.get_mut("filters")?.get_mut(0)?.get_mut("typed_config")
}

/// Visits every mapping under `value`, outer ones first.
pub(super) fn walk(value: &mut Value, visit: &mut dyn FnMut(&mut Mapping)) {
    match value {
        Value::Mapping(fields) => {
            visit(fields);
            fields.iter_mut().for_each(|(_, field)| walk(field, visit));
        }
        Value::Sequence(items) => items.iter_mut().for_each(|item| walk(item, visit)),
        Value::Tagged(tagged) => walk(&mut tagged.value, visit),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
