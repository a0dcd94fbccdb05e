//! Which models an operator means: one by its name, or all that begin alike.

/// One model, or all that begin alike (`gpt-4.1*`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelPattern {
    /// This name, compared exactly.
    Exact(String),
    /// Every name that begins so.
    Prefix(String),
}

impl ModelPattern {
    /// Reads 1 to 256 bytes; an asterisk may stand at the end alone.
    pub fn parse(text: &str) -> Option<Self> {
        let (prefix, is_prefix) = text.strip_suffix('*').map_or((text, false), |prefix| (prefix, true));
        let is_good =
            (1..=256).contains(&text.len()) && !prefix.contains('*') && !prefix.chars().any(char::is_control);
        is_good.then(|| if is_prefix { Self::Prefix(prefix.to_owned()) } else { Self::Exact(text.to_owned()) })
    }

    /// Whether a model is meant.
    pub fn matches(&self, model: &str) -> bool {
        match self {
            Self::Exact(name) => name == model,
            Self::Prefix(prefix) => model.starts_with(prefix.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_means_itself_and_an_asterisk_all_that_begin_alike() {
        for (pattern, model, is_meant) in [
            ("gpt-4.1", "gpt-4.1", true),
            ("gpt-4.1", "gpt-4.1-mini", false),
            ("gpt-4.1*", "gpt-4.1-mini", true),
            ("gpt-4.1*", "gpt-4", false),
            ("*", "", true),
        ] {
            assert_eq!(ModelPattern::parse(pattern).unwrap().matches(model), is_meant, "{pattern} {model}");
        }
    }

    #[test]
    fn patterns_of_other_forms_are_refused() {
        for text in ["", "a*b", "*a", "a**", "a\nb", &"x".repeat(257)] {
            assert_eq!(ModelPattern::parse(text), None, "{text}");
        }
    }
}
