//! What nobody honest sends: a refusal with a reason, never a crash.

use super::*;

#[test]
fn odd_key_ids_are_texts_that_match_no_key() {
    let pair = es256("e");
    let verifier = verifier(&[Algorithm::Es256], &[pair.public_key().to_jwk()]);
    for kid in ["../../etc/passwd", "e/../e", "http://evil.example/jwks", "e\0", "", "' OR 1=1 --", "\u{202e}e"] {
        let token = sign_es256(&es256(kid), claims(json!({})));
        assert_eq!(verifier.verify(&token, now()), Err(Denial::UnknownKeyId), "{kid:?}");
    }
    let number = sign_hs256(SECRET, &json!({"alg": "HS256", "kid": 7}), &claims(json!({})));
    assert_eq!(hmac_verifier().verify(&number, now()), Err(Denial::TokenMalformed));
}

#[test]
fn deep_wide_and_long_tokens_are_refused() {
    let sign = |claims: &str| {
        let signed = format!("{}.{}", base64(r#"{"alg":"HS256"}"#), base64(claims));
        format!("{signed}.{}", sign_raw(&signed))
    };
    let deep = format!(r#"{{"iss":"{ISSUER}","x":{}{}}}"#, "[".repeat(2_000), "]".repeat(2_000));
    assert_eq!(hmac_verifier().verify(&sign(&deep), now()), Err(Denial::TokenMalformed));
    for long in ["x".repeat(64 << 10), format!("eyJ{}.e30.x", "A".repeat(64 << 10)), ".".repeat(64 << 10)] {
        assert_eq!(hmac_verifier().verify(&long, now()), Err(Denial::TooLong));
    }
    assert_eq!(hmac_verifier().verify(&".".repeat(8 << 10), now()), Err(Denial::TokenMalformed));
}

#[test]
fn a_set_of_ten_thousand_keys_serves_its_last_one() {
    let secret = |index: usize| {
        let mut secret = SECRET.to_vec();
        secret[..8].copy_from_slice(&index.to_be_bytes());
        secret
    };
    let jwk = |index: usize| json!({"kty": "oct", "kid": index.to_string(), "k": base64(secret(index))}).to_string();
    let verifier = verifier(&[Algorithm::Hs256], &(0..10_000).map(jwk).collect::<Vec<_>>());
    let sign = |index: usize, kid: &str| {
        sign_hs256(&secret(index), &json!({"alg": "HS256", "kid": kid}), &claims(json!({})))
    };
    assert_eq!(verifier.verify(&sign(9_999, "9999"), now()), Ok(alice()));
    assert_eq!(verifier.verify(&sign(9_999, "9998"), now()), Err(Denial::SignatureInvalid));
}

#[test]
fn keys_of_one_kind_serve_only_what_their_alg_and_their_issuer_allow() {
    let pair = rs256("r");
    let with_alg = |alg: &str| {
        let mut jwk: Value = serde_json::from_str(&pair.public_key().to_jwk()).unwrap();
        jwk["alg"] = json!(alg);
        jwk.to_string()
    };
    let token = sign_rs256(&pair, claims(json!({})));
    let both = [Algorithm::Rs256, Algorithm::Ps256];
    assert_eq!(verifier(&both, &[with_alg("RS256")]).verify(&token, now()), Ok(alice()));
    assert_eq!(verifier(&both, &[with_alg("PS256")]).verify(&token, now()), Err(Denial::UnknownKeyId));
    let pss_only = verifier(&[Algorithm::Ps256], &[pair.public_key().to_jwk().replace("\"alg\":\"RS256\",", "")]);
    assert_eq!(pss_only.verify(&token, now()), Err(Denial::AlgorithmNotAllowed));
}
