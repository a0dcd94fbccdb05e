//! The SDK's context of one call: hands each callback to the [`Call`].

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;
use tollgate_core::Filter;

use crate::call::{Call, Side};

/// What the SDK's dispatcher holds for one call.
pub(crate) struct Http<F: Filter> {
    call: Call<F>,
}

impl<F: Filter> Http<F> {
    /// Opens the call.
    pub(crate) fn open(filter: Option<&Rc<F>>) -> Self {
        Self { call: Call::open(filter) }
    }
}

impl<F: Filter> Context for Http<F> {}

impl<F: Filter> HttpContext for Http<F> {
    fn on_http_request_headers(&mut self, _count: usize, last: bool) -> Action {
        self.call.head(Side::Request, last)
    }

    fn on_http_request_body(&mut self, size: usize, last: bool) -> Action {
        self.call.body(Side::Request, size, last)
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        self.call.trailers(Side::Request)
    }

    fn on_http_response_headers(&mut self, _count: usize, last: bool) -> Action {
        self.call.head(Side::Response, last)
    }

    fn on_http_response_body(&mut self, size: usize, last: bool) -> Action {
        self.call.body(Side::Response, size, last)
    }

    fn on_http_response_trailers(&mut self, _count: usize) -> Action {
        self.call.trailers(Side::Response)
    }

    fn on_log(&mut self) {
        self.call.log();
    }
}

#[cfg(test)]
mod tests;
