//! Clients that nobody here wrote: the official SDKs call the gateway and must notice nothing.

use std::time::Duration;

use tollgate_tests::gateway::{Gateway, Setup};
use tollgate_tests::on_own_envoys;
use tollgate_tests::python::python;

fn run_clients(gateway: &Gateway) {
    let output = python()
        .args(["-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/clients"])
        .env("GATEWAY_URL", gateway.url(""))
        .env("GATEWAY_API_KEY", gateway.key("acme"))
        .env("GATEWAY_API_KEY_2", gateway.key("globex"))
        .env("GATEWAY_JWT", gateway.secrets.token("acme", Duration::from_secs(3_600)).expect("the issuer has a key"))
        .output()
        .expect("TOLLGATE_PYTHON can be started");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && said.contains(" passed"), "{said}");
}

on_own_envoys!(official_sdks_work_with_keys_and_tokens, Setup::default(), async |gateway| run_clients(gateway));
