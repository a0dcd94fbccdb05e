//! Upstream: each attempt fitted to the provider that Envoy chose.

use std::rc::Rc;

use tollgate_core::{ConfigError, Setup, Stream};

use crate::config::Policy;

/// The policy.
#[derive(Debug)]
pub struct Adapt;

impl Adapt {
    /// From the configuration.
    pub fn new(_policy: Policy, _setup: &mut Setup<'_>) -> Result<Self, ConfigError> {
        Ok(Self)
    }
}

/// One attempt.
#[derive(Debug)]
pub struct AdaptStream;

impl AdaptStream {
    /// Opens it.
    pub fn open(_policy: &Rc<Adapt>) -> Self {
        Self
    }
}

impl Stream for AdaptStream {}
