//! A Prometheus histogram in seconds over plain integer counters.
//!
//! Envoy's wasm histograms hold integers only, know no unit and approximate their sum. Cumulative counters named as
//! Prometheus names them (`…_bucket{le}`, `…_count`, `…_sum`) work on every Envoy and under Istio; `rate` and
//! `histogram_quantile` take them as they are, though the page calls their type `counter`.
//!
//! All buckets of a route and status are made with its first call, so that none is missing between others; what is left
//! to a call is one addition a counter. `…_sum` is whole seconds: what is below one second is carried, for each series
//! and worker, into the next call. So the sum lags by less than a second per worker and loses nothing, until a new
//! configuration or a restart drops the carry.

use std::time::Duration;

use tollgate_core::ConfigError;
use tollgate_core::ports::{CounterId, Meter};

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

    /// The `le` values of all buckets, `+Inf` last.
    fn le(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|edge| edge.le.as_str()).chain(["+Inf"])
    }

    /// How many buckets, from the lowest, a duration does not fall into.
    fn below(&self, duration: Duration) -> usize {
        self.0.iter().take_while(|edge| edge.upper < duration).count()
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
    name: &'static str,
    buckets: Buckets,
    /// One a route and status that was seen: few, and Envoy keeps their counters for good anyway.
    series: Vec<Series>,
}

/// The counters of one route and status. `None` where the host has no more to give.
#[derive(Debug)]
struct Series {
    route: String,
    status: String,
    /// In the order of the buckets.
    buckets: Vec<Option<CounterId>>,
    count: Option<CounterId>,
    sum: Option<CounterId>,
    carry: Carry,
}

impl Histogram {
    /// A histogram of that metric name.
    pub const fn new(name: &'static str, buckets: Buckets) -> Self {
        Self { name, buckets, series: Vec::new() }
    }

    /// Records one duration.
    pub fn observe(&mut self, meter: &mut dyn Meter, route: &str, status: &str, duration: Duration) {
        let below = self.buckets.below(duration);
        let known = self.series.iter().position(|series| series.route == route && series.status == status);
        let place = known.unwrap_or_else(|| {
            self.series.push(self.make(meter, route, status));
            self.series.len() - 1
        });
        let Some(series) = self.series.get_mut(place) else { return };
        for bucket in series.buckets.iter().skip(below).chain([&series.count]).flatten() {
            meter.add_to(*bucket, 1);
        }
        let seconds = series.carry.add(duration);
        if let Some(sum) = series.sum {
            meter.add_to(sum, seconds);
        }
    }

    fn make(&self, meter: &mut dyn Meter, route: &str, status: &str) -> Series {
        let labels = [("route", route), ("status", status)];
        let bucket_name = format!("{}_bucket", self.name);
        let buckets = self.buckets.le().map(|le| {
            let [route, status] = labels;
            meter.counter(&bucket_name, &[route, status, ("le", le)])
        });
        Series {
            buckets: buckets.collect(),
            count: meter.counter(&format!("{}_count", self.name), &labels),
            sum: meter.counter(&format!("{}_sum", self.name), &labels),
            carry: Carry::default(),
            route: route.into(),
            status: status.into(),
        }
    }
}

#[cfg(test)]
mod tests;
