//! What the caller and the operator may switch, and what neither end may forge.

use super::*;

#[test]
fn the_caller_may_refresh() {
    for wish in [("x-gateway-cache", "refresh"), ("cache-control", "no-cache")] {
        let world = World::new("{}");
        world.answered(&[], QUESTION, JSON_HEAD, ANSWER);
        let newer = ANSWER.replace("Hello", "Hi there");
        let call = world.answered(&[wish], QUESTION, JSON_HEAD, &newer);
        assert_eq!(call.response_headers.get("x-gateway-cache").as_deref(), Some("refresh"), "{wish:?}");
        assert_eq!(left(&call), Some("refresh"));
        assert_eq!(world.counted("refresh"), 1);
        assert_eq!(world.stored(), Some(newer), "{wish:?}");
    }
}

#[test]
fn the_caller_may_go_by_the_cache() {
    for wish in [("x-gateway-cache", "bypass"), ("cache-control", "no-store")] {
        let world = World::new("{}");
        let call = world.answered(&[wish], QUESTION, JSON_HEAD, ANSWER);
        assert_eq!(call.response_headers.get("x-gateway-cache").as_deref(), Some("bypass"), "{wish:?}");
        assert_eq!(left(&call), Some("bypass"));
        assert_eq!(world.stored(), None, "{wish:?}: nothing is stored");
        world.answered(&[], QUESTION, JSON_HEAD, ANSWER);
        assert!(world.ask(CHAT, &[wish], QUESTION).is_ok(), "{wish:?}: nothing is looked up");
        assert_eq!(world.counted("bypass"), 2);
    }
}

#[test]
fn the_provider_sees_neither_our_control_nor_encodings_we_cannot_read() {
    let world = World::new("{}");
    for (wish, encodings) in [("refresh", "identity"), ("sideways", "identity"), ("bypass", "gzip, br")] {
        let call = world.ask(CHAT, &[("x-gateway-cache", wish)], QUESTION).unwrap();
        assert_eq!(call.request_headers.get("x-gateway-cache"), None, "{wish}");
        assert_eq!(call.request_headers.get("accept-encoding").as_deref(), Some(encodings), "{wish}");
    }
    assert_eq!(world.counted("miss"), 1, "a word that is not known changes nothing");
}

#[test]
fn headers_in_our_name_from_the_provider_are_removed() {
    let forged = [
        JSON_HEAD,
        &[
            ("x-gateway-cache", "hit"),
            ("x-gateway-cache", "hit"),
            ("x-gateway-cache-similarity", "1"),
            ("x-kept", "1"),
        ],
    ]
    .concat();
    let world = World::new("{}");
    let call = world.answered(&[], QUESTION, &forged, ANSWER);
    let ours: Vec<_> =
        call.response_headers.0.iter().filter(|(name, _)| name.starts_with("x-gateway-")).cloned().collect();
    assert_eq!(ours, [("x-gateway-cache".to_owned(), b"miss".to_vec())]);
    assert!(call.response_headers.get("x-kept").is_some());

    let mut other = world.call(None);
    other.request(&[(":method", "GET"), (":path", "/v1/models")], b"").unwrap();
    other.response(&forged, b"{}");
    assert_eq!(other.response_headers.get("x-gateway-cache"), None);
}

#[test]
fn bodies_that_cannot_be_keyed_go_by() {
    let long = QUESTION.replace("Hi", &"x".repeat(1_024));
    for body in [long.as_str(), "hello", "{\"model\":\"a\",\"model\":\"b\"}", "{\"seed\":18446744073709551616}", "{"]
    {
        let world = World::new(r#"{"max_body_bytes":1024}"#);
        let call = world.answered(&[], body, JSON_HEAD, ANSWER);
        assert_eq!(call.response_headers.get("x-gateway-cache").as_deref(), Some("bypass"), "{body}");
        assert_eq!(left(&call), Some("bypass"));
        assert_eq!(world.proxy.store.keys(), 0);
        assert_eq!(world.counted("bypass"), 1);
    }
}

#[test]
fn a_body_of_just_the_bound_is_looked_up() {
    let world = World::new(r#"{"max_body_bytes":1024}"#);
    let body = QUESTION.replace("Hi", &"x".repeat(1_024 + 2 - QUESTION.len()));
    assert_eq!(body.len(), 1_024);
    world.answered(&[], &body, JSON_HEAD, ANSWER);
    assert_eq!(world.counted("miss"), 1);
}

#[test]
fn a_body_that_grows_beyond_the_bound_is_let_go_as_it_came() {
    let world = World::new(r#"{"max_body_bytes":1024}"#);
    let mut call = world.call(Some("acme"));
    assert_eq!(call.request_headers(&head(CHAT), false), Flow::Continue);
    let chunks = [[b'1'; 600].as_slice(), &[b'2'; 600], &[b'3'; 600], &[b'4'; 600]];
    assert_eq!(call.request_body(&chunks), Ok(chunks.concat()));
    assert_eq!(world.counted("bypass"), 1);
}

#[test]
fn a_call_without_a_body_goes_by() {
    let world = World::new("{}");
    let mut call = world.call(Some("acme"));
    call.request(&head(CHAT), b"").unwrap();
    call.response(JSON_HEAD, ANSWER.as_bytes());
    assert_eq!(call.response_headers.get("x-gateway-cache").as_deref(), Some("bypass"));
    assert_eq!(world.proxy.store.keys(), 0);
}

#[test]
fn what_is_no_model_call_is_left_alone() {
    for (method, path) in [("GET", CHAT), ("POST", "/v1/files"), ("POST", "/v1/messages/count_tokens"), ("PUT", CHAT)]
    {
        let world = World::new("{}");
        let mut call = world.call(Some("acme"));
        let head = [(":method", method), (":path", path), ("accept-encoding", "gzip")];
        assert_eq!(call.request(&head, QUESTION.as_bytes()), Ok(QUESTION.into()));
        call.response(JSON_HEAD, ANSWER.as_bytes());
        assert_eq!(call.request_headers.get("accept-encoding").as_deref(), Some("gzip"), "{method} {path}");
        assert_eq!(call.response_headers.get("x-gateway-cache"), None);
        assert_eq!((left(&call), world.proxy.store.keys(), world.proxy.meter.series()), (None, 0, 0));
    }
}

#[test]
fn a_cache_that_is_off_does_nothing_but_keep_its_headers_clean() {
    let world = World::new(r#"{"mode":"off"}"#);
    let call = world.answered(&[("x-gateway-cache", "refresh")], QUESTION, JSON_HEAD, ANSWER);
    assert_eq!(call.request_headers.get("x-gateway-cache"), None);
    assert_eq!(call.response_headers.get("x-gateway-cache"), None);
    assert_eq!((left(&call), world.proxy.store.keys(), world.proxy.meter.series()), (None, 0, 0));
}

#[test]
fn odd_header_bytes_are_just_bytes() {
    use tollgate_core::Stream;
    use tollgate_fakehost::FakeHeaders;
    let world = World::new("{}");
    let odd = |name: &str| (name.to_owned(), b"\xff\xfe".to_vec());
    let mut call = world.ask(CHAT, &[], QUESTION).unwrap();
    let mut request = FakeHeaders::new(&head(CHAT));
    request.0.extend(["x-odd", "x-gateway-cache", "cache-control", "authorization", "anthropic-beta"].map(odd));
    let mut response = FakeHeaders::new(JSON_HEAD);
    response.0.extend(["x-odd", "x-gateway-cache", "cache-control", "content-encoding"].map(odd));
    let (attributes, mut meter) = (call.attributes.clone(), world.proxy.meter.clone());
    let mut cx = tollgate_core::Cx {
        now: world.proxy.now,
        attributes: &attributes,
        handoff: &mut call.handoff,
        store: &world.proxy.store,
        meter: &mut meter,
        signatures: &world.proxy.signatures,
        route: &mut call.route,
        log: &mut world.proxy.log.clone(),
    };
    assert_eq!(call.stream.on_response_headers(&mut cx, &mut response, false), Flow::Continue);
    assert_eq!(response.get("x-gateway-cache").as_deref(), Some("miss"));
    let mut stream = tollgate_core::Filter::open(&world.filter);
    assert_eq!(stream.on_request_headers(&mut cx, &mut request, false), Flow::Continue);
    assert_eq!(request.get("x-gateway-cache"), None);
    assert!(request.0.iter().any(|(name, value)| name == "x-odd" && value == b"\xff\xfe"));
}
