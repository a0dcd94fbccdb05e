//! Downstream: which model runs on which pool.

use crate::config::Policy;

/// The policy.
#[derive(Debug)]
pub struct Route;

impl Route {
    /// From the configuration.
    pub fn new(_policy: Policy, _random: [u8; 16]) -> Self {
        Self
    }
}

/// One call.
#[derive(Debug)]
pub struct RouteStream;

impl RouteStream {
    /// Opens it.
    pub fn open(_policy: &std::rc::Rc<Route>) -> Self {
        Self
    }
}

impl tollgate_core::Stream for RouteStream {}
