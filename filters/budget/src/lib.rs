//! May it spend: reserve, settle.
//!
//! Every tenant has a rolling minute of tokens. A model call is admitted if what it may cost fits into what is left,
//! and that much is held for it. When the call is over, however it ends, the hold makes way for what it really cost:
//! what the provider reported, else what was seen to pass. Refused calls learn when they would fit.
//!
//! - [`account`]: the arithmetic of one tenant's minute
//! - [`codec`]: one account as the bytes of a slot
//! - [`ledger`]: all accounts in shared data, changed by compare-and-swap
//! - [`spend`]: one admitted call, until it is settled
//! - [`watch`]: what an answer costs, read as it passes
//! - [`answer`]: what the caller is told
//! - [`config`]: the policy
//! - [`filter`]: the phases of a call
//!
//! Not here: who the caller is (auth's hand-off), the bytes of the model APIs (`tollgate-llm`), budgets that span
//! several Envoys.

pub mod account;
pub mod answer;
pub mod codec;
pub mod config;
pub mod filter;
pub mod ledger;
pub mod spend;
pub mod watch;

pub use filter::Budget;

#[cfg(target_arch = "wasm32")]
tollgate_host::export!(Budget);
