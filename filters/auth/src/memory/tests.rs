use proptest::prelude::*;
use serde_json::json;
use tollgate_fakehost::FakeSignatures;

use super::*;
use crate::jwt::{Algorithm, Issuer, Jwks, Verifier, read_keys};
use crate::testkit::*;

fn verifier() -> Verifier {
    let jwks: Jwks = serde_json::from_value(jwks(&[secret_jwk(SECRET)])).unwrap();
    Verifier::new(vec![Issuer {
        name: ISSUER.into(),
        audiences: vec!["tollgate".into()],
        required_claims: [].into(),
        tenant_claim: "tenant".into(),
        tier_claim: None,
        models_claim: None,
        leeway: Duration::from_secs(30),
        endpoints_claim: None,
        remote: None,
        keys: read_keys(&jwks, &[Algorithm::Hs256], "jwks", false).unwrap(),
    }])
}

fn read(changes: serde_json::Value) -> Result<Verified, Denial> {
    let token = sign_hs256(SECRET, &json!({"alg": "HS256"}), &claims(changes));
    verifier().read(&token, &FakeSignatures::default()).map_err(Denial::from)
}

fn memory() -> Memory {
    Memory::new([7; 16])
}

fn place(number: usize) -> Place {
    memory().place(&number.to_string())
}

/// SipHash-2-4 with 128 bits of the bytes 0 to 14 under the key 0 to 15: `vectors_sip128` of its reference implementation.
#[test]
fn a_digest_is_siphash_and_differs_by_token_and_by_key() {
    let key = std::array::from_fn(|at| u8::try_from(at).unwrap());
    let text: String = (0..15).map(char::from).collect();
    let expected = [0x54, 0x93, 0xe9, 0x99, 0x33, 0xb0, 0xa8, 0x11, 0x7e, 0x08, 0xec, 0x0f, 0x97, 0xcf, 0xc3, 0xd9];
    assert_eq!(Memory::new(key).place(&text), Place(u128::from_le_bytes(expected)));
    assert_ne!(Memory::new(key).place("a"), Memory::new(key).place("b"));
    assert_ne!(Memory::new(key).place("a"), memory().place("a"));
}

proptest! {
    /// However the clock steps, forth or back, a remembered token is judged like one that was never seen.
    #[test]
    fn memory_changes_no_verdict(
        exp in NOW - 100..NOW + 100, nbf in NOW - 100..NOW + 100, clock in prop::collection::vec(NOW - 200..NOW + 200, 1..12)
    ) {
        let fresh = read(json!({"exp": exp, "nbf": nbf, "iat": null}));
        let mut memory = memory();
        for now in clock.into_iter().map(Timestamp::from_secs) {
            let known = memory.recall(place(0), now).unwrap_or_else(|| fresh.clone());
            memory.learn(place(0), &known, now);
            prop_assert_eq!(known.unwrap().judge(now), fresh.clone().unwrap().judge(now));
        }
    }
}

#[test]
fn verified_tokens_are_bounded_and_the_least_used_leaves_first() {
    let (mut memory, verdict) = (memory(), read(json!({})));
    for number in 0..MAX_VERIFIED {
        memory.learn(place(number), &verdict, now());
    }
    assert!(memory.recall(place(0), now()).is_some(), "used, so it stays");
    memory.learn(place(MAX_VERIFIED), &verdict, now());
    assert!(memory.recall(place(0), now()).is_some());
    assert!(memory.recall(place(1), now()).is_none());
}

#[test]
fn a_forged_token_is_remembered_for_ten_seconds_whatever_the_clock_does() {
    let forged = Err(Denial::SignatureInvalid);
    for (later, known) in [(0, true), (9, true), (10, false), (3_600, false), (-1, false)] {
        let mut memory = memory();
        memory.learn(place(0), &forged, now());
        let then = Timestamp::from_secs(NOW.checked_add_signed(later).unwrap());
        assert_eq!(memory.recall(place(0), then).is_some(), known, "{later}");
    }
}

#[test]
fn forged_tokens_are_bounded_and_push_no_good_one_out() {
    let mut memory = memory();
    memory.learn(place(0), &read(json!({})), now());
    for number in 1..=MAX_VERIFIED + 1 {
        memory.learn(place(number), &Err(Denial::SignatureInvalid), now());
    }
    assert!(memory.recall(place(0), now()).unwrap().is_ok());
    assert_eq!(memory.forged.len(), MAX_FORGED);
}

#[test]
fn refusals_that_cost_nothing_are_not_remembered() {
    let mut memory = memory();
    for denial in Denial::ALL.iter().filter(|denial| **denial != Denial::SignatureInvalid) {
        memory.learn(place(0), &Err(*denial), now());
        assert!(memory.recall(place(0), now()).is_none(), "{denial:?}");
    }
}

/// What a token says cannot make its signature be checked again.
#[test]
fn a_signed_token_that_says_too_little_is_remembered() {
    for changes in [json!({"exp": null}), json!({"exp": "x"}), json!({"aud": "x"}), json!({"tenant": null})] {
        let mut memory = memory();
        let verdict = read(changes.clone());
        memory.learn(place(0), &verdict, now());
        let known = memory.recall(place(0), now()).unwrap().unwrap();
        assert_eq!(known.judge(now()), verdict.unwrap().judge(now()), "{changes}");
        assert!(known.judge(now()).is_err(), "{changes}");
    }
}

#[test]
fn digests_of_found_keys_are_kept_and_bounded() {
    let mut memory = memory();
    assert!(memory.key_digest(place(0)).is_none());
    for number in 0..=MAX_KEYS {
        memory.keep_key_digest(place(number), KeyDigest::of(&number.to_string()), true);
    }
    assert!(memory.key_digest(place(0)).is_none(), "the least used one left");
    assert!(memory.key_digest(place(1)) == Some(KeyDigest::of("1")));
    memory.clear();
    assert!(memory.key_digest(place(1)).is_some(), "a digest is right for ever");
    memory.keep_key_digest(place(1), KeyDigest::of("1"), false);
    assert!(memory.key_digest(place(1)).is_none());
}
