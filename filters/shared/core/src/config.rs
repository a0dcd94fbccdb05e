//! Configuration errors that say where and what instead, and the one way from bytes to a wire type.

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

/// Reads a wire type (`#[serde(deny_unknown_fields)]`) from a JSON object; an error names the path of the field.
pub fn parse<Spec: DeserializeOwned>(bytes: &[u8]) -> Result<Spec, ConfigError> {
    if bytes.trim_ascii().is_empty() {
        return Err(ConfigError::at("", "the configuration is empty: give one JSON object"));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let spec = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        ConfigError::at(if path == "." { String::new() } else { path }, error.inner().to_string())
    })?;
    deserializer.end().map_err(|error| ConfigError::at("", format!("more than one JSON value: {error}")))?;
    Ok(spec)
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
    fn empty_and_doubled_documents_are_refused() {
        assert_eq!(refused(" \n"), "the configuration is empty: give one JSON object");
        assert!(refused(r#"{"limits":[]} {}"#).starts_with("more than one JSON value"));
    }
}
