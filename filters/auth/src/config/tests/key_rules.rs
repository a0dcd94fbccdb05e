use super::*;

#[test]
fn keys_come_from_the_document_and_the_environment_together() {
    let config = json!({"api_keys": {"from_env": "KEYS", "inline": [key(json!({"tier": "gold"}))]}});
    let list = json!([key(json!({"id": "k2", "sha256": OTHER.to_uppercase()}))]).to_string();
    let policy = read_in(&[("KEYS", &list)], &config).unwrap();
    assert_eq!(caller(&policy, "abc").identity.tier.as_deref(), Some("gold"));
    assert_eq!(caller(&policy, "").identity.credential_id, "k2");
}

#[test]
fn bad_keys_are_refused_with_place_and_remedy() {
    let digest_line = "must be the SHA-256 of the key in 64 hexadecimal digits, as scripts/new-key prints it";
    let name_line = "must have 1 to 128 bytes and no control characters";
    for (list, expected) in [
        (json!([key(json!({"sha256": "abc"}))]), format!("api_keys.inline[0].sha256: {digest_line}")),
        (
            json!([key(json!({"sha256": ABC.replacen("ba", "zz", 1)}))]),
            format!("api_keys.inline[0].sha256: {digest_line}"),
        ),
        (json!([key(json!({"tenant": ""}))]), format!("api_keys.inline[0].tenant: {name_line}")),
        (json!([key(json!({"tenant": "a\nb"}))]), format!("api_keys.inline[0].tenant: {name_line}")),
        (json!([key(json!({"id": ""}))]), format!("api_keys.inline[0].id: {name_line}")),
        (json!([key(json!({"tier": ""}))]), format!("api_keys.inline[0].tier: {name_line}")),
        (
            json!([key(json!({"id": "jwt:alice"}))]),
            "api_keys.inline[0].id: must not begin with `jwt:`, which marks callers with a token: choose another id"
                .into(),
        ),
        (
            json!([key(json!({"expires_at": "2027-01-31"}))]),
            "api_keys.inline[0].expires_at: must be a time of RFC 3339 after 1970, as in `2026-01-31T00:00:00Z`".into(),
        ),
        (
            json!([key(json!({"not_before": "2027-01-31T01:00:00+01:00", "expires_at": "2027-01-31T00:00:00Z"}))]),
            "api_keys.inline[0].expires_at: must lie after `not_before`".into(),
        ),
        (
            json!([key(json!({"models": []}))]),
            "api_keys.inline[0].models: name at least one model, exact or with one `*` at its end, or leave it out to \
             allow all"
                .into(),
        ),
        (
            json!([key(json!({"endpoints": ["chat"]}))]),
            "api_keys.inline[0].endpoints: name at least one of chat_completions, completions, responses, embeddings, \
             messages, generate_content, stream_generate_content, other, or leave it out to allow all"
                .into(),
        ),
        (
            json!([key(json!({"metadata": {"team": ""}}))]),
            "api_keys.inline[0].metadata: must have at most 16 entries, names and values of 1 to 128 bytes each".into(),
        ),
        (
            json!([key(json!({})), key(json!({"sha256": OTHER}))]),
            "api_keys.inline[1].id: the same id stands at api_keys.inline[0]: give each key its own".into(),
        ),
        (
            json!([key(json!({})), key(json!({"id": "k2", "sha256": ABC.to_uppercase()}))]),
            "api_keys.inline[1].sha256: the same key stands at api_keys.inline[0]: remove one of the two".into(),
        ),
    ] {
        assert_eq!(refused(&keys(list)), expected);
    }
}

#[test]
fn a_duplicate_is_found_across_places() {
    let config = json!({"api_keys": {"from_env": "KEYS", "inline": [key(json!({}))]}});
    let list = json!([key(json!({"id": "k2"}))]).to_string();
    assert_eq!(
        refused_in(&[("KEYS", &list)], &config),
        "$KEYS[0].sha256: the same key stands at api_keys.inline[0]: remove one of the two"
    );
}

#[test]
fn a_key_in_the_place_of_a_variables_name_is_not_repeated() {
    let key = "tg_Vn3xuPzYQ9l2o0aJ8cW6k1bR5tE7hG4mS-fDiNwXyZo";
    for (env, expected) in [
        (vec![], "api_keys.from_env: the environment variable … is not set or empty: "),
        (vec![(key, "{}")], "$…: invalid type: map, expected a sequence"),
    ] {
        let error = refused_in(&env, &json!({"api_keys": {"from_env": key}}));
        assert!(error.starts_with(expected), "{error}");
    }
}
