//! What is recorded of a call when it ended, once.

use tollgate_core::ports::{Handoff, Meter};
use tollgate_core::{UsageRecord, metric};

use crate::durations::Times;
use crate::filter::Metrics;
use crate::outcome::{Outcome, Used};
use crate::tokens;

impl Metrics {
    /// Counts a call that is over.
    pub(crate) fn record(&self, handoff: &mut dyn Handoff, meter: &mut dyn Meter, outcome: &Outcome<'_>) {
        let Outcome { route, model, provider, status, tenant, .. } = outcome;
        let labels = [("route", &**route), ("model", model), ("provider", provider), ("status", status)];
        meter.add(metric::REQUESTS, &labels, 1);
        meter.add(metric::TENANT_REQUESTS, &[("tenant", tenant), ("status", status)], 1);
        if outcome.is_fallback {
            let labels = [("model", *model), ("provider", provider), ("status", status)];
            meter.add(metric::FALLBACKS, &labels, 1);
        }
        self.histograms.record(handoff, meter, &labels, &Times::of(outcome));
        if let Some(used) = outcome.paid() {
            self.record_paid(meter, outcome, used);
        }
        if let Some(saved) = &outcome.saved {
            self.record_saved(meter, model, saved);
        }
    }

    fn record_paid(&self, meter: &mut dyn Meter, outcome: &Outcome<'_>, used: &Used) {
        let Outcome { model, provider, tenant, .. } = outcome;
        for part in tokens::parts(&used.record.usage) {
            let labels = [("type", part.token_type), ("part", part.part), ("model", model), ("tenant", tenant)];
            meter.add(metric::TOKENS, &labels, part.tokens);
        }
        match used.record.cost_nanousd {
            Some(nanos) => {
                let labels = [("model", *model), ("provider", provider), ("tenant", tenant)];
                self.carry.add(meter, metric::COST, &labels, nanos);
            }
            None if used.is_handed_off && used.record.usage.total() > 0 => {
                meter.add(metric::UNPRICED, &[("model", model)], 1);
            }
            None => {}
        }
    }

    fn record_saved(&self, meter: &mut dyn Meter, model: &str, saved: &UsageRecord<'_>) {
        for (token_type, tokens) in [("input", saved.usage.input), ("output", saved.usage.output)] {
            meter.add(metric::CACHE_SAVED_TOKENS, &[("type", token_type), ("model", model)], tokens);
        }
        self.carry.add(meter, metric::CACHE_SAVED_COST, &[("model", model)], saved.cost_nanousd.unwrap_or(0));
    }
}
