//! Says offline which rule of a configuration accepts or refuses a credential: see `tollgate_auth::explain`.
#![allow(clippy::print_stdout, reason = "a command that reports")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};
use std::{env, fs, io};

use clap::Parser;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tollgate_auth::Policy;
use tollgate_auth::explain::{Explanation, explain};
use tollgate_core::Timestamp;
use tollgate_core::ports::Environment;

/// Says whether a configuration of auth accepts an API key or a JWT, by which rule, and why not.
#[derive(Parser)]
#[command(name = "check-token")]
struct Arguments {
    /// The API key or JWT; `-` reads it from standard input.
    credential: String,
    /// The configuration of auth. Variables that it names are taken from the environment.
    #[arg(long, default_value = "envoy/config/auth.json")]
    config: PathBuf,
    /// A document that the configuration names as `remote`, fetched into a file: `https://host/jwks.json=jwks.json`.
    #[arg(long, value_name = "URL=FILE")]
    remote: Vec<String>,
    /// The time to judge at (RFC 3339); now unless given.
    #[arg(long)]
    at: Option<String>,
}

struct Variables;

impl Environment for Variables {
    fn var(&self, name: &str) -> Option<String> {
        env::var(name).ok()
    }
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(found) => {
            for line in &found.lines {
                println!("{line}");
            }
            if found.is_accepted { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(problem) => {
            println!("{problem}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Result<Explanation, String> {
    let path = &arguments.config;
    let json = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let policy = Policy::from_json(&json, &Variables).map_err(|error| format!("{}: {error}", path.display()))?;
    for given in &arguments.remote {
        provide(&policy, given)?;
    }
    let credential = match arguments.credential.as_str() {
        "-" => io::read_to_string(io::stdin()).map_err(|error| format!("standard input: {error}"))?,
        given => given.to_owned(),
    };
    Ok(explain(&policy, credential.trim(), time_of(arguments.at.as_deref())?))
}

fn provide(policy: &Policy, given: &str) -> Result<(), String> {
    let (url, file) = given.rsplit_once('=').ok_or_else(|| format!("--remote {given}: must read URL=FILE"))?;
    let bytes = fs::read(file).map_err(|error| format!("{file}: {error}"))?;
    let mut named = policy.remotes().filter(|document| document.address().url() == url).peekable();
    if named.peek().is_none() {
        let known: Vec<String> = policy.remotes().map(|document| document.address().url()).collect();
        return Err(format!("--remote {url}: the configuration fetches [{}]", known.join(", ")));
    }
    named.try_for_each(|document| document.provide(&bytes)).map_err(|problem| format!("{file}: {problem}"))
}

fn time_of(at: Option<&str>) -> Result<Timestamp, String> {
    let seconds = match at {
        None => SystemTime::now().duration_since(UNIX_EPOCH).map(|since| since.as_secs()).ok(),
        Some(text) => {
            OffsetDateTime::parse(text, &Rfc3339).ok().and_then(|time| time.unix_timestamp().try_into().ok())
        }
    };
    seconds.map(Timestamp::from_secs).ok_or_else(|| "--at must be a time as in 2026-01-31T00:00:00Z".to_owned())
}
