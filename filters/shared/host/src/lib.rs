//! The one crate that names proxy_wasm: phases and ports over hostcalls.
