//! Was it answered: the same question of the same tenant gets the stored answer, and no upstream request is opened.
//!
//! On the way in, the whole request body is turned into a digest ([`canonical`], [`key`]) and one slot of the
//! process-wide store is read ([`store`]). A hit is replied from the body phase, byte for byte as the provider sent it:
//! JSON for a call that wanted JSON, the whole event stream for a call that wanted a stream. The two never mix, since
//! `stream` stands in the body and so in the key. On the way out, [`recorder`] keeps a copy of the passing answer, and
//! only a complete, successful, naturally finished one is stored. A stream that is cut leaves nothing.
//!
//! What is stored are the bytes as they come from upstream, usage chunk included. Budget, which stands further out,
//! takes out of a replay what it takes out of a live stream.
//!
//! Costs: the store holds at most `slots × max_entry_bytes`, for all workers of the process together; a live stream
//! holds at most `max_entry_bytes` and drops its copy the moment it grows beyond; a request body is copied once, when
//! it is whole.
//!
//! Where a provider filter runs, the model that it decided on and the pool are in the key: an alias that points elsewhere
//! since the last push never brings the old model's answer. The same model is the same answer whichever provider of the pool
//! gave it; what a stand-in gave, another model, is passed on and not stored.
//!
//! What it tells: what became of each answer that could be stored ([`outcome`]), how full the store is ([`occupancy`]), and with
//! a hit what the answer cost when it came, so that metrics can say what was saved.
//!
//! What this filter does *not* do: compare meaning, wait for an identical call in flight, purge, or share between
//! processes. Failures of the store are misses; a call never fails because of the cache.

pub mod canonical;
pub mod config;
pub mod control;
pub mod entry;
pub mod filter;
pub mod key;
pub mod occupancy;
pub mod outcome;
pub mod recorder;
pub mod stateful;
pub mod store;

pub use config::CachePolicy;
pub use filter::Cache;

#[cfg(target_arch = "wasm32")]
tollgate_host::export!(Cache, without: b"log done");
