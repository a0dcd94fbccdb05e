//! The ports of `tollgate_core` over hostcalls.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use proxy_wasm::types::{BufferType, MapType, MetricType};
use tollgate_core::HeaderList;
use tollgate_core::metric::stat_name;
use tollgate_core::ports::{
    Attributes, Body, CounterId, Environment, Expect, Handoff, Headers, Meter, RouteChoice, SharedStore, Versioned,
};

use crate::{abi, wire};

/// A header map of the current callback.
pub(crate) struct HostHeaders(pub(crate) MapType);

impl Headers for HostHeaders {
    fn all(&self) -> HeaderList {
        abi::header_pairs(self.0).map(wire::decode_pairs).unwrap_or_default()
    }

    fn set(&mut self, name: &str, value: &[u8]) {
        abi::replace_header(self.0, name, &wire::header_value(value));
    }

    fn remove(&mut self, name: &str) {
        abi::remove_header(self.0, name);
    }
}

/// The body bytes of the current callback: the chunk, or all that is held.
pub(crate) struct HostBody {
    pub(crate) buffer: BufferType,
    pub(crate) len: usize,
}

impl Body for HostBody {
    fn len(&self) -> usize {
        self.len
    }

    fn read(&self) -> Vec<u8> {
        if self.len == 0 { Vec::new() } else { abi::buffer(self.buffer, 0, self.len).unwrap_or_default() }
    }

    fn replace(&mut self, bytes: &[u8]) -> bool {
        let replaced = abi::replace_buffer(self.buffer, bytes);
        if replaced {
            self.len = bytes.len();
        }
        replaced
    }
}

/// Hand-offs as Envoy filter state.
pub(crate) struct HostHandoff;

impl Handoff for HostHandoff {
    fn get(&self, name: &str) -> Option<Vec<u8>> {
        abi::property(name)
    }

    fn set(&mut self, name: &str, value: &[u8]) {
        abi::set_property(name, value);
    }
}

/// Envoy's shared data.
pub(crate) struct HostStore;

impl HostStore {
    /// No key ever has this number, but a missing key takes any: together that is insert-if-absent.
    const CAS_OF_NOTHING: u32 = u32::MAX;

    /// An emptied key counts as absent, and without this second try it could never be written again.
    fn fill_emptied(key: &str, value: &[u8]) -> bool {
        abi::shared_data(key)
            .is_some_and(|(old, cas)| old.is_empty() && cas != 0 && abi::set_shared_data(key, value, cas))
    }
}

impl SharedStore for HostStore {
    fn get(&self, key: &str) -> Option<Versioned> {
        let (value, version) = abi::shared_data(key)?;
        (!value.is_empty()).then_some(Versioned { value, version })
    }

    fn put(&self, key: &str, value: &[u8], expect: Expect) -> bool {
        match expect {
            Expect::Anything => abi::set_shared_data(key, value, 0),
            Expect::Absent => {
                abi::set_shared_data(key, value, Self::CAS_OF_NOTHING) || Self::fill_emptied(key, value)
            }
            // The host would take 0 as "overwrite", and nobody ever read it.
            Expect::Version(0) => false,
            Expect::Version(version) => abi::set_shared_data(key, value, version),
        }
    }
}

/// Envoy's counters, gauges and histograms.
pub(crate) struct HostMeter;

/// Series that one worker may make. They are never freed, so what a filter forgot to cap ends here.
const MAX_SERIES: usize = 20_000;

thread_local! {
    /// Metric ids by stat name. Asking the host twice for one name leaks an id each time.
    static METRIC_IDS: RefCell<HashMap<String, u32>> = RefCell::default();
}

/// The id of a series, made at its first use. `None`: too many series, or the host has none to give.
fn metric_id(kind: MetricType, name: &str, labels: &[(&str, &str)]) -> Option<u32> {
    let stat = stat_name(name, labels);
    METRIC_IDS.with_borrow_mut(|ids| {
        if let Some(id) = ids.get(&stat) {
            return Some(*id);
        }
        if ids.len() >= MAX_SERIES {
            return None;
        }
        let id = abi::define_metric(kind, &stat)?;
        ids.insert(stat, id);
        Some(id)
    })
}

impl Meter for HostMeter {
    fn counter(&mut self, name: &str, labels: &[(&str, &str)]) -> Option<CounterId> {
        metric_id(MetricType::Counter, name, labels).map(CounterId)
    }

    fn add_to(&mut self, counter: CounterId, by: u64) {
        // Envoy refuses to add nothing.
        if by > 0 {
            abi::increment_metric(counter.0, i64::try_from(by).unwrap_or(i64::MAX));
        }
    }

    fn set(&mut self, name: &str, labels: &[(&str, &str)], to: u64) {
        if let Some(id) = metric_id(MetricType::Gauge, name, labels) {
            abi::record_metric(id, to);
        }
    }

    fn record(&mut self, name: &str, labels: &[(&str, &str)], value: u64) {
        if let Some(id) = metric_id(MetricType::Histogram, name, labels) {
            abi::record_metric(id, value);
        }
    }
}

/// Envoy attributes. Numbers come as eight little-endian bytes.
pub(crate) struct HostAttributes;

impl HostAttributes {
    fn number(path: &str) -> Option<i64> {
        abi::property(path)?.first_chunk().map(|bytes| i64::from_le_bytes(*bytes))
    }

    /// Envoy says "no name" with an empty one.
    fn name(path: &str) -> Option<String> {
        String::from_utf8(abi::property(path)?).ok().filter(|name| !name.is_empty())
    }
}

impl Attributes for HostAttributes {
    fn response_code(&self) -> Option<u16> {
        // Before there is a response, the code is 0.
        Self::number("response\0code").and_then(|code| u16::try_from(code).ok()).filter(|code| *code != 0)
    }

    fn route_name(&self) -> Option<String> {
        Self::name("xds\0route_name")
    }

    fn cluster_name(&self) -> Option<String> {
        Self::name("xds\0cluster_name")
    }

    fn duration(&self) -> Option<Duration> {
        Self::number("request\0duration").and_then(|nanos| u64::try_from(nanos).ok()).map(Duration::from_nanos)
    }

    fn endpoint_metadata(&self, key: &str) -> Option<String> {
        Self::name(&format!("xds\0upstream_host_metadata\0filter_metadata\0tollgate\0{key}"))
    }

    fn code_details(&self) -> Option<String> {
        Self::name("response\0code_details")
    }

    fn transport_failure(&self) -> Option<String> {
        Self::name("upstream\0transport_failure_reason")
    }
}

/// Envoy's choice of a route, which it keeps until told otherwise.
pub(crate) struct HostRouteChoice;

impl RouteChoice for HostRouteChoice {
    fn forget(&mut self) {
        // Another host than Envoy may have no such function; then it also keeps no route.
        abi::call_foreign_function("clear_route_cache", b"");
    }
}

/// Environment variables that the VM was given.
pub(crate) struct HostEnvironment;

impl Environment for HostEnvironment {
    fn var(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

#[cfg(test)]
mod tests;
