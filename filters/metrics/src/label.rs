//! Label values from closed sets.
//!
//! Envoy never frees a series, so a label value that a client can choose is a leak that the client controls. Models are
//! named by configuration, tenants too or by [`tollgate_core::Roster`]; routes and providers are names of Envoy's own
//! configuration; a status is one of 500 codes.

use std::borrow::Cow;
use std::collections::HashSet;

use tollgate_core::ConfigError;
pub use tollgate_core::roster::{NONE, OTHER};

/// The client left before any response began. Envoy's access log and Istio's metrics write it so, too.
pub const NO_RESPONSE: &str = "0";

const MAX_MODELS: usize = 64;
const MAX_NAME_BYTES: usize = 128;

/// The values of the label `model`.
#[derive(Debug, PartialEq, Eq)]
pub struct Models(HashSet<String>);

impl Models {
    /// Checks the names given at a field of the configuration.
    pub fn try_new(field: &str, names: Vec<String>) -> Result<Self, ConfigError> {
        check_names(field, &names, MAX_MODELS, "A-Z a-z 0-9 . _ - / : @ +", |name| name.bytes().all(is_model_byte))?;
        Ok(Self(names.into_iter().collect()))
    }

    /// The label value of a model that a client named; `None` if it named none.
    pub fn of(&self, model: Option<&str>) -> &str {
        model.map_or(NONE, |model| self.0.get(model).map_or(OTHER, String::as_str))
    }
}

/// Checks names that become label values, at most so many, given at a field of the configuration. `what` they may be made of
/// is told where one is not.
pub fn check_names(
    field: &str,
    names: &[String],
    most: usize,
    what: &str,
    is_name: impl Fn(&str) -> bool,
) -> Result<(), ConfigError> {
    if names.len() > most {
        return Err(ConfigError::at(field, format!("{} names are too many: list at most {most}", names.len())));
    }
    let mut seen = HashSet::with_capacity(names.len());
    for (index, name) in names.iter().enumerate() {
        let refuse = |problem: String| Err(ConfigError::at(format!("{field}[{index}]"), problem));
        if name.is_empty() || name.len() > MAX_NAME_BYTES || !is_name(name) {
            return refuse(format!("write 1 to {MAX_NAME_BYTES} bytes of {what}"));
        }
        if name == OTHER || name == NONE {
            return refuse(format!("`{name}` is taken: it stands for what is not listed here"));
        }
        if !seen.insert(name) {
            return refuse(format!("`{name}` is listed twice"));
        }
    }
    Ok(())
}

const fn is_model_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'/' | b':' | b'@' | b'+')
}

/// The label value of a response code. What is no HTTP status is `other`, lest a broken provider makes series.
pub fn status(code: Option<u16>) -> Cow<'static, str> {
    match code {
        None | Some(0) => NO_RESPONSE.into(),
        Some(code @ 100..=599) => code.to_string().into(),
        Some(_) => OTHER.into(),
    }
}

/// The label value of a name from Envoy's configuration; unnamed is `none`.
pub fn configured(name: Option<String>) -> Cow<'static, str> {
    name.filter(|name| !name.is_empty()).map_or(NONE.into(), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_models_have_a_name() {
        let models = Models::try_new("models", vec!["gpt-4.1".into()]).unwrap();
        assert_eq!(models.of(Some("gpt-4.1")), "gpt-4.1");
        for unlisted in ["GPT-4.1", "gpt-4.1 ", "gpt-4", ""] {
            assert_eq!(models.of(Some(unlisted)), "other", "{unlisted:?}");
        }
        assert_eq!(models.of(None), "none");
    }

    #[test]
    fn a_status_is_a_code_or_a_word() {
        let labels = [None, Some(0), Some(99), Some(100), Some(599), Some(600), Some(u16::MAX)].map(status);
        assert_eq!(labels, ["0", "0", "other", "100", "599", "other", "other"]);
    }

    #[test]
    fn what_has_no_name_is_none() {
        assert_eq!(configured(None), "none");
        assert_eq!(configured(Some(String::new())), "none");
        assert_eq!(configured(Some("chat".into())), "chat");
    }
}
