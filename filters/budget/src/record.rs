//! What metrics and access logs are told of a call while its answer passes: tokens, money, times and how it ended.
//!
//! Each hand-off is a copy into Envoy, so one is made only if something is new: with every piece of text, since its time is.

use tollgate_core::handoff::Attempt;
use tollgate_core::{OutputTimes, Timestamp, Usage, UsageRecord};

use crate::price::Price;
use crate::watch::Watch;

/// What the record says, as it was last handed off.
#[derive(Debug, Default)]
pub struct Told {
    usage: Usage,
    content_bytes: u64,
    output_times: Option<OutputTimes>,
    shows_reasoning: bool,
    finish_reason: Option<String>,
}

impl Told {
    /// Takes what the answer says by now. Whether anything of it is new.
    pub fn take(&mut self, watch: &Watch, now: Timestamp) -> bool {
        let (usage, content_bytes, shows_reasoning) =
            (watch.consumption().usage, watch.content_bytes(), watch.shows_reasoning());
        let has_text = content_bytes > self.content_bytes;
        if has_text && watch.is_streamed() {
            OutputTimes::note(&mut self.output_times, now);
        }
        let has_ended = self.finish_reason.as_deref() != watch.finish_reason();
        if has_ended {
            self.finish_reason = watch.finish_reason().map(str::to_owned);
        }
        let is_new = has_text || has_ended || usage != self.usage || shows_reasoning != self.shows_reasoning;
        (self.usage, self.content_bytes, self.shows_reasoning) = (usage, content_bytes, shows_reasoning);
        is_new
    }

    /// The record. What it says to have cost is what a rule of dollars is charged, whether there is one or not.
    pub fn record<'a>(&'a self, price: Option<&Price>, attempt: Option<&'a Attempt>) -> UsageRecord<'a> {
        UsageRecord {
            cost_nanousd: price.map(|price| price.of(&self.usage)),
            output_times: self.output_times,
            shows_reasoning: self.shows_reasoning,
            finish_reason: self.finish_reason.as_deref().map(Into::into),
            ..UsageRecord::of(self.usage, attempt)
        }
    }
}
