//! Keys that a server keeps.

use std::time::Duration;

use jwt_simple::algorithms::ES256KeyPair;
use serde_json::Value;

use super::*;

const CHAT: &str = "/v1/chat/completions";
const OK: &[(&str, &str)] = &[(":status", "200")];
const SIGNED: &str = metric::AUTH_SIGNATURES;

/// A gate whose issuer's keys and API keys are fetched.
fn remote_gate() -> Gate {
    let mut proxy = Proxy { now: now(), ..Proxy::default() };
    let config = json!({
        "api_keys": {"remote": {"cluster": "admin", "url": "http://admin:8080/keys"}},
        "jwt": {"issuers": [{
            "issuer": ISSUER, "audiences": ["tollgate"], "algorithms": ["ES256"],
            "jwks": {"remote": {"cluster": "idp", "url": "https://idp.example.com/jwks"}},
        }]},
    });
    let filter = proxy.configure::<AuthFilter>(&config.to_string()).unwrap();
    Gate { filter, proxy, pair: es256("e") }
}

impl Gate {
    /// Ticks, and answers every callout that went out by it.
    fn fetch(&mut self, jwks: &[&ES256KeyPair], keys: &Value) -> bool {
        let before = self.proxy.callouts.sent().len();
        let mut wake = self.proxy.tick(&*self.filter);
        for (index, callout) in self.proxy.callouts.sent().iter().enumerate().skip(before) {
            let set: Vec<String> = jwks.iter().map(|pair| pair.public_key().to_jwk()).collect();
            let body = if callout.cluster == "idp" { self::jwks(&set).to_string() } else { keys.to_string() };
            wake |= self.proxy.answer(&*self.filter, CalloutId(index as u32), OK, body);
        }
        wake
    }

    fn bearer(&self, credential: &str) -> (Flow, Call<AuthStream>) {
        self.call(CHAT, &[("authorization", &format!("Bearer {credential}"))])
    }

    fn token(&self, pair: &ES256KeyPair) -> String {
        sign_es256(pair, claims(json!({"iat": null, "nbf": null, "exp": NOW + 100_000})))
    }
}

fn key_entry(changes: &Value) -> Value {
    let mut key = json!({"id": "k1", "tenant": "acme",
        "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"});
    key.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    key
}

fn code(flow: &Flow) -> (u16, String) {
    let Flow::Reply(reply) = flow else { panic!("not refused: {flow:?}") };
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    (reply.status, body["error"]["code"].as_str().unwrap().to_owned())
}

#[test]
fn calls_wait_for_the_first_keys_and_are_judged_by_them() {
    let mut gate = remote_gate();
    assert_eq!(gate.filter.pace(), Some(Duration::from_millis(10)));
    let pair = es256("new");
    let (flow, mut by_token) = gate.bearer(&gate.token(&pair));
    assert_eq!(flow, Flow::Suspend);
    let (flow, mut by_key) = gate.bearer("abc");
    assert_eq!(flow, Flow::Suspend);
    let (flow, mut by_nothing) = gate.bearer("abd");
    assert_eq!(flow, Flow::Suspend);
    assert!(gate.fetch(&[&pair], &json!([key_entry(&json!({}))])));
    assert_eq!(by_token.wake(), Flow::Continue);
    assert_eq!(by_key.wake(), Flow::Continue);
    assert_eq!(code(&by_nothing.wake()), (401, "invalid_api_key".into()));
    assert_eq!(handoff::identity(&by_key.handoff).unwrap().credential_id, "k1");
    assert!(by_key.request_headers.get("authorization").is_none(), "stripped after the wait too");
    assert_eq!(gate.bearer("abc").0, Flow::Continue);
}

#[test]
fn while_there_are_no_keys_a_call_is_told_to_try_again() {
    let mut gate = remote_gate();
    let (_, mut call) = gate.bearer("abc");
    let token = gate.token(&es256("new"));
    gate.proxy.callouts.refuse("admin");
    gate.proxy.callouts.refuse("idp");
    assert!(gate.proxy.tick(&*gate.filter));
    for flow in [call.wake(), gate.bearer("abc").0, gate.bearer(&token).0] {
        assert_eq!(code(&flow), (503, "unavailable".into()));
        let Flow::Reply(reply) = flow else { panic!() };
        assert!(reply.headers.contains(&("retry-after".into(), b"5".to_vec())));
    }
    assert_eq!(gate.count("denied", "unavailable"), 3);
}

#[test]
fn a_call_that_there_is_no_room_for_is_told_to_try_again() {
    let gate = remote_gate();
    let (flow, mut call) = gate.bearer("abc");
    assert_eq!(flow, Flow::Suspend);
    assert_eq!(code(&Flow::Reply(call.crowded())), (503, "unavailable".into()));
    assert_eq!(gate.count("denied", "unavailable"), 1);
}

#[test]
fn a_rotation_refuses_nobody() {
    let mut gate = remote_gate();
    let (old, new) = (es256("old"), es256("new"));
    gate.fetch(&[&old], &json!([]));
    gate.proxy.now = gate.proxy.now.plus(Duration::from_secs(1));
    assert_eq!(gate.bearer(&gate.token(&old)).0, Flow::Continue);
    let mut waiting: Vec<_> = (0..100).map(|_| gate.bearer(&gate.token(&new))).collect();
    assert!(waiting.iter().all(|(flow, _)| *flow == Flow::Suspend));
    assert_eq!(gate.bearer(&gate.token(&old)).0, Flow::Continue, "nobody else waits");
    assert!(gate.fetch(&[&old, &new], &json!([])));
    assert!(waiting.iter_mut().all(|(_, call)| call.wake() == Flow::Continue));
    assert_eq!(gate.proxy.callouts.sent().iter().filter(|callout| callout.cluster == "idp").count(), 2);
}

#[test]
fn a_key_that_left_the_set_lets_nobody_in_not_even_whom_it_had() {
    let mut gate = remote_gate();
    let (old, new) = (es256("old"), es256("new"));
    gate.fetch(&[&old], &json!([key_entry(&json!({}))]));
    let token = gate.token(&old);
    assert_eq!(gate.bearer(&token).0, Flow::Continue);
    assert_eq!(gate.bearer(&token).0, Flow::Continue);
    assert_eq!(gate.proxy.meter.value(SIGNED, &[("type", "remembered")]), 1);
    gate.proxy.now = gate.proxy.now.plus(Duration::from_secs(300));
    gate.fetch(&[&new], &json!([]));
    gate.proxy.now = gate.proxy.now.plus(Duration::from_secs(1));
    // It may have come back since, so the call looks.
    let (flow, mut call) = gate.bearer(&token);
    assert_eq!(flow, Flow::Suspend);
    gate.fetch(&[&new], &json!([]));
    assert_eq!(code(&call.wake()), (401, "signature_invalid".into()));
    assert_eq!(code(&gate.bearer("abc").0), (401, "invalid_api_key".into()), "and an API key is refused at once");
}

#[test]
fn an_unknown_key_id_costs_a_bounded_number_of_fetches() {
    let mut gate = remote_gate();
    let own = es256("own");
    gate.fetch(&[&own], &json!([]));
    for index in 0..200 {
        gate.proxy.now = gate.proxy.now.plus(Duration::from_millis(10));
        let (flow, mut call) = gate.bearer(&gate.token(&es256(&format!("../../etc/{index}"))));
        if flow == Flow::Suspend {
            gate.fetch(&[&own], &json!([]));
            assert_eq!(code(&call.wake()), (401, "signature_invalid".into()));
        }
    }
    assert_eq!(gate.proxy.callouts.sent().iter().filter(|callout| callout.cluster == "idp").count(), 1 + 3);
    assert_eq!(gate.bearer(&gate.token(&own)).0, Flow::Continue);
}

#[test]
fn a_forged_signature_under_a_known_key_causes_no_fetch() {
    let mut gate = remote_gate();
    let own = es256("e");
    gate.fetch(&[&own], &json!([]));
    gate.proxy.now = gate.proxy.now.plus(Duration::from_secs(1));
    assert_eq!(code(&gate.bearer(&gate.token(&es256("e"))).0), (401, "signature_invalid".into()));
}

#[test]
fn a_token_without_key_id_may_be_of_a_key_to_come() {
    let mut gate = remote_gate();
    let bare = |pair: &ES256KeyPair| {
        let mut jwk: Value = serde_json::from_str(&pair.to_jwk()).unwrap();
        jwk.as_object_mut().unwrap().remove("kid");
        ES256KeyPair::from_jwk(&jwk.to_string()).unwrap()
    };
    let (old, new) = (bare(&es256("x")), bare(&es256("y")));
    gate.fetch(&[&old], &json!([]));
    gate.proxy.now = gate.proxy.now.plus(Duration::from_secs(1));
    let (flow, mut call) = gate.bearer(&gate.token(&new));
    assert_eq!(flow, Flow::Suspend);
    gate.fetch(&[&new], &json!([]));
    assert_eq!(call.wake(), Flow::Continue);
}

/// A key without a name is tried for every token, and says nothing about the key that a token names.
#[test]
fn a_nameless_key_hides_no_key_to_come() {
    let mut gate = remote_gate();
    let mut jwk: Value = serde_json::from_str(&es256("x").to_jwk()).unwrap();
    jwk.as_object_mut().unwrap().remove("kid");
    let (nameless, new) = (ES256KeyPair::from_jwk(&jwk.to_string()).unwrap(), es256("new"));
    gate.fetch(&[&nameless], &json!([]));
    gate.proxy.now = gate.proxy.now.plus(Duration::from_secs(1));
    let (flow, mut call) = gate.bearer(&gate.token(&new));
    assert_eq!(flow, Flow::Suspend);
    gate.fetch(&[&nameless, &new], &json!([]));
    assert_eq!(call.wake(), Flow::Continue);
}

#[test]
fn an_empty_set_lets_nobody_in() {
    let mut gate = remote_gate();
    let only = es256("only");
    gate.fetch(&[&only], &json!([]));
    let token = gate.token(&only);
    assert_eq!(gate.bearer(&token).0, Flow::Continue);
    gate.proxy.now = gate.proxy.now.plus(Duration::from_secs(300));
    gate.fetch(&[], &json!([]));
    gate.proxy.now = gate.proxy.now.plus(Duration::from_secs(1));
    let (flow, mut call) = gate.bearer(&token);
    assert_eq!(flow, Flow::Suspend, "it looks whether the key has come back");
    gate.fetch(&[], &json!([]));
    assert_eq!(code(&call.wake()), (401, "signature_invalid".into()));
}

/// Nor does the time tell a key that left the list from one that was never on it.
#[test]
fn a_key_that_left_the_list_is_forgotten() {
    let mut gate = remote_gate();
    gate.fetch(&[&es256("e")], &json!([key_entry(&json!({}))]));
    assert_eq!(gate.bearer("abc").0, Flow::Continue);
    gate.proxy.now = gate.proxy.now.plus(Duration::from_secs(30));
    gate.fetch(&[&es256("e")], &json!([]));
    assert_eq!(code(&gate.bearer("abc").0), (401, "invalid_api_key".into()));
    let mut memory = gate.filter.memory.borrow_mut();
    let place = memory.place("abc");
    assert!(memory.key_digest(place).is_none());
}

#[test]
fn a_configuration_without_servers_wants_no_ticks() {
    assert_eq!(Gate::new().filter.pace(), None);
}

#[test]
fn a_pushed_configuration_begins_with_the_keys_that_are_there() {
    let mut gate = remote_gate();
    gate.fetch(&[&es256("e")], &json!([key_entry(&json!({}))]));
    let proxy = gate.proxy.clone();
    let mut pushed = remote_gate();
    pushed.proxy = proxy;
    let config = json!({"api_keys": {"remote": {
        "cluster": "admin", "url": "http://admin:8080/keys", "refresh": "10s"}}});
    pushed.filter = pushed.proxy.configure::<AuthFilter>(&config.to_string()).unwrap();
    assert_eq!(pushed.bearer("abc").0, Flow::Continue);
}
