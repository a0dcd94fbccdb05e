//! What is reserved for the output of a call.
//!
//! Where nothing is declared, those that go by it take 256 tokens. The learned ones differ from the default, a quantile of
//! 80 % from ten calls on and 256 tokens before, in what their name says.

use std::fmt;

use tollgate_budget::estimate::{self, Class, ColdStart, OutputEstimates, OutputPolicy, Quantile};

use super::load::Call;

/// What is reserved where nothing is known and nothing declared.
const COLD: u64 = 256;

/// A way of reserving.
#[derive(Clone, Copy)]
pub(crate) enum Policy {
    /// Nothing is held: a call is let in as long as the limit is not used up, and counted at its end. What most peers do.
    CheckThenCount,
    /// What the caller declares.
    Declared,
    /// The same for all, at most what is declared.
    Fixed(u64),
    /// Half of what the caller declares.
    Half,
    /// A learned quantile.
    Learned(OutputPolicy),
    /// What the call will take.
    Oracle,
}

/// All that are compared. The oracle is the referee and is seen to agree with itself.
pub(crate) fn all() -> Vec<Policy> {
    let usual = OutputPolicy::default();
    let percent = |percent| Quantile::from_percent(percent).map(|quantile| OutputPolicy { quantile, ..usual });
    let after = |min_samples| OutputPolicy { min_samples, ..usual };
    let mut policies = vec![Policy::Oracle, Policy::CheckThenCount, Policy::Declared, Policy::Half];
    policies.extend([256, 1_024].map(Policy::Fixed));
    policies.extend([50, 80, 90, 95, 99].into_iter().filter_map(percent).map(Policy::Learned));
    policies.extend([1, 5, 20, 50].map(after).map(Policy::Learned));
    policies.push(Policy::Learned(OutputPolicy { cold: ColdStart::Fixed(COLD), ..usual }));
    policies
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CheckThenCount => f.write_str("no reservation"),
            Self::Declared => f.write_str("declared maximum"),
            Self::Fixed(tokens) => write!(f, "fixed {tokens}"),
            Self::Half => f.write_str("half of declared"),
            Self::Learned(policy) => {
                let usual = OutputPolicy::default();
                write!(f, "learned {} %", policy.quantile.percent())?;
                if policy.min_samples != usual.min_samples {
                    write!(f, ", known after {}", policy.min_samples)?;
                }
                if policy.cold != usual.cold { write!(f, ", cold: {COLD}") } else { Ok(()) }
            }
            Self::Oracle => f.write_str("oracle"),
        }
    }
}

/// A policy at work, with what it learned.
pub(crate) struct Estimator {
    policy: Policy,
    workers: Vec<OutputEstimates>,
}

impl Estimator {
    pub(crate) fn new(policy: Policy, workers: usize) -> Self {
        let workers = match policy {
            Policy::Learned(learning) => (0..workers).map(|_| OutputEstimates::new(learning, [7; 16])).collect(),
            _ => Vec::new(),
        };
        Self { policy, workers }
    }

    /// Output tokens to reserve. `None`: nothing at all is, not for the prompt either.
    pub(crate) fn output(&self, tenant: &str, call: &Call) -> Option<u64> {
        let most = call.declared.unwrap_or(u64::MAX);
        match self.policy {
            Policy::CheckThenCount => None,
            Policy::Declared => Some(call.declared.unwrap_or(COLD)),
            Policy::Fixed(tokens) => Some(tokens.min(most)),
            Policy::Half => Some(call.declared.map_or(COLD, |most| most / 2)),
            Policy::Learned(_) => {
                self.workers.get(call.worker).map(|estimates| estimates.predict(&class(estimates, tenant, call)))
            }
            Policy::Oracle => Some(call.output),
        }
    }

    /// A call is over.
    pub(crate) fn learn(&mut self, tenant: &str, call: &Call) {
        if let Some(estimates) = self.workers.get_mut(call.worker).filter(|_| call.is_finished) {
            let class = class(estimates, tenant, call);
            estimates.learn(&class, call.output);
        }
    }
}

fn class(estimates: &OutputEstimates, tenant: &str, call: &Call) -> Class {
    estimates.class(&estimate::Call {
        tenant,
        model: call.model,
        prompt_tokens: call.prompt,
        declared_max: call.declared,
        choices: 1,
    })
}
