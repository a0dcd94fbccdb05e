//! The Python that has the packages of `tests/requirements.txt`: SDKs, and libraries that mint tokens.
#![allow(clippy::expect_used, reason = "test support: a set-up that fails must end the test at once and say why")]

use std::env;
use std::process::Command;

use crate::envoy::repository;

/// A command that runs it in the root of the repository. `scripts/test` names it in `TOLLGATE_PYTHON`.
pub fn python() -> Command {
    let mut command =
        Command::new(env::var_os("TOLLGATE_PYTHON").expect("TOLLGATE_PYTHON is not set: run scripts/test"));
    command.current_dir(repository()).env("PYTHONDONTWRITEBYTECODE", "1");
    command
}
