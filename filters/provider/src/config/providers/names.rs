//! What a provider calls our models, and which it runs in the place of others.

use std::collections::BTreeMap;

use tollgate_core::ConfigError;

use crate::config::names::{LONGEST_NAME, is_name};

const MAX_MODELS: usize = 1_024;

/// A model as a provider serves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served<'a> {
    /// What runs, by our name for it.
    pub model: &'a str,
    /// What runs, by the provider's name for it.
    pub name: &'a str,
    /// Whether that is another model than the one that was decided on.
    pub stands_in: bool,
}

/// A provider's names.
#[derive(Debug)]
pub(super) struct Names {
    own: BTreeMap<String, String>,
    stand_ins: BTreeMap<String, String>,
}

impl Names {
    /// Checks both maps of the provider at `path`.
    pub(super) fn new(
        path: &str,
        own: BTreeMap<String, String>,
        stand_ins: BTreeMap<String, String>,
    ) -> Result<Self, ConfigError> {
        check(&format!("{path}.models"), &own)?;
        let field = format!("{path}.stand_ins");
        check(&field, &stand_ins)?;
        for (asked, model) in &stand_ins {
            let refuse = |problem: &str| Err(ConfigError::at(format!("{field}.{asked}"), problem));
            if asked == model {
                return refuse("stands in for itself: take the entry out");
            }
            if own.contains_key(asked) {
                return refuse(
                    "stands in `models` too: either the provider has the model, or another stands in for it",
                );
            }
            if stand_ins.contains_key(model) {
                return refuse("what stands in is not run either, but replaced: name the model that runs at last");
            }
        }
        Ok(Self { own, stand_ins })
    }

    pub(super) fn of<'a>(&'a self, decided: &'a str) -> Served<'a> {
        let stand_in = self.stand_ins.get(decided).map(String::as_str);
        let model = stand_in.unwrap_or(decided);
        let name = self.own.get(model).map_or(model, String::as_str);
        Served { model, name, stands_in: stand_in.is_some() }
    }

    /// Every name of ours, some perhaps twice.
    pub(super) fn all(&self) -> impl Iterator<Item = &str> {
        self.own.keys().chain(self.stand_ins.keys()).chain(self.stand_ins.values()).map(String::as_str)
    }
}

fn check(path: &str, names: &BTreeMap<String, String>) -> Result<(), ConfigError> {
    if names.len() > MAX_MODELS {
        return Err(ConfigError::at(path, format!("names more than {MAX_MODELS} models")));
    }
    for (ours, theirs) in names {
        if !is_model(ours) {
            let problem = format!(
                "a name of a model must be 1 to {LONGEST_NAME} bytes, without `*`, control characters and blanks at its ends"
            );
            return Err(ConfigError::at(path, problem));
        }
        if !is_model(theirs) {
            let problem =
                format!("must be 1 to {LONGEST_NAME} bytes, without `*`, control characters and blanks at its ends");
            return Err(ConfigError::at(format!("{path}.{ours}"), problem));
        }
    }
    Ok(())
}

/// One model: a pattern would name many.
fn is_model(name: &str) -> bool {
    is_name(name) && name.trim() == name && !name.contains('*')
}
