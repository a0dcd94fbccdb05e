use tollgate_llm::Api;

use super::*;

#[test]
fn claims_of_the_wrong_type_are_not_taken_for_absent() {
    for (changes, expected) in [
        (json!({"exp": "tomorrow"}), Denial::TokenMalformed),
        (json!({"exp": -1}), Denial::TokenMalformed),
        (json!({"sub": 7}), Denial::TokenMalformed),
        (json!({"iss": 7}), Denial::TokenMalformed),
        (json!({"tenant": 7}), Denial::TokenMalformed),
        (json!({"tenant": ["acme"]}), Denial::TokenMalformed),
        (json!({"tier": 7}), Denial::TokenMalformed),
        (json!({"tier": ""}), Denial::TokenMalformed),
    ] {
        assert_eq!(verdict(changes.clone()), Err(expected), "{changes}");
    }
}

#[test]
fn audience_and_issuer_must_be_ours() {
    for (changes, expected) in [
        (json!({"aud": ["x", "tollgate"]}), Ok(alice())),
        (json!({"aud": "other"}), Ok(alice())),
        (json!({"aud": "tollgate2"}), Err(Denial::AudienceMismatch)),
        (json!({"aud": []}), Err(Denial::AudienceMismatch)),
        (json!({"aud": null}), Err(Denial::AudienceMismatch)),
        (json!({"iss": "https://evil.example"}), Err(Denial::IssuerUnknown)),
        (json!({"iss": format!("{ISSUER}/")}), Err(Denial::IssuerUnknown)),
        (json!({"iss": null}), Err(Denial::IssuerUnknown)),
    ] {
        assert_eq!(verdict(changes.clone()), expected, "{changes}");
    }
}

#[test]
fn the_identity_is_bounded_and_printable() {
    for (changes, expected) in [
        (json!({"tenant": null}), Err(Denial::TenantMissing)),
        (json!({"tenant": ""}), Err(Denial::TenantMissing)),
        (json!({"tenant": "a".repeat(129)}), Err(Denial::TokenMalformed)),
        (json!({"tenant": "acme\n"}), Err(Denial::TokenMalformed)),
        (json!({"sub": "a".repeat(256)}), Err(Denial::TokenMalformed)),
        (json!({"tenant": "a".repeat(128)}), Ok(Identity { tenant: "a".repeat(128), ..alice() })),
        (json!({"tier": "gold"}), Ok(Identity { tier: Some("gold".into()), ..alice() })),
        (json!({"sub": null}), Ok(Identity { credential_id: format!("jwt:{ISSUER}"), ..alice() })),
    ] {
        assert_eq!(verdict(changes.clone()), expected, "{changes}");
    }
}

#[test]
fn required_claims_must_be_the_text_or_hold_it_as_a_word() {
    let mut verifier = hmac_verifier();
    verifier.issuers[0].required_claims =
        [("scope".into(), "models".into()), ("org.plan".into(), "pro plus".into())].into();
    for (changes, expected) in [
        (json!({"scope": "models", "org": {"plan": "pro plus"}}), Ok(alice())),
        (json!({"scope": "billing models", "org": {"plan": ["x", "pro plus"]}}), Ok(alice())),
        (json!({"scope": ["models"], "org": {"plan": "pro plus"}}), Ok(alice())),
        (json!({"scope": "models", "org.plan": "pro plus", "org": {"plan": "x"}}), Ok(alice())),
        (json!({"scope": "models2", "org": {"plan": "pro plus"}}), Err(Denial::ClaimMismatch)),
        (json!({"scope": "MODELS", "org": {"plan": "pro plus"}}), Err(Denial::ClaimMismatch)),
        (json!({"scope": "models", "org": {"plan": "pro"}}), Err(Denial::ClaimMismatch)),
        (json!({"scope": "models", "org": {"plan": []}}), Err(Denial::ClaimMismatch)),
        (json!({"scope": "models", "org": {}}), Err(Denial::ClaimMissing)),
        (json!({"scope": "models", "org": "plan"}), Err(Denial::ClaimMissing)),
        (json!({"org": {"plan": "pro plus"}}), Err(Denial::ClaimMissing)),
        (json!({"scope": 7, "org": {"plan": "pro plus"}}), Err(Denial::TokenMalformed)),
        (json!({"scope": ["models", 7], "org": {"plan": "pro plus"}}), Err(Denial::TokenMalformed)),
    ] {
        let token = sign_hs256(SECRET, &json!({"alg": "HS256"}), &claims(changes.clone()));
        assert_eq!(verifier.verify(&token, now()), expected, "{changes}");
    }
}

#[test]
fn tenant_and_tier_may_lie_deeper() {
    let mut verifier = hmac_verifier();
    verifier.issuers[0].tenant_claim = "org.id".into();
    verifier.issuers[0].tier_claim = Some("https://tollgate.example/tier".into());
    let sign = |changes| sign_hs256(SECRET, &json!({"alg": "HS256"}), &claims(changes));
    let token = sign(json!({"org": {"id": "globex"}, "https://tollgate.example/tier": "gold"}));
    let expected = Identity { tenant: "globex".into(), tier: Some("gold".into()), ..alice() };
    assert_eq!(verifier.verify(&token, now()), Ok(expected));
    assert_eq!(verifier.verify(&sign(json!({"org": {"id": 7}})), now()), Err(Denial::TokenMalformed));
    assert_eq!(verifier.verify(&sign(json!({"org": {}})), now()), Err(Denial::TenantMissing));
}

#[test]
fn models_come_from_a_claim_and_a_token_without_it_is_refused() {
    let mut verifier = hmac_verifier();
    verifier.issuers[0].models_claim = Some("llm.models".into());
    let models = |changes| {
        let token = sign_hs256(SECRET, &json!({"alg": "HS256"}), &claims(changes));
        let verified = verifier.read(&token, &FakeSignatures::default()).unwrap();
        verified.judge(now()).map(|caller| caller.grant.models.clone().unwrap())
    };
    let expected = vec![ModelPattern::Exact("gpt-4.1".into()), ModelPattern::Prefix("claude-".into())];
    assert_eq!(models(json!({"llm": {"models": ["gpt-4.1", "claude-*"]}})), Ok(expected.clone()));
    assert_eq!(models(json!({"llm.models": "gpt-4.1 claude-*"})), Ok(expected));
    assert_eq!(models(json!({"llm": {"models": []}})), Ok(Vec::new()), "no model at all");
    assert_eq!(models(json!({})), Err(Denial::ClaimMissing));
    assert_eq!(models(json!({"llm": {"models": [7]}})), Err(Denial::TokenMalformed));
    assert_eq!(models(json!({"llm": {"models": ["a*b"]}})), Err(Denial::TokenMalformed));
    assert_eq!(models(json!({"llm": {"models": vec!["a"; 64]}})).map(|models| models.len()), Ok(64));
    assert_eq!(
        models(json!({"llm": {"models": vec!["a"; 65]}})),
        Err(Denial::TokenMalformed),
        "each is kept in memory"
    );
}

#[test]
fn endpoints_come_from_a_claim_and_a_token_without_it_is_refused() {
    let mut verifier = hmac_verifier();
    verifier.issuers[0].endpoints_claim = Some("scope".into());
    let endpoints = |changes| {
        let token = sign_hs256(SECRET, &json!({"alg": "HS256"}), &claims(changes));
        let verified = verifier.read(&token, &FakeSignatures::default()).unwrap();
        verified.judge(now()).map(|caller| caller.grant.endpoints.clone().unwrap())
    };
    let expected = vec![Api::Embeddings, Api::Messages];
    assert_eq!(endpoints(json!({"scope": "openid embeddings messages"})), Ok(expected.clone()));
    assert_eq!(endpoints(json!({"scope": ["embeddings", "messages"]})), Ok(expected));
    assert_eq!(endpoints(json!({"scope": "openid"})), Ok(Vec::new()), "no endpoint at all");
    assert_eq!(endpoints(json!({})), Err(Denial::ClaimMissing));
    assert_eq!(endpoints(json!({"scope": 7})), Err(Denial::TokenMalformed));
}
