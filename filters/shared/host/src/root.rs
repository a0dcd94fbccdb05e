//! One plugin configuration on one worker: reads it into a policy and opens a [`Http`] for each call.
//!
//! A refused configuration leaves one clear line in the log; Envoy then does not start, or keeps what it has.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{BufferType, ContextType, LogLevel};
use tollgate_core::metric::BUILD_INFO;
use tollgate_core::ports::Meter;
use tollgate_core::{Filter, Setup};

use crate::abi;
use crate::http::Http;
use crate::ports::{HostEnvironment, HostMeter};

/// All Tollgate crates share one version.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The root context of a filter.
pub(crate) struct Root<F> {
    filter: Option<Rc<F>>,
}

impl<F> Default for Root<F> {
    fn default() -> Self {
        Self { filter: None }
    }
}

impl<F: Filter> Context for Root<F> {}

impl<F: Filter> RootContext for Root<F> {
    fn on_configure(&mut self, size: usize) -> bool {
        // Without a plugin configuration there is no buffer: the filter says whether empty is enough.
        let config = abi::buffer(BufferType::PluginConfiguration, 0, size).unwrap_or_default();
        let mut meter = HostMeter;
        let mut setup = Setup { config: &config, env: &HostEnvironment, meter: &mut meter };
        match F::configure(&mut setup) {
            Ok(filter) => {
                self.filter = Some(Rc::new(filter));
                meter.set(BUILD_INFO, &[("filter", F::NAME), ("version", VERSION)], 1);
                true
            }
            Err(error) => {
                // One line, whatever stands in the offending field.
                let problem = error.to_string().replace(char::is_control, " ");
                abi::log(LogLevel::Error, &format!("tollgate {}: configuration refused: {problem}", F::NAME));
                false
            }
        }
    }

    fn create_http_context(&self, _context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Http::<F>::open(self.filter.as_ref())))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

#[cfg(test)]
mod tests;
