//! The one crate that names `proxy_wasm`: Envoy's callbacks in, [`tollgate_core::Stream`] phases out.
//!
//! ```text
//! Envoy ── proxy_on_* ──▶ SDK dispatcher ──▶ root, http ──▶ call ──▶ Filter, Stream
//! Envoy ◀── hostcalls ─── abi ◀────────────── ports ◀─────── what a phase asks for
//! ```
//!
//! - `root`: configuration in, policy or refusal out; one `http` a call; time and the answers to callouts
//! - `http`: the SDK's context of one call
//! - `call`: phases of one call, and what each [`tollgate_core::Flow`] means to Envoy
//! - `overhead`: what a filter itself costs, of a sample of calls
//! - `waiting`: the calls that a filter suspended, and the tick that wakes them
//! - `background`: the ports of what is outside of calls
//! - `ports`: the ports of `tollgate_core` over hostcalls
//! - `signatures`: the one port over a foreign function, whose arguments are protobuf
//! - `abi`: the hostcalls themselves, the only file that may say `unsafe`
//! - `wire`: header maps as the ABI writes them
//!
//! Of the SDK it uses the dispatcher and the allocator, and of its hostcalls only the one that the dispatcher must hear of
//! (`background`). The others panic on a status that they do not expect and on header bytes that are not UTF-8, and a panic
//! ends every call of the worker. Here both are values.
//!
//! It decides nothing about calls. Its one opinion: what cannot be decided is refused, never passed.

mod abi;
mod background;
mod call;
mod http;
mod overhead;
mod ports;
mod root;
mod signatures;
#[cfg(test)]
mod testkit;
mod waiting;
mod wire;

/// Makes a module's entry point out of a filter. Call it once in a `cdylib`, for wasm32 only.
///
/// `without` names phases in which the filter has nothing to say, of `response`, `response_body` (a response but for its
/// head), `log` and `done`, one after the other (`b"response log done"`): `scripts/build-wasm` takes their callbacks out of the
/// module, and Envoy does not enter it for them. The filter's methods for them are never called. `done` is the end of a filter that stands upstream, where there is
/// no log phase; the others go without it.
#[macro_export]
macro_rules! export {
    ($filter:ty) => {
        $crate::export!($filter, without: b"done");
    };
    ($filter:ty, without: $phases:literal) => {
        // An anonymous constant, so that the SDK's `_initialize` does not become part of the crate's own interface.
        const _: () = {
            $crate::__private::proxy_wasm::main! {{
                $crate::__private::start::<$filter>();
            }}

            #[used]
            #[unsafe(link_section = "tollgate.without")]
            static WITHOUT: [u8; $phases.len()] = *$phases;
        };
    };
}

/// What [`export!`] expands to. Not for use by hand.
#[doc(hidden)]
pub mod __private {
    pub use proxy_wasm;

    use crate::root::Root;

    /// Registers the filter with the SDK, whose panic hook makes a trap leave its message in Envoy's log.
    pub fn start<F: tollgate_core::Filter>() {
        proxy_wasm::set_log_level(proxy_wasm::types::LogLevel::Info);
        proxy_wasm::set_root_context(|id| Box::new(Root::<F>::new(id)));
    }
}
