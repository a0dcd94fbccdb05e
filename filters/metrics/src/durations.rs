//! How long a call took: the figures, and the two ways into histograms.
//!
//! Envoy's wasm histograms hold whole numbers and know no seconds. From 1.37 on its stats access logger can make real
//! ones out of what a filter leaves: so the values are left as text, and `envoy/envoy.yaml` has a logger for each. Where
//! there is no such logger (1.36, Istio), they are recorded in microseconds, and Prometheus' recording rules make seconds of
//! them. Both ways carry the same values with the same labels; the edges of the buckets are Envoy's configuration.

use std::time::Duration;

use serde::Deserialize;
use tollgate_core::handoff::{self, DURATION_SECONDS, FIRST_TOKEN_SECONDS, OUTPUT_TOKEN_SECONDS};
use tollgate_core::metric::label_value;
use tollgate_core::ports::{Handoff, Meter};
use tollgate_core::{OutputTimes, UsageRecord, UsageSource};

use crate::outcome::Outcome;

/// `gateway_request_duration_seconds` where seconds cannot be had.
pub const REQUEST_DURATION: &str = "gateway_request_duration_microseconds";
/// `gateway_time_to_first_token_seconds` where seconds cannot be had.
pub const TIME_TO_FIRST_TOKEN: &str = "gateway_time_to_first_token_microseconds";
/// `gateway_time_per_output_token_seconds` where seconds cannot be had.
pub const TIME_PER_OUTPUT_TOKEN: &str = "gateway_time_per_output_token_microseconds";

const MICROS_PER_SECOND: u64 = 1_000_000;
const NANOS_PER_MICRO: u64 = 1_000;

/// Who makes the histograms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Histograms {
    /// Envoy's stats access loggers, in seconds, of what is left for them.
    AccessLog,
    /// This filter, in microseconds.
    #[default]
    Microseconds,
}

/// How long a call took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// From its first byte to its end.
    pub duration: Duration,
    /// From its first byte to the first text of a streamed answer.
    pub to_first_token: Option<Duration>,
    /// Each further token of a streamed answer.
    pub per_output_token: Option<Duration>,
}

impl Times {
    /// The figures of a call that is over.
    pub fn of(outcome: &Outcome<'_>) -> Self {
        let record = outcome.used.as_ref().map(|used| &used.record);
        let times = record.and_then(|record| record.output_times);
        Self {
            duration: outcome.duration,
            to_first_token: times.map(|times| times.first.since(outcome.started)),
            per_output_token: record.zip(times).filter(|_| !outcome.has_failed).and_then(per_output_token),
        }
    }
}

/// The first token ends the wait for it, so it is none of those that took the rest of the time. Only what the provider
/// counted is a measure: an estimate is made of the text's length.
fn per_output_token((record, times): (&UsageRecord<'_>, OutputTimes)) -> Option<Duration> {
    let hidden = if record.shows_reasoning { 0 } else { record.usage.reasoning };
    let further = record.usage.output.saturating_sub(hidden).saturating_sub(1);
    let nanos = u64::try_from(times.last.since(times.first).as_nanos()).unwrap_or(u64::MAX);
    let is_measured = record.usage.source == UsageSource::Reported && nanos > 0;
    nanos.checked_div(further).filter(|_| is_measured).map(Duration::from_nanos)
}

impl Histograms {
    /// Hands the figures on. `labels` are those of [`handoff::LABELS`], in that order.
    pub fn record(self, handoff: &mut dyn Handoff, meter: &mut dyn Meter, labels: &[(&str, &str); 4], times: &Times) {
        match self {
            Self::AccessLog => leave(handoff, labels, times),
            Self::Microseconds => {
                record(meter, labels, times);
                // Access logs tell it in either case.
                leave_seconds(handoff, FIRST_TOKEN_SECONDS, times.to_first_token);
            }
        }
    }
}

fn leave(handoff: &mut dyn Handoff, labels: &[(&str, &str); 4], times: &Times) {
    for ((_, value), (_, place)) in labels.iter().zip(handoff::LABELS) {
        handoff.set(place, label_value(value).as_bytes());
    }
    let values = [
        (DURATION_SECONDS, Some(times.duration)),
        (FIRST_TOKEN_SECONDS, times.to_first_token),
        (OUTPUT_TOKEN_SECONDS, times.per_output_token),
    ];
    for (place, value) in values {
        leave_seconds(handoff, place, value);
    }
}

fn leave_seconds(handoff: &mut dyn Handoff, place: &str, value: Option<Duration>) {
    if let Some(value) = value {
        handoff.set(place, seconds(value).as_bytes());
    }
}

fn record(meter: &mut dyn Meter, labels: &[(&str, &str); 4], times: &Times) {
    meter.record(REQUEST_DURATION, labels, micros(times.duration));
    let [_, model, provider, _] = *labels;
    for (name, value) in
        [(TIME_TO_FIRST_TOKEN, times.to_first_token), (TIME_PER_OUTPUT_TOKEN, times.per_output_token)]
    {
        if let Some(value) = value {
            meter.record(name, &[model, provider], micros(value));
        }
    }
}

/// The nearest whole microsecond.
fn micros(duration: Duration) -> u64 {
    let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    nanos.saturating_add(NANOS_PER_MICRO / 2) / NANOS_PER_MICRO
}

/// As in `0.253000`: what the logger keeps, too, is whole microseconds.
fn seconds(duration: Duration) -> String {
    let micros = micros(duration);
    format!("{}.{:06}", micros / MICROS_PER_SECOND, micros % MICROS_PER_SECOND)
}

#[cfg(test)]
mod tests;
