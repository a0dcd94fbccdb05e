//! One call driven through a stream's phases.

use std::rc::Rc;

use tollgate_core::ports::Body;
use tollgate_core::{Cx, Filter, Flow, Reply, Stream};

use crate::{FakeAttributes, FakeBody, FakeHandoff, FakeHeaders, FakeRouteChoice, Proxy};

/// One call through one filter.
#[derive(Debug)]
pub struct Call<S> {
    /// The stream under test.
    pub stream: S,
    /// What workers share, and the clock of this call.
    pub proxy: Proxy,
    /// Hand-offs of this call.
    pub handoff: FakeHandoff,
    /// What the proxy knows of this call.
    pub attributes: FakeAttributes,
    /// The proxy's route.
    pub route: FakeRouteChoice,
    /// Request headers as they leave the filter.
    pub request_headers: FakeHeaders,
    /// Response headers as they leave the filter.
    pub response_headers: FakeHeaders,
}

impl<S: Stream> Call<S> {
    /// Opens a call at a filter.
    pub fn open<F: Filter<Stream = S>>(filter: &Rc<F>, proxy: &Proxy) -> Self {
        Self {
            stream: filter.open(),
            proxy: proxy.clone(),
            handoff: FakeHandoff::default(),
            attributes: FakeAttributes::default(),
            route: FakeRouteChoice::default(),
            request_headers: FakeHeaders::default(),
            response_headers: FakeHeaders::default(),
        }
    }

    fn phase<T>(&mut self, run: impl FnOnce(&mut S, &mut Cx<'_>, &mut FakeHeaders, &mut FakeHeaders) -> T) -> T {
        let mut cx = Cx {
            now: self.proxy.now,
            attributes: &self.attributes,
            handoff: &mut self.handoff,
            store: &self.proxy.store,
            meter: &mut self.proxy.meter,
            signatures: &self.proxy.signatures,
            route: &mut self.route,
            log: &mut self.proxy.log,
        };
        run(&mut self.stream, &mut cx, &mut self.request_headers, &mut self.response_headers)
    }

    /// The request's head; what the filter makes of it stands in `request_headers`.
    pub fn request_headers(&mut self, headers: &[(&str, &str)], last: bool) -> Flow {
        self.request_headers = FakeHeaders::new(headers);
        self.phase(|stream, cx, headers, _| stream.on_request_headers(cx, headers, last))
    }

    /// A suspended call is asked again.
    pub fn wake(&mut self) -> Flow {
        self.phase(|stream, cx, headers, _| stream.on_wake(cx, headers))
    }

    /// There is no room for a suspended call.
    pub fn crowded(&mut self) -> Reply {
        self.phase(|stream, cx, headers, _| stream.on_crowded(cx, headers))
    }

    /// The request's body in chunks; the last one ends it. What goes upstream, or the reply.
    pub fn request_body(&mut self, chunks: &[&[u8]]) -> Result<Vec<u8>, Reply> {
        self.body(chunks, |stream, cx, body, last| stream.on_request_body(cx, body, last))
    }

    /// Head and body of a request; what goes upstream, or the reply.
    pub fn request(&mut self, headers: &[(&str, &str)], body: &[u8]) -> Result<Vec<u8>, Reply> {
        match self.request_headers(headers, body.is_empty()) {
            Flow::Reply(reply) => Err(reply),
            Flow::Wait => panic!("held headers keep the body from ever coming"),
            Flow::Suspend => panic!("the call is suspended: wake it"),
            Flow::Continue if body.is_empty() => Ok(Vec::new()),
            Flow::Continue => self.request_body(&[body]),
        }
    }

    /// The response's head; what the filter makes of it stands in `response_headers`.
    pub fn response_headers(&mut self, headers: &[(&str, &str)], last: bool) -> Flow {
        self.response_headers = FakeHeaders::new(headers);
        self.attributes.response_code = self.response_headers.get(":status").and_then(|code| code.parse().ok());
        self.phase(|stream, cx, _, headers| stream.on_response_headers(cx, headers, last))
    }

    /// Some of the response's body; what reaches the client.
    pub fn response_chunk(&mut self, chunk: &[u8], last: bool) -> Vec<u8> {
        let mut body = FakeBody(chunk.to_vec());
        match self.phase(|stream, cx, _, _| stream.on_response_body(cx, &mut body, last)) {
            Flow::Continue => body.0,
            other => panic!("a response chunk was not passed on: {other:?}"),
        }
    }

    /// A whole response; what reaches the client.
    pub fn response(&mut self, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
        assert_eq!(self.response_headers(headers, body.is_empty()), Flow::Continue);
        if body.is_empty() { Vec::new() } else { self.response_chunk(body, true) }
    }

    /// The end of the call.
    pub fn log(&mut self) {
        self.phase(|stream, cx, _, _| stream.on_log(cx));
    }

    fn body(
        &mut self,
        chunks: &[&[u8]],
        mut on_body: impl FnMut(&mut S, &mut Cx<'_>, &mut dyn Body, bool) -> Flow,
    ) -> Result<Vec<u8>, Reply> {
        let mut passed = Vec::new();
        let mut held = FakeBody::default();
        for (index, chunk) in chunks.iter().enumerate() {
            held.0.extend_from_slice(chunk);
            let last = index + 1 == chunks.len();
            if !self.stream.reads_request_body() {
                passed.append(&mut held.0);
                continue;
            }
            match self.phase(|stream, cx, _, _| on_body(stream, cx, &mut held, last)) {
                Flow::Continue => passed.append(&mut held.0),
                Flow::Wait if last => panic!("a finished body was held: the call would hang"),
                Flow::Wait => {}
                Flow::Suspend => panic!("a call cannot be suspended in its body"),
                Flow::Reply(reply) => return Err(reply),
            }
        }
        Ok(passed)
    }
}
