//! The policy: which models and tenants have a name in metrics, and who makes the histograms.

use serde::Deserialize;
use serde::de::IgnoredAny;
use tollgate_core::{ConfigError, config, roster};

use crate::durations::Histograms;
use crate::label::{self, Models};

const MAX_TENANTS: usize = 1_024;

/// The configuration as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Models that get a label value of their own; any other is `other`. At most 64.
    #[serde(default)]
    pub models: Vec<String>,
    /// Tenants that get a label value of their own, however late they come. At most 1024.
    #[serde(default)]
    pub tenants: Vec<String>,
    /// How many tenants beside those are named, in the order they come; any later one is `other`. At most 1024.
    #[serde(default = "default_max_tenants")]
    pub max_tenants: usize,
    /// Who makes the histograms in seconds: `access_log` (Envoy 1.37 or later) or `microseconds` (recording rules do).
    #[serde(default)]
    pub histograms: Histograms,
    /// Leaves OpenTelemetry's `gen_ai.*` attributes of each call for Envoy's loggers and tracers.
    #[serde(default)]
    pub gen_ai_attributes: bool,
    /// Where the edges stood once; it is read only to say where they stand now.
    pub duration_buckets: Option<IgnoredAny>,
}

const fn default_max_tenants() -> usize {
    roster::DEFAULT_MOST
}

/// The validated configuration.
#[derive(Debug, PartialEq)]
pub struct Policy {
    /// Values of the label `model`.
    pub models: Models,
    /// Values of the label `tenant` that are there from the start.
    pub tenants: Vec<String>,
    /// How many others there may be.
    pub max_tenants: usize,
    /// Who makes the histograms.
    pub histograms: Histograms,
    /// Whether attributes are left for OpenTelemetry.
    pub gen_ai_attributes: bool,
}

impl Policy {
    /// Reads and checks a configuration; an error names the field and what would be right.
    pub fn parse(bytes: &[u8]) -> Result<Self, ConfigError> {
        let Spec { models, tenants, max_tenants, histograms, gen_ai_attributes, duration_buckets } =
            config::parse(bytes)?;
        if duration_buckets.is_some() {
            let problem = "leave it out: the edges stand in stats_config.histogram_bucket_settings of Envoy's configuration, in \
                           Istio in the annotation sidecar.istio.io/statsHistogramBuckets";
            return Err(ConfigError::at("duration_buckets", problem));
        }
        if max_tenants > MAX_TENANTS {
            return Err(ConfigError::at("max_tenants", format!("write at most {MAX_TENANTS}")));
        }
        label::check_names("tenants", &tenants, MAX_TENANTS, "a tenant: no control characters", |name| {
            !name.chars().any(char::is_control)
        })?;
        Ok(Self { models: Models::try_new("models", models)?, tenants, max_tenants, histograms, gen_ai_attributes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(json: &str) -> String {
        Policy::parse(json.as_bytes()).expect_err(json).to_string()
    }

    #[test]
    fn the_shipped_configuration_is_valid_and_spells_out_the_defaults_but_for_its_histograms() {
        let shipped = Policy::parse(include_bytes!("../../../envoy/config/metrics.json")).unwrap();
        let default = Policy::parse(b"{}").unwrap();
        assert_eq!((&shipped.tenants, shipped.max_tenants), (&default.tenants, default.max_tenants));
        assert_eq!((shipped.histograms, default.histograms), (Histograms::AccessLog, Histograms::Microseconds));
        assert_eq!(shipped.models.of(Some("gpt-4.1")), "gpt-4.1");
    }

    #[test]
    fn a_misspelt_field_is_refused() {
        assert!(refused(r#"{"model": []}"#).starts_with("model: unknown field `model`"));
        assert!(refused(r#"{"histograms": "seconds"}"#).starts_with("histograms: unknown variant `seconds`"));
    }

    #[test]
    fn an_older_configuration_is_told_where_edges_stand_now() {
        let told = refused(r#"{"models": ["gpt-4.1"], "duration_buckets": [0.25, 1]}"#);
        assert!(told.starts_with("duration_buckets: leave it out: the edges stand in stats_config."), "{told}");
        assert!(!told.contains('\n'), "{told}");
    }

    #[test]
    fn model_names_that_cannot_be_label_values_are_refused_with_their_place() {
        for name in ["", "a b", "a;b", "a=b", "a\"b", "modèle", "a\nb", &"m".repeat(129)] {
            let json = format!(r#"{{"models": ["gpt-4.1", {name:?}]}}"#);
            assert!(refused(&json).starts_with("models[1]: write 1 to 128 bytes of A-Z"), "{json}");
        }
        for name in ["other", "none"] {
            let json = format!(r#"{{"models": ["{name}"]}}"#);
            assert_eq!(
                refused(&json),
                format!("models[0]: `{name}` is taken: it stands for what is not listed here")
            );
        }
        assert_eq!(refused(r#"{"models": ["a", "b", "a"]}"#), "models[2]: `a` is listed twice");
    }

    #[test]
    fn names_with_slash_colon_and_dots_are_good() {
        let json = br#"{"models": ["meta-llama/Llama-3.3-70B-Instruct", "anthropic.claude-v2:0", "gpt-4o@eu"]}"#;
        assert_eq!(Policy::parse(json).unwrap().models.of(Some("anthropic.claude-v2:0")), "anthropic.claude-v2:0");
    }

    #[test]
    fn tenants_are_whatever_auth_may_call_them() {
        let policy = Policy::parse(r#"{"tenants": ["acme", "Ärzte GmbH; Süd"]}"#.as_bytes()).unwrap();
        assert_eq!(policy.tenants, ["acme", "Ärzte GmbH; Süd"]);
        for (name, told) in
            [("", "write 1 to 128 bytes"), ("none", "`none` is taken"), ("acme", "`acme` is listed twice")]
        {
            let said = refused(&format!(r#"{{"tenants": ["acme", "{name}"]}}"#));
            assert!(said.starts_with(&format!("tenants[1]: {told}")), "{said}");
        }
        assert!(refused(r#"{"tenants": ["a\nb"]}"#).starts_with("tenants[0]: write 1 to 128 bytes of a tenant"));
    }

    #[test]
    fn the_number_of_series_is_bounded_by_configuration() {
        let names = |field: &str, count: usize| {
            format!(r#"{{"{field}": {:?}}}"#, (0..count).map(|n| n.to_string()).collect::<Vec<_>>())
        };
        for (field, most) in [("models", 64), ("tenants", 1_024)] {
            assert!(Policy::parse(names(field, most).as_bytes()).is_ok());
            let told = format!("{field}: {} names are too many: list at most {most}", most + 1);
            assert_eq!(refused(&names(field, most + 1)), told);
        }
        assert!(Policy::parse(br#"{"max_tenants": 1024}"#).is_ok());
        assert_eq!(refused(r#"{"max_tenants": 1025}"#), "max_tenants: write at most 1024");
    }
}
