//! What a rule counts.

use serde::Deserialize;
use tollgate_core::Usage;

use crate::price::Price;

/// What a rule counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Calls that a provider answered.
    Requests,
    /// Input and output tokens together.
    Tokens,
    /// Prompt tokens.
    InputTokens,
    /// Generated tokens.
    OutputTokens,
    /// Nano-dollars, by the price table.
    Usd,
}

/// What a call used, or may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Consumption {
    /// 1 if a provider answers it, else 0.
    pub requests: u64,
    /// Its tokens.
    pub usage: Usage,
}

impl Unit {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Requests, Self::Tokens, Self::InputTokens, Self::OutputTokens, Self::Usd];

    /// The word in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::InputTokens => "input_tokens",
            Self::OutputTokens => "output_tokens",
            Self::Usd => "usd",
        }
    }

    /// As people say it.
    pub const fn noun(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::InputTokens => "input tokens",
            Self::OutputTokens => "output tokens",
            Self::Usd => "US dollars",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|unit| unit.as_str() == word)
    }

    /// How much of it was, or may be, consumed. Without a price nothing costs money.
    pub fn amount(self, consumption: &Consumption, price: Option<&Price>) -> u64 {
        let usage = &consumption.usage;
        match self {
            Self::Requests => consumption.requests,
            Self::Tokens => usage.total(),
            Self::InputTokens => usage.input,
            Self::OutputTokens => usage.output,
            Self::Usd => price.map_or(0, |price| price.of(usage)),
        }
    }

    /// The least that a call is taken to need: a call that needs nothing would pass in any debt.
    pub const fn least(self) -> u64 {
        match self {
            Self::Requests | Self::Tokens | Self::InputTokens => 1,
            // An embedding generates nothing, a free model costs nothing.
            Self::OutputTokens | Self::Usd => 0,
        }
    }

    /// How many output tokens so much of it lets a model generate.
    pub fn output_within(self, room: u64, price: Option<&Price>) -> u64 {
        match self {
            Self::Tokens | Self::OutputTokens => room,
            Self::Usd => price.map_or(u64::MAX, |price| price.output_within(room)),
            Self::Requests | Self::InputTokens => u64::MAX,
        }
    }

    /// Whether what it counts grows while an answer is generated.
    pub const fn grows_with_output(self) -> bool {
        matches!(self, Self::Tokens | Self::OutputTokens | Self::Usd)
    }
}
