//! Configuration errors that say where and what instead, and the one way from bytes to a wire type.
//!
//! A configuration may hold a secret by mistake: a key where its digest belongs, a key as a field name. serde's errors
//! repeat such texts, so they are cut out before anybody logs them.

mod unique;

use std::fmt;

use serde::de::DeserializeOwned;
use serde_path_to_error::{Path, Segment};

pub use unique::unique;

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

/// Longest name out of the document that an error repeats. Keys and digests are longer.
const MAX_SHOWN_NAME: usize = 24;

/// Reads a wire type (`#[serde(deny_unknown_fields)]`) from a JSON object; an error names the path of the field and
/// repeats nothing of the document but field names.
pub fn parse<Spec: DeserializeOwned>(bytes: &[u8]) -> Result<Spec, ConfigError> {
    if bytes.trim_ascii().is_empty() {
        return Err(ConfigError::at("", "the configuration is empty: give one JSON object"));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let spec = serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| without_values(error.path(), &error.inner().to_string()))?;
    deserializer.end().map_err(|error| ConfigError::at("", format!("more than one JSON value: {error}")))?;
    Ok(spec)
}

fn without_values(path: &Path, problem: &str) -> ConfigError {
    let mut segments: Vec<&Segment> = path.iter().collect();
    let mut shown = without_value(problem);
    if let Some((kind, name, advice)) = unknown_name(problem)
        && !is_harmless(name)
    {
        segments.pop_if(|last| matches!(last, Segment::Map { key } if key == name));
        shown = Some(format!("{kind}, {advice}"));
    }
    ConfigError::at(shown_path(&segments), shown.unwrap_or_else(|| problem.to_owned()))
}

/// serde writes ``unknown field `…`, expected …``. The name may hold the like, so the last advice is serde's.
fn unknown_name(problem: &str) -> Option<(&'static str, &str, &str)> {
    let kind = ["unknown field", "unknown variant"].into_iter().find(|kind| problem.starts_with(kind))?;
    let rest = problem.strip_prefix(kind)?.strip_prefix(" `")?;
    let end = rest.rfind("`, expected ").or_else(|| rest.rfind("`, there are no "))?;
    let (name, advice) = rest.split_at_checked(end)?;
    Some((kind, name, advice.strip_prefix("`, ")?))
}

/// As in `limits[0].tokens`. A name that the document made up is left out if it might be a key, or no text for a log.
fn shown_path(segments: &[&Segment]) -> String {
    let mut path = String::new();
    for segment in segments {
        match segment {
            Segment::Seq { index } => path.push_str(&format!("[{index}]")),
            Segment::Map { key: name } | Segment::Enum { variant: name } => {
                let is_shown = name.len() <= MAX_SHOWN_NAME && name.bytes().all(|byte| byte.is_ascii_graphic());
                path.push_str(if path.is_empty() { "" } else { "." });
                path.push_str(if is_shown { name } else { "…" });
            }
            Segment::Unknown => {}
        }
    }
    path
}

/// serde writes `invalid type: string "…", expected …`; the same without the string or number.
fn without_value(problem: &str) -> Option<String> {
    let (kind, value) = problem.split_once(": ").filter(|(kind, _)| kind.starts_with("invalid "))?;
    let (value, expected) = value.rsplit_once(", expected ")?;
    let shown = match value.split([' ', '`', '"']).next()? {
        "string" => "a string",
        "integer" | "floating" => "a number",
        _ => return None,
    };
    Some(format!("{kind}: {shown}, expected {expected}"))
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
    fn no_name_or_value_of_the_document_is_repeated() {
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Wide {
            #[serde(rename = "names")]
            _names: Option<std::collections::BTreeMap<String, u64>>,
            #[serde(rename = "wait")]
            _wait: Option<crate::HumanDuration>,
            #[serde(rename = "mode")]
            _mode: Option<Mode>,
        }
        #[derive(Debug, Deserialize)]
        #[serde(rename_all = "lowercase")]
        enum Mode {
            On,
            Off,
        }
        for (json, expected) in [
            (r#"{"names":{"acme-1":""}}"#, "names.acme-1: invalid type: a string, expected u64"),
            (r#"{"names":{"a name of more than 24 bytes":""}}"#, "names.…: invalid type: a string, expected u64"),
            (r#"{"names":{"line\n":""}}"#, "names.…: invalid type: a string, expected u64"),
            (r#"{"names":{"a":86753099067.5}}"#, "names.a: invalid type: a number, expected u64"),
            (r#"{"names":{"a":-86753099067}}"#, "names.a: invalid value: a number, expected u64"),
            (r#"{"names":86753099067}"#, "names: invalid type: a number, expected a map"),
            (r#"{"wait":"tg_secret"}"#, "wait: no duration: write digits and one of ms, s, m, h, d, as in \"10s\""),
            (r#"{"mode":"tg-secret"}"#, "mode: unknown variant, expected `on` or `off`"),
            (r#"{"mode":"fuzzy"}"#, "mode: unknown variant `fuzzy`, expected `on` or `off`"),
            (r#"{"a`, tg_secret":1}"#, "unknown field, expected one of `names`, `wait`, `mode`"),
            (r#"{"a`, expected tg_secret":1}"#, "unknown field, expected one of `names`, `wait`, `mode`"),
            ("{\"na\u{7f}mes\":{}}", "unknown field, expected one of `names`, `wait`, `mode`"),
            ("{\"names\":{\"a\u{7f}\":x}}", "names.…: expected value"),
        ] {
            let error = parse::<Wide>(json.as_bytes()).expect_err(json).to_string();
            let shown = error.split_once(" at line ").map_or(error.as_str(), |(shown, _)| shown);
            assert_eq!(shown, expected, "{json}");
        }
    }

    #[test]
    fn empty_and_doubled_documents_are_refused() {
        assert_eq!(refused(" \n"), "the configuration is empty: give one JSON object");
        assert!(refused(r#"{"limits":[]} {}"#).starts_with("more than one JSON value"));
    }
}
