//! Overrides, models, aliases and splits.

use super::*;

#[test]
fn names_lead_to_pools_exactly_before_by_prefix_and_through_aliases() {
    let worker = Worker::new(&config());
    for (asked, pool, model) in [
        ("gpt-4.1", "gpt", "gpt-4.1"),
        ("claude-sonnet-4-5", "claude", "claude-sonnet-4-5"),
        ("fast", "gpt", "gpt-4.1-mini"),
        ("smart", "gpt", "gpt-4.1"),
    ] {
        assert_eq!(ask(&mut worker.call(), asked), to(pool, model), "{asked}");
    }
    let worker = Worker::new(&config_with(&json!({"models": {
        "*": {"pool": "rest"}, "gpt*": {"pool": "gpt"}, "gpt-5*": {"pool": "claude", "model": "claude-x"}, "gpt-5": {"pool": "rest"},
    }})));
    for (asked, pool, model) in [
        ("o3", "rest", "o3"),
        ("gpt-4", "gpt", "gpt-4"),
        ("gpt-5-mini", "claude", "claude-x"),
        ("GPT-5", "rest", "gpt-5"),
    ] {
        assert_eq!(ask(&mut worker.call(), asked), to(pool, model), "{asked}");
    }
}

#[test]
fn an_unknown_model_is_refused_by_its_own_name_alone_or_goes_where_the_rule_says() {
    let worker = Worker::new(&config());
    let asked = format!("no\u{85}such{}", "ä".repeat(90));
    let reply = worker.call().request(&json_head(CHAT), &asking(&asked.replace('\u{85}', ""))).unwrap_err();
    assert_eq!(told(&reply), (404, "model_not_found".into()));
    assert!(message(&reply).starts_with("The gateway serves no model `nosuchää"), "{}", message(&reply));
    let reply = worker.call().request(&json_head(CHAT), &asking(&"x".repeat(256))).unwrap_err();
    assert!(message(&reply).contains(&format!("`{}`.", "x".repeat(100))), "{}", message(&reply));
    for known in ["gpt", "claude", "fast", "rest"] {
        assert!(!message(&reply).contains(known), "the list is nobody's business");
    }
    assert_eq!(worker.count("none", "not_found"), 2);

    let worker = Worker::new(&config_with(&json!({"unknown_model": {"pool": "rest"}})));
    assert_eq!(ask(&mut worker.call(), " no-such "), to("rest", "no-such"));
    assert_eq!(worker.count("rest", "unknown_model"), 1);
}

#[test]
fn refusals_speak_the_dialect_of_the_path() {
    let worker = Worker::new(&config());
    let anthropic = worker.call().request(&json_head("/v1/messages"), &asking("x")).unwrap_err();
    let body: Value = serde_json::from_slice(&anthropic.body).unwrap();
    assert_eq!((&body["type"], &body["error"]["type"]), (&json!("error"), &json!("not_found_error")));
    let gemini = refused(worker.call().request_headers(&json_head("/v1beta/models/x:generateContent"), false));
    let body: Value = serde_json::from_slice(&gemini.body).unwrap();
    assert_eq!(body["error"]["status"], "NOT_FOUND");
}

#[test]
fn a_split_keeps_its_weights() {
    let worker = Worker::new(&config());
    let calls: u32 = 10_000;
    let mut canary = 0;
    for _ in 0..calls {
        match ask(&mut worker.call(), "next") {
            Ok((pool, Some(model))) if pool == "rest" && model == "gpt-5" => canary += 1,
            other => assert_eq!(other, to("gpt", "gpt-4.1")),
        }
    }
    // Five standard deviations of a binomial: √(10,000 · 0.1 · 0.9) = 30.
    assert!((850..=1_150).contains(&canary), "{canary}");
    assert_eq!(worker.count("rest", "routed"), canary);
}

fn overriding(overrides: &Value) -> Worker {
    Worker::new(&config_with(&json!({"overrides": overrides, "no_model": {"pool": "rest"}})))
}

#[test]
fn the_first_override_that_is_for_the_caller_counts() {
    let worker = overriding(&json!([
        {"tenants": ["globex"], "tiers": ["free"], "models": ["gpt*"], "use": {"model": "gpt-4.1-mini"}},
        {"tiers": ["free"], "use": {"pool": "rest"}},
        {"tenants": ["globex"], "models": ["claude-x"], "use": {"pool": "gpt", "model": "gpt-4.1"}},
    ]));
    for (tenant, tier, asked, pool, model) in [
        ("globex", Some("free"), "GPT-4.1", "gpt", "gpt-4.1-mini"),
        ("globex", Some("free"), "claude-x", "rest", "claude-x"),
        ("globex", Some("gold"), "gpt-4.1", "gpt", "gpt-4.1"),
        ("globex", None, "claude-x", "gpt", "gpt-4.1"),
        ("acme", Some("free"), "gpt-4.1", "rest", "gpt-4.1"),
        ("acme", Some("free"), "never-heard-of", "rest", "never-heard-of"),
        ("acme", None, "claude-x", "claude", "claude-x"),
        ("Globex", None, "claude-x", "claude", "claude-x"),
    ] {
        assert_eq!(ask(&mut worker.call_of(tenant, tier), asked), to(pool, model), "{tenant} {tier:?} {asked}");
    }
    assert_eq!(worker.count("rest", "overridden") + worker.count("gpt", "overridden"), 5);
}

#[test]
fn without_identity_no_override_counts() {
    let worker = overriding(&json!([{"tenants": ["anonymous"], "use": {"pool": "rest"}}]));
    assert_eq!(ask(&mut worker.call(), "gpt-4.1"), to("gpt", "gpt-4.1"));
}

#[test]
fn no_alias_split_or_target_leads_around_an_override() {
    let overrides = json!([{"tiers": ["free"], "models": ["gpt-4.1"], "use": {"model": "gpt-4.1-mini"}}]);
    let mut config = config_with(&json!({"overrides": overrides}));
    config["models"]["always"] = json!({"split": [{"weight": 1, "model": "smart"}]});
    config["models"]["pinned"] = json!({"pool": "rest", "model": "gpt-4.1"});
    config["models"]["pinned-split"] = json!({"split": [{"weight": 1, "pool": "rest", "model": "gpt-4.1"}]});
    let worker = Worker::new(&config);
    for asked in ["gpt-4.1", "smart", "always", "pinned", "pinned-split", "MODELS/Smart"] {
        assert_eq!(ask(&mut worker.call_of("t", Some("free")), asked), to("gpt", "gpt-4.1-mini"), "{asked}");
    }
    assert_eq!(ask(&mut worker.call_of("t", Some("gold")), "pinned"), to("rest", "gpt-4.1"));
}

#[test]
fn an_override_is_not_overridden_again() {
    let worker = overriding(&json!([
        {"tenants": ["t"], "models": ["gpt*"], "use": {"model": "gpt-4.1-mini"}},
        {"tenants": ["t"], "use": {"model": "gpt-4.1"}},
    ]));
    assert_eq!(ask(&mut worker.call_of("t", None), "gpt-4.1"), to("gpt", "gpt-4.1-mini"));
    assert_eq!(ask(&mut worker.call_of("t", None), "claude"), to("gpt", "gpt-4.1"));
}

#[test]
fn an_override_for_all_models_is_for_requests_without_one_too() {
    let worker = overriding(&json!([
        {"tenants": ["eu"], "use": {"pool": "claude"}},
        {"tenants": ["cheap"], "use": {"model": "fast"}},
        {"tenants": ["chat"], "models": ["*"], "use": {"pool": "claude"}},
    ]));
    for (tenant, pool) in [("eu", "claude"), ("cheap", "gpt"), ("chat", "rest"), ("other", "rest")] {
        let mut call = worker.call_of(tenant, None);
        assert_eq!(call.request_headers(&[(":method", "GET"), (":path", "/v1/models")], true), Flow::Continue);
        assert_eq!(sent(&call), (pool.into(), None), "{tenant}");
    }
}
