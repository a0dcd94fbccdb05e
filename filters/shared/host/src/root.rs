//! One plugin configuration on one worker: reads it into a policy, opens a [`Http`] for each call, and passes time and the
//! answers to callouts on.
//!
//! A refused configuration leaves one clear line in the log; Envoy then does not start, or keeps what it has.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{BufferType, ContextType, MapType};
use tollgate_core::metric::BUILD_INFO;
use tollgate_core::ports::{Headers as _, Meter};
use tollgate_core::{Answer, Background, CalloutId, ConfigError, Filter, HeaderList, Setup, Timestamp};

use crate::abi;
use crate::background::{HostCallouts, HostLog};
use crate::http::Http;
use crate::overhead::Sampler;
use crate::ports::{HostBody, HostEnvironment, HostHeaders, HostMeter, HostStore};
use crate::waiting::WaitingRoom;

/// All Tollgate crates share one version.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The root context of a filter.
pub(crate) struct Root<F: Filter> {
    id: u32,
    filter: Option<Rc<F>>,
    room: Rc<WaitingRoom<F>>,
    sampler: Sampler,
}

impl<F: Filter> Root<F> {
    /// The context of this number, without a configuration yet.
    pub(crate) fn new(id: u32) -> Self {
        Self { id, filter: None, room: Rc::default(), sampler: Sampler::new(F::NAME) }
    }

    /// Runs a callback outside of calls, then whatever it led to.
    fn background(&self, run: impl FnOnce(&F, &mut Background<'_>)) {
        let Some(filter) = self.filter.as_deref() else { return };
        let mut cx = Background {
            now: Timestamp::from_nanos(abi::now_nanos()),
            store: &HostStore,
            meter: &mut HostMeter,
            callouts: &mut HostCallouts,
            log: &mut HostLog(F::NAME),
            wake: false,
        };
        run(filter, &mut cx);
        if cx.wake {
            self.room.wake_all(self.id);
        }
        self.room.keep_pace(Some(filter));
    }
}

/// The proxy has dropped the configuration, once its last call was over.
impl<F: Filter> Drop for Root<F> {
    fn drop(&mut self) {
        if let Some(filter) = &self.filter {
            filter.on_end(&HostStore);
        }
    }
}

impl<F: Filter> Context for Root<F> {
    fn on_http_call_response(&mut self, token: u32, headers: usize, body: usize, _trailers: usize) {
        let headers =
            if headers == 0 { HeaderList::default() } else { HostHeaders(MapType::HttpCallResponseHeaders).all() };
        let status = headers.first(":status").and_then(|code| str::from_utf8(code).ok()?.parse().ok());
        let body = HostBody { buffer: BufferType::HttpCallResponseBody, len: body };
        let answer = Answer { status, headers, body: &body };
        self.background(|filter, cx| filter.on_answer(cx, CalloutId(token), &answer));
    }
}

impl<F: Filter> RootContext for Root<F> {
    fn on_configure(&mut self, size: usize) -> bool {
        // Without a plugin configuration there is no buffer: the filter says whether empty is enough.
        let config = abi::buffer(BufferType::PluginConfiguration, 0, size).unwrap_or_default();
        let root = abi::property("plugin_root_id").and_then(|id| String::from_utf8(id).ok()).unwrap_or_default();
        let mut meter = HostMeter;
        let configured = random().and_then(|random| {
            F::configure(&mut Setup {
                config: &config,
                root: &root,
                now: Timestamp::from_nanos(abi::now_nanos()),
                env: &HostEnvironment,
                random,
                store: &HostStore,
                meter: &mut meter,
            })
        });
        match configured {
            Ok(filter) => {
                meter.set(BUILD_INFO, &[("filter", F::NAME), ("version", VERSION)], 1);
                // Two parts of one filter cost differently.
                self.sampler.name(if root.is_empty() { F::NAME } else { &root });
                self.room.keep_pace(Some(&filter));
                self.filter = Some(Rc::new(filter));
                true
            }
            Err(error) => {
                HostLog(F::NAME).error(&format!("configuration refused: {error}"));
                false
            }
        }
    }

    fn on_tick(&mut self) {
        self.background(F::on_tick);
    }

    fn create_http_context(&self, context: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Http::<F>::open(context, self.filter.as_ref(), &self.room, self.sampler.next())))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

/// What nobody can guess is not made up where the proxy has none to give.
fn random() -> Result<[u8; 16], ConfigError> {
    let mut random = [0; 16];
    match getrandom::fill(&mut random) {
        Ok(()) => Ok(random),
        Err(_) => Err(ConfigError::at("", "the proxy gives no random bytes (WASI random_get): allow it")),
    }
}

#[cfg(test)]
mod tests;
