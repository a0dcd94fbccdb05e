//! A table by model: a name stands for itself, an asterisk at the end for all that begin so.
//!
//! Names are compared without regard to case: some providers take either, and another spelling must not be another price or no
//! rule at all.

use tollgate_llm::ModelPattern;

/// Values by model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelTable<T> {
    /// Exact names first, then prefixes, longest first: the first that matches is the closest.
    entries: Vec<(ModelPattern, T)>,
}

impl<T> ModelTable<T> {
    /// A table of patterns. No two are the same.
    pub fn new(mut entries: Vec<(ModelPattern, T)>) -> Self {
        entries.sort_by_key(|(pattern, _)| match pattern {
            ModelPattern::Exact(_) => (0, 0),
            ModelPattern::Prefix(prefix) => (1, usize::MAX - prefix.len()),
        });
        Self { entries }
    }

    /// The value of a model, its name in lower case.
    pub fn of(&self, model: &str) -> Option<&T> {
        self.entries.iter().find(|(pattern, _)| pattern.matches(model)).map(|(_, value)| value)
    }

    /// Whether every model that a pattern means has a value.
    pub fn covers(&self, models: &ModelPattern) -> bool {
        self.entries.iter().any(|(pattern, _)| match (pattern, models) {
            (ModelPattern::Prefix(prefix), ModelPattern::Exact(name) | ModelPattern::Prefix(name)) => {
                name.starts_with(prefix.as_str())
            }
            (exact, other) => exact == other,
        })
    }

    /// Every pattern and its value.
    pub fn iter(&self) -> impl Iterator<Item = &(ModelPattern, T)> {
        self.entries.iter()
    }
}

/// A model's name as rules and prices compare it. Providers take either case, Gemini's with or without `models/` before it, and blanks
/// around it are nobody's name.
pub fn normalized(model: &str) -> String {
    let name = model.trim().to_lowercase();
    name.strip_prefix("models/").map(str::to_owned).unwrap_or(name)
}

/// Reads a pattern as the configuration writes it, in lower case.
pub fn pattern(text: &str) -> Option<ModelPattern> {
    ModelPattern::parse(&text.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(names: &[&'static str]) -> ModelTable<&'static str> {
        ModelTable::new(names.iter().map(|name| (pattern(name).unwrap(), *name)).collect())
    }

    #[test]
    fn the_closest_entry_counts_wherever_it_stands() {
        let table = table(&["*", "gpt-4*", "gpt-4.1*", "GPT-4.1", "gpt-4.1-nano"]);
        for (model, entry) in [
            ("gpt-4.1", "GPT-4.1"),
            ("gpt-4.1-mini", "gpt-4.1*"),
            ("gpt-4.1-nano", "gpt-4.1-nano"),
            ("gpt-4", "gpt-4*"),
            ("o3", "*"),
        ] {
            assert_eq!(table.of(model), Some(&entry), "{model}");
        }
    }

    #[test]
    fn a_pattern_is_covered_if_nothing_it_means_is_left_out() {
        let table = table(&["gpt-4*", "o3"]);
        for (models, is_covered) in [
            ("gpt-4.1", true),
            ("gpt-4*", true),
            ("gpt-4.1*", true),
            ("o3", true),
            ("o3*", false),
            ("gpt*", false),
            ("*", false),
        ] {
            assert_eq!(table.covers(&pattern(models).unwrap()), is_covered, "{models}");
        }
    }
}
