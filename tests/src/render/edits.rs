//! Single values of the configuration that a test sets otherwise: limits that would take long to meet, or none.

use serde_json::json;
use serde_norway::Value;

use super::missing;
use super::parts::name_of;
use crate::failure::{Failure, OrFail as _};

/// What to set, and to what.
#[derive(Clone, Debug, PartialEq)]
pub struct Edit {
    /// Names of fields, and names or numbers of members of lists, as `static_resources/listeners/gateway`.
    pub path: String,
    /// The value; null takes the field away, or the member of a list that is called so.
    pub value: serde_json::Value,
}

/// Sets a value in a mapping that is there, or takes a member out of a list.
pub(super) fn put(root: &mut Value, edit: &Edit) -> Result<(), Failure> {
    let nowhere = || missing(format_args!("`{}`", edit.path));
    let (owner, field) = edit.path.rsplit_once('/').unwrap_or(("", &edit.path));
    let mut place = root;
    for step in owner.split('/').filter(|step| !step.is_empty()) {
        place = enter(place, step).ok_or_else(nowhere)?;
    }
    if let Value::Sequence(members) = place {
        let before = members.len();
        members.retain(|member| name_of(member) != field);
        return if members.len() < before && edit.value == json!(null) { Ok(()) } else { Err(nowhere()) };
    }
    let fields = place.as_mapping_mut().ok_or_else(nowhere)?;
    if edit.value == json!(null) {
        fields.remove(field).ok_or_else(nowhere)?;
        return Ok(());
    }
    let value = serde_norway::to_value(&edit.value).or_fail("cannot write YAML", "report this as a bug")?;
    fields.insert(field.into(), value);
    Ok(())
}

fn enter<'a>(place: &'a mut Value, step: &str) -> Option<&'a mut Value> {
    match place {
        Value::Sequence(members) => match step.parse::<usize>() {
            Ok(at) => members.get_mut(at),
            Err(_) => members.iter_mut().find(|member| name_of(member) == step),
        },
        _ => place.get_mut(step),
    }
}
