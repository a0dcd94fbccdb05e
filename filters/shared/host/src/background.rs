//! What a filter may touch outside of calls, over hostcalls.

use proxy_wasm::hostcalls;
use proxy_wasm::types::LogLevel;
use tollgate_core::callout::{Callout, CalloutId, Callouts};
use tollgate_core::ports::Log;

use crate::abi;

/// Envoy's async HTTP client.
pub(crate) struct HostCallouts;

impl Callouts for HostCallouts {
    /// The one hostcall that is made through the SDK: its dispatcher must know a callout, or would panic at the answer. It
    /// knows it for the context whose callback runs, so only the root may send: the answer to a call that is gone would
    /// be lost. Envoy answers nothing but the three statuses that the SDK expects here (1.36.4, 1.40.0).
    fn send(&mut self, callout: &Callout) -> Option<CalloutId> {
        let headers = callout.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let sent = hostcalls::dispatch_http_call(&callout.cluster, headers, None, Vec::new(), callout.timeout);
        sent.ok().map(CalloutId)
    }
}

/// Envoy's log, each line with the name of its filter.
pub(crate) struct HostLog(pub(crate) &'static str);

impl HostLog {
    /// The gateway cannot do what it should.
    pub(crate) fn error(&self, message: &str) {
        self.line(LogLevel::Error, message);
    }

    /// One line, whatever stands in the message.
    fn line(&self, level: LogLevel, message: &str) {
        abi::log(level, &format!("tollgate {}: {}", self.0, message.replace(char::is_control, " ")));
    }
}

impl Log for HostLog {
    fn info(&mut self, message: &str) {
        self.line(LogLevel::Info, message);
    }

    fn warn(&mut self, message: &str) {
        self.line(LogLevel::Warn, message);
    }
}
