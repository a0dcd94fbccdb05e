//! One clear line: what is wrong, and what to do about it.

use std::fmt::{self, Display};
use std::process::ExitCode;

/// A problem as the user reads it: `what; remedy`.
#[derive(Debug)]
pub struct Failure(String);

impl Failure {
    /// `what` is wrong; `remedy` says what to do.
    pub fn new(what: impl Display, remedy: impl Display) -> Self {
        Self(format!("{what}; {remedy}"))
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

/// Adds the place and the remedy to an error of the standard library.
pub trait OrFail<T> {
    /// Turns the error into `what: error; remedy`.
    ///
    /// # Errors
    /// Whatever error `self` holds.
    fn or_fail(self, what: impl Display, remedy: impl Display) -> Result<T, Failure>;
}

impl<T, E: Display> OrFail<T> for Result<T, E> {
    fn or_fail(self, what: impl Display, remedy: impl Display) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(format_args!("{what}: {error}"), remedy))
    }
}

/// Ends a program: silence and 0, or one line on stderr and 1.
pub fn exit(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}
