mod fetched;
mod outgoing;
mod permission;

use serde_json::json;
use tollgate_fakehost::{Call, FakeHeaders, Proxy};

use tollgate_core::{Flow, Identity, Reply, Stream as _, Timestamp, handoff};
use tollgate_llm::{Dialect, refuse};

use super::*;
use crate::stream::AuthStream;
use crate::testkit::*;

const PATH: &str = "/v1/chat/completions";

struct Gate {
    filter: Rc<AuthFilter>,
    proxy: Proxy,
    pair: jwt_simple::algorithms::ES256KeyPair,
}

impl Gate {
    /// A gate that knows the key `abc` of acme, the issuer of tests, and one open path.
    fn new() -> Self {
        let pair = es256("e");
        let mut proxy = Proxy { now: now(), ..Proxy::default() };
        let key = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let config = json!({
            "api_keys": {"inline": [{"id": "acme-1", "tenant": "acme", "tier": "gold", "sha256": key}]},
            "jwt": {"issuers": [{
                "issuer": ISSUER, "audiences": ["tollgate"], "algorithms": ["ES256"],
                "jwks": {"inline": jwks(&[pair.public_key().to_jwk()])},
            }]},
            "open_paths": ["/health/live"],
        });
        let filter = proxy.configure::<AuthFilter>(&config.to_string()).unwrap();
        Self { filter, proxy, pair }
    }

    fn call(&self, path: &str, headers: &[(&str, &str)]) -> (Flow, Call<AuthStream>) {
        let mut call = Call::open(&self.filter, &self.proxy);
        let mut all = vec![(":method", "POST"), (":path", path), ("content-type", "application/json")];
        all.extend(headers);
        let flow = call.request_headers(&all, false);
        (flow, call)
    }

    fn refused(&self, path: &str, headers: &[(&str, &str)]) -> (String, Reply) {
        match self.call(path, headers) {
            (Flow::Reply(reply), call) => {
                assert_eq!(handoff::identity(&call.handoff), None, "a refused call has no identity");
                (String::from_utf8(reply.body.clone()).unwrap(), reply)
            }
            (other, _) => panic!("not refused: {other:?}"),
        }
    }

    fn count(&self, result: &str, reason: &str) -> u64 {
        self.proxy.meter.value(metric::AUTH, &[("result", result), ("reason", reason)])
    }
}

fn left(call: &Call<AuthStream>) -> Vec<&str> {
    call.request_headers.0.iter().map(|(name, _)| name.as_str()).collect()
}

#[test]
fn an_api_key_gives_its_identity_in_any_header_and_goes_no_further() {
    let gate = Gate::new();
    for header in
        [("authorization", "Bearer abc"), ("x-api-key", "abc"), ("api-key", "abc"), ("x-goog-api-key", "abc")]
    {
        let (flow, call) = gate.call(PATH, &[header]);
        assert_eq!(flow, Flow::Continue, "{header:?}");
        let expected = Identity { tenant: "acme".into(), credential_id: "acme-1".into(), tier: Some("gold".into()) };
        assert_eq!(handoff::identity(&call.handoff), Some(expected), "{header:?}");
        assert_eq!(left(&call), [":method", ":path", "content-type"], "{header:?}");
    }
    assert_eq!(gate.count("allowed", "api_key"), 4);
}

#[test]
fn a_token_gives_its_identity_in_any_header_and_goes_no_further() {
    let gate = Gate::new();
    let token = sign_es256(&gate.pair, claims(json!({"tenant": "globex"})));
    for header in [("authorization", format!("Bearer {token}")), ("x-api-key", token.clone())] {
        let (flow, call) = gate.call(PATH, &[(header.0, &header.1)]);
        assert_eq!(flow, Flow::Continue);
        let expected = Identity { tenant: "globex".into(), credential_id: "jwt:alice".into(), tier: None };
        assert_eq!(handoff::identity(&call.handoff), Some(expected));
        assert_eq!(left(&call), [":method", ":path", "content-type"]);
    }
    assert_eq!(gate.count("allowed", "jwt"), 2);
}

#[test]
fn forged_headers_are_removed_however_often_they_come() {
    let gate = Gate::new();
    let (_, call) = gate.call(
        PATH,
        &[
            ("x-gateway-tenant", "globex"),
            ("x-api-key", "abc"),
            ("x-gateway-cache", "bypass"),
            ("x-gateway-tenant", "initech"),
            ("x-api-key", "abc"),
            ("x-gateway-cache-similarity", "1"),
            ("cache-control", "no-store"),
        ],
    );
    assert_eq!(left(&call), [":method", ":path", "content-type", "x-gateway-cache", "cache-control"]);
    assert_eq!(handoff::identity(&call.handoff).unwrap().tenant, "acme");
}

#[test]
fn open_paths_need_no_credential_and_pass_none_on() {
    let gate = Gate::new();
    for headers in [&[][..], &[("x-api-key", "abc")], &[("x-api-key", "wrong"), ("authorization", "Basic x")]] {
        let (flow, call) = gate.call("/health/live?probe", headers);
        assert_eq!(flow, Flow::Continue);
        assert_eq!(handoff::identity(&call.handoff), None);
        assert_eq!(left(&call), [":method", ":path", "content-type"]);
    }
    assert_eq!(gate.proxy.meter.total(metric::AUTH), 0, "nobody was judged");
    gate.refused("/health/live/", &[]);
    gate.refused("/health/live?key=abc", &[]);
}

#[test]
fn each_refusal_has_its_code_and_its_count() {
    let gate = Gate::new();
    let expired = sign_es256(&gate.pair, claims(json!({"exp": 1})));
    let early = sign_es256(&gate.pair, claims(json!({"nbf": NOW + 600})));
    let forged = sign_es256(&es256("e"), claims(json!({})));
    for (headers, code) in [
        (&[][..], "missing_credential"),
        (&[("x-api-key", "abcd")], "invalid_api_key"),
        (&[("x-api-key", "abc"), ("api-key", "abcd")], "ambiguous_credential"),
        (&[("x-api-key", &expired)], "token_expired"),
        (&[("x-api-key", &early)], "token_not_yet_valid"),
        (&[("x-api-key", &forged)], "signature_invalid"),
    ] {
        let before = gate.count("denied", code);
        let (body, reply) = gate.refused(PATH, headers);
        assert_eq!(reply.status, 401, "{code}");
        assert!(body.contains(code), "{code}: {body}");
        assert_eq!(gate.count("denied", code), before + 1, "{code}");
        let challenge = reply.headers.iter().find(|(name, _)| name == "www-authenticate").unwrap();
        assert!(challenge.1.starts_with(b"Bearer "), "{code}");
    }
    assert_eq!(gate.count("allowed", "api_key") + gate.count("allowed", "jwt"), 0);
}

#[test]
fn a_refusal_echoes_nothing_that_was_sent() {
    let gate = Gate::new();
    let token = sign_es256(&es256("kid-xyzzy"), claims(json!({"tenant": "xyzzy"})));
    for credential in ["xyzzy", &token, "xyzzy xyzzy"] {
        let (body, reply) = gate.refused(PATH, &[("x-api-key", credential), ("x-gateway-tenant", "xyzzy")]);
        assert!(!body.contains("xyzzy") && !format!("{:?}", reply.headers).contains("xyzzy"), "{body}");
    }
}

#[test]
fn a_refusal_speaks_the_dialect_of_the_path() {
    let gate = Gate::new();
    for (path, dialect) in [
        (PATH, Dialect::OpenAi),
        ("/v1/messages", Dialect::Anthropic),
        ("/v1beta/models/m:generateContent", Dialect::Gemini),
    ] {
        let expected = refuse(dialect, Denial::Missing.refusal(), Denial::Missing.message());
        assert_eq!(gate.refused(path, &[]).1.body, expected.body, "{path}");
    }
}

#[test]
fn a_key_in_the_url_is_sent_to_the_header() {
    let (body, _) = Gate::new().refused("/v1beta/models/m:generateContent?key=abc", &[]);
    assert!(body.contains("x-goog-api-key") && body.to_lowercase().contains("missing_credential"), "{body}");
}

#[test]
fn odd_bytes_are_a_refusal_and_no_crash() {
    let gate = Gate::new();
    for (name, value) in
        [("authorization", &b"\xff\xfe"[..]), ("authorization", b"Bearer \xff\xfe"), ("x-api-key", b"\xff\xfe")]
    {
        let mut headers = FakeHeaders::new(&[(":path", PATH)]);
        headers.0.push((name.into(), value.to_vec()));
        headers.0.push(("x-odd".into(), b"\xff\xfe".to_vec()));
        let mut call = Call::open(&gate.filter, &gate.proxy);
        let mut meter = gate.proxy.meter.clone();
        let mut cx = Cx {
            now: now(),
            attributes: &call.attributes,
            handoff: &mut call.handoff,
            store: &gate.proxy.store,
            meter: &mut meter,
            signatures: &gate.proxy.signatures,
            route: &mut call.route,
            log: &mut gate.proxy.log.clone(),
        };
        let flow = call.stream.on_request_headers(&mut cx, &mut headers, true);
        assert!(matches!(flow, Flow::Reply(reply) if reply.status == 401), "{name} {value:?}");
    }
    assert_eq!(gate.count("denied", "invalid_api_key"), 3);
}

#[test]
fn a_configured_key_may_look_like_a_token() {
    let key = "eyJhbGciOiJub25lIn0.e30.x";
    let digest = KeyDigest::of(key).to_bytes().map(|byte| format!("{byte:02x}")).concat();
    let config = json!({"api_keys": {"inline": [{"id": "odd", "tenant": "acme", "sha256": digest}]}});
    let mut proxy = Proxy::default();
    let filter = proxy.configure::<AuthFilter>(&config.to_string()).unwrap();
    let mut call = Call::open(&filter, &proxy);
    assert_eq!(call.request_headers(&[(":path", PATH), ("x-api-key", key)], true), Flow::Continue);
    assert_eq!(handoff::identity(&call.handoff).unwrap().credential_id, "odd");
}

impl Gate {
    fn signatures(&self, by: &str) -> u64 {
        self.proxy.meter.value(metric::AUTH_SIGNATURES, &[("type", by)])
    }
}

#[test]
fn a_token_is_checked_once_and_its_time_on_every_call() {
    let mut gate = Gate::new();
    let token = sign_es256(&gate.pair, claims(json!({"exp": NOW + 10})));
    for (now, is_good) in [(NOW, true), (NOW + 39, true), (NOW + 40, false), (NOW, true), (NOW - 600, false)] {
        gate.proxy.now = Timestamp::from_secs(now);
        let (flow, call) = gate.call(PATH, &[("x-api-key", &token)]);
        assert_eq!(flow == Flow::Continue, is_good, "{now}");
        assert_eq!(handoff::identity(&call.handoff).is_some(), is_good, "{now}");
    }
    assert_eq!((gate.signatures("module"), gate.signatures("remembered")), (1, 4));
}

#[test]
fn a_forged_token_is_checked_once_in_ten_seconds() {
    let mut gate = Gate::new();
    let forged = sign_es256(&es256("e"), claims(json!({})));
    for (later, checked) in [(0, 1), (9, 1), (10, 2), (11, 2)] {
        gate.proxy.now = Timestamp::from_secs(NOW + later);
        gate.refused(PATH, &[("x-api-key", &forged)]);
        assert_eq!(gate.signatures("module"), checked, "{later}");
    }
    assert_eq!(gate.count("denied", "signature_invalid"), 4);
}

#[test]
fn a_new_configuration_remembers_nothing() {
    let (gate, other) = (Gate::new(), Gate::new());
    let token = sign_es256(&gate.pair, claims(json!({})));
    assert_eq!(gate.call(PATH, &[("x-api-key", &token)]).0, Flow::Continue);
    other.refused(PATH, &[("x-api-key", &token)]);
}

/// The proxy's cryptography judges where it can, and a remembered token asks nobody.
#[test]
fn the_proxy_judges_what_it_can() {
    use tollgate_core::ports::Signatures as _;
    let mut gate = Gate::new();
    gate.proxy.signatures.0 =
        Some(|hash, spki, signature, text| crate::vectors::OverSpki.verify(hash, spki, signature, text));
    let token = sign_es256(&gate.pair, claims(json!({})));
    for _ in 0..2 {
        assert_eq!(gate.call(PATH, &[("x-api-key", &token)]).0, Flow::Continue);
    }
    gate.refused(PATH, &[("x-api-key", &sign_es256(&es256("e"), claims(json!({}))))]);
    assert_eq!((gate.signatures("proxy"), gate.signatures("module"), gate.signatures("remembered")), (2, 0, 1));
}
