//! Downstream: which model runs on which pool.

use std::rc::Rc;

use tollgate_core::{ConfigError, Setup, Stream};

use crate::config::Spec;

/// The policy.
#[derive(Debug)]
pub struct Route;

impl Route {
    /// From the configuration.
    pub fn new(_spec: Spec, _setup: &mut Setup<'_>) -> Result<Self, ConfigError> {
        Ok(Self)
    }
}

/// One call.
#[derive(Debug)]
pub struct RouteStream;

impl RouteStream {
    /// Opens it.
    pub fn open(_policy: &Rc<Route>) -> Self {
        Self
    }
}

impl Stream for RouteStream {}
