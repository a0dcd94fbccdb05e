//! A secret at the wrong place in a document. Errors must not hand it on, wherever it stands: Envoy logs them.

use serde_json::{Map, Value};
use tollgate_core::ConfigError;

use super::{Promise, hold};

/// Reads as a key, and as what serde and our own errors write around a value.
const CANARY: &str = "a`, sk-live-\"1\", expected `2C4E8F16AA77`\u{1b}[31m\n at all";
/// Parts of it that no error text has of itself.
const TRACES: [&str; 3] = ["sk-live", "2C4E8F16AA77", "86753099067"];
const NUMBER: u64 = 86_753_099_067;
/// The longest error: it names every field or algorithm that would be right.
const MAX_ERROR: usize = 1_000;

/// Errors are one line of bounded length, fit for a terminal, and show nothing of the document.
pub(super) fn is_discreet(error: &ConfigError) -> Promise {
    let line = error.to_string();
    hold(!TRACES.iter().any(|trace| line.contains(trace)), || format!("an error repeats a value: {line}"))?;
    hold(!line.chars().any(char::is_control), || format!("an error has control characters: {line:?}"))?;
    hold(!line.is_empty() && line.len() <= MAX_ERROR, || format!("an error of {} bytes", line.len()))
}

/// The document with the canary at one place, as the number picks it: instead of a value or of a member's name.
pub(super) fn planted(document: &Value, pick: usize) -> Value {
    let places = count(document);
    let mut left = pick.checked_rem(places).unwrap_or_default();
    plant(document, &mut left)
}

pub(super) fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(members) => members.values().map(|value| 1 + count(value)).sum(),
        _ => 0,
    }
}

fn plant(value: &Value, left: &mut usize) -> Value {
    if is_here(left) {
        return if value.is_number() { NUMBER.into() } else { CANARY.into() };
    }
    match value {
        Value::Array(items) => items.iter().map(|item| plant(item, left)).collect(),
        Value::Object(members) => {
            let mut planted = Map::new();
            for (name, value) in members {
                let new_name = if is_here(left) { CANARY } else { name };
                let new_value = plant(value, left);
                planted.insert(new_name.to_owned(), new_value);
            }
            Value::Object(planted)
        }
        _ => value.clone(),
    }
}

/// Counts down to the place that was picked; beyond it nothing is ever here.
fn is_here(left: &mut usize) -> bool {
    let is_here = *left == 0;
    *left = left.wrapping_sub(1);
    is_here
}
