mod documented;

use super::*;
use crate::unit::Unit;

/// A policy of one rule, with these members instead of its own.
fn with_rule(members: &str) -> String {
    with(members, "")
}

fn with(members: &str, more: &str) -> String {
    let mut rule: serde_json::Value =
        serde_json::from_str(r#"{"name":"r","unit":"tokens","window":{"rolling":"1m"},"limit":9999}"#).unwrap();
    let given: serde_json::Value = serde_json::from_str(&format!("{{{members}}}")).unwrap();
    for (name, value) in given.as_object().unwrap() {
        rule[name] = value.clone();
    }
    format!(r#"{{"rules":[{rule}]{more}}}"#)
}

fn refused(json: &str) -> String {
    Policy::parse(json.as_bytes()).expect_err(json).to_string()
}

fn expect(json: &str, error: &str) {
    let got = refused(json);
    assert!(got.starts_with(error), "{json}:\n  {got}\n  {error}");
}

#[test]
fn the_demo_policy_is_read() {
    let policy = Policy::parse(include_bytes!("../../../../envoy/config/budget.json")).unwrap();
    let tokens = policy.rules.iter().find(|rule| rule.unit == Unit::Tokens).unwrap();
    assert_eq!((tokens.limits.tenants["acme"], tokens.limits.tenants["globex"]), (1_000_000, 2_000));
}

#[test]
fn what_is_left_out_has_the_documented_default() {
    let policy = Policy::parse(with_rule("").as_bytes()).unwrap();
    assert_eq!(policy.output_estimate, OutputEstimate { learns: true, policy: OutputPolicy::default() });
    assert_eq!((policy.lease, policy.slots, policy.max_body_bytes), (Duration::from_secs(600), 4096, 8_388_608));
    assert_eq!((policy.on_contention, policy.explain), (OnContention::Deny, false));
    let rule = &policy.rules[0];
    assert_eq!((rule.mode, rule.is_hard, rule.per.len()), (crate::rule::Mode::Enforce, false, 0));
}

#[test]
fn a_bad_value_is_refused_by_its_path() {
    for (members, error) in [
        (r#""name":"""#, "rules[0].name: must be 1 to 64 of a-z"),
        (r#""name":"a b""#, "rules[0].name: must be"),
        (r#""unit":"bytes""#, "rules[0].unit: unknown variant `bytes`"),
        (r#""window":{"rolling":"999ms"}"#, "rules[0].window.rolling: must be from 1s to 31d"),
        (r#""window":{"rolling":"32d"}"#, "rules[0].window.rolling: must be from 1s to 31d"),
        (r#""window":{"calendar":"year"}"#, "rules[0].window.calendar: unknown variant `year`"),
        (r#""window":"1m""#, "rules[0].window"),
        (r#""window":{"rolling":"1m","calendar":"day"}"#, "rules[0].window"),
        (r#""limit":-1"#, "rules[0].limit: invalid type"),
        (r#""limit":1.5"#, "rules[0].limit: invalid type"),
        (r#""limit":"25.00""#, "rules[0].limit: must be a whole number: the unit is not `usd`"),
        (r#""limit":1000000000000000001"#, "rules[0].limit: must be a whole number, at most"),
        (r#""limits":{"tenants":{"a":9999}}"#, "rules[0].limits.tenants: needs `tenant` or `credential` in `per`"),
        (
            r#""per":["tenant"],"limits":{"credentials":{"a":{"k":1}}}"#,
            "rules[0].limits.credentials: needs `credential`",
        ),
        (r#""per":["model"]"#, "rules[0].per: goes by `model`, so name the models in `match.models`"),
        (r#""per":["model"],"limits":{"tiers":{"gold":1}}"#, "rules[0].limits.tiers: needs `tier`, `tenant`"),
        (r#""per":["tenant"],"limits":{"tenants":{"":9999}}"#, "rules[0].limits.tenants.: a name is empty"),
        (r#""per":["tenant","tenant"]"#, "rules[0].per: names a dimension twice"),
        (r#""per":["user"]"#, "rules[0].per[0]: unknown variant `user`"),
        (r#""mode":"off""#, "rules[0].mode: unknown variant `off`"),
        (r#""limmit":1"#, "rules[0].limmit: unknown field `limmit`"),
        (r#""unit":"requests","hard_cap":true"#, "rules[0].hard_cap: cuts answers short, but requests do not grow"),
        (r#""unit":"input_tokens","hard_cap":true"#, "rules[0].hard_cap: cuts answers short"),
        (r#""mode":"shadow","hard_cap":true"#, "rules[0].hard_cap: has no effect in mode `shadow`"),
    ] {
        expect(&with_rule(members), error);
    }
    for (more, error) in [
        (r#","slots":15"#, "slots: must be from 16 to 65536"),
        (r#","slots":65537"#, "slots: must be from 16 to 65536"),
        (r#","lease":"2h""#, "lease: must be from 1s to 1h"),
        (r#","lease":"999ms""#, "lease: must be from 1s to 1h"),
        (r#","max_body_bytes":0"#, "max_body_bytes: must be from 1"),
        (r#","on_contention":"x""#, "on_contention: unknown variant"),
        (r#","leese":"1s""#, "leese: unknown field"),
        (r#","output_estimate":{"cold":0}"#, "output_estimate.cold: must be tokens"),
        (r#","output_estimate":{"quantile":100}"#, "output_estimate.quantile: must be percent"),
        (r#","bytes_per_token":{"m":"0.5"}"#, "bytes_per_token.m: must be bytes a token from"),
        (r#","output_estimate":{"min_samples":101}"#, "output_estimate.min_samples: must be from 1 to 100"),
        (r#","output_estimate":{"while_cold":"never"}"#, "output_estimate.while_cold: unknown variant `never`"),
        (r#","bytes_per_token":{"m":4}"#, "bytes_per_token.m: invalid type"),
        (r#","prices":{"m":{"input":2.5,"output":"1"}}"#, "prices.m.input: invalid type"),
        (r#","prices":{"m":{"input":"-1","output":"1"}}"#, "prices.m.input: must be dollars per million tokens"),
        (r#","prices":{"m":{"input":"1","output":"1000001"}}"#, "prices.m.output: must be dollars"),
        (
            r#","prices":{"m":{"input":"1","output":"1"},"M":{"input":"1","output":"1"}}"#,
            "prices.m: stands here twice",
        ),
        (r#","prices":{"a*b":{"input":"1","output":"1"}}"#, "prices: a name is no model"),
        (
            r#","provider_prices":{"p":{"m":{"input":"-1","output":"1"}}}"#,
            "provider_prices.p.m.input: must be dollars",
        ),
        (r#","provider_prices":{"p":{"a*b":{"input":"1","output":"1"}}}"#, "provider_prices.p: a name is no model"),
        (r#","provider_prices":{"p":{"m":{"inptu":"1"}}}"#, "provider_prices.p.m.inptu: unknown field"),
        (r#","provider_prices":{"p":{}}"#, "provider_prices.p: names no model"),
        (r#","provider_prices":{"Azure EU":{}}"#, "provider_prices: a name is no provider's"),
        (r#","provider_prices":{"":{}}"#, "provider_prices: a name is no provider's"),
    ] {
        expect(&with("", more), error);
    }
}

#[test]
fn names_are_unique_wherever_they_stand() {
    let rule = r#"{"name":"r","unit":"tokens","window":{"rolling":"1m"},"limit":9999}"#;
    expect(&format!(r#"{{"rules":[{rule},{rule}]}}"#), "rules[1].name: is the name of another rule");
    expect(r#"{"rules":[]}"#, "rules: must be from 1 to 64 rules");
    let twice = r#"{"rules":[{"name":"r","unit":"tokens","window":{"rolling":"1m"},"limit":9999,
        "limits":{"tenants":{"a":9999,"a":8888}}}]}"#;
    expect(twice, "rules[0].limits.tenants: the same name stands here twice");
}

#[test]
fn a_rule_or_a_limit_that_can_never_match_is_refused() {
    for (members, error) in [
        (r#""match":{"tenants":[]}"#, "rules[0].match.tenants: is empty, so the rule could never match"),
        (r#""match":{"models":[]}"#, "rules[0].match.models: is empty"),
        (r#""match":{"credentials":{}}"#, "rules[0].match.credentials: is empty"),
        (r#""match":{"credentials":{"a":[]}}"#, "rules[0].match.credentials.a: is empty"),
        (r#""match":{"tiers":[""]}"#, "rules[0].match.tiers: a name is empty"),
        (r#""match":{"models":["a*b"]}"#, "rules[0].match.models: must be names, or prefixes"),
        (
            r#""match":{"tenants":["a"]},"limits":{"tenants":{"b":9999}}"#,
            "rules[0].limits.tenants.b: never applies: `match` leaves it out",
        ),
        (r#""match":{"tiers":["a"]},"limits":{"tiers":{"b":9999}}"#, "rules[0].limits.tiers.b: never applies"),
        (
            r#""match":{"tenants":["a"]},"limits":{"credentials":{"b":{"k":9999}}}"#,
            "rules[0].limits.credentials.b: never applies",
        ),
        (
            r#""match":{"credentials":{"a":["k"]}},"limits":{"credentials":{"a":{"l":9999}}}"#,
            "rules[0].limits.credentials.a.l: never applies",
        ),
        (r#""match":{"tenants":["a"],"credentials":{"b":["k"]}}"#, "rules[0].match.credentials.b: never applies"),
    ] {
        expect(&with_rule(members), error);
    }
}

#[test]
fn a_model_without_a_price_under_a_rule_that_counts_money_is_refused() {
    let money = r#""unit":"usd","limit":"25.00""#;
    let prices = |names: &[&str]| {
        let entries: Vec<_> =
            names.iter().map(|name| format!(r#""{name}":{{"input":"2.00","output":"8.00"}}"#)).collect();
        format!(r#","prices":{{{}}}"#, entries.join(","))
    };
    expect(&with(money, &prices(&["gpt-4.1"])), "rules[0]: counts money, but `*` has no price");
    let named = format!(r#"{money},"match":{{"models":["gpt-4.1","claude-*"]}}"#);
    expect(&with(&named, &prices(&["GPT-4.1"])), "rules[0]: counts money, but `claude-*` has no price");
    expect(&with(&named, &prices(&["gpt-4.1", "claude-3"])), "rules[0]: counts money, but `claude-*` has no price");
    for names in [&["gpt-4.1", "claude-*"][..], &["gpt-*", "claude*"], &["*"]] {
        Policy::parse(with(&named, &prices(names)).as_bytes()).unwrap();
    }
}

#[test]
fn money_is_read_and_written_in_whole_nano_dollars() {
    let json = with(
        r#""unit":"usd","limit":"25.5","per":["tenant"],"limits":{"tenants":{"a":"0.000001"}},"match":{"models":["m"]}"#,
        r#","prices":{"m":{"input":"0.0375","output":"0"}}"#,
    );
    let policy = Policy::parse(json.as_bytes()).unwrap();
    assert_eq!((policy.rules[0].limits.default, policy.rules[0].limits.tenants["a"]), (25_500_000_000, 1_000));
    let price = policy.prices.of("m").unwrap();
    assert_eq!((price.input, price.cached_input, price.cache_write), (NanoUsd(37_500_000), price.input, price.input));
    expect(&json.replace("\"25.5\"", "25"), "rules[0].limit: must be dollars as a string");
}

#[test]
fn a_providers_own_price_counts_before_the_common_one() {
    let json = with(
        "",
        r#","prices":{"m*":{"input":"1","output":"1"}},"provider_prices":{"p":{"M-1":{"input":"2","output":"2"}}}"#,
    );
    let policy = Policy::parse(json.as_bytes()).unwrap();
    let dollars = |provider: &str, model: &str| policy.price_at(provider, model).map(|price| price.input.to_string());
    assert_eq!(dollars("p", "m-1").as_deref(), Some("2.00"));
    assert_eq!(dollars("p", "m-2").as_deref(), Some("1.00"));
    assert_eq!(dollars("q", "m-1").as_deref(), Some("1.00"));
    assert_eq!(dollars("p", "n"), None);
}

#[test]
fn rules_with_the_fewest_callers_an_account_are_asked_first() {
    let rule = |name: &str, per: &str| {
        format!(
            r#"{{"name":"{name}","unit":"requests","window":{{"rolling":"1s"}},"limit":1,"per":[{per}],"match":{{"models":["*"]}}}}"#
        )
    };
    let rules = [
        rule("all", ""),
        rule("model", "\"model\""),
        rule("tenant", "\"tenant\",\"model\""),
        rule("key", "\"credential\""),
        rule("all-2", ""),
        rule("tier", "\"tier\""),
    ];
    let policy = Policy::parse(format!(r#"{{"rules":[{}]}}"#, rules.join(",")).as_bytes()).unwrap();
    let names: Vec<_> = policy.rules.iter().map(|rule| rule.name.as_str()).collect();
    assert_eq!(names, ["key", "tenant", "tier", "model", "all", "all-2"]);
}
