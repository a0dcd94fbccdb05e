//! What an attempt costs in calls of the host, each of which takes longer than all that is computed between them.

use std::cell::Cell;

use tollgate_core::ports::{Attributes, Handoff, Headers};
use tollgate_core::{Cx, HeaderList, Stream};
use tollgate_fakehost::{FakeAttributes, FakeHeaders, FakeRouteChoice};

use super::*;

/// Calls that return bytes, and calls that do not.
#[derive(Default)]
struct Calls {
    returning: Cell<u32>,
    other: Cell<u32>,
}

impl Calls {
    fn take(&self) -> (u32, u32) {
        (self.returning.take(), self.other.take())
    }
}

struct Counted<'a, T>(T, &'a Calls);

impl<T> Counted<'_, T> {
    fn returning(&self) -> &T {
        self.1.returning.set(self.1.returning.get() + 1);
        &self.0
    }

    fn other(&mut self) -> &mut T {
        self.1.other.set(self.1.other.get() + 1);
        &mut self.0
    }
}

impl Headers for Counted<'_, FakeHeaders> {
    fn all(&self) -> HeaderList {
        self.returning().all()
    }

    fn set(&mut self, name: &str, value: &[u8]) {
        self.other().set(name, value);
    }

    fn remove(&mut self, name: &str) {
        self.other().remove(name);
    }
}

impl Handoff for Counted<'_, FakeHandoff> {
    fn get(&self, name: &str) -> Option<Vec<u8>> {
        self.returning().get(name)
    }

    fn set(&mut self, name: &str, value: &[u8]) {
        self.other().set(name, value);
    }
}

impl Attributes for Counted<'_, FakeAttributes> {
    fn response_code(&self) -> Option<u16> {
        self.returning().response_code()
    }

    fn route_name(&self) -> Option<String> {
        self.returning().route_name()
    }

    fn cluster_name(&self) -> Option<String> {
        self.returning().cluster_name()
    }

    fn duration(&self) -> Option<std::time::Duration> {
        self.returning().duration()
    }

    fn endpoint_metadata(&self, key: &str) -> Option<String> {
        self.returning().endpoint_metadata(key)
    }

    fn code_details(&self) -> Option<String> {
        self.returning().code_details()
    }

    fn transport_failure(&self) -> Option<String> {
        self.returning().transport_failure()
    }
}

/// The calls of the request's head, of the answer's head and of the end, without those of the body and the counter.
fn cost(provider: &str) -> [(u32, u32); 3] {
    let calls = Calls::default();
    let mut world = World::chat(r#"{"model":"gpt"}"#);
    let mut attributes = Counted(FakeAttributes::default(), &calls);
    attributes.0.endpoint_metadata.insert("provider".into(), provider.into());
    let mut handoff = Counted(world.handoff, &calls);
    let mut cx = Cx {
        now: world.proxy.now,
        attributes: &attributes,
        handoff: &mut handoff,
        store: &world.proxy.store,
        meter: &mut world.proxy.meter,
        signatures: &world.proxy.signatures,
        route: &mut FakeRouteChoice::default(),
        log: &mut world.proxy.log,
    };
    let secret = (format!("x-gateway-credential-{provider}"), "secret".to_owned());
    let head = world.head.into_iter().chain([secret]).map(|(name, value)| (name, value.into_bytes())).collect();
    let mut request = Counted(FakeHeaders(head), &calls);
    let mut answer = Counted(FakeHeaders::new(&[(":status", "200"), ("content-type", "text/event-stream")]), &calls);
    let mut stream = tollgate_core::Filter::open(&world.filter);
    assert_eq!(stream.on_request_headers(&mut cx, &mut request, false), Flow::Continue);
    let at_request = calls.take();
    assert_eq!(stream.on_response_headers(&mut cx, &mut answer, false), Flow::Continue);
    let at_answer = calls.take();
    stream.on_log(&mut cx);
    [at_request, at_answer, calls.take()]
}

#[test]
fn a_first_attempt_makes_few_calls_of_the_host() {
    // The head, the endpoint's provider, what route decided, whether an attempt was made before. Then the authority, the
    // credential, the header that it came in, and who is asked.
    assert_eq!(cost("openai"), [(4, 4), (1, 0), (0, 1)]);
    // The same, and path, two headers, the body's length, and what the caller sent.
    assert_eq!(cost("azure"), [(4, 9), (1, 0), (0, 1)]);
}
