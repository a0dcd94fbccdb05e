//! The vocabulary that every Tollgate filter speaks, and the ports through which it meets the world.
//!
//! A filter is a decision maker: it is told what happened ([`Stream`]'s phases), asks narrow ports for what it needs
//! ([`ports`]), and returns what should happen next ([`Flow`]). Time is an argument. So every rule runs natively in a
//! test, and the same filter runs alone in its own wasm module or beside others in one.
//!
//! What is *not* here: proxy-wasm (`tollgate-host` alone knows it) and the bytes of the model APIs (`tollgate-llm`).

pub mod callout;
pub mod config;
pub mod counter;
pub mod duration;
pub mod filter;
pub mod handoff;
pub mod header;
pub mod metric;
pub mod ports;
pub mod refusal;
pub mod roster;
pub mod timestamp;
pub mod trace;
pub mod usage;

pub use callout::{Answer, Callout, CalloutId};
pub use config::ConfigError;
pub use counter::Counter;
pub use duration::HumanDuration;
pub use filter::{Background, Cx, Filter, Flow, Reply, Setup, Stream};
pub use handoff::Identity;
pub use header::HeaderList;
pub use refusal::Refusal;
pub use roster::Roster;
pub use timestamp::Timestamp;
pub use trace::TraceParent;
pub use usage::{OutputTimes, Usage, UsageRecord, UsageSource};
