//! Keys that are limited: in time, to models, to endpoints.

#![allow(clippy::needless_pass_by_value, reason = "cases read better as `json!` literals without borrows")]

use tollgate_core::Timestamp;

use super::*;

/// A gate with one key `abc` of acme, with these fields beside.
fn gate(fields: serde_json::Value) -> Gate {
    let mut gate = Gate::new();
    let mut key = json!({
        "id": "acme-1", "tenant": "acme",
        "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    });
    key.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    gate.filter = gate.proxy.configure(&json!({"api_keys": {"inline": [key]}}).to_string()).unwrap();
    gate
}

fn asked(gate: &Gate, path: &str, chunks: &[&[u8]]) -> Result<Vec<u8>, Reply> {
    let (flow, mut call) = gate.call(path, &[("x-api-key", "abc")]);
    assert_eq!(flow, Flow::Continue);
    assert_eq!(handoff::identity(&call.handoff).unwrap().tenant, "acme");
    call.request_body(chunks)
}

/// An unknown key costs its digest each time, so one that is over must as well: else time would tell the two apart.
#[test]
fn a_key_that_is_over_is_looked_up_as_an_unknown_one_is() {
    let mut gate = gate(json!({"expires_at": "2027-01-15T08:00:01Z"}));
    let is_kept = |gate: &Gate| {
        let mut memory = gate.filter.memory.borrow_mut();
        let place = memory.place("abc");
        memory.key_digest(place).is_some()
    };
    assert_eq!(gate.call(PATH, &[("x-api-key", "abc")]).0, Flow::Continue);
    assert!(is_kept(&gate));
    gate.proxy.now = Timestamp::from_secs(NOW + 1);
    for _ in 0..2 {
        assert!(gate.refused(PATH, &[("x-api-key", "abc")]).0.contains("key_expired"));
        assert!(!is_kept(&gate));
    }
}

#[test]
fn a_key_is_refused_before_and_after_its_time() {
    let mut gate = gate(json!({"not_before": "2027-01-15T08:00:00Z", "expires_at": "2027-01-15T10:00:00+01:00"}));
    // 2027-01-15T08:00:00Z
    let begin = 1_800_000_000;
    for (later, code) in [(-1, Some("key_not_yet_valid")), (0, None), (3_599, None), (3_600, Some("key_expired"))] {
        gate.proxy.now = Timestamp::from_secs(u64::try_from(begin + later).unwrap());
        match code {
            None => assert_eq!(gate.call(PATH, &[("x-api-key", "abc")]).0, Flow::Continue, "{later}"),
            Some(code) => {
                let (body, reply) = gate.refused(PATH, &[("x-api-key", "abc")]);
                assert!(reply.status == 401 && body.contains(code), "{later}: {body}");
                assert_eq!(gate.count("denied", code), 1);
            }
        }
    }
}

#[test]
fn the_body_is_held_until_its_model_is_known_and_then_let_go_unchanged() {
    let gate = gate(json!({"models": ["gpt-4.1*"]}));
    let body = br#"{"messages":[{"role":"user","content":"x"}],"model":"gpt-4.1-mini"}"#;
    let chunks: Vec<&[u8]> = body.chunks(7).collect();
    assert_eq!(asked(&gate, PATH, &chunks).unwrap(), body);
    let (_, mut call) = gate.call(PATH, &[("x-api-key", "abc")]);
    let refused = call.request_body(&[b"{\"model\":", b"\"o3\"}"]).unwrap_err();
    assert_eq!(refused.status, 403);
    assert!(String::from_utf8(refused.body).unwrap().contains("`o3`"));
    assert_eq!((gate.count("allowed", "api_key"), gate.count("denied", "model_not_allowed")), (1, 1));
}

#[test]
fn a_call_that_is_not_limited_is_not_held() {
    let gate = gate(json!({"endpoints": ["chat_completions"]}));
    let (_, mut call) = gate.call(PATH, &[("x-api-key", "abc")]);
    assert_eq!(call.request_body(&[b"{\"model\":\"", b"o3\"}"]).unwrap(), b"{\"model\":\"o3\"}");
    let (body, reply) = gate.refused("/v1/embeddings", &[("x-api-key", "abc")]);
    assert!(reply.status == 403 && body.contains("endpoint_not_allowed"), "{body}");
}

#[test]
fn a_call_without_a_body_names_no_model() {
    let gate = gate(json!({"models": ["*"]}));
    let mut call = Call::open(&gate.filter, &gate.proxy);
    let flow = call.request_headers(&[(":path", PATH), ("x-api-key", "abc")], true);
    assert!(matches!(flow, Flow::Reply(reply) if reply.status == 403));
    assert_eq!(handoff::identity(&call.handoff), None);
    let unreadable = asked(&gate, PATH, &[b"{"]).unwrap_err();
    assert_eq!(unreadable.status, 400);
}

#[test]
fn metadata_is_handed_on() {
    let gate = gate(json!({"metadata": {"team": "search", "cost_center": "42"}}));
    let (_, call) = gate.call(PATH, &[("x-api-key", "abc")]);
    let found: serde_json::Value = serde_json::from_slice(&call.handoff.0[handoff::METADATA]).unwrap();
    assert_eq!(found, json!({"team": "search", "cost_center": "42"}));
}

#[test]
fn two_keys_of_a_tenant_are_good_at_once() {
    let digest = |key: &str| KeyDigest::of(key).to_bytes().map(|byte| format!("{byte:02x}")).concat();
    let mut gate = Gate::new();
    let config = json!({"api_keys": {"inline": [
        {"id": "old", "tenant": "acme", "sha256": digest("old"), "expires_at": "2027-01-15T08:01:00Z"},
        {"id": "new", "tenant": "acme", "sha256": digest("new"), "not_before": "2027-01-15T07:59:00Z"},
    ]}});
    gate.filter = gate.proxy.configure(&config.to_string()).unwrap();
    for (later, good) in [(-61, vec!["old"]), (-60, vec!["old", "new"]), (59, vec!["old", "new"]), (60, vec!["new"])]
    {
        gate.proxy.now = Timestamp::from_secs(u64::try_from(1_800_000_000 + later).unwrap());
        let found: Vec<_> = ["old", "new"]
            .into_iter()
            .filter(|key| gate.call(PATH, &[("x-api-key", key)]).0 == Flow::Continue)
            .collect();
        assert_eq!(found, good, "{later}");
    }
}
