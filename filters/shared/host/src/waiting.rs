//! Suspended calls of one worker, and the clock that wakes them.
//!
//! Only the root context hears of time and of answers, so it must find the calls that wait for them. They are asked one
//! after another, each with the hostcalls speaking for its own context; Envoy carries out what they decide once the root's
//! callback has returned, so no call is entered while another one is.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use tollgate_core::Filter;
use tollgate_core::ports::Log as _;

use crate::abi;
use crate::background::HostLog;
use crate::call::Call;

/// Most suspended calls of a worker. Beyond them calls are refused: who can make many calls wait must not fill the memory.
const MOST: usize = 1_024;

/// Suspended calls by their context.
pub(crate) struct WaitingRoom<F: Filter> {
    calls: RefCell<BTreeMap<u32, Rc<RefCell<Call<F>>>>>,
    /// Calls were refused since the room was last half empty. The log is told once, as callers set how many these are.
    is_crowded: Cell<bool>,
    /// The tick that Envoy was asked for, in milliseconds; 0 for none.
    period: Cell<u32>,
}

impl<F: Filter> Default for WaitingRoom<F> {
    fn default() -> Self {
        Self { calls: RefCell::default(), is_crowded: Cell::new(false), period: Cell::new(0) }
    }
}

impl<F: Filter> WaitingRoom<F> {
    /// Takes a call in, or refuses it where too many wait already.
    pub(crate) fn enter(&self, context: u32, call: &Rc<RefCell<Call<F>>>, filter: Option<&F>) {
        if self.calls.borrow().len() >= MOST {
            if !self.is_crowded.replace(true) {
                HostLog(F::NAME).warn(&format!("{MOST} calls wait on this worker; further ones are refused"));
            }
            call.borrow_mut().turn_away();
            return;
        }
        self.calls.borrow_mut().insert(context, Rc::clone(call));
        self.keep_pace(filter);
    }

    /// The call is over.
    pub(crate) fn leave(&self, context: u32) {
        let mut calls = self.calls.borrow_mut();
        calls.remove(&context);
        if calls.len() < MOST / 2 {
            self.is_crowded.set(false);
        }
    }

    /// Asks every call again; those that got their answer leave. `root` is the context that the hostcalls speak for.
    pub(crate) fn wake_all(&self, root: u32) {
        let calls: Vec<_> = self.calls.borrow().iter().map(|(context, call)| (*context, Rc::clone(call))).collect();
        if calls.is_empty() {
            return;
        }
        for (context, call) in calls {
            let is_there = abi::set_effective_context(context);
            if is_there {
                call.borrow_mut().wake();
            }
            if !is_there || !call.borrow().is_waiting() {
                self.leave(context);
            }
        }
        abi::set_effective_context(root);
    }

    /// Asks Envoy for the tick that the filter wants next.
    pub(crate) fn keep_pace(&self, filter: Option<&F>) {
        let wanted = filter.and_then(F::pace).map_or(0, millis);
        if self.period.get() != wanted && abi::set_tick_period(wanted) {
            self.period.set(wanted);
        }
    }
}

/// Envoy's timers count milliseconds, and none of them would be no timer.
fn millis(pace: Duration) -> u32 {
    u32::try_from(pace.as_millis()).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests;
