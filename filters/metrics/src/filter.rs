//! The filter of one worker: its policy, and what its series have in common.

use std::cell::RefCell;
use std::rc::Rc;

use tollgate_core::{ConfigError, Filter, Setup, metric};

use crate::config::Policy;
use crate::histogram::Histogram;
use crate::label::Models;
use crate::observation::Observation;

/// The metrics filter of one worker.
#[derive(Debug)]
pub struct Metrics {
    pub(crate) models: Models,
    pub(crate) duration: RefCell<Histogram>,
}

impl Filter for Metrics {
    const NAME: &'static str = "metrics";
    type Stream = Observation;

    fn configure(setup: &mut Setup<'_>) -> Result<Self, ConfigError> {
        let Policy { models, duration_buckets } = Policy::parse(setup.config)?;
        let duration = RefCell::new(Histogram::new(metric::REQUEST_DURATION, duration_buckets));
        Ok(Self { models, duration })
    }

    fn open(self: &Rc<Self>) -> Observation {
        Observation::of(self)
    }
}
