#![allow(clippy::needless_pass_by_value, reason = "cases read better as `json!` literals without borrows")]

mod bad_input;
mod claim_rules;

use proptest::prelude::*;
use serde_json::{Value, json};
use tollgate_core::Timestamp;
use tollgate_fakehost::FakeSignatures;

use super::*;
use crate::testkit::*;

fn verifier(algorithms: &[Algorithm], keys: &[String]) -> Verifier {
    let jwks: Jwks = serde_json::from_value(jwks(keys)).unwrap();
    Verifier::new(vec![Issuer {
        name: ISSUER.into(),
        audiences: vec!["other".into(), "tollgate".into()],
        required_claims: [].into(),
        tenant_claim: "tenant".into(),
        tier_claim: Some("tier".into()),
        models_claim: None,
        leeway: Duration::from_secs(30),
        endpoints_claim: None,
        remote: None,
        keys: read_keys(&jwks, algorithms, "jwks", false).unwrap(),
    }])
}

fn hmac_verifier() -> Verifier {
    verifier(&[Algorithm::Hs256], &[secret_jwk(SECRET)])
}

impl Verifier {
    /// Everything at once, as a call without memory would.
    fn verify(&self, token: &str, now: Timestamp) -> Result<Identity, Denial> {
        self.read(token, &FakeSignatures::default())?.judge(now).map(|caller| caller.identity.clone())
    }
}

/// The verdict on a good token with these claims changed.
fn verdict(changes: Value) -> Result<Identity, Denial> {
    let token = sign_hs256(SECRET, &json!({"alg": "HS256"}), &claims(changes));
    hmac_verifier().verify(&token, now())
}

fn alice() -> Identity {
    Identity { tenant: "acme".into(), credential_id: "jwt:alice".into(), tier: None }
}

#[test]
fn a_good_token_of_each_algorithm_names_its_tenant() {
    let (ec, rsa) = (es256("e"), rs256("r"));
    let both =
        verifier(&[Algorithm::Es256, Algorithm::Rs256], &[ec.public_key().to_jwk(), rsa.public_key().to_jwk()]);
    assert_eq!(both.verify(&sign_es256(&ec, claims(json!({}))), now()), Ok(alice()));
    assert_eq!(both.verify(&sign_rs256(&rsa, claims(json!({}))), now()), Ok(alice()));
    assert_eq!(verdict(json!({})), Ok(alice()));
}

#[test]
fn a_token_is_good_from_nbf_to_exp_give_or_take_the_leeway() {
    for (changes, expected) in [
        (json!({"exp": NOW + 1}), Ok(alice())),
        (json!({"exp": NOW - 29}), Ok(alice())),
        (json!({"exp": NOW - 30}), Err(Denial::Expired)),
        (json!({"exp": 0}), Err(Denial::Expired)),
        (json!({"exp": NOW as f64 + 0.5}), Ok(alice())),
        (json!({"nbf": NOW + 30}), Ok(alice())),
        (json!({"nbf": NOW + 31}), Err(Denial::NotYetValid)),
        (json!({"iat": NOW + 31}), Err(Denial::NotYetValid)),
        (json!({"nbf": null, "iat": null}), Ok(alice())),
        (json!({"exp": null}), Err(Denial::ExpiryMissing)),
    ] {
        assert_eq!(verdict(changes.clone()), expected, "{changes}");
    }
}

/// jwt-simple keeps seconds in 32 bits; each of these would turn around there.
#[test]
fn dates_beyond_32_bits_stay_in_the_future() {
    for exp in [1_u64 << 32, 9_999_999_999, 253_402_300_799, u64::MAX] {
        assert_eq!(verdict(json!({"exp": exp})), Ok(alice()), "{exp}");
        assert_eq!(verdict(json!({"nbf": exp})), Err(Denial::NotYetValid), "{exp}");
    }
    assert_eq!(verdict(json!({"exp": 1e300})), Ok(alice()));
    assert_eq!(verdict(json!({"nbf": 1e300})), Err(Denial::NotYetValid));
}

#[test]
fn time_comes_from_the_argument_only() {
    let token = sign_hs256(SECRET, &json!({"alg": "HS256"}), &claims(json!({})));
    for (now, expected) in
        [(0, Err(Denial::NotYetValid)), (NOW, Ok(alice())), (u64::MAX / 2_000_000_000, Err(Denial::Expired))]
    {
        assert_eq!(hmac_verifier().verify(&token, Timestamp::from_secs(now)), expected, "{now}");
    }
}

#[test]
fn only_listed_algorithms_are_tried() {
    let pair = es256("e");
    let es256_only = verifier(&[Algorithm::Es256], &[pair.public_key().to_jwk()]);
    for alg in ["none", "None", "", "HS256", "es256", "ES384", "ES512", "es512", "RS256"] {
        let token = sign_hs256(SECRET, &json!({"alg": alg, "kid": "e"}), &claims(json!({})));
        assert_eq!(es256_only.verify(&token, now()), Err(Denial::AlgorithmNotAllowed), "{alg}");
        let unsigned = format!("{}.", token.rsplit_once('.').unwrap().0);
        assert_eq!(es256_only.verify(&unsigned, now()), Err(Denial::AlgorithmNotAllowed), "{alg}");
    }
}

#[test]
fn a_public_key_is_no_hmac_secret() {
    let pair = rs256("r");
    let public = pair.public_key();
    let verifier = verifier(&[Algorithm::Rs256], &[public.to_jwk()]);
    for secret in [public.to_pem().unwrap().into_bytes(), public.to_der().unwrap(), public.to_jwk().into_bytes()] {
        for alg in ["HS256", "RS256"] {
            let token = sign_hs256(&secret, &json!({"alg": alg, "kid": "r"}), &claims(json!({})));
            assert!(verifier.verify(&token, now()).is_err(), "{alg}");
        }
    }
}

#[test]
fn a_changed_payload_or_signature_is_refused() {
    let pair = es256("e");
    let verifier = verifier(&[Algorithm::Es256], &[pair.public_key().to_jwk()]);
    let token = sign_es256(&pair, claims(json!({})));
    let (header, rest) = token.split_once('.').unwrap();
    let (_, signature) = rest.split_once('.').unwrap();
    let forged = format!("{header}.{}.{signature}", base64(claims(json!({"tenant": "globex"})).to_string()));
    assert_eq!(verifier.verify(&forged, now()), Err(Denial::SignatureInvalid));
    let by_other = sign_es256(&es256("e"), claims(json!({})));
    assert_eq!(verifier.verify(&by_other, now()), Err(Denial::SignatureInvalid));
    for bad in [String::new(), base64([0; 64]), base64([0; 63]), base64([0xff; 64])] {
        let (signed, _) = token.rsplit_once('.').unwrap();
        assert_eq!(verifier.verify(&format!("{signed}.{bad}"), now()), Err(Denial::SignatureInvalid), "{bad}");
    }
}

/// The order of the checks: a forged token learns nothing about time, audience or tenant.
#[test]
fn nothing_but_form_and_issuer_is_judged_before_the_signature() {
    let forged = sign_hs256(
        b"another secret, also 32 bytes ...",
        &json!({"alg": "HS256"}),
        &claims(json!({"exp": 1, "aud": "x"})),
    );
    assert_eq!(hmac_verifier().verify(&forged, now()), Err(Denial::SignatureInvalid));
}

#[test]
fn kid_picks_the_key_and_its_absence_leaves_it_open() {
    let (old, new) = (es256("old"), es256("new"));
    let verifier = verifier(&[Algorithm::Es256], &[old.public_key().to_jwk(), new.public_key().to_jwk()]);
    assert_eq!(verifier.verify(&sign_es256(&old, claims(json!({}))), now()), Ok(alice()));
    assert_eq!(verifier.verify(&sign_es256(&new, claims(json!({}))), now()), Ok(alice()));
    assert_eq!(verifier.verify(&sign_es256(&es256("gone"), claims(json!({}))), now()), Err(Denial::UnknownKeyId));
    let without_kid = jwt_simple::algorithms::ES256KeyPair::from_bytes(&new.to_bytes()).unwrap();
    assert_eq!(verifier.verify(&sign_es256(&without_kid, claims(json!({}))), now()), Ok(alice()));
}

#[test]
fn no_more_than_sixteen_keys_are_tried() {
    let with_good_key_at = |place: usize| {
        let secret = |index: usize| if index == place { SECRET.to_vec() } else { vec![index as u8; 32] };
        let keys: Vec<_> = (0..20).map(|index| secret_jwk(&secret(index))).collect();
        let token = sign_hs256(SECRET, &json!({"alg": "HS256"}), &claims(json!({})));
        verifier(&[Algorithm::Hs256], &keys).verify(&token, now())
    };
    assert_eq!(with_good_key_at(15), Ok(alice()));
    assert_eq!(with_good_key_at(16), Err(Denial::SignatureInvalid));
}

#[test]
fn headers_that_bring_keys_or_extensions_gain_nothing() {
    let sign = |header: Value| sign_hs256(SECRET, &header, &claims(json!({})));
    for (header, expected) in [
        (json!({"alg": "HS256", "typ": "JWT"}), Ok(alice())),
        (json!({"alg": "HS256", "typ": "at+jwt"}), Ok(alice())),
        (json!({"alg": "HS256", "crit": ["b64"], "b64": false}), Err(Denial::TokenMalformed)),
        (json!({"alg": "HS256", "crit": []}), Err(Denial::TokenMalformed)),
        (json!({"alg": "HS256", "jwk": {"kty": "oct", "k": base64("any")}}), Ok(alice())),
        (json!({"alg": ["HS256"]}), Err(Denial::TokenMalformed)),
        (json!({"typ": "JWT"}), Err(Denial::TokenMalformed)),
        (json!([]), Err(Denial::TokenMalformed)),
    ] {
        assert_eq!(hmac_verifier().verify(&sign(header.clone()), now()), expected, "{header}");
    }
}

#[test]
fn a_token_does_not_bring_its_own_key() {
    let own = b"another secret, also 32 bytes ...";
    let header = json!({"alg": "HS256", "jwk": {"kty": "oct", "k": base64(own)}, "jku": "https://evil.example"});
    let token = sign_hs256(own, &header, &claims(json!({})));
    assert_eq!(hmac_verifier().verify(&token, now()), Err(Denial::SignatureInvalid));
}

#[test]
fn doubled_claims_and_members_are_refused() {
    let sign = |header: &str, claims: &str| {
        let signed = format!("{}.{}", base64(header), base64(claims));
        let tag = sign_raw(&signed);
        hmac_verifier().verify(&format!("{signed}.{tag}"), now())
    };
    let good = claims(json!({})).to_string();
    let doubled = good.replacen('{', r#"{"exp":1,"#, 1);
    assert_eq!(sign(r#"{"alg":"HS256"}"#, &good), Ok(alice()));
    assert_eq!(sign(r#"{"alg":"none","alg":"HS256"}"#, &good), Err(Denial::TokenMalformed));
    assert_eq!(sign(r#"{"alg":"HS256"}"#, &doubled), Err(Denial::TokenMalformed));
}

fn sign_raw(signed: &str) -> String {
    use jwt_simple::algorithms::{HS256Key, MACLike as _};
    base64(HS256Key::from_bytes(SECRET).authentication_tag(signed.as_bytes()))
}

#[test]
fn tokens_beyond_8_kib_and_other_shapes_are_refused() {
    let long = sign_hs256(SECRET, &json!({"alg": "HS256"}), &claims(json!({"pad": "x".repeat(8192)})));
    assert_eq!(hmac_verifier().verify(&long, now()), Err(Denial::TooLong));
    let deep = format!("{}.{}.", base64(r#"{"alg":"HS256"}"#), base64("[".repeat(4000)));
    for text in ["", ".", "..", "...", "eyJ.eyJ.x", "eyJhbGciOiJIUzI1NiJ9.e30", &deep] {
        assert_eq!(hmac_verifier().verify(text, now()), Err(Denial::TokenMalformed), "{text}");
    }
}

#[test]
fn tokens_are_told_by_their_form() {
    assert!(looks_like_token("eyJhbGciOiJIUzI1NiJ9.e30."));
    for key in ["sk-live-1", "eyJhbGciOiJIUzI1NiJ9", "eyJ.a", "eyJ.a.b.c", "a.b.c", ""] {
        assert!(!looks_like_token(key), "{key}");
    }
}

proptest! {
    #[test]
    fn no_text_breaks_it(text in "[A-Za-z0-9_.=-]{0,120}") {
        prop_assert!(hmac_verifier().verify(&text, now()).is_err());
    }

    #[test]
    fn no_json_breaks_it(header in "\\PC{0,40}", claims in "\\PC{0,80}") {
        let signed = format!("{}.{}", base64(header), base64(claims));
        let token = format!("{signed}.{}", sign_raw(&signed));
        prop_assert!(hmac_verifier().verify(&token, now()).is_err());
    }
}
