//! Falling back as the official SDKs meet it: tests/clients/test_provider_fallback.py, on the providers of [`fleet`].

use serde_json::Value;
use tollgate_tests::gateway::Gateway;
use tollgate_tests::on_own_envoys;
use tollgate_tests::python::python;

use crate::provider_fleet::fleet;

fn run_clients(gateway: &Gateway) {
    let url = |name: &str| Value::from(format!("http://{}", gateway.providers[name].address()));
    let providers: Value = ["first", "second"].map(|name| (name.to_owned(), url(name))).into_iter().collect();
    let output = python()
        .args(["-m", "pytest", "-q", "-W", "ignore::DeprecationWarning", "-p", "no:cacheprovider"])
        .arg("tests/clients/test_provider_fallback.py")
        .env("GATEWAY_URL", gateway.url(""))
        .env("GATEWAY_API_KEY", gateway.key("acme"))
        .env("GATEWAY_PROVIDERS", providers.to_string())
        .output()
        .expect("TOLLGATE_PYTHON can be started");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && !said.contains("skipped"), "{said}");
}

// Of their own: what providers were asked is read again and again.
on_own_envoys!(official_sdks_do_not_notice_that_a_provider_failed, fleet(), async |gateway| run_clients(gateway));
