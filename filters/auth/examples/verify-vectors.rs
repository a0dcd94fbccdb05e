//! Runs files of JWS test vectors through the verifier of auth, both ways: see `tollgate_auth::vectors`.
#![allow(clippy::print_stdout, reason = "a command that reports")]

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use tollgate_auth::vectors::{Vectors, run};

/// Runs JSON files of JWS test vectors (the form of Project Wycheproof) through the very verifier of auth.
#[derive(Parser)]
#[command(name = "verify-vectors")]
struct Arguments {
    /// The files.
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

fn main() -> ExitCode {
    let mut agrees = true;
    for file in Arguments::parse().files {
        let read = fs::read(&file).map_err(|error| error.to_string());
        match read.and_then(|json| serde_json::from_slice::<Vectors>(&json).map_err(|error| error.to_string())) {
            Ok(vectors) => {
                let tally = run(&vectors);
                let wrong = tally.disagreements.len();
                println!(
                    "{}: {} valid, {} invalid, {} acceptable; {wrong} disagreements",
                    file.display(),
                    tally.valid,
                    tally.invalid,
                    tally.acceptable
                );
                for line in &tally.disagreements {
                    println!("  {line}");
                }
                agrees &= wrong == 0;
            }
            Err(problem) => {
                println!("{}: {problem}", file.display());
                agrees = false;
            }
        }
    }
    if agrees { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
