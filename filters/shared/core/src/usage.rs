//! The one usage record of a call. Budget, metrics and access log all read it, so they cannot disagree.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::Timestamp;
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

/// What is handed off: the tokens, whose they are, what they cost and when they came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageRecord<'a> {
    /// The tokens.
    #[serde(flatten)]
    pub usage: Usage,
    /// The provider that was asked last, so the one that answered. `None`: no filter tells, or nobody was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<Cow<'a, str>>,
    /// The model that it ran, by the gateway's name for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Cow<'a, str>>,
    /// What the tokens cost in nano-dollars. `None`: the model has no price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_nanousd: Option<u64>,
    /// When the first and the latest piece of the answer's own text passed. `None`: none has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_times: Option<OutputTimes>,
    /// Whether reasoning passed as text too. Most providers count it and keep it to themselves.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shows_reasoning: bool,
    /// Why the model ended, in the provider's word (`stop`, `length`, `end_turn`, …). `None`: it has not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<Cow<'a, str>>,
}

/// When an answer's own text passed, on the gateway's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputTimes {
    /// The first piece that the model wrote: no role, no empty delta, no keep-alive.
    pub first: Timestamp,
    /// The latest one.
    pub last: Timestamp,
}

impl OutputTimes {
    /// Notes that text passed now.
    pub fn note(times: &mut Option<Self>, now: Timestamp) {
        times.get_or_insert(Self { first: now, last: now }).last = now;
    }
}

impl<'a> UsageRecord<'a> {
    /// What an attempt used.
    pub fn of(usage: Usage, attempt: Option<&'a Attempt>) -> Self {
        Self {
            usage,
            provider: attempt.map(|attempt| attempt.provider.as_str().into()),
            model: attempt.and_then(|attempt| attempt.model.as_deref()).map(Cow::Borrowed),
            ..Self::default()
        }
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

    fn written(record: &UsageRecord<'_>) -> String {
        serde_json::to_string(record).unwrap()
    }

    #[test]
    fn a_record_names_who_answered_and_what_ran_only_if_that_is_known() {
        let mut attempt = Attempt { provider: "azure-eu".into(), model: Some("gpt-4.1".into()), stands_in: true };
        assert_eq!(written(&UsageRecord::from(&USAGE)), format!("{{{TOKENS}}}"));
        assert_eq!(
            written(&UsageRecord::of(USAGE, Some(&attempt))),
            format!(r#"{{{TOKENS},"provider":"azure-eu","model":"gpt-4.1"}}"#)
        );
        attempt.model = None;
        assert_eq!(
            written(&UsageRecord::of(USAGE, Some(&attempt))),
            format!(r#"{{{TOKENS},"provider":"azure-eu"}}"#)
        );
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let times = OutputTimes {
            first: Timestamp::from_nanos(1_800_000_000_123_456_789),
            last: Timestamp::from_secs(1_900_000_000),
        };
        let record = UsageRecord {
            usage: USAGE,
            provider: Some("azure-eu".into()),
            model: Some("gpt-4.1".into()),
            cost_nanousd: Some(u64::MAX),
            output_times: Some(times),
            shows_reasoning: true,
            finish_reason: Some("stop".into()),
        };
        let text = written(&record);
        assert_eq!(serde_json::from_str::<UsageRecord<'_>>(&text).unwrap(), record);
        assert_eq!(serde_json::from_str::<Usage>(&text).unwrap(), USAGE);
        assert_eq!(
            serde_json::from_str::<UsageRecord<'_>>(&format!("{{{TOKENS}}}")).unwrap(),
            UsageRecord::from(&USAGE)
        );
    }

    #[test]
    fn text_that_comes_later_moves_the_last_time_only() {
        let mut times = None;
        for seconds in [5, 6, 9] {
            OutputTimes::note(&mut times, Timestamp::from_secs(seconds));
        }
        assert_eq!(times, Some(OutputTimes { first: Timestamp::from_secs(5), last: Timestamp::from_secs(9) }));
    }

    #[test]
    fn the_tokens_of_a_record_are_read_whoever_they_are_of() {
        for more in ["", r#","provider":"azure-eu","model":"gpt-4.1""#] {
            assert_eq!(serde_json::from_str::<Usage>(&format!("{{{TOKENS}{more}}}")).unwrap(), USAGE);
        }
    }
}
