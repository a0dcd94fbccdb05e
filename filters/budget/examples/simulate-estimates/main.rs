//! What it costs not to know how long an answer will be: one load, replayed under several ways of reserving for output.
//!
//! Every policy gets the same arrivals and the same answers, and books them in the very account of the filter. What a
//! prompt costs is taken as known, so that nothing but the estimate of the output differs. Clients do not come again after a
//! refusal, as then the arrivals would not be the same. The referee is an oracle that reserves what the call will really take:
//! a call that it admits and a policy refuses is a false reject.
//!
//! Budgets are tried in tokens, and in something like money, where a token of output weighs five of input (what most price
//! lists say, give or take).
//!
//! Prints JSON; `scripts/bench-estimates` makes a table and a plot of it. All chance comes from the seed, and no time is
//! measured: the same figures on every run.
//!
//! - [`load`]: who calls when, from [`tenants`]
//! - [`policy`]: what is reserved
//! - [`book`]: the account of one tenant, and how far it went over
//! - [`replay`]: one load under one policy
#![allow(clippy::print_stdout, reason = "a command that reports")]

mod book;
mod load;
mod policy;
mod replay;
mod tenants;

use std::error::Error;

use clap::Parser;
use serde::Serialize;

use load::Load;
use policy::Policy;
use replay::{Figures, Run};

/// Replays one load under several ways of reserving for output, and prints as JSON how often each went over or refused.
#[derive(Parser)]
#[command(name = "simulate-estimates")]
struct Arguments {
    /// All chance comes from it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Simulated hours.
    #[arg(long, default_value_t = 4)]
    hours: u32,
    /// Workers, each of which learns from its share of the calls alone.
    #[arg(long, default_value_t = 4)]
    workers: usize,
}

#[derive(Serialize)]
struct Report {
    seed: u64,
    hours: u32,
    workers: usize,
    calls: usize,
    budgets: Vec<Budget>,
}

#[derive(Serialize)]
struct Budget {
    unit: &'static str,
    output_weight: u64,
    policies: Vec<Figures>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let load = Load::generate(arguments.seed, arguments.hours, arguments.workers)?;
    let budgets = [("tokens", 1), ("money", 5)].map(|(unit, output_weight)| budget(&load, unit, output_weight));
    let report = Report {
        seed: arguments.seed,
        hours: arguments.hours,
        workers: arguments.workers,
        calls: load.calls.len(),
        budgets: budgets.into_iter().collect::<Result<_, _>>()?,
    };
    println!("{}", serde_json::to_string_pretty(&report)?);
    Ok(())
}

fn budget(load: &Load, unit: &'static str, output_weight: u64) -> Result<Budget, Box<dyn Error>> {
    let oracle = Run::of(load, Policy::Oracle, output_weight);
    // Whoever knows all and never goes over: else the account or the replay is wrong, and so is every other figure.
    if oracle.overshoot() > 0 {
        return Err("the oracle went over a limit: the simulation is wrong".into());
    }
    let policies =
        policy::all().into_iter().map(|policy| Run::of(load, policy, output_weight).against(&oracle, load));
    Ok(Budget { unit, output_weight, policies: policies.collect() })
}
