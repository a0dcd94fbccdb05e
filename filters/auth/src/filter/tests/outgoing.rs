//! What goes on to the provider: no credential out of the URL, and who calls, if that is wanted.

#![allow(clippy::needless_pass_by_value, reason = "cases read better as `json!` literals without borrows")]

use super::*;

/// The usual gate, with these members of the configuration.
fn gate(members: serde_json::Value) -> Gate {
    let mut gate = Gate::new();
    let keys = json!([
        {"id": "acme-1", "tenant": "acme", "tier": "gold",
            "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        // SHA-256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"), FIPS 180-2 appendix B.2
        {"id": "globex-1", "tenant": "globex",
            "sha256": "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    ]);
    let mut config = json!({"api_keys": {"inline": keys}, "open_paths": ["/health/live"]});
    config.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    gate.filter = gate.proxy.configure(&config.to_string()).unwrap();
    gate
}

#[test]
fn a_key_in_the_url_is_refused_unless_it_is_allowed_and_then_taken_out() {
    const GEMINI: &str = "/v1beta/models/m:generateContent?key=abc&alt=sse";
    assert!(gate(json!({})).refused(GEMINI, &[]).0.contains("URL"));
    let gate = gate(json!({"query_keys": true}));
    for (path, left) in [
        (GEMINI, "/v1beta/models/m:generateContent?alt=sse"),
        ("/v1/chat/completions?%6bey=abc", "/v1/chat/completions"),
        ("/v1/chat/completions?access_token=abc;a=b", "/v1/chat/completions?a=b"),
        // Nobody is asked here, and nothing goes on all the same.
        ("/health/live?key=anything", "/health/live"),
    ] {
        let (flow, call) = gate.call(path, &[]);
        assert_eq!(flow, Flow::Continue, "{path}");
        assert_eq!(call.request_headers.get(":path").as_deref(), Some(left));
    }
    let (flow, call) = gate.call("/v1/files?a=b", &[("x-api-key", "abc")]);
    assert_eq!((flow, call.request_headers.get(":path").as_deref()), (Flow::Continue, Some("/v1/files?a=b")));
    assert!(gate.refused("/v1/files?key=abd", &[]).0.contains("invalid_api_key"));
    assert!(gate.refused("/v1/files?key=abc", &[("x-api-key", "abd")]).0.contains("ambiguous_credential"));
}

#[test]
fn the_provider_is_told_who_calls_only_if_that_is_wanted_and_never_by_the_caller() {
    let names = json!({"tenant": "x-tenant", "credential_id": "x-caller", "tier": "x-tier"});
    let gate = gate(json!({"upstream_headers": names}));
    let forged = [
        ("x-tenant", "evil"),
        ("x-tier", "evil"),
        ("x-tenant", "evil"),
        ("x-caller", "evil"),
        ("x_tier", "evil"),
        ("x_gateway_tenant", "evil"),
        ("x_gateway-cache", "hit"),
        ("x_api_key", "abc"),
    ];
    let sent = |key| {
        let mut headers = vec![("x-api-key", key)];
        headers.extend(forged);
        let (_, call) = gate.call(PATH, &headers);
        assert!(!left(&call).iter().any(|name| name.contains('_')), "{:?}", left(&call));
        ["x-tenant", "x-caller", "x-tier"].map(|name| call.request_headers.get(name))
    };
    assert_eq!(sent("abc"), [Some("acme".into()), Some("acme-1".into()), Some("gold".into())]);
    let plain = sent("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq");
    assert_eq!(
        plain,
        [Some("globex".into()), Some("globex-1".into()), None],
        "no tier, so no header of the caller's"
    );
    let (flow, call) = gate.call("/health/live", &forged);
    assert_eq!((flow, left(&call)), (Flow::Continue, vec![":method", ":path", "content-type"]));
    let (_, call) = Gate::new().call(PATH, &[("x-api-key", "abc"), ("x-tenant", "their own")]);
    assert_eq!(call.request_headers.get("x-tenant").as_deref(), Some("their own"), "not ours, so not touched");
}
