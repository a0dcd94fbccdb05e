//! A provider's own key arrives, also while it changes, and without it nothing is sent.

use std::cell::Cell;
use std::time::Duration;

use futures_util::future::{join, join_all};
use serde_json::json;
use tollgate_tests::client::unique;
use tollgate_tests::envoy::{command, configuration, version};
use tollgate_tests::gateway::{Setup, wait_until};
use tollgate_tests::on_own_envoys;
use tollgate_tests::provider::record::Recorded;
use tollgate_tests::render::Address;
use tollgate_tests::secrets::Secrets;

use crate::provider_outage::chat;

const CALLERS: usize = 8;

/// Each provider wants its key in another header, and one wants none.
pub(crate) fn setup() -> Setup {
    let key = |header: &str, file: &str| json!({"header": header, "from_file": file});
    let setup = Setup::default().providers(json!({
        "providers": {
            "a": {
                "url": "http://scripted",
                "credential": {"header": "authorization", "scheme": "Bearer", "from_file": "key-a.yaml"},
            },
            "b": {"url": "http://scripted", "credential": {"header": "x-api-key", "from_env": "KEY_B"}},
            "open": {"url": "http://scripted"},
            "keyless": {"url": "http://scripted", "credential": key("api-key", "key-lost.yaml")},
        },
        "pools": {
            "all": {"priorities": [["a"], ["b"], ["open"]], "timeout": "20s"},
            "single": {"priorities": [["a"]], "timeout": "20s"},
            "lost": {"priorities": [["keyless"], ["open"]], "timeout": "20s"},
        },
        "models": {
            "m": {"pool": "all"},
            "single": {"pool": "single"},
            "lost": {"pool": "lost"},
        },
        "no_model": {"pool": "all"},
    }));
    setup.without_secret("key-lost").config("auth", |config| config["query_keys"] = json!(true))
}

fn authorization(request: &Recorded) -> String {
    String::from_utf8_lossy(request.header("authorization").unwrap_or_default()).into_owned()
}

on_own_envoys!(a_key_is_changed_under_load_and_no_call_is_lost, setup(), async |gateway| {
    let before = format!("Bearer {}", gateway.secrets.provider_key("key-a").unwrap());
    let is_over = Cell::new(false);
    let calls = join_all((0..CALLERS).map(async |_| {
        while !is_over.get() {
            chat(gateway, "single").send().await.expect(200);
        }
    }));
    let after = format!("Bearer {}", unique("sk-new"));
    let change = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        gateway.secrets.replace_provider_key("key-a", after.trim_start_matches("Bearer ")).unwrap();
        let has_come = async || gateway.provider.requests().iter().any(|request| authorization(request) == after);
        wait_until("the new key arrives", has_come).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        is_over.set(true);
    };
    join(calls, change).await;
    let sent: Vec<_> = gateway.provider.requests().iter().map(authorization).collect();
    assert!(sent.contains(&before) && sent.iter().all(|key| *key == before || *key == after), "{sent:?}");
    // Each worker takes the change by itself; from then on nobody uses the old key.
    let overlap = sent.iter().position(|key| *key == after).unwrap();
    let last_old = sent.iter().rposition(|key| *key == before).unwrap();
    assert!(
        last_old < overlap + 4 * CALLERS,
        "{last_old} calls by the old key, the new one was there after {overlap}"
    );
});

/// Starts Envoy without a secret's file; whether it got on, and what it said.
fn validate(prefix: &str) -> (bool, String) {
    let dir = tempfile::tempdir().unwrap();
    let secrets = Secrets::create(&dir.path().join("secrets"), None).unwrap();
    let config =
        configuration(&version(prefix), dir.path(), &Setup::default().run(Address::loopback(1), &secrets)).unwrap();
    std::fs::remove_file(dir.path().join("secrets/provider-key.yaml")).unwrap();
    let output = command(&version(prefix), &config, &secrets).args(["--mode", "validate"]).output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

#[test]
fn without_the_file_of_a_secret_envoy_does_not_start_and_names_it() {
    for prefix in ["1.36", "1.40"] {
        let (is_valid, said) = validate(prefix);
        assert!(!is_valid && said.contains("provider-key.yaml' does not exist"), "{prefix}: {said}");
    }
}

on_own_envoys!(where_a_secret_is_missing_nothing_is_sent_and_the_log_says_why, setup(), async |gateway| {
    let call = chat(gateway, "lost").header("x-gateway-credential-keyless", "sk-forged");
    let mark = call.mark().to_owned();
    let answer = call.send().await.expect(503);
    assert_eq!(answer.json()["error"]["code"], "unavailable", "{answer}");
    assert!(gateway.upstream_requests(&mark).is_empty(), "it was sent without its key");
    assert!(!answer.text().contains("keyless") && !answer.text().contains("key-lost"), "{answer}");
    let told = "no credential for provider keyless in key-lost.yaml: the request was not sent";
    wait_until("it is logged", async || gateway.envoy.log().contains(told)).await;
    // The others have theirs; and once the file is there the call goes out.
    chat(gateway, "m").send().await.expect(200);
    gateway.secrets.replace_provider_key("key-lost", "sk-found").unwrap();
    wait_until("the key is found", async || chat(gateway, "lost").send().await.status == 200).await;
    let request = gateway.providers["keyless"].requests().pop().unwrap();
    assert_eq!(request.header("api-key"), Some(&b"sk-found"[..]));
});
