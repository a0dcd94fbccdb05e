//! What must hold for any input whatever: the promises of the readers of this filter, each a function of bytes.
//!
//! They are for machines that make inputs up: libFuzzer (`fuzz/`, run by `scripts/fuzz`) and the property tests beside
//! this file. That nothing panics or reads out of bounds is the least of it. A promise that is broken comes back as a
//! text, and the machine makes a failure of it.
//!
//! Good tokens and their keys are those of `tests/data/jws-vectors.json`. None of this is in the module.

mod canary;
mod claims;
mod config;
mod credential;
mod key_set;
mod known;
mod token;

pub use claims::claims;
pub use config::config;
pub use credential::credential;
pub use key_set::key_set;
pub use token::token;

/// That a promise holds, or how it was broken.
pub type Promise = Result<(), String>;

fn hold(is_held: bool, broken: impl FnOnce() -> String) -> Promise {
    if is_held { Ok(()) } else { Err(broken()) }
}

#[cfg(test)]
mod tests;
