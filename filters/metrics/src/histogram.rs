//! A Prometheus histogram in seconds over plain integer counters.
//!
//! Envoy's wasm histograms hold integers only, know no unit and approximate their sum. Cumulative counters named as
//! Prometheus names them (`…_bucket{le}`, `…_count`, `…_sum`) work on every Envoy and under Istio; `rate` and
//! `histogram_quantile` take them as they are, though the page calls their type `counter`.
//!
//! Two things follow. A bucket that nothing fell into has no series yet, since adding 0 makes none. And `…_sum` is whole
//! seconds: what is left below one second is carried, for each series and worker, into the next call. So the sum lags
//! by less than a second per worker and loses nothing, until a new configuration or a restart drops the carry.

use std::collections::HashMap;
use std::time::Duration;

use tollgate_core::ConfigError;
use tollgate_core::ports::Meter;

const MAX_EDGES: usize = 32;
const MIN_EDGE_SECONDS: f64 = 1e-6;
const MAX_EDGE_SECONDS: f64 = 86_400.0;
const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// The upper edges of a histogram, ascending, without the `+Inf` that always follows.
#[derive(Clone, Debug, PartialEq)]
pub struct Buckets(Vec<Edge>);

#[derive(Clone, Debug, PartialEq)]
struct Edge {
    upper: Duration,
    /// As Prometheus writes it: `0.005`, `1`.
    le: String,
}

impl Buckets {
    /// Checks the edges, in seconds, given at a field of the configuration.
    pub fn try_new(field: &str, seconds: &[f64]) -> Result<Self, ConfigError> {
        if seconds.is_empty() || seconds.len() > MAX_EDGES {
            let problem = format!("give 1 to {MAX_EDGES} edges, not {}", seconds.len());
            return Err(ConfigError::at(field, problem));
        }
        let mut edges: Vec<Edge> = Vec::with_capacity(seconds.len());
        for (index, &edge) in seconds.iter().enumerate() {
            let refuse = |problem: String| Err(ConfigError::at(format!("{field}[{index}]"), problem));
            if !(MIN_EDGE_SECONDS..=MAX_EDGE_SECONDS).contains(&edge) {
                return refuse(format!("write seconds from {MIN_EDGE_SECONDS} to {MAX_EDGE_SECONDS}"));
            }
            let upper = Duration::from_secs_f64(edge);
            if edges.last().is_some_and(|below| below.upper >= upper) {
                return refuse(format!("{edge} does not lie above the edge before it"));
            }
            edges.push(Edge { upper, le: edge.to_string() });
        }
        Ok(Self(edges))
    }

    /// The `le` values of all buckets that a duration falls into: those at or above it, and `+Inf`.
    pub fn le(&self, duration: Duration) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |edge| duration <= edge.upper).map(|edge| edge.le.as_str()).chain(["+Inf"])
    }
}

/// The part of a sum that a counter of whole seconds cannot show yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carry {
    nanos: u64,
}

impl Carry {
    /// Adds a duration and takes out the whole seconds that are due.
    pub fn add(&mut self, duration: Duration) -> u64 {
        let nanos = self.nanos.saturating_add(u64::from(duration.subsec_nanos()));
        self.nanos = nanos % NANOS_PER_SECOND;
        duration.as_secs().saturating_add(nanos / NANOS_PER_SECOND)
    }

    /// What is left, below one second.
    pub const fn rest(&self) -> Duration {
        Duration::from_nanos(self.nanos)
    }
}

/// One histogram with the labels `route` and `status`, as one worker sees it.
#[derive(Debug)]
pub struct Histogram {
    buckets: Buckets,
    bucket_name: String,
    count_name: String,
    sum_name: String,
    /// By route and status: as many as there are series of `…_sum`, which Envoy keeps for good anyway.
    carries: HashMap<(String, String), Carry>,
}

impl Histogram {
    /// A histogram of that metric name.
    pub fn new(name: &str, buckets: Buckets) -> Self {
        Self {
            buckets,
            bucket_name: format!("{name}_bucket"),
            count_name: format!("{name}_count"),
            sum_name: format!("{name}_sum"),
            carries: HashMap::new(),
        }
    }

    /// Records one duration.
    pub fn observe(&mut self, meter: &mut dyn Meter, route: &str, status: &str, duration: Duration) {
        for le in self.buckets.le(duration) {
            meter.add(&self.bucket_name, &[("route", route), ("status", status), ("le", le)], 1);
        }
        let labels = [("route", route), ("status", status)];
        meter.add(&self.count_name, &labels, 1);
        let seconds = self.carries.entry((route.into(), status.into())).or_default().add(duration);
        meter.add(&self.sum_name, &labels, seconds);
    }
}

#[cfg(test)]
mod tests;
