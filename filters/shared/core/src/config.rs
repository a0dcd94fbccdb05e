//! Configuration errors that say where and what instead, and the one way from bytes to a wire type.
//!
//! A configuration may hold a secret by mistake: a key where its digest belongs, a key as a field name. serde's errors
//! repeat such texts, so they are cut out before anybody logs them.

use std::fmt;

use serde::de::DeserializeOwned;

/// Why a configuration is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Path of the field, as in `jwt.issuers[0].algorithms`; empty for the whole document.
    pub path: String,
    /// What is wrong and what would be right, in one line. Never a secret.
    pub problem: String,
}

impl ConfigError {
    /// An error at a field.
    pub fn at(path: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { path: path.into(), problem: problem.into() }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() { f.write_str(&self.problem) } else { write!(f, "{}: {}", self.path, self.problem) }
    }
}

impl std::error::Error for ConfigError {}

/// Longest unknown field name that an error repeats. Keys and digests are longer.
const MAX_SHOWN_NAME: usize = 24;

/// Reads a wire type (`#[serde(deny_unknown_fields)]`) from a JSON object; an error names the path of the field and
/// repeats nothing of the document but field names.
pub fn parse<Spec: DeserializeOwned>(bytes: &[u8]) -> Result<Spec, ConfigError> {
    if bytes.trim_ascii().is_empty() {
        return Err(ConfigError::at("", "the configuration is empty: give one JSON object"));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let spec = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        let path = if path == "." { String::new() } else { path };
        without_values(ConfigError::at(path, error.inner().to_string()))
    })?;
    deserializer.end().map_err(|error| ConfigError::at("", format!("more than one JSON value: {error}")))?;
    Ok(spec)
}

fn without_values(mut error: ConfigError) -> ConfigError {
    if let Some(shown) = without_string(&error.problem) {
        error.problem = shown;
    }
    let unknown = error.problem.strip_prefix("unknown field `").and_then(|rest| rest.split_once("`, "));
    if let Some((name, advice)) = unknown
        && !is_harmless(name)
    {
        error.path = error.path.strip_suffix(name).unwrap_or_default().trim_end_matches('.').to_owned();
        error.problem = format!("unknown field, {advice}");
    }
    error
}

/// serde writes `invalid type: string "…", expected …`; the same without the string.
fn without_string(problem: &str) -> Option<String> {
    let (kind, rest) = problem.split_once(": string \"")?;
    let (_, expected) = rest.rsplit_once("\", expected ")?;
    kind.starts_with("invalid ").then(|| format!("{kind}: a string, expected {expected}"))
}

/// Whether a name looks like a mistyped field and not like a key.
fn is_harmless(name: &str) -> bool {
    name.len() <= MAX_SHOWN_NAME && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Spec {
        limits: Vec<Limit>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Limit {
        tokens: u64,
    }

    fn refused(json: &str) -> String {
        parse::<Spec>(json.as_bytes()).expect_err(json).to_string()
    }

    #[test]
    fn a_good_object_is_read() {
        let spec: Spec = parse(br#"{"limits":[{"tokens":7}]}"#).unwrap();
        assert_eq!(spec, Spec { limits: vec![Limit { tokens: 7 }] });
    }

    #[test]
    fn the_path_of_the_bad_field_is_named() {
        assert!(refused(r#"{"limits":[{"tokens":1},{"tokens":"2"}]}"#).starts_with("limits[1].tokens: invalid type"));
        assert!(refused(r#"{"limits":[{"tokenz":1}]}"#).starts_with("limits[0].tokenz: unknown field `tokenz`"));
    }

    #[test]
    fn a_secret_at_the_wrong_place_is_not_repeated() {
        let error = refused(r#"{"limits":[{"tokens":"tg_secret"}]}"#);
        assert!(error.starts_with("limits[0].tokens: invalid type: a string, expected u64"), "{error}");
        let error = refused(r#"{"limits":[{"tg_Secret":1}]}"#);
        assert!(error.starts_with("limits[0]: unknown field, expected `tokens`"), "{error}");
    }

    #[test]
    fn empty_and_doubled_documents_are_refused() {
        assert_eq!(refused(" \n"), "the configuration is empty: give one JSON object");
        assert!(refused(r#"{"limits":[]} {}"#).starts_with("more than one JSON value"));
    }
}
