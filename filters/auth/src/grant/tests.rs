use super::*;

const CHAT: &[u8] = b"/v1/chat/completions";

fn limited(models: &[&str], endpoints: Option<&[Api]>) -> Grant {
    Grant {
        endpoints: endpoints.map(<[Api]>::to_vec),
        models: Some(models.iter().map(|text| ModelPattern::parse(text).unwrap()).collect()),
    }
}

#[test]
fn models_are_exact_or_begin_alike() {
    let grant = limited(&["gpt-4.1", "claude-*"], None);
    for (model, is_allowed) in [
        ("gpt-4.1", true),
        ("gpt-4.1-mini", false),
        ("GPT-4.1", false),
        ("claude-sonnet-4", true),
        ("claude-", true),
        ("claude", false),
        ("anthropic/claude-x", false),
    ] {
        let body = format!(r#"{{"model":"{model}"}}"#);
        let expected = if is_allowed { Ok(()) } else { Err(Refused::Model(model.into())) };
        assert_eq!(grant.at_body(CHAT, body.as_bytes()), expected, "{model}");
    }
    assert_eq!(limited(&["*"], None).at_body(CHAT, br#"{"model":"any"}"#), Ok(()));
    assert_eq!(limited(&[], None).at_body(CHAT, br#"{"model":"any"}"#), Err(Refused::Model("any".into())));
}

#[test]
fn a_caller_without_limits_never_waits() {
    for path in [CHAT, b"/v1/files", b"/v1beta/models/m:generateContent"] {
        assert_eq!(Grant::default().at_head(path), Permit::Given);
    }
}

#[test]
fn the_model_is_judged_where_the_api_carries_it() {
    let grant = limited(&["good"], None);
    for path in [CHAT, b"/v1/completions", b"/v1/responses", b"/v1/embeddings", b"/v1/messages"] {
        assert_eq!(grant.at_head(path), Permit::InBody);
    }
    assert_eq!(grant.at_head(b"/v1beta/models/good:generateContent"), Permit::Given);
    let bad = Permit::Refused(Refused::Model("bad".into()));
    assert_eq!(grant.at_head(b"/v1beta/models/bad:streamGenerateContent?alt=sse"), bad);
}

/// Azure runs what the path names and ignores the body.
#[test]
fn a_deployment_in_the_path_is_a_model_too() {
    let grant = limited(&["good"], None);
    let bad = Err(Refused::Model("bad".into()));
    assert_eq!(grant.at_body(b"/openai/deployments/good/chat/completions?api-version=1", b"{}"), Ok(()));
    assert_eq!(grant.at_body(b"/openai/deployments/bad/chat/completions", br#"{"model":"good"}"#), bad);
    assert_eq!(grant.at_body(b"/openai/deployments/good/chat/completions", br#"{"model":"bad"}"#), bad);
    assert_eq!(grant.at_body(b"/v1/engines/bad/completions", br#"{"model":"good"}"#), bad);
    assert_eq!(grant.at_body(b"/openai/Deployments//bad/chat/completions", br#"{"model":"good"}"#), bad);
    assert_eq!(grant.at_body(b"/deployments/good/deployments/bad/chat/completions", br#"{"model":"good"}"#), bad);
}

#[test]
fn a_caller_with_limits_spells_its_path_plainly() {
    let refused = Permit::Refused(Refused::Endpoint);
    for path in [
        "/openai/%64eployments/bad/chat/completions",
        "/openai/deployments/good/../bad/chat/completions",
        "/openai/deployments/good/%2e%2e/bad/chat/completions",
        "/openai\\deployments/bad/chat/completions",
        "/v1/embeddings/x/..",
        "/v1/./chat/completions",
        "/openai/deployments/good;/chat/completions",
    ] {
        assert_eq!(limited(&["good"], None).at_head(path.as_bytes()), refused, "{path}");
        let other_only = Grant { endpoints: Some(vec![Api::Other]), models: None };
        assert_eq!(other_only.at_head(path.as_bytes()), refused, "{path}");
        assert_eq!(Grant::default().at_head(path.as_bytes()), Permit::Given, "{path}");
    }
    assert_eq!(
        limited(&["good"], None).at_head(b"/v1/chat/completions?x=%2e%2e/"),
        Permit::InBody,
        "a query is free"
    );
}

#[test]
fn endpoints_are_limited_and_models_limit_those_that_name_none() {
    let chat_only = Grant { endpoints: Some(vec![Api::ChatCompletions]), models: None };
    assert_eq!(chat_only.at_head(CHAT), Permit::Given);
    let refused = Permit::Refused(Refused::Endpoint);
    for path in [&b"/v1/embeddings"[..], b"/v1/files", b"/gateway/../v1/files"] {
        assert_eq!(chat_only.at_head(path), refused);
        assert_eq!(limited(&["good"], Some(&[Api::ChatCompletions])).at_head(path), refused);
    }
    assert_eq!(limited(&["good"], None).at_head(b"/v1/images/generations"), refused);
    assert_eq!(limited(&["good"], Some(&[Api::Other])).at_head(b"/v1/files"), Permit::Given);
    for grant in [chat_only, limited(&["good"], None)] {
        assert_eq!(grant.at_head(b"/gateway/budget"), Permit::Given, "the gateway's own");
    }
}

#[test]
fn a_body_that_hides_its_model_is_refused() {
    let grant = limited(&["good"], None);
    assert_eq!(grant.at_body(CHAT, b"{}"), Err(Refused::NoModel));
    assert_eq!(grant.at_body(CHAT, b"{}").unwrap_err().refusal(), Refusal::ModelNotAllowed);
    for body in [&b""[..], b"[]", b"{", br#"{"model":"good","model":"bad"}"#, br#"{"model":["good"]}"#, b"\xff\xfe"] {
        let refused = grant.at_body(CHAT, body).unwrap_err();
        assert_eq!(refused.refusal(), Refusal::InvalidRequest, "{body:?}");
    }
}

#[test]
fn a_refusal_names_the_model_that_was_asked_and_never_the_list() {
    for (path, place) in [(CHAT, "/error/code"), (b"/v1/messages", "/error/code")] {
        let reply =
            limited(&["secret-list"], None).at_body(path, br#"{"model":"bad\u0007"}"#).unwrap_err().reply(path);
        let body: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!((reply.status, body.pointer(place).unwrap().as_str()), (403, Some("model_not_allowed")));
        let text = String::from_utf8(reply.body).unwrap();
        assert!(text.contains("`bad`") && !text.contains("secret-list"), "{text}");
    }
}

/// `/v1/realtime` has no body that names a model: the session keeps the one of its URL.
#[test]
fn a_model_in_the_query_is_judged_and_opens_the_realtime_api() {
    let grant = limited(&["good", "rt-*"], None);
    let refused = |model: &str| Permit::Refused(Refused::Model(model.into()));
    for (path, expected) in [
        ("/v1/realtime?model=good", Permit::Given),
        ("/v1/realtime/?intent=x&model=rt-mini", Permit::Given),
        ("/openai/realtime?api-version=1&deployment=good", Permit::Given),
        ("/v1/realtime?model=bad", refused("bad")),
        ("/v1/realtime?model=good&model=bad", refused("bad")),
        ("/v1/realtime?model=good;%6dodel=bad", refused("bad")),
        ("/v1/realtime?model=good&MODEL=bad", refused("bad")),
        ("/v1/realtime?model=%62ad", refused("bad")),
        ("/v1/realtime", Permit::Refused(Refused::Endpoint)),
        ("/v1/realtime?intent=transcription", Permit::Refused(Refused::Endpoint)),
        ("/v1/realtime/sessions?model=good", Permit::Refused(Refused::Endpoint)),
        ("/v1/files?model=good", Permit::Refused(Refused::Endpoint)),
        ("/v1/chat/completions?model=bad", refused("bad")),
        ("/v1/chat/completions?model=good", Permit::InBody),
        ("/v1beta/models/good:generateContent?model=bad", refused("bad")),
    ] {
        assert_eq!(grant.at_head(path.as_bytes()), expected, "{path}");
    }
    let other = limited(&["good"], Some(&[Api::Other]));
    assert_eq!(other.at_head(b"/v1/realtime?model=bad"), refused("bad"));
    assert_eq!(other.at_head(b"/v1/files"), Permit::Given);
    assert_eq!(Grant::default().at_head(b"/v1/realtime?model=bad"), Permit::Given);
}
