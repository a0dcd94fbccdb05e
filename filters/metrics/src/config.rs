//! The policy: which models have a name in metrics, and where the histogram has its edges.

use serde::Deserialize;
use tollgate_core::{ConfigError, config};

use crate::histogram::Buckets;
use crate::label::Models;

/// The configuration as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Models that get a label value of their own; any other is `other`. At most 64.
    #[serde(default)]
    pub models: Vec<String>,
    /// Upper edges of `gateway_request_duration_seconds` in seconds, ascending. At most 32.
    #[serde(default = "default_buckets")]
    pub duration_buckets: Vec<f64>,
}

/// From a cache hit in milliseconds to a long generation.
fn default_buckets() -> Vec<f64> {
    vec![0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0]
}

/// The validated configuration.
#[derive(Debug, PartialEq)]
pub struct Policy {
    /// Values of the label `model`.
    pub models: Models,
    /// Edges of the duration histogram.
    pub duration_buckets: Buckets,
}

impl Policy {
    /// Reads and checks a configuration; an error names the field and what would be right.
    pub fn parse(bytes: &[u8]) -> Result<Self, ConfigError> {
        let spec: Spec = config::parse(bytes)?;
        Ok(Self {
            models: Models::try_new("models", spec.models)?,
            duration_buckets: Buckets::try_new("duration_buckets", &spec.duration_buckets)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(json: &str) -> String {
        Policy::parse(json.as_bytes()).expect_err(json).to_string()
    }

    #[test]
    fn the_shipped_configuration_is_valid_and_spells_out_the_defaults() {
        let shipped = Policy::parse(include_bytes!("../../../envoy/config/metrics.json")).unwrap();
        assert_eq!(shipped.duration_buckets, Policy::parse(b"{}").unwrap().duration_buckets);
        assert_eq!(shipped.models.of(Some("gpt-4.1")), "gpt-4.1");
    }

    #[test]
    fn a_misspelt_field_is_refused() {
        assert!(refused(r#"{"model": []}"#).starts_with("model: unknown field `model`"));
    }

    #[test]
    fn model_names_that_cannot_be_label_values_are_refused_with_their_place() {
        for name in ["", "a b", "a;b", "a=b", "a\"b", "modèle", "a\nb", &"m".repeat(129)] {
            let json = format!(r#"{{"models": ["gpt-4.1", {name:?}]}}"#);
            assert!(refused(&json).starts_with("models[1]: write 1 to 128 of"), "{json}");
        }
        for name in ["other", "none"] {
            let json = format!(r#"{{"models": ["{name}"]}}"#);
            assert_eq!(refused(&json), format!("models[0]: `{name}` is taken: it stands for models not listed here"));
        }
        assert_eq!(refused(r#"{"models": ["a", "b", "a"]}"#), "models[2]: `a` is listed twice");
    }

    #[test]
    fn names_with_slash_colon_and_dots_are_good() {
        let json = br#"{"models": ["meta-llama/Llama-3.3-70B-Instruct", "anthropic.claude-v2:0", "gpt-4o@eu"]}"#;
        assert_eq!(Policy::parse(json).unwrap().models.of(Some("anthropic.claude-v2:0")), "anthropic.claude-v2:0");
    }

    #[test]
    fn the_number_of_series_is_bounded_by_configuration() {
        let models =
            |count: usize| format!(r#"{{"models": {:?}}}"#, (0..count).map(|n| n.to_string()).collect::<Vec<_>>());
        assert!(Policy::parse(models(64).as_bytes()).is_ok());
        assert_eq!(refused(&models(65)), "models: 65 names are too many: list at most 64");
        let buckets = |count: u32| format!(r#"{{"duration_buckets": {:?}}}"#, (1..=count).collect::<Vec<_>>());
        assert!(Policy::parse(buckets(32).as_bytes()).is_ok());
        assert_eq!(refused(&buckets(33)), "duration_buckets: give 1 to 32 edges, not 33");
    }

    #[test]
    fn bucket_edges_ascend_from_above_zero() {
        assert_eq!(refused(r#"{"duration_buckets": []}"#), "duration_buckets: give 1 to 32 edges, not 0");
        for (edges, place) in [("[0]", 0), ("[-1, 2]", 0), ("[1, 1e300]", 1), ("[1e-10]", 0), ("[86401]", 0)] {
            let error = refused(&format!(r#"{{"duration_buckets": {edges}}}"#));
            assert!(error.starts_with(&format!("duration_buckets[{place}]: write seconds from")), "{edges}: {error}");
        }
        for edges in ["[1, 2, 2]", "[1, 3, 2]"] {
            let error = refused(&format!(r#"{{"duration_buckets": {edges}}}"#));
            assert_eq!(error, "duration_buckets[2]: 2 does not lie above the edge before it");
        }
        assert!(refused(r#"{"duration_buckets": ["1s"]}"#).starts_with("duration_buckets[0]: invalid type"));
    }
}
