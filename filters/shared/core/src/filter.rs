//! What a filter is: a validated policy that opens one [`Stream`] a call, and the [`Flow`] each phase answers.

use std::rc::Rc;
use std::time::Duration;

use crate::callout::{Answer, CalloutId, Callouts};
use crate::config::ConfigError;
use crate::ports::{
    Attributes, Body, Environment, Handoff, Headers, Log, Meter, RouteChoice, SharedStore, Signatures,
};
use crate::timestamp::Timestamp;

/// One filter of the suite. The value is its validated policy, shared by all streams of a worker.
pub trait Filter: Sized + 'static {
    /// The filter's short name: log prefix, crate suffix, file name of its configuration.
    const NAME: &'static str;
    /// What the filter keeps for one call.
    type Stream: Stream + 'static;

    /// Turns the configuration into a policy. An error refuses the plugin: Envoy does not start, or keeps the old one.
    fn configure(setup: &mut Setup<'_>) -> Result<Self, ConfigError>;

    /// Opens the filter's side of one call.
    fn open(self: &Rc<Self>) -> Self::Stream;

    /// How long until the next [`Filter::on_tick`]; `None` if none is wanted. Asked after the configuration, after each
    /// of the two below, and whenever a call was suspended.
    fn pace(&self) -> Option<Duration> {
        None
    }

    /// Time has passed. Every worker ticks, and in Envoy the main thread as well, which serves no calls.
    fn on_tick(&self, cx: &mut Background<'_>) {
        let _ = cx;
    }

    /// A callout of this worker ended.
    fn on_answer(&self, cx: &mut Background<'_>, callout: CalloutId, answer: &Answer<'_>) {
        let _ = (cx, callout, answer);
    }

    /// This configuration is in use no more, and answers to its callouts will not come. Not told where the VM dies.
    fn on_end(&self, store: &dyn SharedStore) {
        let _ = store;
    }
}

/// What a filter may touch outside of any call.
pub struct Background<'a> {
    /// The time of this callback.
    pub now: Timestamp,
    /// Process-wide store, shared by all workers.
    pub store: &'a dyn SharedStore,
    /// Metrics.
    pub meter: &'a mut dyn Meter,
    /// Where callouts are sent.
    pub callouts: &'a mut dyn Callouts,
    /// The proxy's log.
    pub log: &'a mut dyn Log,
    /// Set it when suspended calls may have got what they wait for: each is asked again ([`Stream::on_wake`]).
    pub wake: bool,
}

/// What a filter may touch while it is configured.
pub struct Setup<'a> {
    /// The plugin configuration: one JSON object.
    pub config: &'a [u8],
    /// Which part of the filter this plugin is (`root_id`), where a filter has several; often empty.
    pub root: &'a str,
    /// The time of this callback.
    pub now: Timestamp,
    /// Environment variables of the VM.
    pub env: &'a dyn Environment,
    /// Drawn for this configuration alone: nobody can guess it.
    pub random: [u8; 16],
    /// Process-wide store: what the workers of an earlier configuration left stands in it.
    pub store: &'a dyn SharedStore,
    /// Metrics.
    pub meter: &'a mut dyn Meter,
}

/// What a stream may touch in any phase. Headers and bodies exist only in some phases, so those are arguments.
pub struct Cx<'a> {
    /// The time of this callback.
    pub now: Timestamp,
    /// What the proxy knows of the call.
    pub attributes: &'a dyn Attributes,
    /// What the filters before this one left, and where this one leaves its own.
    pub handoff: &'a mut dyn Handoff,
    /// Process-wide store, shared by all workers.
    pub store: &'a dyn SharedStore,
    /// Metrics.
    pub meter: &'a mut dyn Meter,
    /// The proxy's own cryptography.
    pub signatures: &'a dyn Signatures,
    /// The route that the proxy chose.
    pub route: &'a mut dyn RouteChoice,
    /// The proxy's log.
    pub log: &'a mut dyn Log,
}

/// One call, phase by phase. Trailers end a body: a body phase with `last` set always comes, unless the call is cut.
///
/// A stream that answered [`Flow::Reply`] sees none of its own reply come back; only [`Stream::on_log`] follows.
pub trait Stream {
    /// The request's head. `last` means that no body follows.
    fn on_request_headers(&mut self, cx: &mut Cx<'_>, headers: &mut dyn Headers, last: bool) -> Flow {
        let _ = (cx, headers, last);
        Flow::Continue
    }

    /// A suspended call is asked again, with the request's head still at hand.
    fn on_wake(&mut self, cx: &mut Cx<'_>, headers: &mut dyn Headers) -> Flow {
        let _ = (cx, headers);
        Flow::Continue
    }

    /// Too many calls are suspended already, so this one is answered instead of suspended.
    fn on_crowded(&mut self, cx: &mut Cx<'_>, headers: &mut dyn Headers) -> Reply {
        let _ = (cx, headers);
        Reply::unavailable()
    }

    /// Whether the request's body matters any more. Asked before each piece of it, as a phase costs more than the question.
    fn reads_request_body(&self) -> bool {
        true
    }

    /// Some of the request's body. After [`Flow::Wait`] the next phase sees all bytes held so far.
    fn on_request_body(&mut self, cx: &mut Cx<'_>, body: &mut dyn Body, last: bool) -> Flow {
        let _ = (cx, body, last);
        Flow::Continue
    }

    /// The response's head. Request headers are gone by now.
    fn on_response_headers(&mut self, cx: &mut Cx<'_>, headers: &mut dyn Headers, last: bool) -> Flow {
        let _ = (cx, headers, last);
        Flow::Continue
    }

    /// Some of the response's body, cut anywhere.
    fn on_response_body(&mut self, cx: &mut Cx<'_>, body: &mut dyn Body, last: bool) -> Flow {
        let _ = (cx, body, last);
        Flow::Continue
    }

    /// The call is over, however it ended. The one phase that always comes, also when the client hung up. For a filter that
    /// stands upstream it is one attempt that is over, and headers are gone.
    fn on_log(&mut self, cx: &mut Cx<'_>) {
        let _ = cx;
    }
}

/// What should happen after a phase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Pass on what was seen.
    Continue,
    /// Hold the body until more of it came. Only for body phases: held headers would keep the body from ever coming.
    Wait,
    /// Hold the whole call until [`Background::wake`]. Only at the request's head: nothing of the call goes on, and its
    /// body does not come before the call does.
    Suspend,
    /// Answer the client now; nothing goes further upstream.
    Reply(Reply),
}

/// A whole answer made by a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The whole body.
    pub body: Vec<u8>,
}

impl Reply {
    /// A JSON answer without further headers.
    pub fn json(status: u16, body: Vec<u8>) -> Self {
        Self { status, headers: vec![("content-type".into(), b"application/json".to_vec())], body }
    }

    /// The answer where a filter cannot decide and says nothing better.
    pub fn unavailable() -> Self {
        let body = br#"{"error":{"message":"The gateway cannot decide about this call.","code":"unavailable"}}"#;
        Self::json(503, body.to_vec())
    }

    /// The same answer with one header more.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}
