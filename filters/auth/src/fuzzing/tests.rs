//! Good inputs, changed as somebody would who knows their form.

mod breakable;
mod mutation;

use mutation::*;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

use super::known::{OUR_ISSUER, known};
use super::*;

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../tests/data/jws-vectors.json")).unwrap()
}

/// All tokens of the vectors, good and bad.
fn tokens() -> Vec<String> {
    let all = |group: &Value| group["tests"].as_array().unwrap().clone();
    let tests = vectors()["testGroups"].as_array().unwrap().iter().flat_map(all).collect::<Vec<_>>();
    tests.iter().map(|test| test["jws"].as_str().unwrap().to_owned()).collect()
}

fn good_tokens() -> Vec<String> {
    known().unwrap().good.iter().map(|good| good.token.clone()).collect()
}

fn keys() -> Vec<Value> {
    vectors()["testGroups"].as_array().unwrap().iter().map(|group| group["jwk"].clone()).collect()
}

fn good_claims() -> Value {
    json!({
        "iss": OUR_ISSUER, "aud": ["other", "tollgate"], "sub": "alice", "org": {"id": "acme"}, "tenant": "acme",
        "tier": "gold", "models": "gpt-4.1* o3", "scope": "models", "exp": 1_800_000_600, "nbf": 1.8e9, "iat": 1_800_000_000,
    })
}

fn good_config() -> Value {
    let curves: Vec<Value> = keys().into_iter().filter(|key| key["kty"] == "EC").collect();
    json!({
        "api_keys": {"inline": [{
            "id": "k1", "tenant": "acme", "tier": "gold", "models": ["gpt-4.1*"], "endpoints": ["responses"],
            "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "not_before": "2026-01-31T00:00:00Z", "expires_at": "2027-01-31T00:00:00Z", "metadata": {"team": "a"},
        }]},
        "jwt": {"issuers": [{
            "issuer": "i", "audiences": ["a"], "algorithms": ["ES256", "ES512"], "required_claims": {"scope": "models"},
            "tenant_claim": "org.id", "tier_claim": "tier", "models_claim": "models", "leeway": "10s",
            "jwks": {"inline": {"keys": curves}, "from_env": "SET"},
        }]},
        "open_paths": ["/health/live"],
    })
}

#[test]
fn every_vector_keeps_the_promises() {
    for text in tokens() {
        assert_eq!(token(text.as_bytes()), Ok(()), "{text}");
    }
    for key in keys() {
        assert_eq!(key_set(json!({ "keys": [key] }).to_string().as_bytes()), Ok(()), "{key}");
    }
    assert_eq!(key_set(json!({ "keys": keys() }).to_string().as_bytes()), Ok(()));
    assert_eq!(claims(good_claims().to_string().as_bytes()), Ok(()));
}

/// Wherever a key may land in a configuration by mistake, no error hands it on.
#[test]
fn a_secret_at_any_place_is_repeated_nowhere() {
    for document in [good_config(), good_config()["api_keys"]["inline"].clone(), json!({ "keys": keys() })] {
        for place in 0..canary::count(&document) {
            let planted = canary::planted(&document, place).to_string();
            assert_eq!(config(planted.as_bytes()), Ok(()), "{planted}");
        }
    }
}

/// A member that makes another key of a key; one without a name is none.
fn member() -> impl Strategy<Value = (&'static str, Value)> {
    select(vec![
        ("", json!(null)),
        ("d", json!("AQAB")),
        ("d", json!(null)),
        ("use", json!("enc")),
        ("key_ops", json!(["verify"])),
        ("kid", json!(7)),
        ("alg", json!("RS256")),
        ("alg", json!("HS256")),
        ("crv", json!("P-256")),
        ("kty", json!("oct")),
        ("k", json!("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8")),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn tokens_of_parts_of_good_ones(splice in splice(), scratch in scratch()) {
        prop_assert_eq!(token(&scratched(&spliced(&good_tokens(), &splice), &scratch)), Ok(()));
    }

    #[test]
    fn sets_of_changed_keys(picked in vec((any::<Index>(), member()), 1..4), edits in edits(), scratch in scratch()) {
        let all = keys();
        let with = |(place, (name, value)): &(Index, (&str, Value))| {
            let mut key = place.get(&all).clone();
            key.as_object_mut().unwrap().extend((!name.is_empty()).then(|| ((*name).to_owned(), value.clone())));
            key
        };
        let set = edited(&json!({ "keys": picked.iter().map(with).collect::<Vec<_>>() }), &edits).to_string();
        prop_assert_eq!(key_set(&scratched(&set, &scratch)), Ok(()));
    }
}

proptest! {
    #[test]
    fn claims_that_a_key_signed(edits in edits(), scratch in scratch(), header in "\\PC{0,30}", is_plain in any::<bool>()) {
        let payload = edited(&good_claims(), &edits).to_string();
        let text = if is_plain { payload } else { format!("{{\"alg\":\"HS256\",\"kid\":\"{header}\"}}\n{payload}") };
        prop_assert_eq!(claims(&scratched(&text, &scratch)), Ok(()));
    }

    #[test]
    fn configurations_with_mistakes(edits in edits(), scratch in scratch()) {
        prop_assert_eq!(config(&scratched(&edited(&good_config(), &edits).to_string(), &scratch)), Ok(()));
    }

    #[test]
    fn heads_of_calls(
        path in select(vec!["/", "/?key=k", "/?%6bEy=k", "/?a;%61ccess_token", "/%3fkey=k", "/?k%65y", "/?ke%2579", "?key"]),
        lines in vec((
            select(vec!["authorization", "Authorization", "api-key", "x-api-key", "x-goog-api-key", "cookie"]),
            select(vec!["Bearer k", "bearer  k ", "Bearer", "Basic k", "k", "l", " k", "", "k k", "Bearer k l", "\u{e4}", "Bearerk"]),
        ), 0..4),
        scratch in scratch(),
    ) {
        let head = lines.iter().fold(path.to_owned(), |head, (name, value)| format!("{head}\n{name}:{value}"));
        prop_assert_eq!(credential(&scratched(&head, &scratch)), Ok(()));
    }
}
