//! One call: Envoy's callbacks as phases of a [`Stream`], and each [`Flow`] as what Envoy must do.
//!
//! Promises that hold whatever the filter answers:
//!
//! - **nothing hangs**: held headers would keep the body from coming, and a finished body that is held waits for nothing.
//!   The first is refused, the second let go; both are errors of the filter and leave a line in the log;
//! - **nothing slips through**: without a stream, or when a reply cannot be sent, the call is answered 503;
//! - **a suspended call is nowhere else**: until it is woken, each callback of its request is answered with Pause, so that
//!   not even `allow_on_headers_stop_iteration` lets a piece of it go; a body that is still coming by then is let go by its
//!   own next callback, never in its middle, where Envoy would lose or double a piece of it;
//! - **a body ends once**: by its last chunk or by its trailers, never by both;
//! - **own answers do not come back**: Envoy sends a reply made on the request path through the response phases of the
//!   filter that made it. Those are passed over; only the log phase reaches the stream.

use std::rc::Rc;

use proxy_wasm::types::{Action, BufferType, MapType};
use tollgate_core::{Cx, Filter, Flow, Reply, Stream, Timestamp, handoff};

use crate::background::HostLog;
use crate::overhead::Overhead;
use crate::ports::{HostAttributes, HostBody, HostHandoff, HostHeaders, HostMeter, HostRouteChoice, HostStore};
use crate::{abi, signatures::HostSignatures, wire};

/// One call at a filter.
pub(crate) struct Call<F: Filter> {
    stream: Option<F::Stream>,
    replied: bool,
    /// Held at its head by [`Flow::Suspend`].
    is_waiting: bool,
    request: BodyState,
    response: BodyState,
    /// Present in the calls that are measured.
    overhead: Option<Overhead>,
}

/// How far the body of one direction has come.
#[derive(Clone, Copy, Default)]
struct BodyState {
    /// Its end was told.
    ended: bool,
    /// Some of it came.
    came: bool,
    /// Bytes held by Envoy since the last [`Flow::Wait`]. Trailers come without a size, so it is kept here.
    held: usize,
}

/// The half of a call that a phase belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Request,
    Response,
}

impl<F: Filter> Call<F> {
    /// Opens the call. A filter that was never configured cannot pass calls, so such a call will be refused.
    pub(crate) fn open(filter: Option<&Rc<F>>, overhead: Option<Overhead>) -> Self {
        Self {
            stream: filter.map(F::open),
            replied: false,
            is_waiting: false,
            request: BodyState::default(),
            response: BodyState::default(),
            overhead,
        }
    }

    fn phase<T>(&mut self, run: impl FnOnce(&mut F::Stream, &mut Cx<'_>) -> T) -> Option<T> {
        let began = abi::now_nanos();
        let mut cx = Cx {
            now: Timestamp::from_nanos(began),
            attributes: &HostAttributes,
            handoff: &mut HostHandoff,
            store: &HostStore,
            meter: &mut HostMeter,
            signatures: &HostSignatures,
            route: &mut HostRouteChoice,
            log: &mut HostLog(F::NAME),
        };
        let done = self.stream.as_mut().map(|stream| run(stream, &mut cx));
        if let Some(overhead) = &mut self.overhead {
            overhead.add(began, abi::now_nanos());
        }
        done
    }

    /// A head came.
    pub(crate) fn head(&mut self, side: Side, last: bool) -> Action {
        if self.replied {
            return after_reply(side);
        }
        // An answer that Envoy made, as for a request that took too long: nothing is left to wait for.
        self.is_waiting = false;
        if side == Side::Request
            && let Some(overhead) = &mut self.overhead
        {
            overhead.came();
        }
        self.body_state(side).ended = last;
        let flow = self.phase(|stream, cx| match side {
            Side::Request => stream.on_request_headers(cx, &mut HostHeaders(MapType::HttpRequestHeaders), last),
            Side::Response => stream.on_response_headers(cx, &mut HostHeaders(MapType::HttpResponseHeaders), last),
        });
        match flow {
            Some(Flow::Continue) => Action::Continue,
            Some(Flow::Reply(reply)) => self.reply(side, &reply),
            Some(Flow::Suspend) if side == Side::Request => {
                self.is_waiting = true;
                Action::Pause
            }
            Some(Flow::Wait | Flow::Suspend) => self.refuse(side, "a filter held headers"),
            None => self.refuse(side, "a call came before a configuration"),
        }
    }

    /// Some of a body came: `len` bytes to see, those held before included.
    pub(crate) fn body(&mut self, side: Side, len: usize, last: bool) -> Action {
        if self.replied {
            return after_reply(side);
        }
        let state = self.body_state(side);
        (state.ended, state.came) = (last, true);
        if self.is_waiting && side == Side::Request {
            self.request.held = len;
            return Action::Pause;
        }
        if side == Side::Request && self.stream.as_ref().is_some_and(|stream| !stream.reads_request_body()) {
            return Action::Continue;
        }
        let buffer = match side {
            Side::Request => BufferType::HttpRequestBody,
            Side::Response => BufferType::HttpResponseBody,
        };
        let mut body = HostBody { buffer, len };
        let flow = self.phase(|stream, cx| match side {
            Side::Request => stream.on_request_body(cx, &mut body, last),
            Side::Response => stream.on_response_body(cx, &mut body, last),
        });
        self.body_state(side).held = 0;
        match flow {
            Some(Flow::Wait) if !last => {
                self.body_state(side).held = body.len;
                Action::Pause
            }
            Some(Flow::Wait) => {
                HostLog(F::NAME).error("a filter held a finished body; it was let go");
                Action::Continue
            }
            Some(Flow::Continue) => Action::Continue,
            Some(Flow::Reply(reply)) => self.reply(side, &reply),
            Some(Flow::Suspend) => self.refuse(side, "a filter suspended a call in its body"),
            None => self.refuse(side, "a call came before a configuration"),
        }
    }

    /// Trailers came, which end a body.
    pub(crate) fn trailers(&mut self, side: Side) -> Action {
        if self.replied {
            return after_reply(side);
        }
        let BodyState { ended, held, .. } = *self.body_state(side);
        match () {
            () if !ended => self.body(side, held, true),
            () if self.is_waiting && side == Side::Request => Action::Pause,
            () => Action::Continue,
        }
    }

    /// Whether the call is held at its head.
    pub(crate) const fn is_waiting(&self) -> bool {
        self.is_waiting
    }

    /// Asks a suspended call again. The hostcalls must speak for its context.
    pub(crate) fn wake(&mut self) {
        if !self.is_waiting {
            return;
        }
        let flow = self.phase(|stream, cx| stream.on_wake(cx, &mut HostHeaders(MapType::HttpRequestHeaders)));
        self.is_waiting = flow == Some(Flow::Suspend);
        match flow {
            Some(Flow::Suspend) => {}
            Some(Flow::Continue) => self.go_on(),
            Some(Flow::Reply(reply)) => {
                self.reply(Side::Request, &reply);
            }
            Some(Flow::Wait) | None => {
                self.refuse(Side::Request, "a filter held headers");
            }
        }
    }

    /// Answers a call that there is no room for. It comes from the callback of its head.
    pub(crate) fn turn_away(&mut self) {
        self.is_waiting = false;
        let reply = self.phase(|stream, cx| stream.on_crowded(cx, &mut HostHeaders(MapType::HttpRequestHeaders)));
        self.reply(Side::Request, &reply.unwrap_or_else(Reply::unavailable));
    }

    fn go_on(&mut self) {
        let BodyState { ended, came, held } = self.request;
        let is_free = !came || (ended && self.body(Side::Request, held, true) == Action::Continue);
        if is_free && !abi::continue_request() {
            self.refuse(Side::Request, "the proxy did not let a suspended call go on");
        }
    }

    /// The call is over. Told twice (a log phase, then the end of the context), it is over once.
    pub(crate) fn log(&mut self) {
        if self.stream.is_some() {
            self.phase(|stream, cx| stream.on_log(cx));
        }
        self.stream = None;
        self.is_waiting = false;
    }

    fn body_state(&mut self, side: Side) -> &mut BodyState {
        match side {
            Side::Request => &mut self.request,
            Side::Response => &mut self.response,
        }
    }

    /// Ends the call here. Envoy takes one reply a callback, and sends nothing on while it does.
    fn reply(&mut self, side: Side, reply: &Reply) -> Action {
        self.replied = true;
        if side == Side::Request {
            handoff::set_reply(&mut HostHandoff, F::NAME);
        }
        let headers: Vec<_> =
            reply.headers.iter().map(|(name, value)| (name.clone(), wire::header_value(value))).collect();
        let details = format!("tollgate_{}", F::NAME);
        if !abi::send_local_response(reply.status, &details, &wire::encode_pairs(&headers), &reply.body) {
            HostLog(F::NAME).error("the proxy did not take a reply; the call is refused instead");
            abi::send_local_response(503, &details, &wire::encode_pairs(&[]), b"");
        }
        Action::Pause
    }

    fn refuse(&mut self, side: Side, why: &str) -> Action {
        HostLog(F::NAME).error(&format!("{why}; the call is refused"));
        self.reply(side, &Reply::unavailable())
    }
}

/// What was answered goes no further up, and its own answer passes untouched.
fn after_reply(side: Side) -> Action {
    match side {
        Side::Request => Action::Pause,
        Side::Response => Action::Continue,
    }
}
