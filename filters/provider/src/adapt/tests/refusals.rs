//! What cannot be fitted goes nowhere, and says why in the log without a secret.

use super::*;

fn chat() -> World {
    World::chat(r#"{"model":"gpt"}"#)
}

fn refused(world: &mut World, provider: &str) -> (String, Vec<String>) {
    let reply = world.attempt(provider).unwrap_err();
    assert_eq!(world.proxy.meter.total("gateway_upstream_attempts_total"), 0);
    (message(&reply), world.proxy.log.take())
}

const CANNOT: &str = "503 The gateway cannot send this request to a provider now. Try again later.";

#[test]
fn an_endpoint_without_a_known_provider_gets_nothing() {
    for provider in ["unknown", "Azure", ""] {
        let line = "warn: the endpoint names a provider that is not configured: the request was not sent";
        assert_eq!(refused(&mut chat(), provider), (CANNOT.into(), vec![line.into()]));
    }
    let world = chat();
    let mut call = Call::open(&world.filter, &world.proxy);
    call.handoff = world.handoff.clone();
    let flow = call.request_headers(&[(":method", "POST"), (":path", "/v1/messages"), (":authority", "g")], true);
    let Flow::Reply(reply) = flow else { panic!("{flow:?}") };
    assert_eq!(message(&reply), CANNOT);
    let line = "warn: the endpoint has no `provider` in its metadata `tollgate`: the request was not sent";
    assert_eq!(world.proxy.log.take(), [line]);
}

#[test]
fn a_request_that_no_route_filter_decided_over_goes_nowhere() {
    for left in [None, Some("{"), Some("{}"), Some(r#"{"pool":1}"#)] {
        let mut world = chat();
        world.handoff = FakeHandoff::default();
        if let Some(left) = left {
            world.handoff.0.insert(handoff::ROUTE.into(), left.into());
        }
        let line = "warn: no route filter decided over this request: it was not sent";
        assert_eq!(refused(&mut world, "openai"), (CANNOT.into(), vec![line.into()]));
    }
}

#[test]
fn without_its_credential_a_request_is_not_sent() {
    for secret in [None, Some(""), Some(" \n"), Some("two words"), Some("caf\u{e9}")] {
        let mut world = chat();
        world.secrets.remove("openai");
        if let Some(secret) = secret {
            world.secrets.insert("openai", secret);
        }
        let line = "warn: no credential for provider openai in openai.yaml: the request was not sent";
        assert_eq!(refused(&mut world, "openai"), (CANNOT.into(), vec![line.into()]), "{secret:?}");
    }
    // Two are one too many: a caller may have sent the other.
    let mut world = chat();
    world.secrets.remove("openai");
    for value in ["a", "b"] {
        world.head.push(("x-gateway-credential-openai".into(), value.into()));
    }
    assert_eq!(refused(&mut world, "openai").0, CANNOT);
}

#[test]
fn a_path_that_may_lead_elsewhere_is_refused_in_the_callers_dialect() {
    for path in ["/v1/../admin", "/v1/%2e%2e/messages", "*", "/v1/x#y", ""] {
        let head = [(":method", "POST"), (":path", path), (":authority", "g")];
        let (told, lines) = refused(&mut World::new(&head, Some("{}")), "openai");
        assert!(told.starts_with("400 The path of this request is not plain"), "{path}: {told}");
        assert!(lines.is_empty());
    }
}

#[test]
fn an_attempt_whose_original_is_lost_is_not_guessed() {
    let mut world = chat();
    let sent = world.attempt("azure").unwrap();
    world.unanswered(sent, None);
    world.handoff.0.insert("tollgate_original".into(), b"x".to_vec());
    assert_eq!(message(&world.attempt("openai").unwrap_err()), CANNOT);
    let line = "warn: what an earlier attempt kept of this request cannot be read: it was not sent again";
    assert_eq!(world.proxy.log.take(), [line]);
}

#[test]
fn what_would_be_kept_is_bounded() {
    let path = format!("/v1/x?{}", "x".repeat(300_000));
    let head = [(":method", "GET"), (":path", path.as_str()), (":authority", "g")];
    let mut world = World::new(&head, None);
    world.route(None, None);
    let (told, _) = refused(&mut world, "env");
    assert_eq!(told, "400 The path and the headers of this request are too long.");
    assert!(world.attempt("plain").is_ok());
}
