//! Gauges of accounts: limit, used and reserved, of rules that count by tenant or for all callers together. Rules in shadow mode are told as any.
//!
//! Accounts are remembered when calls are admitted or refused, and read from the ledger with each tick, as they are then: so a
//! tenant that calls no more is seen to recover. All workers read the same ledger and set the same gauges, so it does not matter whose
//! tick was last. A rule that no policy has any more is told as 0.
//!
//! Series are bounded: tenants have a name as [`Roster`] says, those that `limits` and `match` name in any case.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::time::Duration;

use tollgate_core::ports::{Meter, SharedStore};
use tollgate_core::{Background, Identity, Roster, Timestamp, metric, roster};

use crate::account::Balance;
use crate::admission::Charge;
use crate::census::{Census, Note, Series};
use crate::ledger::Ledger;
use crate::owner::Dimension;
use crate::rule::Rule;
use crate::unit::Unit;

/// How old a gauge may be.
pub const PACE: Duration = Duration::from_secs(10);
/// How exactly it is written down when an account was last known: more would be a write with each tick.
const KNOWN_FOR: Duration = Duration::from_secs(20);
/// After this time nobody who told of it is left.
const ORPHANED_AFTER: Duration = Duration::from_secs(60);
/// All workers have got a configuration in this time. Who has an older one, as while connections drain, leaves the telling to them.
const SAME_POLICY: Duration = Duration::from_secs(5);
const NANO_PER_MICRO: u64 = 1_000;

/// The accounts that one worker remembers.
pub struct Gauges {
    policy_of: Timestamp,
    roster: Roster,
    /// By rule, in their order, then by tenant; one that all callers share stands under no name.
    rules: Vec<RefCell<HashMap<String, Seen>>>,
    /// Whether it was told that there is no room for more.
    told_full: Cell<bool>,
}

/// How a tenant called last.
struct Seen {
    tier: String,
    /// Since the last tick: then it is known how it calls, whatever other workers last saw.
    has_called: bool,
}

impl Gauges {
    /// For the rules of a policy, in their order, from the time on when it came into use.
    pub fn new(rules: &[Rule], policy_of: Timestamp) -> Self {
        let listed = rules.iter().filter(|rule| is_told(rule)).flat_map(Rule::named_tenants);
        Self {
            policy_of,
            roster: Roster::new(roster::DEFAULT_MOST, listed.map(str::to_owned)),
            rules: rules.iter().map(|_| RefCell::default()).collect(),
            told_full: Cell::default(),
        }
    }

    /// Remembers whose accounts a call fell under.
    pub fn remember(&self, store: &dyn SharedStore, rules: &[Rule], charges: &[Charge], identity: &Identity) {
        for charge in charges {
            let (Some(rule), Some(seen)) = (rules.get(charge.rule), self.rules.get(charge.rule)) else { continue };
            let tenant = if rule.per.is_empty() { "" } else { &identity.tenant };
            if !is_told(rule) || !(rule.per.is_empty() || self.roster.has(store, tenant)) {
                continue;
            }
            // A tenant whose limit does not go by its tier shall not be noted anew for another one.
            let by_tier = !rule.limits.tiers.is_empty();
            let tier = identity.tier.as_deref().filter(|_| by_tier).unwrap_or_default();
            let mut seen = seen.borrow_mut();
            match seen.get_mut(tenant) {
                Some(seen) if seen.tier == tier => seen.has_called = true,
                _ => {
                    seen.insert(tenant.to_owned(), Seen { tier: tier.to_owned(), has_called: true });
                }
            }
        }
    }

    /// Sets all gauges.
    pub fn tick(&self, rules: &[Rule], slots: u32, cx: &mut Background<'_>) {
        let mut census = Census::read(cx.store);
        if !self.enter(rules, &mut census, cx.now) && !self.told_full.replace(true) {
            cx.log.warn("more accounts than gauges can tell of; those beyond have none");
        }
        let ledger = Ledger::new(cx.store, slots);
        census.accounts.retain(|series, note| {
            let age = cx.now.since(note.known_at);
            let is_orphan = age >= ORPHANED_AFTER;
            let Some(rule) = rules.iter().find(|rule| tells(rule, series)) else {
                if is_orphan {
                    set(cx.meter, series, [0; 3]);
                }
                return !is_orphan;
            };
            if self.policy_of.plus(SAME_POLICY) < note.policy_of && !is_orphan {
                return true;
            }
            let terms = rule.terms_of(series.tenant.as_deref().unwrap_or_default(), &note.tier);
            set(cx.meter, series, figures(rule.unit, &ledger.balance(&terms, cx.now)));
            if is_orphan || self.policy_of > note.policy_of {
                note.policy_of = self.policy_of;
            }
            if age >= KNOWN_FOR || note.known_at > cx.now {
                note.known_at = cx.now;
            }
            true
        });
        if census.write(cx.store) {
            let seen = self.rules.iter().map(RefCell::borrow_mut);
            seen.for_each(|mut seen| seen.values_mut().for_each(|seen| seen.has_called = false));
        }
    }

    /// Enters what this worker remembers, and how a tenant called if it did. `false`: there is no room for all.
    fn enter(&self, rules: &[Rule], census: &mut Census, now: Timestamp) -> bool {
        let mut has_room = true;
        for (rule, seen) in rules.iter().zip(&self.rules) {
            for (tenant, seen) in seen.borrow().iter() {
                let tenant = Some(tenant.clone()).filter(|_| !rule.per.is_empty());
                let series = Series { rule: rule.name.clone(), tenant, unit: unit_label(rule.unit).to_owned() };
                if seen.has_called || !census.accounts.contains_key(&series) {
                    let tier = seen.tier.clone();
                    has_room &= census.add(series, Note { tier, policy_of: self.policy_of, known_at: now });
                }
            }
        }
        has_room
    }
}

/// Whether gauges tell of a rule's accounts: not of those that it keeps by key, tier, model or route, of which there may be any number.
pub fn is_told(rule: &Rule) -> bool {
    rule.per.iter().all(|dimension| *dimension == Dimension::Tenant)
}

fn tells(rule: &Rule, series: &Series) -> bool {
    let is_same = rule.name == series.rule && unit_label(rule.unit) == series.unit;
    is_same && is_told(rule) && rule.per.is_empty() == series.tenant.is_none()
}

const fn unit_label(unit: Unit) -> &'static str {
    match unit {
        Unit::Requests => "requests",
        Unit::Tokens | Unit::InputTokens | Unit::OutputTokens => "tokens",
        Unit::Usd => "microusd",
    }
}

/// Limit, used and reserved in the unit of the label. Rounded so that a limit that is spent reads as spent.
fn figures(unit: Unit, balance: &Balance) -> [u64; 3] {
    let Balance { limit, used, reserved, .. } = *balance;
    match unit {
        Unit::Usd => [limit / NANO_PER_MICRO, used.div_ceil(NANO_PER_MICRO), reserved.div_ceil(NANO_PER_MICRO)],
        _ => [limit, used, reserved],
    }
}

fn set(meter: &mut dyn Meter, series: &Series, figures: [u64; 3]) {
    let tenant = series.tenant.as_deref().unwrap_or(roster::NONE);
    let labels = [("rule_name", &*series.rule), ("tenant", tenant), ("unit", &*series.unit)];
    let names = [metric::BUDGET_LIMIT, metric::BUDGET_USED, metric::BUDGET_RESERVED];
    names.into_iter().zip(figures).for_each(|(name, figure)| meter.set(name, &labels, figure));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_is_spent_reads_as_spent_in_micro_dollars_too() {
        let told = |limit, used, reserved| {
            figures(Unit::Usd, &Balance { limit, used, reserved, remaining: 0, reset: Duration::ZERO })
        };
        assert_eq!(told(1_999, 1_999, 0), [1, 2, 0]);
        assert_eq!(told(2_000_000, 1, 1), [2_000, 1, 1]);
        for limit in 0..3_000 {
            for held in [0, 1, 999, 1_000, limit] {
                let [limit, used, reserved] = told(limit, limit.saturating_sub(held), held.min(limit));
                assert!(used + reserved >= limit);
            }
        }
    }
}
