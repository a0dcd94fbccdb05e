//! What happened: counters and histograms.
//!
//! The outermost filter of the chain. It changes nothing: every phase answers Continue, and everything is recorded in
//! the log phase, the one callback that also comes when the client hangs up. Outermost, because Envoy gives response
//! phases only to filters that saw the request: further in, it would miss every 401, 429 and cache hit.
//!
//! - [`config`]: the names of models and tenants, and who makes the histograms.
//! - [`filter`]: the policy of one worker.
//! - [`observation`]: what is remembered of a call while it passes.
//! - [`reading`]: an answer that nobody else reads.
//! - [`outcome`]: how it ended, as far as anybody knows.
//! - [`record`]: what is recorded of it then.
//! - [`label`]: label values from closed sets; a client cannot make a new series.
//! - [`tokens`]: one usage record as parts that never overlap.
//! - [`carry`]: nano-dollars over counters of micro-dollars.
//! - [`durations`]: how long it took, and the two ways into histograms.
//! - [`attributes`]: a call in OpenTelemetry's words, for Envoy's own loggers and tracers.
//! - [`catalog`]: every metric of the project in one table, from which `METRICS.md` is written.
//!
//! Tokens come from the record that the budget filter hands off. Only where no budget filter runs does this one read
//! answers itself. It does not read prompts: of a request's body it looks at the top-level `model` alone. Which model ran, at which
//! provider, and whether that was a fallback, is the provider filter's hand-off.

pub mod attributes;
pub mod carry;
pub mod catalog;
pub mod config;
pub mod durations;
pub mod filter;
pub mod label;
pub mod observation;
pub mod outcome;
pub mod reading;
pub mod record;
pub mod tokens;

pub use filter::Metrics;

#[cfg(target_arch = "wasm32")]
tollgate_host::export!(Metrics);
