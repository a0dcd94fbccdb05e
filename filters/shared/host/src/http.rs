//! The SDK's context of one call: hands each callback to the [`Call`].

use std::cell::RefCell;
use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;
use tollgate_core::Filter;

use crate::call::{Call, Side};
use crate::overhead::Overhead;
use crate::waiting::WaitingRoom;

/// What the SDK's dispatcher holds for one call. A call that waits is in the waiting room as well, where the root finds it.
pub(crate) struct Http<F: Filter> {
    id: u32,
    filter: Option<Rc<F>>,
    call: Rc<RefCell<Call<F>>>,
    room: Rc<WaitingRoom<F>>,
}

impl<F: Filter> Http<F> {
    /// Opens the call of a context.
    pub(crate) fn open(
        id: u32,
        filter: Option<&Rc<F>>,
        room: &Rc<WaitingRoom<F>>,
        overhead: Option<Overhead>,
    ) -> Self {
        let call = Rc::new(RefCell::new(Call::open(filter, overhead)));
        Self { id, filter: filter.cloned(), call, room: Rc::clone(room) }
    }
}

impl<F: Filter> Context for Http<F> {
    /// Envoy gives a filter that stands upstream no log phase, and this at the end of every attempt.
    fn on_done(&mut self) -> bool {
        self.call.borrow_mut().log();
        true
    }
}

impl<F: Filter> HttpContext for Http<F> {
    fn on_http_request_headers(&mut self, _count: usize, last: bool) -> Action {
        let action = self.call.borrow_mut().head(Side::Request, last);
        if self.call.borrow().is_waiting() {
            self.room.enter(self.id, &self.call, self.filter.as_deref());
        }
        action
    }

    fn on_http_request_body(&mut self, size: usize, last: bool) -> Action {
        self.call.borrow_mut().body(Side::Request, size, last)
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        self.call.borrow_mut().trailers(Side::Request)
    }

    fn on_http_response_headers(&mut self, _count: usize, last: bool) -> Action {
        self.call.borrow_mut().head(Side::Response, last)
    }

    fn on_http_response_body(&mut self, size: usize, last: bool) -> Action {
        self.call.borrow_mut().body(Side::Response, size, last)
    }

    fn on_http_response_trailers(&mut self, _count: usize) -> Action {
        self.call.borrow_mut().trailers(Side::Response)
    }

    fn on_log(&mut self) {
        self.call.borrow_mut().log();
    }
}

/// The one end that every call comes to, also in a module without a log phase.
impl<F: Filter> Drop for Http<F> {
    fn drop(&mut self) {
        self.room.leave(self.id);
    }
}

#[cfg(test)]
mod tests;
