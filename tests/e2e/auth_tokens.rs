//! Tokens of every algorithm, judged by Envoy's own cryptography and by the module: both must say the same.

use serde_json::{Value, json};
use tollgate_tests::client::Call;
use tollgate_tests::envoy::repository;
use tollgate_tests::gateway::{Gateway, Setup, chat_body};
use tollgate_tests::on_own_envoys;

const SIGNATURES: &str = "gateway_auth_signatures_total";
/// Whose vectors carry claims: RFC 7515's issuer, and ours.
const GROUPS: [&str; 5] = [
    "RFC 7515 appendix A (RS256)",
    "RFC 7515 appendix A (ES256)",
    "OpenSSL 3, RSA 2048",
    "OpenSSL 3, ES384",
    "OpenSSL 3, ES512",
];
/// How the header of a PS* vector begins: `{"alg": "PS` in base64url.
const PSS_HEADER: &str = "eyJhbGciOiAiUFM";

fn groups() -> Vec<Value> {
    let path = repository().join("filters/auth/tests/data/jws-vectors.json");
    let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let all = file["testGroups"].as_array().unwrap();
    GROUPS.iter().map(|name| all.iter().find(|group| group["comment"] == *name).unwrap().clone()).collect()
}

fn trusting_the_vectors() -> Setup {
    let keys: Vec<Value> = groups().into_iter().map(|group| group["jwk"].clone()).collect();
    Setup::default().config("auth", |config| {
        let issuer = |name: &str, algorithms: Value, keys: &[Value]| {
            json!({"issuer": name, "audiences": ["a"], "algorithms": algorithms, "jwks": {"inline": {"keys": keys}}})
        };
        config["jwt"]["issuers"] = json!([
            issuer("joe", json!(["RS256", "ES256"]), &keys[..2]),
            issuer(
                "https://issuer.tollgate.example",
                json!(["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES384", "ES512"]),
                &keys[2..]
            ),
        ]);
    })
}

/// Whether the signature was taken: then the token is refused for what it says, as the vectors are old or never end.
async fn holds(gateway: &Gateway, jws: &str) -> bool {
    let answer =
        Call::post(&gateway.url("/v1/chat/completions"), &chat_body("x")).bearer(jws).send().await.expect(401);
    let code = answer.json()["error"]["code"].as_str().unwrap().to_owned();
    matches!(code.as_str(), "token_expired" | "claim_missing")
}

async fn judged_by(gateway: &Gateway, judge: &str) -> f64 {
    gateway.metric(SIGNATURES, &[("type", judge)]).await
}

on_own_envoys!(
    envoys_cryptography_gives_every_vector_the_verdict_of_the_module,
    trusting_the_vectors(),
    async |gateway| {
        let tests: Vec<Value> =
            groups().iter().flat_map(|group| group["tests"].as_array().unwrap().clone()).collect();
        // Signatures in good form, right or wrong, that the proxy can judge.
        let (asked, rest): (Vec<_>, Vec<_>) = tests.into_iter().partition(|test| {
            (test["result"] == "valid" || test["comment"] == "another signature")
                && !test["jws"].as_str().unwrap().starts_with(PSS_HEADER)
        });
        assert!(asked.len() >= 18, "the vectors are there");
        for test in &asked {
            let found = holds(gateway, test["jws"].as_str().unwrap()).await;
            assert_eq!(found, test["result"] == "valid", "{test}");
        }
        assert_eq!(judged_by(gateway, "module").await, 0.0, "Envoy judges RS* and ES*");
        assert!(judged_by(gateway, "proxy").await >= asked.len() as f64);
        for test in &rest {
            let found = holds(gateway, test["jws"].as_str().unwrap()).await;
            assert_eq!(found, test["result"] == "valid", "{test}");
        }
        assert!(judged_by(gateway, "module").await >= 3.0, "the module judges PS*");
    }
);
