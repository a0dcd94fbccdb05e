//! Names of models: how they are compared, and how they are written.
//!
//! A name has no case, blanks around it are no part of it, and Gemini's `models/` before it says nothing. So another spelling is
//! no other model, and no way around a rule. What was decided on is written as the configuration writes it, if it names it
//! anywhere; so budgets, caches, metrics and providers see one spelling. A name that only a prefix covers stays as the caller
//! wrote it, since some providers tell case apart.

use std::collections::HashMap;

use tollgate_core::ConfigError;

use super::models::Models;
use super::overrides::Overrides;
use super::providers::Providers;
use super::target::{Leaf, Target};

/// Longest name, in bytes.
pub(super) const LONGEST_NAME: usize = 256;
const GEMINI: &str = "models/";

/// The spelling of each name that the configuration knows, by [`key`].
#[derive(Debug, Default)]
pub struct Names(HashMap<String, String>);

impl Names {
    pub(super) fn new(models: &Models, overrides: &Overrides, providers: &Providers) -> Result<Self, ConfigError> {
        let mut names = Self::default();
        for name in models.exact() {
            names.add("models", name)?;
        }
        for target in models.targets() {
            names.add_all("models", target)?;
        }
        for target in overrides.targets() {
            names.add_all("overrides", target)?;
        }
        for provider in providers.iter() {
            for model in provider.models() {
                names.add(&format!("providers.{}", provider.name), model)?;
            }
        }
        Ok(names)
    }

    /// A caller's name, as the configuration writes it or else as it came.
    pub fn spelled(&self, name: &str) -> String {
        self.0.get(&key(name)).cloned().unwrap_or_else(|| bare(name).to_owned())
    }

    /// Every name that the configuration writes.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.values().map(String::as_str)
    }

    fn add_all(&mut self, path: &str, target: &Target) -> Result<(), ConfigError> {
        for leaf in target.leaves() {
            if let Leaf::Pool(_, Some(name)) | Leaf::Model(name) = leaf {
                self.add(path, name)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, path: &str, name: &str) -> Result<(), ConfigError> {
        let known = self.0.entry(key(name)).or_insert_with(|| name.to_owned());
        if known == name {
            return Ok(());
        }
        let problem = format!("`{name}` stands elsewhere as `{known}`: write it alike everywhere");
        Err(ConfigError::at(path, problem))
    }
}

/// What two names have in common that mean one model.
pub fn key(name: &str) -> String {
    bare(name).to_lowercase()
}

/// A name without what says nothing.
fn bare(name: &str) -> &str {
    let name = name.trim();
    match name.split_at_checked(GEMINI.len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case(GEMINI) => rest.trim(),
        _ => name,
    }
}

/// Whether a name could be a model's.
pub fn is_name(name: &str) -> bool {
    (1..=LONGEST_NAME).contains(&name.len()) && !name.chars().any(char::is_control)
}

/// Refuses what is no name, or none that compares as it is written.
pub(super) fn check_name(path: &str, name: &str) -> Result<(), ConfigError> {
    let problem = match () {
        () if !is_name(name) => "must be 1 to 256 bytes without control characters",
        () if name.contains('*') => "must name one model: an asterisk stands for many",
        () if bare(name) != name => "must be written without blanks around it and without `models/` before it",
        () => return Ok(()),
    };
    Err(ConfigError::at(path, problem))
}
