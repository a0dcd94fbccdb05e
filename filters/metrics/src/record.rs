//! What is recorded of a call when it ended, once.

use tollgate_core::metric;
use tollgate_core::ports::Meter;

use crate::filter::Metrics;
use crate::outcome::Outcome;
use crate::tokens;

impl Metrics {
    /// Counts a call that is over.
    pub(crate) fn record(&self, meter: &mut dyn Meter, outcome: &Outcome<'_>) {
        let Outcome { route, model, provider, status, .. } = outcome;
        let labels = [("route", &**route), ("model", model), ("provider", provider), ("status", status)];
        meter.add(metric::REQUESTS, &labels, 1);
        if outcome.is_fallback {
            let labels = [("model", *model), ("provider", provider), ("status", status)];
            meter.add(metric::FALLBACKS, &labels, 1);
        }
        self.duration.borrow_mut().observe(meter, route, status, outcome.duration);
        for part in outcome.usage.iter().flat_map(tokens::parts) {
            let labels = [("type", part.token_type), ("part", part.part), ("model", model)];
            meter.add(metric::TOKENS, &labels, part.tokens);
        }
    }
}
