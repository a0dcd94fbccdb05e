//! Black box: a real Envoy, a scripted model provider, real clients.
//!
//! This crate knows HTTP, files and Envoy's admin port, and nothing of the inside of a filter: it must pass unchanged
//! when every filter is written anew. In it:
//!
//! - [`provider`]: a model provider that answers like OpenAI, Anthropic and Gemini, and fails when told to;
//! - `fleet`: several of them behind one gateway;
//! - [`front`]: several gateways behind a front Envoy;
//! - [`key_server`]: a server of key sets and API keys that misbehaves as it is told;
//! - [`collector`]: an OpenTelemetry collector that keeps what it is told;
//! - `listening`: how small servers of tests are started;
//! - [`secrets`]: demo keys and tokens, made at random;
//! - [`render`]: `envoy/envoy.yaml` with the addresses and files of one run;
//! - `older`: the same for an older Envoy;
//! - [`monitoring`]: a real Prometheus and a real Alertmanager, and the dashboard they answer to;
//! - [`trap`]: modules that trap;
//! - [`envoy`], [`gateway`], [`client`], [`prometheus`], [`python`]: what a test starts, calls and reads.
//!
//! The scripts use the same code through the binaries `scripted-provider` and `tollgate-dev`. What ends in a binary
//! returns errors; what only tests use may panic, so that a broken set-up is told at once and at the place.

pub mod client;
pub mod collector;
pub mod envoy;
pub mod failure;
mod fleet;
pub mod front;
pub mod gateway;
pub mod key_server;
mod listening;
pub mod monitoring;
mod older;
pub mod prometheus;
pub mod provider;
pub mod python;
pub mod render;
pub mod secrets;
mod setup;
pub mod trap;
mod watchdog;
