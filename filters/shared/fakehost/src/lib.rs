//! A proxy in memory: ports that hold state, so that tests assert outcomes and not call sequences.
//!
//! [`Proxy`] is what workers share (store, metrics, clock). [`Call`] drives one `Stream` through its phases as Envoy
//! would: held request bodies grow, a stream that replied sees none of its own reply, the log phase always comes.
//! [`abi`] is the same proxy one layer down, for the tests of the host crate alone.

#![allow(clippy::panic, reason = "test support: a broken promise should fail the test here")]

pub mod abi;
mod call;
mod callouts;
mod ports;
mod signatures;

pub use call::Call;
pub use callouts::FakeCallouts;
pub use ports::{
    FakeAttributes, FakeBody, FakeEnvironment, FakeHandoff, FakeHeaders, FakeLog, FakeMeter, FakeRouteChoice,
    FakeStore,
};
pub use signatures::{FakeSignatures, Verify};

use std::rc::Rc;

use tollgate_core::ports::Headers as _;
use tollgate_core::{Answer, Background, CalloutId, ConfigError, Filter, Setup, Timestamp};

/// What all calls of a test share.
#[derive(Clone, Debug, Default)]
pub struct Proxy {
    /// The store of all workers.
    pub store: FakeStore,
    /// All counters and gauges.
    pub meter: FakeMeter,
    /// Environment variables of the VM.
    pub env: FakeEnvironment,
    /// The proxy's own cryptography; a fresh one has none.
    pub signatures: FakeSignatures,
    /// Callouts of all workers.
    pub callouts: FakeCallouts,
    /// The proxy's log.
    pub log: FakeLog,
    /// The stepped clock.
    pub now: Timestamp,
}

impl Proxy {
    /// Configures a filter as `on_configure` would.
    pub fn configure<F: Filter>(&mut self, config: &str) -> Result<Rc<F>, ConfigError> {
        self.configure_root("", config)
    }

    /// Configures one part of a filter.
    pub fn configure_root<F: Filter>(&mut self, root: &str, config: &str) -> Result<Rc<F>, ConfigError> {
        let mut setup = Setup {
            config: config.as_bytes(),
            root,
            now: self.now,
            env: &self.env,
            random: [7; 16],
            store: &self.store,
            meter: &mut self.meter,
        };
        F::configure(&mut setup).map(Rc::new)
    }

    /// A tick of one worker. Whether its suspended calls are to be woken.
    pub fn tick<F: Filter>(&mut self, filter: &F) -> bool {
        self.background(|cx| filter.on_tick(cx))
    }

    /// An answer to a callout of one worker. Whether its suspended calls are to be woken.
    pub fn answer<F: Filter>(
        &mut self,
        filter: &F,
        callout: CalloutId,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> bool {
        let headers = FakeHeaders::new(headers);
        let status = headers.get(":status").and_then(|code| code.parse().ok());
        let body = FakeBody(body.into());
        let answer = Answer { status, headers: headers.all(), body: &body };
        self.background(|cx| filter.on_answer(cx, callout, &answer))
    }

    /// A callback outside of calls. Whether suspended calls are to be woken.
    pub fn background(&mut self, run: impl FnOnce(&mut Background<'_>)) -> bool {
        let mut cx = Background {
            now: self.now,
            store: &self.store,
            meter: &mut self.meter,
            callouts: &mut self.callouts,
            log: &mut self.log,
            wake: false,
        };
        run(&mut cx);
        cx.wake
    }
}
