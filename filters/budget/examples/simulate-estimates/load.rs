//! Who calls when, for what, and how long the answer gets.
//!
//! Arrivals are a Poisson process whose rate jumps between a burst and a calm of exponential length (an interrupted Poisson
//! process). A call lasts half a second, the reading of its prompt and the writing of its answer,
//! so long answers are in flight long. Three in a hundred clients hang up somewhere in the answer.
//!
//! A tenant's limit follows from its load: what it uses a minute if nothing is refused, over the share that the table says.

use std::error::Error;
use std::time::Duration;

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use rand_distr::{Distribution, Exp, LogNormal};
use tollgate_core::Timestamp;

use super::tenants::{self, Application, Length, Tenant};

/// Tokens that a model reads and writes in a second.
const READ_RATE: f64 = 4_000.0;
const WRITE_RATE: f64 = 50.0;
/// Until the model begins.
const SECONDS_BEFORE: f64 = 0.5;
/// What the model itself writes at most.
const MODEL_MAX: u64 = 32_768;
/// Share of clients that hang up.
const ABORTS: f64 = 0.03;

/// A distribution that the table makes impossible.
type Problem = Box<dyn Error>;

/// One call as it would run.
pub(crate) struct Call {
    /// Nanoseconds of the simulation.
    pub(crate) at: Timestamp,
    pub(crate) lasts: Duration,
    /// Its account.
    pub(crate) account: usize,
    /// Which worker it came to.
    pub(crate) worker: usize,
    pub(crate) model: &'static str,
    pub(crate) prompt: u64,
    pub(crate) declared: Option<u64>,
    /// What is written until the end, or until the client hangs up.
    pub(crate) output: u64,
    pub(crate) is_finished: bool,
}

/// One tenant of the load.
pub(crate) struct Account {
    /// Its row of the table.
    pub(crate) name: &'static str,
    /// What it would use a minute over the share that it may: prompts and output apart.
    pub(crate) limits: (u64, u64),
}

/// All calls in the order of their arrival.
pub(crate) struct Load {
    pub(crate) accounts: Vec<Account>,
    pub(crate) calls: Vec<Call>,
    pub(crate) workers: usize,
}

impl Load {
    pub(crate) fn generate(seed: u64, hours: u32, workers: usize) -> Result<Self, Problem> {
        let mut load = Self { accounts: Vec::new(), calls: Vec::new(), workers: workers.max(1) };
        let seconds = f64::from(hours) * 3_600.0;
        for tenant in tenants::all() {
            for _ in 0..tenant.count {
                let account = load.accounts.len();
                // A stream of its own: another tenant in the table changes nothing of this one.
                let mut random = ChaCha8Rng::seed_from_u64(seed);
                random.set_stream(account as u64);
                let calls = load.calls_of(&tenant, seconds, &mut random)?;
                let share = |sum: u64| (sum as f64 / (seconds / 60.0) / tenant.demand) as u64;
                let limits = calls.iter().fold((0, 0), |sums, call| (sums.0 + call.prompt, sums.1 + call.output));
                load.accounts.push(Account { name: tenant.name, limits: (share(limits.0), share(limits.1)) });
                load.calls.extend(calls);
            }
        }
        load.calls.sort_by_key(|call| (call.at, call.account));
        Ok(load)
    }

    fn calls_of(&self, tenant: &Tenant, seconds: f64, random: &mut ChaCha8Rng) -> Result<Vec<Call>, Problem> {
        let (burst, calm) = tenant.burst;
        let busy_rate = tenant.rate / 60.0 * (burst + calm) / (burst + calm * tenant.calm_rate);
        let mut calls = Vec::new();
        let (mut now, mut is_busy, mut turns) = (0.0, true, 0.0);
        while now < seconds {
            if now >= turns {
                is_busy = !is_busy;
                turns = now + Exp::new(if is_busy { burst } else { calm }.recip())?.sample(random);
            }
            let rate = if is_busy { busy_rate } else { busy_rate * tenant.calm_rate };
            // No rate at all: the next call is infinitely far.
            let next = now + Exp::new(rate)?.sample(random);
            // Without memory, the wait begins anew where the rate changes.
            if next > turns {
                now = turns;
                continue;
            }
            now = next;
            if let Some(application) = choose(&tenant.applications, random) {
                calls.push(self.call(application, now, seconds, random)?);
            }
        }
        Ok(calls)
    }

    fn call(
        &self,
        application: &Application,
        now: f64,
        seconds: f64,
        random: &mut ChaCha8Rng,
    ) -> Result<Call, Problem> {
        let drift = if now > seconds / 2.0 { application.drift } else { 1.0 };
        let kind = match application.other {
            Some((share, other)) if random.random_bool(share) => other,
            _ => application.output,
        };
        let prompt = tokens(application.prompt, 1.0, random)?;
        let whole = tokens(kind, drift, random)?.min(application.declared.unwrap_or(MODEL_MAX)).min(MODEL_MAX);
        let is_finished = !random.random_bool(ABORTS);
        let output = if is_finished { whole } else { random.random_range(0..=whole) };
        let lasts = SECONDS_BEFORE + prompt as f64 / READ_RATE + output as f64 / WRITE_RATE;
        Ok(Call {
            at: Timestamp::from_nanos((now * 1e9) as u64),
            lasts: Duration::from_nanos((lasts * 1e9) as u64),
            account: self.accounts.len(),
            worker: random.random_range(0..self.workers),
            model: application.model,
            prompt,
            declared: application.declared,
            output,
            is_finished,
        })
    }
}

fn choose<'a>(applications: &'a [Application], random: &mut ChaCha8Rng) -> Option<&'a Application> {
    let mut left = random.random_range(0.0..applications.iter().map(|application| application.weight).sum());
    applications.iter().find(|application| {
        left -= application.weight;
        left < 0.0
    })
}

fn tokens(length: Length, factor: f64, random: &mut ChaCha8Rng) -> Result<u64, Problem> {
    Ok((LogNormal::new((length.median * factor).ln(), length.sigma)?.sample(random) as u64).max(1))
}
