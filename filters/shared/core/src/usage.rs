//! The one usage record of a call. Budget, metrics and access log all read it, so they cannot disagree.

use serde::{Deserialize, Serialize};

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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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

impl Usage {
    /// Input and output together: what a token limit counts.
    pub const fn total(&self) -> u64 {
        self.input.saturating_add(self.output)
    }
}
