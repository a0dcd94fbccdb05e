//! `body`: members that every request gets or loses.

use std::collections::BTreeSet;

use tollgate_core::ConfigError;

use super::spec::BodySpec;

const MAX_MEMBERS: usize = 64;
/// The gateway decides over the first, the caller over the second: budgets and metrics go by both.
const FIXED: &[&str] = &["model", "stream"];

/// Checks `body.set`: names and values as JSON.
pub(super) fn set(path: &str, spec: &BodySpec) -> Result<Vec<(String, String)>, ConfigError> {
    check(path, spec.set.keys())?;
    Ok(spec.set.iter().map(|(name, value)| (name.clone(), value.to_string())).collect())
}

/// Checks `body.drop`.
pub(super) fn drop(path: &str, spec: BodySpec) -> Result<Vec<String>, ConfigError> {
    check(path, spec.drop.iter())?;
    let set: BTreeSet<String> = spec.set.keys().map(|name| name.to_lowercase()).collect();
    match spec.drop.iter().position(|name| set.contains(&name.to_lowercase())) {
        Some(index) => Err(ConfigError::at(format!("{path}[{index}]"), "stands in `set` too: choose one")),
        None => Ok(spec.drop),
    }
}

fn check<'n>(path: &str, names: impl ExactSizeIterator<Item = &'n String>) -> Result<(), ConfigError> {
    if names.len() > MAX_MEMBERS {
        return Err(ConfigError::at(path, format!("names more than {MAX_MEMBERS} members")));
    }
    let mut seen = BTreeSet::new();
    for name in names {
        let folded = name.to_lowercase();
        let problem = if !(1..=128).contains(&name.len()) || name.chars().any(char::is_control) {
            "a member's name must be 1 to 128 bytes without control characters".to_owned()
        } else if FIXED.contains(&folded.as_str()) {
            format!("`{folded}` cannot be changed here: the gateway or the caller decides over it")
        } else if !seen.insert(folded) {
            "the same name stands here twice; its case does not matter".to_owned()
        } else {
            continue;
        };
        return Err(ConfigError::at(path, problem));
    }
    Ok(())
}
