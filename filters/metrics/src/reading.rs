//! An answer that nobody else reads: what it used, and when its text passed.

use tollgate_core::{OutputTimes, Timestamp, UsageRecord};
use tollgate_llm::{Api, Framing, UsageMeter};

/// Reads one answer while it passes.
#[derive(Debug)]
pub(crate) struct Reading {
    meter: UsageMeter,
    output_times: Option<OutputTimes>,
}

impl Reading {
    /// Nothing read yet.
    pub(crate) fn new(api: Api, framing: Framing) -> Self {
        Self { meter: UsageMeter::new(api, framing), output_times: None }
    }

    /// Reads the next bytes, which passed at that time.
    pub(crate) fn feed(&mut self, bytes: &[u8], now: Timestamp) {
        let before = self.meter.content_bytes();
        self.meter.feed(bytes);
        // A whole answer has no first token, though its text may come in pieces.
        if self.meter.is_streamed() && self.meter.content_bytes() > before {
            OutputTimes::note(&mut self.output_times, now);
        }
    }

    /// The answer ended.
    pub(crate) fn finish(&mut self) {
        self.meter.finish();
    }

    /// What it used so far.
    pub(crate) fn record(&self) -> UsageRecord<'static> {
        UsageRecord {
            output_times: self.output_times,
            shows_reasoning: self.meter.shows_reasoning(),
            ..UsageRecord::from(&self.meter.usage())
        }
    }
}
