//! What is rendered from a providers.json, in a real Envoy: the example is good, a wrong one is told in one line, and
//! providers that do not answer, or cannot show who they are, are left for the next.

use std::path::Path;

use serde_json::{Value, json};
use tollgate_tests::client::unique;
use tollgate_tests::envoy::{command, configuration, repository, version};
use tollgate_tests::gateway::Setup;
use tollgate_tests::on_own_envoys;
use tollgate_tests::render::Address;
use tollgate_tests::secrets::Secrets;

fn example() -> Value {
    let path = repository().join("envoy/config/examples/providers.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// What Envoy says to a configuration that it does not take.
fn refused(version: &str, config: &Path, secrets: &Secrets) -> Option<String> {
    let output = command(version, config, secrets).args(["--mode", "validate"]).output().unwrap();
    (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

fn the_example_is_valid(prefix: &str) {
    let dir = tempfile::tempdir().unwrap();
    let secrets = Secrets::create(&dir.path().join("secrets"), None).unwrap();
    let run = Setup::default().providers(example()).run(Address::loopback(1), &secrets);
    let version = version(prefix);
    let config = configuration(&version, dir.path(), &run).unwrap();
    assert_eq!(refused(&version, &config, &secrets), None);
}

#[test]
fn the_example_is_valid_v1_40() {
    the_example_is_valid("1.40");
}

#[test]
fn the_example_is_valid_v1_36() {
    the_example_is_valid("1.36");
}

#[test]
fn an_older_envoy_takes_what_is_printed_for_it_and_not_the_whole_file() {
    let dir = tempfile::tempdir().unwrap();
    let secrets = Secrets::create(&dir.path().join("secrets"), None).unwrap();
    let run = Setup::default().run(Address::loopback(1), &secrets);
    let (newest, oldest) = (version("1.40"), version("1.36"));
    let whole = configuration(&newest, dir.path(), &run).unwrap();
    let said = refused(&oldest, &whole, &secrets).unwrap();
    assert!(said.contains("access_loggers.stats"), "{said}");
    assert_eq!(refused(&newest, &whole, &secrets), None);
    let printed = configuration(&oldest, dir.path(), &run).unwrap();
    assert_eq!(refused(&oldest, &printed, &secrets), None);
}

#[test]
fn a_wrong_one_is_told_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let secrets = Secrets::create(&dir.path().join("secrets"), None).unwrap();
    let setup =
        Setup::default().config("providers", |config| config["pools"]["default"]["priorities"] = json!([["b"]]));
    let said = configuration(&version("1.40"), dir.path(), &setup.run(Address::loopback(1), &secrets))
        .unwrap_err()
        .to_string();
    assert!(said.contains("pools.default.priorities[0][0]: there is no provider `b`"), "{said}");
    assert!(!said.contains('\n'), "{said}");
}

/// One pool in which `good` is asked last.
fn behind(first: &[(&str, &str)]) -> Setup {
    let mut providers: Value = first.iter().map(|(name, url)| ((*name).to_owned(), json!({"url": url}))).collect();
    providers["good"] = json!({
        "url": "https://scripted",
        "credential": {"header": "x-api-key", "from_file": "good.yaml"},
    });
    let mut priorities: Vec<_> = first.iter().map(|(name, _)| json!([name])).collect();
    priorities.push(json!(["good"]));
    Setup::default().providers(json!({
        "providers": providers,
        "pools": {"default": {"priorities": priorities}},
        "models": {},
        "unknown_model": {"pool": "default"},
        "no_model": {"pool": "default"},
    }))
}

on_own_envoys!(
    a_provider_that_cannot_show_who_it_is_gets_no_call,
    behind(&[
        ("refusing", "http://refusing"),
        ("self-signed", "https://self-signed"),
        ("misnamed", "https://misnamed"),
        ("expired", "https://expired"),
    ]),
    async |gateway| {
        let call = gateway.chat(&unique("prompt"));
        let mark = call.mark().to_owned();
        call.send().await.expect(200);
        assert_eq!(gateway.upstream_requests(&mark).len(), 1);
        let seen = gateway.requests_at("good", &mark).remove(0);
        assert_eq!(seen.header("x-api-key"), Some(gateway.secrets.provider_key("good").unwrap().as_bytes()));
    }
);

on_own_envoys!(
    instructions_may_be_meant_for_one_provider,
    behind(&[("a", "http://scripted"), ("b", "http://scripted")]),
    async |gateway| {
        let call = gateway.chat(&unique("prompt")).told("status.a", 500).told("status.b", 503);
        let mark = call.mark().to_owned();
        call.send().await.expect(200);
        let attempts = ["a", "b", "good"].map(|name| gateway.requests_at(name, &mark).len());
        assert_eq!(attempts, [1, 1, 1]);
    }
);

on_own_envoys!(
    a_key_that_one_provider_refuses_is_no_fault_of_the_caller,
    behind(&[("a", "http://scripted")]),
    async |gateway| {
        let call = gateway.chat(&unique("prompt")).told("status.a", 401);
        let mark = call.mark().to_owned();
        call.send().await.expect(200);
        assert_eq!(["a", "good"].map(|name| gateway.requests_at(name, &mark).len()), [1, 1]);
    }
);

on_own_envoys!(
    a_prompt_that_makes_a_provider_fail_leaves_it_to_the_others,
    behind(&[("a", "http://scripted")]),
    async |gateway| {
        // Envoy's own limit is 5 in a row.
        for _ in 0..12 {
            gateway.chat(&unique("prompt")).told("status.a", 500).send().await.expect(200);
        }
        let call = gateway.chat(&unique("prompt"));
        let mark = call.mark().to_owned();
        call.send().await.expect(200);
        assert_eq!(gateway.requests_at("a", &mark).len(), 1, "it was ejected");
    }
);

on_own_envoys!(
    a_call_is_tried_once_an_endpoint,
    Setup::default().providers(json!({
        "providers": {
            "a": {"url": "http://scripted"},
            "b": {"url": "http://scripted"},
            "c": {"url": "http://scripted"},
            "d": {"url": "http://scripted"},
        },
        "pools": {"default": {"priorities": [["a"], ["b", "c", "d"]]}},
        "models": {},
        "unknown_model": {"pool": "default"},
        "no_model": {"pool": "default"},
    })),
    async |gateway| {
        let call = gateway.chat(&unique("prompt")).told("status", 500);
        let mark = call.mark().to_owned();
        call.send().await.expect(503);
        assert_eq!(gateway.upstream_requests(&mark).len(), 4);
    }
);

on_own_envoys!(pools_can_be_pushed, behind(&[("a", "http://scripted")]).pushed(), async |gateway| {
    let asked = async |name: &str| {
        let call = gateway.chat(&unique("prompt"));
        let mark = call.mark().to_owned();
        call.send().await.expect(200);
        assert_eq!(gateway.requests_at(name, &mark).len(), 1, "{name} was not asked");
    };
    asked("a").await;
    let setup = behind(&[("a", "http://scripted")]);
    gateway.push(&setup.changed(|config| config["pools"]["default"]["priorities"] = json!([["good"], ["a"]]))).await;
    asked("good").await;
});
