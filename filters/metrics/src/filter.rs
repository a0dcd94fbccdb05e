//! The filter of one worker: its policy, and what its series have in common.

use std::rc::Rc;

use tollgate_core::{ConfigError, Filter, Roster, Setup};

use crate::carry::Carry;
use crate::config::Policy;
use crate::durations::Histograms;
use crate::label::Models;
use crate::observation::Observation;

/// The metrics filter of one worker.
#[derive(Debug)]
pub struct Metrics {
    pub(crate) models: Models,
    pub(crate) tenants: Roster,
    pub(crate) histograms: Histograms,
    /// What calls cost and what hits saved, below one micro-dollar.
    pub(crate) carry: Carry,
    pub(crate) leaves_attributes: bool,
}

impl Filter for Metrics {
    const NAME: &'static str = "metrics";
    type Stream = Observation;

    fn configure(setup: &mut Setup<'_>) -> Result<Self, ConfigError> {
        let Policy { models, tenants, max_tenants, histograms, gen_ai_attributes } = Policy::parse(setup.config)?;
        Ok(Self {
            models,
            tenants: Roster::new(max_tenants, tenants),
            histograms,
            carry: Carry::default(),
            leaves_attributes: gen_ai_attributes,
        })
    }

    fn open(self: &Rc<Self>) -> Observation {
        Observation::of(self)
    }
}
