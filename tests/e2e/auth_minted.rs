//! Tokens of libraries that nobody here wrote: PyJWT and jwcrypto make keys, write key sets and sign, with every algorithm
//! that both sides know, well and badly. `tests/clients/mint_tokens.py` says what each token deserves.

use std::sync::OnceLock;

use serde_json::{Value, json};
use tollgate_tests::client::Call;
use tollgate_tests::gateway::{Gateway, Setup, chat_body};
use tollgate_tests::on_own_envoys;
use tollgate_tests::python::python;

const SIGNATURES: &str = "gateway_auth_signatures_total";

/// Minted once for all tests, as RSA keys take their time.
fn minted() -> &'static Value {
    static MINTED: OnceLock<Value> = OnceLock::new();
    MINTED.get_or_init(|| {
        let output = python().arg("tests/clients/mint_tokens.py").output().expect("TOLLGATE_PYTHON can be started");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("the script prints JSON")
    })
}

fn issuer(made: &Value, jwks: &Value) -> Value {
    json!({
        "issuer": made["issuer"], "audiences": [minted()["audience"]], "algorithms": made["algorithms"], "jwks": jwks,
    })
}

/// Public keys stand in the configuration, shared secrets come through the environment.
fn trusting_the_libraries() -> Setup {
    let (public, secret) = (&minted()["public"], &minted()["secret"]);
    let public = public.as_array().unwrap().iter().map(|one| issuer(one, &json!({"inline": one["jwks"]})));
    let secret_issuer = issuer(secret, &json!({"from_env": "TOLLGATE_JWKS"}));
    let issuers: Vec<Value> = public.chain([secret_issuer]).collect();
    Setup::default()
        .jwks(secret["jwks"].clone())
        .config("auth", |config| config["jwt"]["issuers"] = Value::from(issuers))
}

/// The code of the refusal; null where the call was answered.
async fn verdict(gateway: &Gateway, token: &Value) -> Value {
    let token = token["token"].as_str().unwrap();
    let answer = Call::post(&gateway.url("/v1/chat/completions"), &chat_body("x")).bearer(token).send().await;
    match answer.status {
        200 => Value::Null,
        _ => answer.expect(401).json()["error"]["code"].clone(),
    }
}

on_own_envoys!(tokens_of_other_libraries_get_what_they_deserve, trusting_the_libraries(), async |gateway| {
    let tokens = minted()["tokens"].as_array().unwrap();
    let mut wrong = Vec::new();
    for token in tokens {
        let code = verdict(gateway, token).await;
        if code != token["code"] {
            wrong.push(format!("{}: {code}, expected {}", token["what"], token["code"]));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), tokens.len(), wrong.join("\n"));
    assert!(
        tokens.iter().filter(|token| token["code"].is_null()).count() >= 48,
        "two good ones an algorithm and library"
    );
    for judge in ["proxy", "module"] {
        let judged = gateway.metric(SIGNATURES, &[("type", judge)]).await;
        assert!(judged >= 40.0, "Envoy judges RS* and ES*, the module the rest: {judge} judged {judged}");
    }
});
