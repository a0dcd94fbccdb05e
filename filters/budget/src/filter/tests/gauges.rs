//! Accounts as gauges, with a stepped clock: what they show while calls come, when none come, and after a push.

use super::*;

const RULES: &str = r#"
    {"name": "minute", "unit": "tokens", "window": {"rolling": "1m"}, "per": ["tenant"], "limit": 6000,
     "limits": {"tenants": {"globex": 300}}},
    {"name": "month", "unit": "usd", "window": {"calendar": "month"}, "per": ["tenant"], "limit": "0.0004"},
    {"name": "all", "unit": "requests", "window": {"rolling": "1h"}, "limit": 50},
    {"name": "trial", "unit": "input_tokens", "window": {"calendar": "day"}, "limit": 40, "mode": "shadow"},
    {"name": "key", "unit": "requests", "window": {"rolling": "1m"}, "per": ["credential"], "limit": 60}"#;

fn config(rules: &str) -> String {
    format!(r#"{{"rules": [{rules}], "prices": {{"*": {{"input": "3.00", "output": "15.00"}}}}, "slots": 64}}"#)
}

fn gateway() -> Gateway {
    Gateway::configured(&config(RULES))
}

impl Gateway {
    fn tick(&mut self) {
        let budget = Rc::clone(&self.budget);
        self.proxy.tick(&*budget);
    }

    /// Ticks every ten seconds, as a worker does.
    fn tick_for(&mut self, seconds: u64) {
        for _ in 0..seconds / 10 {
            self.wait(10);
            self.tick();
        }
    }

    /// Limit, used, reserved.
    fn gauges(&self, rule: &str, tenant: &str, unit: &str) -> [u64; 3] {
        let labels = [("rule_name", rule), ("tenant", tenant), ("unit", unit)];
        [metric::BUDGET_LIMIT, metric::BUDGET_USED, metric::BUDGET_RESERVED]
            .map(|name| self.proxy.meter.value(name, &labels))
    }

    /// The same process after a push, or after this worker's VM died.
    fn pushed(&self, config: &str) -> Self {
        let mut proxy = self.proxy.clone();
        let budget = proxy.configure(config).unwrap();
        Self { budget, proxy }
    }

    fn answered(&self, tenant: &str) {
        let mut call = self.admitted(tenant, CHAT);
        call.response(JSON_200, ANSWER);
        call.log();
    }
}

#[test]
fn limit_used_and_reserved_are_told_within_ten_seconds() {
    let mut gateway = gateway();
    assert_eq!(gateway.budget.pace(), Some(Duration::from_secs(10)));
    gateway.tick();
    assert_eq!(gateway.proxy.meter.series(), 0, "nobody called");
    let mut call = gateway.admitted("acme", CHAT);
    gateway.tick();
    let held = 256 + estimated_input(CHAT);
    assert_eq!(gateway.gauges("minute", "acme", "tokens"), [6000, 0, held]);
    assert_eq!(gateway.gauges("month", "acme", "microusd"), [400, 0, 400], "no estimate is above the limit");
    assert_eq!(gateway.gauges("all", "none", "requests"), [50, 0, 1]);
    assert_eq!(gateway.gauges("trial", "none", "tokens"), [40, 0, estimated_input(CHAT)]);
    call.response(JSON_200, ANSWER);
    call.log();
    gateway.tick();
    assert_eq!(gateway.gauges("minute", "acme", "tokens"), [6000, REPORTED, 0]);
    assert_eq!(gateway.gauges("month", "acme", "microusd"), [400, 270, 0]);
    assert_eq!(gateway.gauges("all", "none", "requests"), [50, 1, 0]);
    assert_eq!(gateway.gauges("trial", "none", "tokens"), [40, 30, 0]);
    let before = gateway.proxy.meter.series();
    gateway.tick();
    assert_eq!(gateway.proxy.meter.series(), before);
    assert_eq!(gateway.gauges("key", "acme", "requests"), [0; 3], "keys may be any number");
}

#[test]
fn who_was_only_ever_refused_is_told_too() {
    let mut gateway = gateway();
    let mut call = gateway.call("globex");
    let big = br#"{"model":"m","max_tokens":900,"messages":[{"role":"user","content":"hi"}]}"#;
    assert_eq!(call.request(POST_CHAT, big).unwrap_err().status, 429);
    gateway.tick();
    assert_eq!(gateway.gauges("minute", "globex", "tokens"), [300, 0, 0]);
}

#[test]
fn a_tenant_that_calls_no_more_is_seen_to_recover_and_its_account_to_expire() {
    let mut gateway = gateway();
    let mut call = gateway.admitted("acme", CHAT);
    call.response(JSON_200, &answer_of("5970", "6000"));
    call.log();
    gateway.tick();
    let used = |gateway: &Gateway| gateway.gauges("minute", "acme", "tokens")[1];
    assert_eq!(used(&gateway), 6000);
    gateway.tick_for(30);
    assert_eq!(used(&gateway), 3000);
    gateway.tick_for(30);
    assert_eq!(gateway.gauges("minute", "acme", "tokens"), [6000, 0, 0]);
    // Others may have its slot by now.
    gateway.tick_for(3_600);
    assert_eq!(gateway.gauges("minute", "acme", "tokens"), [6000, 0, 0]);
}

#[test]
fn a_reservation_that_nobody_settles_leaves_the_gauge_with_its_lease() {
    let mut gateway = gateway();
    drop(gateway.admitted("acme", CHAT));
    gateway.tick();
    assert!(gateway.gauges("minute", "acme", "tokens")[2] > 0);
    gateway.tick_for(700);
    assert_eq!(gateway.gauges("minute", "acme", "tokens"), [6000, 0, 0]);
}

#[test]
fn debt_stands_above_the_limit_and_at_the_turn_of_a_calendar_window_one_limit_goes() {
    let mut gateway = gateway();
    let mut call = gateway.admitted("acme", CHAT);
    call.response(JSON_200, &answer_of("30", "60"));
    call.log();
    gateway.tick();
    assert_eq!(gateway.gauges("month", "acme", "microusd"), [400, 540, 0]);
    let turn = Timestamp::from_secs(1_701_388_800);
    gateway.proxy.now = Timestamp::from_secs(turn.as_secs() - 1);
    gateway.tick();
    assert_eq!(gateway.gauges("month", "acme", "microusd"), [400, 540, 0]);
    gateway.proxy.now = turn;
    gateway.tick();
    assert_eq!(gateway.gauges("month", "acme", "microusd"), [400, 140, 0]);
}

#[test]
fn after_a_push_idle_tenants_have_the_new_limit_and_what_they_spent() {
    let mut old = gateway();
    old.answered("acme");
    old.tick();
    old.wait(60);
    let mut new = old.pushed(&config(&RULES.replace("\"0.0004\"", "\"0.0001\"")));
    new.tick();
    assert_eq!(new.gauges("month", "acme", "microusd"), [100, 270, 0], "what is above is debt");
    // The old policy still ticks while its connections drain, and tells nothing any more.
    for _ in 0..30 {
        new.tick_for(10);
        old.proxy.now = new.proxy.now;
        old.tick();
        assert_eq!(old.gauges("month", "acme", "microusd")[0], 100);
    }
}

#[test]
fn a_rule_that_no_policy_has_any_more_is_told_as_nothing() {
    let mut old = gateway();
    old.answered("acme");
    old.tick();
    old.wait(60);
    let mut new = old.pushed(&config(&RULES.replace("\"month\", \"unit\"", "\"dollars\", \"unit\"")));
    new.answered("acme");
    // While the old policy lives, what it says is true of it.
    for _ in 0..12 {
        new.tick_for(10);
        old.proxy.now = new.proxy.now;
        old.tick();
    }
    assert_eq!(new.gauges("month", "acme", "microusd"), [400, 270, 0]);
    new.tick_for(100);
    assert_eq!(new.gauges("month", "acme", "microusd"), [0; 3]);
    assert_eq!(new.gauges("dollars", "acme", "microusd"), [400, 270, 0]);
    assert_eq!(new.gauges("minute", "acme", "tokens")[0], 6000);
}

#[test]
fn a_rule_that_counts_otherwise_leaves_none_of_its_old_series_behind() {
    let mut old = gateway();
    old.answered("acme");
    old.tick();
    let shared = r#"{"name": "minute", "unit": "tokens", "window": {"rolling": "1m"}, "limit": 7000}"#;
    let mut new = old.pushed(&config(shared));
    new.answered("acme");
    new.tick_for(120);
    assert_eq!(new.gauges("minute", "acme", "tokens"), [0; 3]);
    assert_eq!(new.gauges("minute", "none", "tokens")[0], 7000);
}

#[test]
fn a_worker_whose_vm_died_leaves_no_gauge_behind() {
    let mut gateway = gateway();
    gateway.answered("acme");
    gateway.tick();
    gateway.wait(600);
    let mut reborn = gateway.pushed(&config(RULES));
    reborn.tick();
    assert_eq!(reborn.gauges("minute", "acme", "tokens"), [6000, 0, 0]);
    assert_eq!(reborn.gauges("all", "none", "requests"), [50, 0, 0]);
    // Should that die as well and nobody call, the workers that live tell again.
    gateway.wait(100);
    gateway.tick_for(60);
    gateway.answered("initech");
    gateway.tick_for(10);
    assert_eq!(gateway.gauges("all", "none", "requests"), [50, 1, 0]);
    assert_eq!(gateway.gauges("minute", "initech", "tokens")[0], 6000);
}

#[test]
fn two_workers_set_the_same_gauge_to_the_same_value() {
    let mut first = gateway();
    let mut second = first.pushed(&config(RULES));
    first.answered("acme");
    second.answered("initech");
    first.tick();
    second.tick();
    let told = |gateway: &Gateway| ["acme", "initech"].map(|tenant| gateway.gauges("minute", tenant, "tokens"));
    assert_eq!(told(&first), [[6000, REPORTED, 0]; 2]);
    first.tick();
    assert_eq!(told(&first), [[6000, REPORTED, 0]; 2]);
    assert_eq!(first.gauges("all", "none", "requests")[1], 2);
}

#[test]
fn what_another_worker_was_faster_with_is_told_with_the_next_tick() {
    let mut gateway = gateway();
    gateway.answered("acme");
    gateway.proxy.store.refuse_next(1);
    gateway.tick();
    gateway.tick_for(10);
    let mut other = gateway.pushed(&config(RULES));
    other.tick();
    assert_eq!(other.gauges("minute", "acme", "tokens")[0], 6000);
}

#[test]
fn a_limit_by_tier_is_that_of_the_tier_called_with_last_and_outlives_a_push() {
    let rules = r#"{"name": "minute", "unit": "tokens", "window": {"rolling": "1m"}, "per": ["tenant"], "limit": 6000,
        "limits": {"tiers": {"gold": 9000}}}"#;
    let mut gateway = Gateway::configured(&config(rules));
    let called = |gateway: &mut Gateway, tier: Option<&str>| {
        let mut call = gateway.call("acme");
        let identity = Identity { tenant: "acme".into(), credential_id: "k".into(), tier: tier.map(str::to_owned) };
        handoff::set_identity(&mut call.handoff, &identity);
        call.request(POST_CHAT, CHAT).unwrap();
        call.log();
        gateway.tick();
        gateway.gauges("minute", "acme", "tokens")[0]
    };
    assert_eq!(called(&mut gateway, Some("gold")), 9000);
    assert_eq!(called(&mut gateway, None), 6000);
    assert_eq!(called(&mut gateway, Some("gold")), 9000);
    gateway.wait(60);
    let mut new = gateway.pushed(&config(&rules.replace("9000", "8000")));
    new.tick();
    assert_eq!(new.gauges("minute", "acme", "tokens")[0], 8000);
}

#[test]
fn any_number_of_tenants_makes_so_many_series_and_no_more() {
    let mut gateway = gateway();
    for n in 0..200 {
        let mut call = gateway.call(&format!("tenant-{n}"));
        let _ = call.request(POST_CHAT, CHAT);
        call.log();
    }
    gateway.answered("globex");
    let before = gateway.proxy.meter.series();
    gateway.tick();
    let (by_tenant, shared) = (2 * (64 + 1), 2);
    assert!(gateway.proxy.meter.series() - before <= 3 * (by_tenant + shared), "{}", gateway.proxy.meter.series());
    assert_eq!(gateway.gauges("minute", "globex", "tokens")[0], 300, "who has a limit of its own is named");
    assert_eq!(gateway.gauges("minute", "tenant-63", "tokens")[0], 6000);
    assert_eq!(gateway.gauges("minute", "tenant-64", "tokens")[0], 0);
}
