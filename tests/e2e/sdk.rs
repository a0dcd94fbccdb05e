//! Clients that nobody here wrote: the official SDKs call the gateway and must notice nothing.
//!
//! `scripts/test` installs them and names the Python that has them in `TOLLGATE_PYTHON`.

use std::env;
use std::process::Command;
use std::time::Duration;

use tollgate_tests::envoy::repository;
use tollgate_tests::gateway::{Gateway, Setup};
use tollgate_tests::on_own_envoys;

fn run_clients(gateway: &Gateway) {
    let python = env::var_os("TOLLGATE_PYTHON").expect("TOLLGATE_PYTHON is not set: run scripts/test");
    let output = Command::new(python)
        .args(["-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/clients"])
        .current_dir(repository())
        .env("PYTHONDONTWRITEBYTECODE", "1")
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
