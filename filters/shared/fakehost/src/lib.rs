//! A proxy in memory: ports that hold state, so that tests assert outcomes and not call sequences.
//!
//! [`Proxy`] is what workers share (store, metrics, clock). [`Call`] drives one `Stream` through its phases as Envoy
//! would: held request bodies grow, a stream that replied sees none of its own reply, the log phase always comes.
//! [`abi`] is the same proxy one layer down, for the tests of the host crate alone.

#![allow(clippy::panic, reason = "test support: a broken promise should fail the test here")]

pub mod abi;
mod call;
mod ports;
mod signatures;

pub use call::Call;
pub use ports::{FakeAttributes, FakeBody, FakeEnvironment, FakeHandoff, FakeHeaders, FakeMeter, FakeStore};
pub use signatures::{FakeSignatures, Verify};

use std::rc::Rc;

use tollgate_core::{ConfigError, Filter, Setup, Timestamp};

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
    /// The stepped clock.
    pub now: Timestamp,
}

impl Proxy {
    /// Configures a filter as `on_configure` would.
    pub fn configure<F: Filter>(&mut self, config: &str) -> Result<Rc<F>, ConfigError> {
        let mut setup = Setup { config: config.as_bytes(), env: &self.env, meter: &mut self.meter };
        F::configure(&mut setup).map(Rc::new)
    }
}
