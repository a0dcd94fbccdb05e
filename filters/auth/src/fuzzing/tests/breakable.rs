//! Each promise can be broken: what would be a finding is one.

use tollgate_core::ConfigError;

use super::*;
use crate::fuzzing::canary::{count, is_discreet, planted};
use crate::fuzzing::key_set::{is_bound, verifies_its_own};
use crate::fuzzing::known::{Good, Known};
use crate::fuzzing::token::nothing_is_forged;
use crate::jwt::{Algorithm, Jwks, read_keys};

#[test]
fn a_token_that_verifies_though_nobody_signed_it_is_a_finding() {
    let mut known = Known::read().unwrap();
    let good = known.good.iter().position(|good| good.algorithm == Algorithm::Rs256).unwrap();
    let token = known.good[good].token.clone();
    let judged = |known: &Known, token: &str, holds| nothing_is_forged(known, &known.public, token, holds);
    assert_eq!(judged(&known, &token, true), Ok(()));
    assert_eq!(judged(&known, &token, false), Err("a token was read whose signature does not hold".into()));
    let other = format!("{}.x", known.good[good].signed());
    known.good[good].token = other.clone();
    assert_eq!(judged(&known, &other, false), Err("a good token does not verify".into()));
    assert_eq!(judged(&known, &token, true), Err("a signature verifies that nobody made".into()));
    known.good.clear();
    assert_eq!(judged(&known, &token, true), Err("a token verifies that nobody signed".into()));
}

#[test]
fn a_key_that_serves_or_verifies_too_much_is_a_finding() {
    let known = known().unwrap();
    let good = known.good.iter().find(|good| good.algorithm == Algorithm::Es512).unwrap();
    let set = Jwks { keys: vec![good.key.clone()] };
    let keys = read_keys(&set, &[Algorithm::Es512], "", true).unwrap();
    assert_eq!(is_bound(&keys.keys[0], &[Algorithm::Es512]), Ok(()));
    assert!(is_bound(&keys.keys[0], &[Algorithm::Es384]).is_err());
    let of = |key: &Value| Good { token: good.token.clone(), algorithm: good.algorithm, key: key.clone() };
    assert_eq!(verifies_its_own(&set, &keys, &[of(&good.key)], 0), Ok(()));
    let mut other = good.key.clone();
    other["x"] = json!("AQAB");
    let broken = verifies_its_own(&set, &keys, &[of(&other)], 0);
    assert_eq!(broken, Err("a key verifies a token of another: Es512".into()));
}

#[test]
fn a_canary_is_seen_wherever_it_is_planted() {
    let document = json!({"a": [1, {"b": null}], "from_env": "NAME"});
    // The document, two names and their values, two items, the inner name and its value.
    assert_eq!(count(&document), 9);
    let all: Vec<String> = (0..9).map(|place| planted(&document, place).to_string()).collect();
    for (place, text) in all.iter().enumerate() {
        assert!(text.contains("2C4E8F16AA77") || text.contains("86753099067"), "{text}");
        assert!(!all[..place].contains(text), "{text}");
        let error = ConfigError::at("", text.replace('\\', ""));
        assert!(is_discreet(&error).is_err_and(|broken| broken.starts_with("an error repeats a value")), "{text}");
    }
    assert!(is_discreet(&ConfigError::at("a\nb", "x")).is_err_and(|broken| broken.contains("control characters")));
    assert!(is_discreet(&ConfigError::at("", "x".repeat(2_000))).is_err_and(|broken| broken.contains("2000 bytes")));
    assert_eq!(is_discreet(&ConfigError::at("a", "must be b")), Ok(()));
}
