//! What a filter itself costs: the time that all phases of a call took, of one call in 16.
//!
//! Every phase asks for the time once anyway; only the calls that are measured ask again when it ends. They are counted
//! out, so that no randomness is needed and a worker's first call is among them. What the SDK and the host need around a
//! phase is not in it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use tollgate_core::metric::FILTER_DURATION;
use tollgate_core::ports::Meter as _;

use crate::ports::HostMeter;

/// One call in so many is measured.
const ONE_IN: u32 = 16;
const NANOS_PER_MICRO: u64 = 1_000;

/// Picks the calls that are measured, of one root context.
pub(crate) struct Sampler {
    opened: Cell<u32>,
    filter: RefCell<Rc<str>>,
}

impl Sampler {
    /// No call was opened yet.
    pub(crate) fn new(filter: &str) -> Self {
        Self { opened: Cell::new(0), filter: RefCell::new(filter.into()) }
    }

    /// What the label `filter` says from now on.
    pub(crate) fn name(&self, filter: &str) {
        self.filter.replace(filter.into());
    }

    /// Asked for each call that is opened.
    pub(crate) fn next(&self) -> Option<Overhead> {
        let before = self.opened.get();
        self.opened.set((before + 1) % ONE_IN);
        (before == 0).then(|| Overhead { filter: Rc::clone(&self.filter.borrow()), nanos: 0, has_come: false })
    }
}

/// What one call took so far. It is recorded when this is dropped: the one end that every call comes to.
pub(crate) struct Overhead {
    filter: Rc<str>,
    nanos: u64,
    has_come: bool,
}

impl Overhead {
    /// The request came here. One that was answered in front has a log phase only, and would say nothing of calls.
    pub(crate) const fn came(&mut self) {
        self.has_come = true;
    }

    /// A phase ran from one time to another, in nanoseconds.
    pub(crate) const fn add(&mut self, began: u64, ended: u64) {
        self.nanos = self.nanos.saturating_add(ended.saturating_sub(began));
    }
}

impl Drop for Overhead {
    fn drop(&mut self) {
        if self.has_come {
            let micros = self.nanos.saturating_add(NANOS_PER_MICRO / 2) / NANOS_PER_MICRO;
            HostMeter.record(FILTER_DURATION, &[("filter", &self.filter)], micros);
        }
    }
}

#[cfg(test)]
mod tests;
