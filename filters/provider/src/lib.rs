//! Who answers: the pool that serves a model, and each attempt fitted to the provider that Envoy chose.
//!
//! One module, two roots that share one configuration. [`route`] stands in the downstream chain: it reads the model that
//! the caller named, decides which model runs on which pool, and lets Envoy choose its route by that. [`adapt`] stands in
//! the upstream chain of every pool: for each attempt it gives the request the path, the model name, the credential and
//! the members of the provider that Envoy chose. Load balancing, health, retries and fallback stay Envoy's.

pub mod adapt;
pub mod config;
pub mod cooling;
pub mod filter;
pub mod route;

pub use filter::ProviderFilter;

#[cfg(target_arch = "wasm32")]
tollgate_host::export!(ProviderFilter, without: b"response_body");
