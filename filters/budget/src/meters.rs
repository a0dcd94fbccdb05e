//! The filter's counters, each kept by its number.

use tollgate_core::{Counter, metric};

use crate::ledger::Fault;
use crate::rule::Rule;

/// All counters.
pub struct Meters {
    /// Calls that fitted.
    pub allowed: Counter,
    /// Calls that cost nothing that is counted: they bring no work, or run no model we know where no rule counts requests.
    pub bypassed: Counter,
    /// Answers whose provider reported more than any call can use.
    pub capped: Counter,
    /// Calls whose end could not be written down.
    pub unsettled: Counter,
    /// Tokens reserved.
    pub reserved: Counter,
    /// Tokens charged.
    pub settled: Counter,
    /// Tokens charged beyond what was reserved.
    pub overrun: Counter,
    /// Lost writes.
    pub conflicts: Counter,
    exhausted: Counter,
    contended: Counter,
    denied: Vec<Counter>,
    shadow_denied: Vec<Counter>,
    ended: Vec<Counter>,
}

impl Meters {
    /// For the rules of a policy, in their order.
    pub fn new(rules: &[Rule]) -> Self {
        let decision = |decision| Counter::new(metric::BUDGET, &[("decision", decision)]);
        let by_rule = |decision| -> Vec<Counter> {
            let of = |rule: &Rule| {
                Counter::new(metric::BUDGET, &[("decision", decision), ("rule_name", rule.name.as_str())])
            };
            rules.iter().map(of).collect()
        };
        Self {
            allowed: decision("allowed"),
            bypassed: decision("bypassed"),
            capped: decision("capped"),
            unsettled: decision("unsettled"),
            exhausted: decision("exhausted"),
            contended: decision("contended"),
            reserved: Counter::new(metric::BUDGET_TOKENS_RESERVED, &[]),
            settled: Counter::new(metric::BUDGET_TOKENS_SETTLED, &[]),
            overrun: Counter::new(metric::BUDGET_TOKENS_OVERRUN, &[]),
            conflicts: Counter::new(metric::BUDGET_CONFLICTS, &[]),
            denied: by_rule("denied"),
            shadow_denied: by_rule("shadow_denied"),
            ended: by_rule("ended"),
        }
    }

    /// The ledger could not decide.
    pub const fn fault(&self, fault: Fault) -> &Counter {
        match fault {
            Fault::Exhausted => &self.exhausted,
            Fault::Contended => &self.contended,
        }
    }

    /// A rule refused a call.
    pub fn denied(&self, rule: usize) -> Option<&Counter> {
        self.denied.get(rule)
    }

    /// A rule in shadow mode would have refused a call.
    pub fn shadow_denied(&self, rule: usize) -> Option<&Counter> {
        self.shadow_denied.get(rule)
    }

    /// A rule ended a stream.
    pub fn ended(&self, rule: usize) -> Option<&Counter> {
        self.ended.get(rule)
    }
}
