//! Every field of pools, models and overrides is checked, and an error says where and what instead.

mod documented;

use serde_json::{Value, json};
use tollgate_fakehost::FakeEnvironment;

use super::*;

/// A configuration with these members in the place of its own; `null` takes one out.
fn with(changes: &Value) -> String {
    let provider = || json!({"url": "https://example.com"});
    let mut config = json!({
        "providers": {"a": provider(), "b": provider(), "c": provider()},
        "pools": {"p": {"priorities": [["a"], ["b"]]}, "q": {"priorities": [["c"]]}},
        "models": {"m": {"pool": "p"}},
    });
    for (name, value) in changes.as_object().unwrap() {
        config[name] = value.clone();
    }
    config.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    config.to_string()
}

fn policy(config: &str) -> Result<Policy, ConfigError> {
    Policy::new(parse(config.as_bytes())?, &FakeEnvironment::default(), false)
}

fn refused(changes: &Value) -> String {
    policy(&with(changes)).map(|_| ()).expect_err(&changes.to_string()).to_string()
}

fn accepted(changes: &Value) -> Policy {
    policy(&with(changes)).unwrap_or_else(|error| panic!("{error}: {changes}"))
}

#[test]
fn what_is_left_out_has_a_default() {
    let policy = accepted(&json!({"models": null}));
    assert_eq!((policy.max_body_bytes, policy.max_cooldown), (8 << 20, Duration::from_secs(3600)));
    assert!(!policy.show_provider && policy.overrides.is_empty());
    assert_eq!((policy.unknown_model, policy.no_model), (None, None));
    let pool = policy.pools.get(policy.pools.find("", "p").unwrap()).unwrap();
    assert_eq!(pool, &Pool { name: "p".into(), endpoints: vec!["a".into(), "b".into()], is_sticky: false });
}

#[test]
fn both_parts_refuse_the_same() {
    let mut proxy = tollgate_fakehost::Proxy::default();
    for root in ["route", "adapt"] {
        let broken = with(&json!({"no_model": {"pool": "r"}}));
        let error = proxy.configure_root::<crate::ProviderFilter>(root, &broken).map(|_| ()).unwrap_err();
        assert_eq!(error.to_string(), "no_model.pool: there is no such pool: add it to `pools`");
        assert!(proxy.configure_root::<crate::ProviderFilter>(root, &with(&json!({}))).is_ok());
    }
    let error = proxy.configure_root::<crate::ProviderFilter>("", &with(&json!({}))).map(|_| ()).unwrap_err();
    assert_eq!(error.to_string(), "the plugin's root_id must be `route` or `adapt`");
}

#[test]
fn pools_are_checked() {
    let pool = |priorities: Value| json!({"pools": {"p": {"priorities": priorities}}});
    for (changes, told) in [
        (json!({"pools": {}}), "pools: give 1 to 64 pools"),
        (json!({"pools": null}), "missing field `pools`"),
        (json!({"pools": {"P": {"priorities": [["a"]]}}}), "pools: a pool's name must be 1 to 40 of"),
        (json!({"pools": {"none": {"priorities": [["a"]]}}}), "pools: a pool's name must be 1 to 40 of"),
        (pool(json!([])), "pools.p.priorities: give 1 to 16 endpoints, and no empty list"),
        (pool(json!([["a"], []])), "pools.p.priorities: give 1 to 16 endpoints, and no empty list"),
        (pool(json!([vec!["a"; 17]])), "pools.p.priorities: give 1 to 16 endpoints, and no empty list"),
        (pool(json!([["a"], ["x"]])), "pools.p.priorities[1][0]: there is no such provider: add it to `providers`"),
        (pool(json!([["a", "b"], ["a"]])), "pools.p.priorities[1][0]: the provider stands in this pool already"),
        (pool(json!([[{"provider": "a", "weight": 0}]])), "pools.p.priorities[0][0]: `weight` must be from 1"),
        (pool(json!([[{"provider": "a", "weight": 1_000_001}]])), "pools.p.priorities[0][0]: `weight` must be"),
        (pool(json!([[{"provider": "a", "weigth": 1}]])), "pools.p.priorities[0][0].weigth: unknown field `weigth`"),
        (pool(json!([[{"weight": 1}]])), "pools.p.priorities[0][0]: missing field `provider`"),
        (pool(json!([[7]])), "pools.p.priorities[0][0]: invalid type: a number, expected a provider's name, or"),
        (json!({"pools": {"p": {"priorities": [["a"]], "timeout": "0s"}}}), "pools.p.timeout: must be from 1ms"),
        (json!({"pools": {"p": {"priorities": [["a"]], "per_try_timeout": "2d"}}}), "pools.p.per_try_timeout: must"),
        (
            json!({"pools": {"p": {"priorities": [["a"]], "timeout": "5s", "per_try_timeout": "6s"}}}),
            "pools.p.per_try_timeout: must not be longer than `timeout`",
        ),
        (json!({"pools": {"p": {"priorities": [["a"]], "sticky": "x"}}}), "pools.p.sticky: unknown variant `x`"),
    ] {
        let error = refused(&changes);
        assert!(error.starts_with(told), "{error}");
    }
    let doubled = with(&json!({})).replace(r#""q":"#, r#""p":"#);
    let error = policy(&doubled).map(|_| ()).unwrap_err().to_string();
    assert!(error.starts_with("pools: the same name stands here twice"), "{error}");
}

#[test]
fn every_way_through_the_models_ends_at_a_pool() {
    for (models, told) in [
        (json!({"m": {}}), "models.m: leads nowhere: give `pool`, `model` or both, or `split`"),
        (json!({"m": {"pool": "x"}}), "models.m.pool: there is no such pool: add it to `pools`"),
        (json!({"m": {"model": "n"}}), "models.m: leads to `n`, which nobody serves: add it to `models`"),
        (json!({"m": {"model": "m"}}), "models.m: leads back to itself: end the circle at a pool"),
        (json!({"m": {"model": "N"}, "n": {"model": "M"}}), "models.m: leads back to itself"),
        (json!({"g*": {"model": "gpt"}}), "models.g*: leads back to itself"),
        (json!({"m": {"split": []}}), "models.m.split: give 1 to 16 branches"),
        (json!({"m": {"split": [{"weight": 0, "pool": "p"}]}}), "models.m.split[0].weight: must be from 1"),
        (json!({"m": {"split": [{"pool": "p"}]}}), "models.m.split[0]: missing field `weight`"),
        (json!({"m": {"split": [{"weight": 1}]}}), "models.m.split[0]: leads nowhere"),
        (json!({"m": {"split": [{"weight": 1, "model": "n"}]}}), "models.m: leads to `n`, which nobody serves"),
        (json!({"m": {"split": [{"weight": 1, "pool": "p"}], "pool": "p"}}), "models.m: `split` stands alone"),
        (json!({"m": {"model": "n*"}}), "models.m.model: must name one model: an asterisk stands for many"),
        (json!({"m": {"model": " n"}}), "models.m.model: must be written without blanks around it"),
        (json!({"models/m": {"pool": "p"}}), "models.models/m: must be written without blanks around it and"),
        (json!({"m*x": {"pool": "p"}}), "models.m*x: must name one model"),
        (json!({"": {"pool": "p"}}), "models.: must be 1 to 256 bytes without control characters"),
        (json!({"m": {"pool": "p"}, "M": {"pool": "p"}}), "models.m: stands here in another case as well"),
        (json!({"m*": {"pool": "p"}, "M*": {"pool": "p"}}), "models.m*: stands here in another case as well"),
        (json!({"m": {"pool": "p"}, "n": {"model": "M"}}), "models: `M` stands elsewhere as `m`: write it alike"),
    ] {
        let error = refused(&json!({"models": models}));
        assert!(error.starts_with(told), "{error}");
    }
    let error = refused(
        &json!({"providers": {"a": {"url": "https://h", "models": {"M": "x"}}}, "pools": {"p": {"priorities": [["a"]]}}}),
    );
    assert_eq!(error, "providers.a: `M` stands elsewhere as `m`: write it alike everywhere");
    accepted(&json!({"models": {"m": {"model": "n"}}, "unknown_model": {"pool": "q"}}));
    accepted(&json!({"models": {"*": {"pool": "p"}, "m": {"model": "n"}}}));
}

/// A way of so many names to a pool.
fn chain(steps: usize) -> Value {
    let next = |step: usize| {
        if step + 1 == steps { json!({"pool": "p"}) } else { json!({"model": format!("m{}", step + 1)}) }
    };
    let models = (0..steps).map(|step| (format!("m{step}"), next(step)));
    json!({"models": Value::Object(models.collect())})
}

#[test]
fn a_way_is_of_sixteen_steps_at_most_and_its_check_is_quick() {
    accepted(&chain(16));
    assert!(refused(&chain(17)).contains("is more than 16 steps away from a pool"));
    assert!(refused(&chain(1024)).contains("is more than 16 steps away from a pool"));
    // Each level splits over all of the next: walked one by one these are 16¹⁵ ways.
    let mut models = serde_json::Map::new();
    for level in 0..16 {
        let branches: Vec<_> =
            (0..16).map(|next| json!({"weight": 1, "model": format!("m{}-{next}", level + 1)})).collect();
        for name in 0..16 {
            let target = if level == 15 { json!({"pool": "p"}) } else { json!({"split": branches}) };
            models.insert(format!("m{level}-{name}"), target);
        }
    }
    accepted(&json!({"models": models}));
}

#[test]
fn overrides_are_checked() {
    let entry = |entry: Value| json!({"overrides": [entry]});
    for (changes, told) in [
        (entry(json!({"use": {"pool": "p"}})), "overrides[0]: is for everybody: name `tenants` or `tiers`"),
        (entry(json!({"models": ["m"], "use": {"pool": "p"}})), "overrides[0]: is for everybody"),
        (entry(json!({"tenants": ["t"]})), "overrides[0]: missing field `use`"),
        (
            entry(json!({"tenants": [], "use": {"pool": "p"}})),
            "overrides[0].tenants: name 1 to 1024, or leave it out",
        ),
        (entry(json!({"tiers": [""], "use": {"pool": "p"}})), "overrides[0].tiers[0]: must not be empty"),
        (entry(json!({"tiers": ["t"], "models": [], "use": {"pool": "p"}})), "overrides[0].models: name 1 to 1024"),
        (
            entry(json!({"tiers": ["t"], "models": ["a*b"], "use": {"pool": "p"}})),
            "overrides[0].models[0]: must name",
        ),
        (entry(json!({"tiers": ["t"], "use": {"pool": "x"}})), "overrides[0].use.pool: there is no such pool"),
        (entry(json!({"tiers": ["t"], "use": {"model": "x"}})), "overrides[0].use: leads to `x`, which nobody"),
        (
            json!({"overrides": vec![json!({"tiers": ["t"], "use": {"pool": "p"}}); 257]}),
            "overrides: has more than 256",
        ),
    ] {
        let error = refused(&changes);
        assert!(error.starts_with(told), "{error}");
    }
    accepted(&entry(json!({"tiers": ["t"], "models": ["*", "M"], "use": {"model": "m"}})));
}

#[test]
fn numbers_and_fields_of_the_whole_are_checked() {
    for (changes, told) in [
        (json!({"max_body_bytes": 0}), "max_body_bytes: must be from 1 to 67108864"),
        (json!({"max_body_bytes": 67_108_865}), "max_body_bytes: must be from 1 to 67108864"),
        (json!({"max_cooldown": "25h"}), "max_cooldown: must be from 0s to 1d"),
        (json!({"unknown_model": {"pool": "x"}}), "unknown_model.pool: there is no such pool"),
        (json!({"unknown_model": {"model": "m"}}), "unknown_model.model: unknown field `model`, expected `pool`"),
        (json!({"pool": 1}), "pool: unknown field `pool`"),
        (json!({"providers": {}}), "providers: give 1 to 64 providers"),
        (
            json!({"models": (0..1025).map(|n| (format!("m{n}"), json!({"pool": "p"}))).collect::<serde_json::Map<_, _>>()}),
            "models: has more than 1024 entries",
        ),
    ] {
        let error = refused(&changes);
        assert!(error.starts_with(told), "{error}");
    }
}

#[test]
fn a_name_is_what_is_left_without_case_blanks_and_geminis_prefix() {
    for name in ["gpt-4.1", " GPT-4.1\t", "models/gpt-4.1", "Models/ GPT-4.1 ", "\u{a0}gpt-4.1"] {
        assert_eq!(key(name), "gpt-4.1", "{name}");
    }
    assert_eq!(key("models"), "models");
    let policy = accepted(&json!({"models": {"Big": {"model": "Small"}, "*": {"pool": "p"}}}));
    assert_eq!(policy.names.spelled(" models/BIG"), "Big");
    assert_eq!(policy.names.spelled("SMALL"), "Small");
    assert_eq!(policy.names.spelled(" Meta/Llama "), "Meta/Llama");
    let mut names: Vec<_> = policy.names.iter().collect();
    names.sort_unstable();
    assert_eq!(names, ["Big", "Small"]);
}
