//! The one usage record of a call. Budget, metrics and access log all read it, so they cannot disagree.

use serde::{Deserialize, Serialize};

use crate::handoff::Attempt;

/// Where the figures come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UsageSource {
    /// Counted here: the provider has not said (yet), or the call was cut before it could.
    #[default]
    Estimated,
    /// The provider's own final figures.
    Reported,
}

/// Tokens of one call. `cached_input` and `cache_write` are parts of `input`; `reasoning` is a part of `output`.
///
/// It is read out of a [`UsageRecord`], so it does not mind what else stands there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// All prompt tokens.
    pub input: u64,
    /// All generated tokens.
    pub output: u64,
    /// Prompt tokens that the provider read from its own prompt cache.
    pub cached_input: u64,
    /// Prompt tokens that the provider wrote to its own prompt cache.
    pub cache_write: u64,
    /// Generated tokens that were spent on reasoning.
    pub reasoning: u64,
    /// Where the figures come from.
    pub source: UsageSource,
}

/// What is handed off: the tokens, and whose they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct UsageRecord<'a> {
    /// The tokens.
    #[serde(flatten)]
    pub usage: Usage,
    /// The provider that was asked last, so the one that answered. `None`: no filter tells, or nobody was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<&'a str>,
    /// The model that it ran, by the gateway's name for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<&'a str>,
}

impl<'a> UsageRecord<'a> {
    /// What an attempt used.
    pub fn of(usage: Usage, attempt: Option<&'a Attempt>) -> Self {
        let provider = attempt.map(|attempt| attempt.provider.as_str());
        Self { usage, provider, model: attempt.and_then(|attempt| attempt.model.as_deref()) }
    }
}

impl From<&Usage> for UsageRecord<'_> {
    fn from(usage: &Usage) -> Self {
        Self::of(*usage, None)
    }
}

impl Usage {
    /// Input and output together: what a token limit counts.
    pub const fn total(&self) -> u64 {
        self.input.saturating_add(self.output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USAGE: Usage =
        Usage { input: 9, output: 7, cached_input: 4, cache_write: 0, reasoning: 2, source: UsageSource::Reported };
    const TOKENS: &str = r#""input":9,"output":7,"cached_input":4,"cache_write":0,"reasoning":2,"source":"reported""#;

    fn written(record: UsageRecord<'_>) -> String {
        serde_json::to_string(&record).unwrap()
    }

    #[test]
    fn a_record_names_who_answered_and_what_ran_only_if_that_is_known() {
        let mut attempt = Attempt { provider: "azure-eu".into(), model: Some("gpt-4.1".into()), stands_in: true };
        assert_eq!(written(UsageRecord::from(&USAGE)), format!("{{{TOKENS}}}"));
        assert_eq!(
            written(UsageRecord::of(USAGE, Some(&attempt))),
            format!(r#"{{{TOKENS},"provider":"azure-eu","model":"gpt-4.1"}}"#)
        );
        attempt.model = None;
        assert_eq!(written(UsageRecord::of(USAGE, Some(&attempt))), format!(r#"{{{TOKENS},"provider":"azure-eu"}}"#));
    }

    #[test]
    fn the_tokens_of_a_record_are_read_whoever_they_are_of() {
        for more in ["", r#","provider":"azure-eu","model":"gpt-4.1""#] {
            assert_eq!(serde_json::from_str::<Usage>(&format!("{{{TOKENS}{more}}}")).unwrap(), USAGE);
        }
    }
}
