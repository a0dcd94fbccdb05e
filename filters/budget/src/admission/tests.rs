use proptest::prelude::*;
use tollgate_core::{Identity, Usage};
use tollgate_fakehost::FakeStore;

use super::*;
use crate::config::Policy;
use crate::subject::Subject;

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
const LEASE: Duration = Duration::from_secs(600);

struct World {
    policy: Policy,
    store: FakeStore,
}

impl World {
    fn new(rules: &[&str]) -> Self {
        let rules: Vec<_> = rules
            .iter()
            .enumerate()
            .map(|(at, members)| {
                let minute = if members.contains("window") { "" } else { r#""window":{"rolling":"1m"},"# };
                format!(r#"{{"name":"r{at}",{minute}{members}}}"#)
            })
            .collect();
        let json = format!(r#"{{"rules":[{}],"output_estimate":{{"cold":1}}}}"#, rules.join(","));
        Self { policy: Policy::parse(json.as_bytes()).unwrap(), store: FakeStore::default() }
    }

    fn terms(&self, tenant: &str) -> Vec<(usize, Terms)> {
        let identity = Identity { tenant: tenant.into(), credential_id: "k".into(), tier: None };
        let subject = Subject { identity: &identity, model: Some("m"), other_models: &[], route: "" };
        let rules = self.policy.rules.iter().enumerate();
        rules.filter_map(|(index, rule)| Some((index, rule.terms(&subject)?))).collect()
    }

    fn ask_with(&self, tenant: &str, need: Need, passes_undecided: bool) -> Decision {
        let ledger = Ledger::new(&self.store, 64);
        let admission =
            Admission { rules: &self.policy.rules, ledger: &ledger, now: NOW, lease: LEASE, passes_undecided };
        admission.decide(self.terms(tenant), &need)
    }

    fn ask(&self, tenant: &str, tokens: u64) -> Decision {
        self.ask_with(tenant, need(tokens, tokens), false)
    }

    fn reserved(&self, tenant: &str) -> Vec<u64> {
        let ledger = Ledger::new(&self.store, 64);
        self.terms(tenant).iter().map(|(_, terms)| ledger.balance(terms, NOW).reserved).collect()
    }

    fn name(&self, rule: usize) -> &str {
        &self.policy.rules[rule].name
    }
}

fn need(expected: u64, claimed: u64) -> Need {
    let of = |input| Consumption { requests: 1, usage: Usage { input, ..Usage::default() } };
    Need { claimed: of(claimed), ..Need::of(of(expected), None) }
}

fn refused(decision: &Decision) -> Refused {
    match decision.outcome {
        Outcome::Refused(refused) => refused,
        ref other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn all_rules_are_held_or_none() {
    let world = World::new(&[
        r#""unit":"tokens","limit":100"#,
        r#""unit":"tokens","limit":1000,"per":["tenant"]"#,
        r#""unit":"requests","limit":10,"per":["tenant"]"#,
    ]);
    assert!(matches!(world.ask("a", 60).outcome, Outcome::Admitted));
    assert_eq!(world.reserved("a"), [60, 1, 60]);
    let decision = world.ask("b", 60);
    assert_eq!(world.name(refused(&decision).rule), "r0");
    assert_eq!(world.reserved("b"), [0, 0, 60], "what was held for a moment is given back");
    assert!(decision.charges.iter().all(|charge| charge.lease.is_none()));
}

#[test]
fn the_rule_with_the_longest_wait_is_named_wherever_it_stands() {
    // limitador#513: with two limits the tighter one was not enforced.
    let by_hour = r#""unit":"tokens","limit":100,"per":["tenant"],"window":{"rolling":"1h"}"#;
    let by_minute = r#""unit":"tokens","limit":100"#;
    for rules in [[by_hour, by_minute], [by_minute, by_hour]] {
        let world = World::new(&rules);
        assert!(matches!(world.ask("a", 90).outcome, Outcome::Admitted));
        let decision = world.ask("a", 20);
        assert_eq!(refused(&decision).wait, Some(Duration::from_secs(360)), "not 6 s");
    }
    let world = World::new(&[r#""unit":"tokens","limit":50"#, r#""unit":"tokens","limit":100,"per":["tenant"]"#]);
    assert!(matches!(world.ask("a", 45).outcome, Outcome::Admitted));
    // The tenant would have to wait 3 s, all together 12 s.
    assert_eq!(world.name(refused(&world.ask("a", 15)).rule), "r0");
    // And this never fits under the first, whatever the wait under the second.
    let decision = world.ask("a", 90);
    assert_eq!((world.name(refused(&decision).rule), refused(&decision).wait), ("r0", None));
}

#[test]
fn a_tenant_over_its_own_limit_holds_nothing_that_others_need() {
    let world = World::new(&[r#""unit":"tokens","limit":100"#, r#""unit":"tokens","limit":50,"per":["tenant"]"#]);
    assert!(matches!(world.ask("a", 50).outcome, Outcome::Admitted));
    let writes = world.store.writes();
    refused(&world.ask("a", 10));
    assert_eq!(world.store.writes(), writes, "it never got to what is shared");
    assert!(matches!(world.ask("b", 50).outcome, Outcome::Admitted));
}

#[test]
fn a_shadow_rule_tells_and_lets_pass() {
    let world = World::new(&[
        r#""unit":"tokens","limit":10,"mode":"shadow","per":["tenant"]"#,
        r#""unit":"tokens","limit":100"#,
    ]);
    let in_shadow = |decision: &Decision| -> Vec<String> {
        let refused = decision.charges.iter().filter(|charge| charge.is_refused_in_shadow);
        refused.map(|charge| world.name(charge.rule).to_owned()).collect()
    };
    let decision = world.ask("a", 50);
    assert!(matches!(decision.outcome, Outcome::Admitted));
    assert_eq!(in_shadow(&decision), ["r0"]);
    let decision = world.ask("a", 5);
    assert!(in_shadow(&decision).is_empty());
}

#[test]
fn an_estimate_is_bounded_by_the_limit_and_what_is_claimed_is_not() {
    let world = World::new(&[r#""unit":"tokens","limit":100,"per":["tenant"]"#]);
    assert!(matches!(world.ask_with("a", need(5_000, 10), false).outcome, Outcome::Admitted));
    assert_eq!(world.reserved("a"), [100], "an idle account admits what nobody can know yet");
    let decision = world.ask_with("b", need(50, 101), false);
    assert_eq!((refused(&decision).wait, refused(&decision).amount), (None, 101));
}

#[test]
fn a_fault_refuses_or_passes_as_configured_and_holds_nothing() {
    let world = World::new(&[r#""unit":"requests","limit":10,"per":["tenant"]"#, r#""unit":"tokens","limit":100"#]);
    world.store.refuse_next(16);
    let decision = world.ask("a", 5);
    assert!(matches!(decision.outcome, Outcome::Undecided(Fault::Contended)));
    assert_eq!(world.reserved("a"), [0, 0]);
    world.store.refuse_next(16);
    let decision = world.ask_with("a", need(5, 5), true);
    assert!(matches!(decision.outcome, Outcome::Admitted));
    assert_eq!((decision.faults.as_slice(), world.reserved("a")), (&[Fault::Contended][..], vec![0, 5]));
}

proptest! {
    #[test]
    fn no_rule_ever_holds_more_than_its_limit(
        limits in prop::collection::vec(1_u64..300, 4), calls in prop::collection::vec((0_usize..3, 1_u64..120), 1..60),
    ) {
        let rules: Vec<_> = ["", "\"tenant\"", "\"credential\"", "\"model\""]
            .iter()
            .zip(&limits)
            .map(|(per, limit)| {
                format!(r#""unit":"tokens","limit":{},"per":[{per}],"match":{{"models":["*"]}}"#, limit + 1)
            })
            .collect();
        let world = World::new(&rules.iter().map(String::as_str).collect::<Vec<_>>());
        let mut admitted = [0_u64; 3];
        for (who, tokens) in calls {
            let tenant = ["a", "b", "c"][who];
            if matches!(world.ask(tenant, tokens).outcome, Outcome::Admitted) {
                admitted[who] += tokens;
            }
        }
        let everybody: u64 = admitted.iter().sum();
        for (who, tenant) in ["a", "b", "c"].iter().enumerate() {
            for ((index, _), reserved) in world.terms(tenant).iter().zip(world.reserved(tenant)) {
                let rule = &world.policy.rules[*index];
                let shared = rule.breadth() > 1;
                prop_assert_eq!(reserved, if shared { everybody } else { admitted[who] }, "{}", &rule.name);
                prop_assert!(reserved <= rule.limits.default);
            }
        }
    }
}
