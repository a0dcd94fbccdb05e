//! Calls through the whole filter, as a client, a provider and a reader of the ledger see them.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unimplemented,
    reason = "a test may fail loudly, helpers included"
)]

mod bad_input;
mod faults;
mod fixture;
mod gateway;
#[path = "../ledger_model/model.rs"]
#[allow(dead_code, reason = "the ledger's test asks more of it")]
mod model;
mod peers;
mod recordings;
