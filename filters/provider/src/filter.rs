//! One module, two parts: `root_id` says which one a plugin is.

use std::rc::Rc;

use tollgate_core::ports::{Body, Headers};
use tollgate_core::{ConfigError, Cx, Filter, Flow, Setup, Stream};

use crate::adapt::{Adapt, AdaptStream};
use crate::config::{self, Policy};
use crate::route::{Route, RouteStream};

/// Either part of the filter.
#[derive(Debug)]
pub enum ProviderFilter {
    /// Downstream, once a call.
    Route(Rc<Route>),
    /// Upstream, once an attempt.
    Adapt(Rc<Adapt>),
}

/// A call at `route`, or an attempt at `adapt`.
#[derive(Debug)]
pub enum ProviderStream {
    /// A call.
    Route(RouteStream),
    /// An attempt.
    Adapt(AdaptStream),
}

impl Filter for ProviderFilter {
    const NAME: &'static str = "provider";
    type Stream = ProviderStream;

    fn configure(setup: &mut Setup<'_>) -> Result<Self, ConfigError> {
        let is_adapt = match setup.root {
            "route" => false,
            "adapt" => true,
            _ => return Err(ConfigError::at("", "the plugin's root_id must be `route` or `adapt`")),
        };
        let policy = Policy::new(config::parse(setup.config)?, setup.env, is_adapt)?;
        if is_adapt {
            Adapt::new(policy, setup).map(|adapt| Self::Adapt(Rc::new(adapt)))
        } else {
            Ok(Self::Route(Rc::new(Route::new(policy, setup.random))))
        }
    }

    fn open(self: &Rc<Self>) -> ProviderStream {
        match &**self {
            Self::Route(route) => ProviderStream::Route(RouteStream::open(route)),
            Self::Adapt(adapt) => ProviderStream::Adapt(AdaptStream::open(adapt)),
        }
    }
}

impl Stream for ProviderStream {
    fn on_request_headers(&mut self, cx: &mut Cx<'_>, headers: &mut dyn Headers, last: bool) -> Flow {
        match self {
            Self::Route(call) => call.on_request_headers(cx, headers, last),
            Self::Adapt(attempt) => attempt.on_request_headers(cx, headers, last),
        }
    }

    fn reads_request_body(&self) -> bool {
        match self {
            Self::Route(call) => call.reads_request_body(),
            Self::Adapt(attempt) => attempt.reads_request_body(),
        }
    }

    fn on_request_body(&mut self, cx: &mut Cx<'_>, body: &mut dyn Body, last: bool) -> Flow {
        match self {
            Self::Route(call) => call.on_request_body(cx, body, last),
            Self::Adapt(attempt) => attempt.on_request_body(cx, body, last),
        }
    }

    fn on_response_headers(&mut self, cx: &mut Cx<'_>, headers: &mut dyn Headers, last: bool) -> Flow {
        match self {
            Self::Route(call) => call.on_response_headers(cx, headers, last),
            Self::Adapt(attempt) => attempt.on_response_headers(cx, headers, last),
        }
    }

    fn on_log(&mut self, cx: &mut Cx<'_>) {
        match self {
            Self::Route(call) => call.on_log(cx),
            Self::Adapt(attempt) => attempt.on_log(cx),
        }
    }
}
