//! Whether a call fits into all rules that count it, and what is held for it if it does.
//!
//! A call is held under each rule in turn, those with the fewest callers an account first. If one refuses, what the others hold
//! is given back, and the rest are asked as well without holding anything, so that the refusal can name the tightest: the one
//! with the longest wait. Holding for a moment what is then given back may refuse somebody else too early, never too late.

use std::time::Duration;

use tollgate_core::Timestamp;

use crate::account::{Balance, Lease, Verdict};
use crate::ledger::{Fault, Ledger, Terms};
use crate::price::Price;
use crate::rule::{Mode, Rule};
use crate::unit::Consumption;

/// What a call is taken to consume, and at which price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Need {
    /// What is reserved for it.
    pub expected: Consumption,
    /// What is reserved for it under hard rules: more, if it cannot be stopped once it runs.
    pub bound: Consumption,
    /// What it claims itself: its prompt, and the most that it lets the model generate. An estimate of ours is not in it.
    pub claimed: Consumption,
    /// The price of its model.
    pub price: Option<Price>,
}

impl Need {
    /// All of it one and the same.
    pub const fn of(consumption: Consumption, price: Option<Price>) -> Self {
        Self { expected: consumption, bound: consumption, claimed: consumption, price }
    }

    /// What a rule reserves. A call that claims more than the whole limit never fits; an estimate never keeps one out for good, which
    /// would be for ever, as nothing could be learned. Requests and tokens are never nothing, so that debt stops every call.
    pub fn amount(&self, rule: &Rule, limit: u64) -> u64 {
        let of = |consumption| rule.unit.amount(consumption, self.price.as_ref()).max(rule.unit.least());
        let claimed = of(&self.claimed);
        // Under a limit of nothing even the smallest estimate is too much.
        let reserved = if rule.is_hard { of(&self.bound) } else { of(&self.expected) };
        if claimed > limit { claimed } else { reserved.min(limit.max(1)) }
    }
}

/// What one rule holds for a call.
#[derive(Clone, Debug)]
pub struct Charge {
    /// The rule, by its place in the policy.
    pub rule: usize,
    /// Whose account.
    pub terms: Terms,
    /// What is held. `None`: the call was let through unreserved.
    pub lease: Option<Lease>,
    /// A rule in shadow mode would have refused the call: it is not charged either, so that the rule does later what it tells now.
    pub is_refused_in_shadow: bool,
    /// The account after the decision.
    pub balance: Option<Balance>,
}

impl Charge {
    /// What is held; a lease of nothing if the call was let through unreserved.
    pub fn lease_or_none(&self) -> Lease {
        self.lease.unwrap_or(Lease { deadline: Timestamp::default(), amount: 0 })
    }
}

/// A rule that a call does not fit into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The rule, by its place in the policy.
    pub rule: usize,
    /// How long until it would fit. `None`: never.
    pub wait: Option<Duration>,
    /// What the call needs, in the rule's unit.
    pub amount: u64,
    /// The account.
    pub balance: Balance,
}

/// How it was decided.
#[derive(Debug)]
pub enum Outcome {
    /// It fits, and is held everywhere.
    Admitted,
    /// It does not fit into this rule, and perhaps others.
    Refused(Refused),
    /// The ledger could not say.
    Undecided(Fault),
}

/// One decision.
pub struct Admission<'a> {
    /// All rules of the policy.
    pub rules: &'a [Rule],
    /// All accounts.
    pub ledger: &'a Ledger<'a>,
    /// The time of the decision.
    pub now: Timestamp,
    /// How long a reservation is held.
    pub lease: Duration,
    /// Whether a call passes unreserved if the ledger cannot say.
    pub passes_undecided: bool,
}

/// What became of a call, with what each rule that counts it says.
#[derive(Debug)]
pub struct Decision {
    /// How it was decided.
    pub outcome: Outcome,
    /// Every rule that counts the call. Nothing is held unless it was admitted.
    pub charges: Vec<Charge>,
    /// Faults that did not stop it.
    pub faults: Vec<Fault>,
}

impl Admission<'_> {
    /// Decides over a call that these rules count.
    pub fn decide(&self, counting: Vec<(usize, Terms)>, need: &Need) -> Decision {
        let mut decision =
            Decision { outcome: Outcome::Admitted, charges: Vec::with_capacity(counting.len()), faults: Vec::new() };
        for (index, terms) in counting {
            let Some(rule) = self.rules.get(index) else { continue };
            self.ask(rule, index, terms, need, &mut decision);
        }
        if !matches!(decision.outcome, Outcome::Admitted) {
            self.give_back(&mut decision.charges);
        }
        decision
    }

    fn ask(&self, rule: &Rule, index: usize, terms: Terms, need: &Need, decision: &mut Decision) {
        let amount = need.amount(rule, terms.limit);
        let is_shadow = rule.mode == Mode::Shadow;
        // Once it is refused nothing more is held for it.
        let holds = matches!(decision.outcome, Outcome::Admitted);
        let asked = if holds {
            self.ledger.reserve(&terms, self.now, amount, self.lease)
        } else {
            Ok(self.ledger.probe(&terms, self.now, amount))
        };
        let mut is_refused_in_shadow = false;
        let (lease, balance) = match asked {
            Ok((Verdict::Granted(lease), balance)) => (Some(lease).filter(|_| holds), Some(balance)),
            Ok((verdict, balance)) => {
                let wait = if let Verdict::Later(wait) = verdict { Some(wait) } else { None };
                if is_shadow {
                    is_refused_in_shadow = true;
                } else {
                    tighten(&mut decision.outcome, Refused { rule: index, wait, amount, balance });
                }
                (None, Some(balance))
            }
            Err(fault) => {
                if is_shadow || self.passes_undecided {
                    decision.faults.push(fault);
                } else if holds {
                    decision.outcome = Outcome::Undecided(fault);
                }
                (None, None)
            }
        };
        decision.charges.push(Charge { rule: index, terms, lease, is_refused_in_shadow, balance });
    }

    fn give_back(&self, charges: &mut [Charge]) {
        for charge in charges {
            if let Some(lease) = charge.lease.take() {
                // Lost only after many tries; then it lapses with its lease.
                let _ = self.ledger.settle(&charge.terms, self.now, Some(lease), 0);
                charge.balance = Some(self.ledger.balance(&charge.terms, self.now));
            }
        }
    }
}

/// Keeps the refusal with the longest wait.
fn tighten(outcome: &mut Outcome, refused: Refused) {
    let length = |wait: Option<Duration>| wait.unwrap_or(Duration::MAX);
    match outcome {
        Outcome::Refused(known) if length(known.wait) >= length(refused.wait) => {}
        Outcome::Admitted | Outcome::Refused(_) => *outcome = Outcome::Refused(refused),
        // The client is asked back in a second, and then every rule is asked again.
        Outcome::Undecided(_) => {}
    }
}

#[cfg(test)]
mod tests;
