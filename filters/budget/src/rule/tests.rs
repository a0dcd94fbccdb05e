use std::time::Duration;

use tollgate_core::Identity;

use super::*;
use crate::config::Policy;

fn rule(members: &str) -> Rule {
    let json = format!(r#"{{"rules":[{{"name":"r","window":{{"rolling":"1m"}},"limit":9999,{members}}}]}}"#);
    Policy::parse(json.as_bytes()).unwrap().rules.remove(0)
}

fn identity(tenant: &str, credential: &str, tier: Option<&str>) -> Identity {
    Identity { tenant: tenant.into(), credential_id: credential.into(), tier: tier.map(str::to_owned) }
}

fn subject<'a>(identity: &'a Identity, model: &'a str, route: &'a str) -> Subject<'a> {
    Subject { identity, model: Some(model), other_models: &[], route }
}

#[test]
fn a_rule_counts_the_calls_that_every_list_names() {
    let rule = rule(
        r#""unit":"tokens","match":{"tenants":["a","b"],"credentials":{"a":["k"]},"tiers":["gold"],
           "models":["GPT-4*","o3"],"routes":["chat"]}"#,
    );
    let all = identity("a", "k", Some("gold"));
    assert!(rule.terms(&subject(&all, "gpt-4.1", "chat")).is_some());
    assert!(rule.terms(&subject(&all, "o3", "chat")).is_some());
    for (who, model, route) in [
        (identity("c", "k", Some("gold")), "o3", "chat"),
        (identity("b", "k", Some("gold")), "o3", "chat"),
        (identity("a", "l", Some("gold")), "o3", "chat"),
        (identity("a", "k", Some("silver")), "o3", "chat"),
        (identity("a", "k", None), "o3", "chat"),
        (all.clone(), "o3-mini", "chat"),
        (all.clone(), "", "chat"),
        (all.clone(), "o3", "batch"),
    ] {
        assert!(rule.terms(&subject(&who, model, route)).is_none(), "{who:?} {model} {route}");
    }
}

#[test]
fn accounts_are_apart_by_what_the_rule_says_and_by_nothing_else() {
    // apisix#12896: a limit per consumer acted on all of them together; limitador#513.
    let owner = |per: &str, who: &Identity, model: &str| {
        let rule = rule(&format!(r#""unit":"tokens","per":[{per}],"match":{{"models":["*"]}}"#));
        rule.terms(&subject(who, model, "chat")).unwrap().owner.digest
    };
    let (one, other) = (identity("a", "k", Some("gold")), identity("b", "k", Some("gold")));
    let second_key = identity("a", "l", None);
    assert_eq!(owner("", &one, "m"), owner("", &other, "n"));
    assert_ne!(owner("\"tenant\"", &one, "m"), owner("\"tenant\"", &other, "m"));
    assert_eq!(owner("\"tenant\"", &one, "m"), owner("\"tenant\"", &second_key, "n"));
    assert_ne!(owner("\"credential\"", &one, "m"), owner("\"credential\"", &second_key, "m"));
    // Two tenants may call a key alike.
    assert_ne!(owner("\"credential\"", &one, "m"), owner("\"credential\"", &other, "m"));
    assert_ne!(owner("\"tenant\",\"model\"", &one, "m"), owner("\"tenant\",\"model\"", &one, "n"));
    assert_eq!(owner("\"tier\"", &one, "m"), owner("\"tier\"", &other, "m"));
    assert_ne!(owner("\"tier\"", &one, "m"), owner("\"tier\"", &second_key, "m"));
    // The order in which dimensions are written says nothing.
    assert_eq!(owner("\"tenant\",\"model\"", &one, "m"), owner("\"model\",\"tenant\"", &one, "m"));
}

#[test]
fn the_limit_closest_to_the_caller_counts() {
    let rule = rule(
        r#""unit":"requests","per":["credential"],"limits":{"tiers":{"gold":50},"tenants":{"a":40},"credentials":{"a":{"k":30},"b":{"x":1}}}"#,
    );
    for (who, limit) in [
        (identity("a", "k", Some("gold")), 30),
        (identity("a", "l", Some("gold")), 40),
        (identity("b", "k", Some("gold")), 50),
        (identity("b", "k", None), 9999),
        (identity("c", "x", Some("silver")), 9999),
    ] {
        assert_eq!(rule.terms(&subject(&who, "m", "")).unwrap().limit, limit, "{who:?}");
    }
}

#[test]
fn a_call_that_runs_no_known_model_is_counted_as_a_request_and_nothing_else() {
    // bifrost#2873: other endpoints passed every budget.
    let who = identity("a", "k", None);
    let without_model = Subject { identity: &who, model: None, other_models: &[], route: "" };
    assert!(rule(r#""unit":"requests","per":["tenant"]"#).terms(&without_model).is_some());
    for members in [
        r#""unit":"tokens""#,
        r#""unit":"requests","per":["model"],"match":{"models":["*"]}"#,
        r#""unit":"requests","match":{"models":["m"]}"#,
    ] {
        assert!(rule(members).terms(&without_model).is_none(), "{members}");
    }
}

#[test]
fn an_account_keeps_its_window() {
    let who = identity("a", "k", None);
    let terms = rule(r#""unit":"tokens""#).terms(&subject(&who, "m", "")).unwrap();
    assert_eq!(terms.window, Window::Rolling(Duration::from_secs(60)));
}
