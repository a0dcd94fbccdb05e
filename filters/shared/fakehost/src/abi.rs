//! A proxy-wasm host in memory: native `proxy_*` symbols (ABI 0.2.1), so that the host crate links and runs in a test.
//!
//! The state belongs to the thread, so tests beside each other never meet. It keeps the rules of Envoy that a caller can
//! trip over: what does not exist in a phase has a status and no value, a body is replaced as a whole or not at all, a
//! compare-and-swap number on a missing key is ignored, every definition of a metric makes a new id, and counters take
//! nothing below 1. [`Abi::fail_with`] makes every hostcall answer a status of your choice.

mod symbols;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// Names and values of a header map, in order.
pub type HeaderList = Vec<(Vec<u8>, Vec<u8>)>;

/// A function that the host offers beyond the ABI. `None` refuses the argument.
pub type ForeignFunction = fn(&[u8]) -> Option<Vec<u8>>;

/// What the host holds and what it was told.
#[derive(Debug, Default)]
pub struct Abi {
    /// Buffers by their number in the ABI: 0 request body, 1 response body, 4 answer to a callout, 7 plugin
    /// configuration.
    pub buffers: BTreeMap<u32, Vec<u8>>,
    /// Header maps by their number in the ABI: 0 request headers, 2 response headers, 6 answer to a callout.
    pub maps: BTreeMap<u32, Vec<(String, Vec<u8>)>>,
    /// Properties by path, parts divided by NUL.
    pub properties: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Nanoseconds since the Unix epoch.
    pub now: u64,
    /// How far the clock goes with each look at it.
    pub clock_step: u64,
    /// Log lines with their level: 4 is an error.
    pub log: Vec<(u32, String)>,
    /// Replies in the order they were sent.
    pub replies: Vec<LocalReply>,
    /// Stat names in the order they were defined; the index is the id.
    pub definitions: Vec<String>,
    /// Values of counters and gauges by stat name.
    pub metrics: BTreeMap<String, u64>,
    /// What was recorded in gauges and histograms, in order.
    pub recorded: Vec<(String, u64)>,
    /// Every hostcall answers this status and does nothing.
    pub fail_with: Option<u32>,
    /// Foreign functions by name.
    pub foreign_functions: BTreeMap<String, ForeignFunction>,
    /// Replies that will be refused.
    pub refuse_replies: u32,
    /// The context that hostcalls speak for.
    pub context: u32,
    /// Contexts that are no more.
    pub gone: BTreeSet<u32>,
    /// Contexts whose held request was let go, in order.
    pub continued: Vec<u32>,
    /// The period of ticks in milliseconds; 0 for none.
    pub tick_period: u32,
    /// Callouts that were sent; the index is the token.
    pub callouts: Vec<SentCallout>,
    /// Clusters that callouts can be sent to.
    pub clusters: BTreeSet<String>,
    shared: BTreeMap<Vec<u8>, (Vec<u8>, u32)>,
    last_cas: u32,
}

/// An answer that the host was asked to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalReply {
    /// The context that it answers.
    pub context: u32,
    /// HTTP status.
    pub status: u32,
    /// `%RESPONSE_CODE_DETAILS%`
    pub details: String,
    /// Headers as the ABI writes them.
    pub headers: Vec<u8>,
    /// The whole body.
    pub body: Vec<u8>,
}

/// A request that the host was asked to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentCallout {
    /// The cluster.
    pub cluster: String,
    /// Headers as the ABI writes them.
    pub headers: Vec<u8>,
    /// Milliseconds.
    pub timeout: u32,
}

thread_local! {
    static ABI: RefCell<Abi> = RefCell::default();
}

/// Looks at, or changes, the host of this thread. Hostcalls inside of it would find it taken.
pub fn with<T>(look: impl FnOnce(&mut Abi) -> T) -> T {
    ABI.with_borrow_mut(look)
}

/// Ends one test's host and begins another.
pub fn reset() {
    ABI.take();
}
