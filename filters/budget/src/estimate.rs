//! What a call will cost, said before it is known.
//!
//! A reservation that is too small lets calls in flight overrun the budget together; one that is too large refuses calls
//! that would have fitted. What clients declare as their maximum is often ten or a hundred times what they get, and a
//! figure from configuration fits one use only. So both sides are learned from what finished:
//!
//! - [`output`]: output tokens, as a quantile by tenant, model and size of the call
//! - [`histogram`]: the counts that the quantile is read from
//! - [`calibration`]: bytes of text to a token, by model
//! - [`digest`]: what classes and models are known by
//!
//! **Each worker learns for itself.** Nothing here is in shared data: there is no contention, a worker's view is as good as
//! another's since Envoy deals out connections at random, and what is wrong costs an estimate, never the account. A VM that
//! reloads, and every new configuration, starts cold.
//!
//! **What an estimate cannot do.** The bill is always what was used. An estimate that was too low becomes debt of the tenant
//! that caused it. Who trains a class with short answers and then asks for long ones, all at once, gets
//! `sum(used - reserved)` of the calls in flight beyond the limit, once, and waits until that has drained. Where even that is
//! too much, a hard cap ([`crate::cap`]) keeps answers within what is left.

pub mod calibration;
pub mod digest;
pub mod histogram;
pub mod output;

pub use calibration::{Calibration, Ratio};
pub use output::{Call, Class, ColdStart, OutputEstimates, OutputPolicy, Quantile};
