//! The ports of `tollgate_core` over maps and vectors.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use tollgate_core::HeaderList;
use tollgate_core::metric::stat_name;
use tollgate_core::ports::{
    Attributes, Body, CounterId, Environment, Expect, Handoff, Headers, Log, Meter, RouteChoice, SharedStore,
    Versioned,
};

/// A header map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FakeHeaders(pub Vec<(String, Vec<u8>)>);

impl FakeHeaders {
    /// From text pairs.
    pub fn new(pairs: &[(&str, &str)]) -> Self {
        Self(pairs.iter().map(|(name, value)| ((*name).into(), value.as_bytes().to_vec())).collect())
    }

    /// The first value as text.
    pub fn get(&self, name: &str) -> Option<String> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    }
}

impl Headers for FakeHeaders {
    fn all(&self) -> HeaderList {
        self.0.iter().map(|(name, value)| (name, value)).collect()
    }

    fn set(&mut self, name: &str, value: &[u8]) {
        self.remove(name);
        self.0.push((name.into(), value.to_vec()));
    }

    fn remove(&mut self, name: &str) {
        self.0.retain(|(n, _)| n != name);
    }
}

/// What a body phase sees.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FakeBody(pub Vec<u8>);

impl Body for FakeBody {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn read(&self) -> Vec<u8> {
        self.0.clone()
    }

    fn replace(&mut self, bytes: &[u8]) -> bool {
        self.0 = bytes.to_vec();
        true
    }
}

/// Hand-offs of one call.
#[derive(Clone, Debug, Default)]
pub struct FakeHandoff(pub BTreeMap<String, Vec<u8>>);

impl Handoff for FakeHandoff {
    fn get(&self, name: &str) -> Option<Vec<u8>> {
        self.0.get(name).cloned()
    }

    fn set(&mut self, name: &str, value: &[u8]) {
        self.0.insert(name.into(), value.to_vec());
    }
}

/// Shared data with Envoy's rules: versions come from one counter, nothing is ever removed. Clones share the data.
#[derive(Clone, Debug, Default)]
pub struct FakeStore(Rc<RefCell<StoreState>>);

#[derive(Debug, Default)]
struct StoreState {
    values: BTreeMap<String, Versioned>,
    last_version: u32,
    refuse_next: u32,
}

impl FakeStore {
    /// Lets the next writes with an expectation fail, as if another worker had been faster each time.
    pub fn refuse_next(&self, writes: u32) {
        self.0.borrow_mut().refuse_next = writes;
    }

    /// How many writes there were.
    pub fn writes(&self) -> u32 {
        self.0.borrow().last_version
    }

    /// How many keys were ever written.
    pub fn keys(&self) -> usize {
        self.0.borrow().values.len()
    }
}

impl SharedStore for FakeStore {
    fn get(&self, key: &str) -> Option<Versioned> {
        self.0.borrow().values.get(key).filter(|versioned| !versioned.value.is_empty()).cloned()
    }

    fn put(&self, key: &str, value: &[u8], expect: Expect) -> bool {
        let mut state = self.0.borrow_mut();
        if expect != Expect::Anything && state.refuse_next > 0 {
            state.refuse_next -= 1;
            return false;
        }
        let current = state.values.get(key);
        let holds = match expect {
            Expect::Anything => true,
            Expect::Absent => current.is_none_or(|current| current.value.is_empty()),
            // A version on a missing key is ignored by Envoy: it creates.
            Expect::Version(version) => current.is_none_or(|current| current.version == version),
        };
        if holds {
            state.last_version += 1;
            let version = state.last_version;
            state.values.insert(key.into(), Versioned { value: value.to_vec(), version });
        }
        holds
    }
}

/// Counters and gauges by stat name, in the order they were made, and all that was recorded in histograms. Clones share
/// the values.
#[derive(Clone, Debug, Default)]
pub struct FakeMeter(Rc<RefCell<Vec<(String, u64)>>>, Rc<RefCell<Vec<(String, u64)>>>);

impl FakeMeter {
    /// The value of one series; 0 if it was never touched.
    pub fn value(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let stat = stat_name(name, labels);
        self.0.borrow().iter().find(|(made, _)| *made == stat).map_or(0, |(_, value)| *value)
    }

    /// The sum over all series of a metric.
    pub fn total(&self, name: &str) -> u64 {
        self.0.borrow().iter().filter(|(stat, _)| stat.rsplit(";.;").next() == Some(name)).map(|(_, v)| v).sum()
    }

    /// What was recorded in one histogram, in its order.
    pub fn recorded(&self, name: &str, labels: &[(&str, &str)]) -> Vec<u64> {
        let stat = stat_name(name, labels);
        self.1.borrow().iter().filter(|(made, _)| *made == stat).map(|(_, value)| *value).collect()
    }

    /// How many series exist, a histogram of one set of labels counted as one.
    pub fn series(&self) -> usize {
        let histograms: BTreeSet<_> = self.1.borrow().iter().map(|(stat, _)| stat.clone()).collect();
        self.0.borrow().len() + histograms.len()
    }

    /// The place of a series, made if need be.
    fn place(&self, stat: String) -> usize {
        let mut series = self.0.borrow_mut();
        series.iter().position(|(made, _)| *made == stat).unwrap_or_else(|| {
            series.push((stat, 0));
            series.len() - 1
        })
    }
}

impl Meter for FakeMeter {
    fn counter(&mut self, name: &str, labels: &[(&str, &str)]) -> Option<CounterId> {
        u32::try_from(self.place(stat_name(name, labels))).ok().map(CounterId)
    }

    fn add_to(&mut self, counter: CounterId, by: u64) {
        if let Some((_, value)) = self.0.borrow_mut().get_mut(counter.0 as usize) {
            *value += by;
        }
    }

    fn set(&mut self, name: &str, labels: &[(&str, &str)], to: u64) {
        let place = self.place(stat_name(name, labels));
        if let Some((_, value)) = self.0.borrow_mut().get_mut(place) {
            *value = to;
        }
    }

    fn record(&mut self, name: &str, labels: &[(&str, &str)], value: u64) {
        self.1.borrow_mut().push((stat_name(name, labels), value));
    }
}

/// What the proxy knows of a call.
#[derive(Clone, Debug, Default)]
pub struct FakeAttributes {
    /// `response.code`
    pub response_code: Option<u16>,
    /// `xds.route_name`
    pub route_name: Option<String>,
    /// `xds.cluster_name`
    pub cluster_name: Option<String>,
    /// `request.duration`
    pub duration: Option<Duration>,
    /// Metadata of the endpoint under `tollgate`.
    pub endpoint_metadata: BTreeMap<String, String>,
    /// `response.code_details`
    pub code_details: Option<String>,
    /// `upstream.transport_failure_reason`
    pub transport_failure: Option<String>,
}

/// The proxy's route: how often it was told to choose anew.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FakeRouteChoice(pub usize);

impl RouteChoice for FakeRouteChoice {
    fn forget(&mut self) {
        self.0 += 1;
    }
}

impl Attributes for FakeAttributes {
    fn response_code(&self) -> Option<u16> {
        self.response_code
    }

    fn route_name(&self) -> Option<String> {
        self.route_name.clone()
    }

    fn cluster_name(&self) -> Option<String> {
        self.cluster_name.clone()
    }

    fn duration(&self) -> Option<Duration> {
        self.duration
    }

    fn endpoint_metadata(&self, key: &str) -> Option<String> {
        self.endpoint_metadata.get(key).cloned()
    }

    fn code_details(&self) -> Option<String> {
        self.code_details.clone()
    }

    fn transport_failure(&self) -> Option<String> {
        self.transport_failure.clone()
    }
}

/// Environment variables.
#[derive(Clone, Debug, Default)]
pub struct FakeEnvironment(pub BTreeMap<String, String>);

impl Environment for FakeEnvironment {
    fn var(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned()
    }
}

/// The proxy's log. Clones share the lines.
#[derive(Clone, Debug, Default)]
pub struct FakeLog(Rc<RefCell<Vec<String>>>);

impl FakeLog {
    /// The lines so far, each begun by its level, and none from now on.
    pub fn take(&self) -> Vec<String> {
        self.0.take()
    }
}

impl Log for FakeLog {
    fn info(&mut self, message: &str) {
        self.0.borrow_mut().push(format!("info: {message}"));
    }

    fn warn(&mut self, message: &str) {
        self.0.borrow_mut().push(format!("warn: {message}"));
    }
}
