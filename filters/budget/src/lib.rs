//! May it spend: reserve, settle.
//!
//! Rules limit requests, tokens or dollars by tenant, credential, tier, model or route, in rolling windows or calendar periods. A
//! model call is admitted if what it may cost fits into what is left under every rule that counts it, and that much is held for
//! it. When the call is over, however it ends, the hold makes way for what it really cost: what the provider reported, else what
//! was seen to pass. Refused calls learn which rule it was and when they would fit.
//!
//! The arithmetic, from the inside out:
//! - [`window`]: when what was spent is forgotten
//! - [`account`]: what is spent, what is held, what still fits
//! - [`owner`], [`codec`]: whose account it is; one account as the bytes of a slot
//! - [`ledger`]: all accounts in shared data, changed by compare-and-swap
//! - [`admission`]: one call against all rules that count it
//!
//! What it goes by:
//! - [`rule`], [`subject`]: which calls a rule counts, and who pays
//! - [`unit`], [`price`], [`money`], [`decimal`], [`models`]: what is counted, and what it costs
//! - [`estimate`], [`learned`]: what a call will take, by what finished calls took
//! - [`config`]: the policy
//!
//! A call on its way:
//! - [`filter`], [`call`]: the phases; a call that asks to be admitted
//! - [`cap`], [`mask`]: answers that are kept within what is left, and that must tell what they cost
//! - [`spend`], [`watch`]: one admitted call until it is settled; what its answer costs, read as it passes
//! - [`record`]: what metrics and access logs are told of it
//! - [`answer`], [`report`], [`meters`]: what callers, administrators and operators are told
//! - [`gauges`], [`census`]: accounts as metrics; which of them there are
//!
//! Not here: who the caller is (auth's hand-off), which model runs and who answers (provider's hand-offs), the bytes of the model
//! APIs (`tollgate-llm`), budgets that span several Envoys.

pub mod account;
pub mod admission;
pub mod answer;
pub mod call;
pub mod cap;
pub mod census;
pub mod codec;
pub mod config;
pub mod decimal;
pub mod estimate;
pub mod filter;
pub mod gauges;
pub mod learned;
pub mod ledger;
pub mod mask;
pub mod meters;
pub mod models;
pub mod money;
pub mod owner;
pub mod price;
pub mod record;
pub mod report;
pub mod rule;
pub mod spend;
pub mod subject;
pub mod unit;
pub mod watch;
pub mod window;

pub use filter::Budget;

#[cfg(target_arch = "wasm32")]
tollgate_host::export!(Budget);
