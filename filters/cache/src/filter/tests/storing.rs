//! What is never stored.

use super::*;

fn assert_not_stored(why: &str, head: &[(&str, &str)], answer: &str) {
    let world = World::new("{}");
    let call = world.answered(&[], QUESTION, head, answer);
    assert_eq!(call.response_headers.get("x-gateway-cache").as_deref(), Some("miss"), "{why}");
    assert_eq!(world.stored(), None, "{why}");
    assert_eq!(world.proxy.store.keys(), 0, "{why}");
}

#[test]
fn answers_that_are_no_plain_success_are_not_stored() {
    let json = ("content-type", "application/json");
    for head in [
        vec![(":status", "500"), json],
        vec![(":status", "429"), json],
        vec![(":status", "201"), json],
        vec![(":status", "200")],
        vec![(":status", "200"), ("content-type", "text/html")],
        vec![(":status", "200"), json, ("content-encoding", "gzip")],
        vec![(":status", "200"), json, ("cache-control", "no-store")],
        vec![(":status", "200"), json, ("cache-control", "private, max-age=60")],
        vec![(":status", "200"), json, ("cache-control", "max-age=0")],
        vec![(":status", "200"), json, ("vary", "*")],
        vec![(":status", "200"), json, ("vary", "accept-encoding, accept-language")],
    ] {
        assert_not_stored(&format!("{head:?}"), &head, ANSWER);
    }
}

#[test]
fn answers_that_did_not_end_naturally_are_not_stored() {
    for answer in [
        ANSWER.replace("\"stop\"", "\"length\""),
        ANSWER.replace("\"stop\"", "\"content_filter\""),
        ANSWER.replace("\"stop\"", "null"),
        ANSWER.strip_suffix('}').unwrap().into(),
        r#"{"error":{"message":"overloaded","type":"server_error"}}"#.into(),
        "null".into(),
        String::new(),
    ] {
        assert_not_stored(&answer, JSON_HEAD, &answer);
    }
    for answer in [
        STREAM.replace("data: [DONE]\n\n", ""),
        STREAM.replace("\"stop\"", "\"length\""),
        STREAM.replace("data: {\"id\":\"1\",\"choices\":[],", "data: {\"error\":{\"message\":\"overloaded\"},"),
        STREAM.replacen("\"Hel\"", "\"Hel", 1),
        "data: [DONE]\n\n".into(),
    ] {
        assert_not_stored(&answer, SSE_HEAD, &answer);
    }
}

#[test]
fn an_answer_that_is_cut_is_not_stored() {
    let world = World::new("{}");
    for (head, answer) in [(JSON_HEAD, ANSWER), (SSE_HEAD, STREAM)] {
        let mut call = world.ask(CHAT, &[], QUESTION).unwrap();
        assert_eq!(call.response_headers(head, false), Flow::Continue);
        call.response_chunk(answer.as_bytes(), false);
        call.log();
        assert_eq!(world.proxy.store.keys(), 0);
    }
}

#[test]
fn an_answer_beyond_the_size_of_an_entry_is_not_stored_and_not_kept() {
    let world = World::new(r#"{"max_entry_bytes":1024}"#);
    let filled = |len: usize| ANSWER.replace("Hello", &"x".repeat(len + 5 - ANSWER.len()));
    let room = 1_024 - crate::entry::OVERHEAD - JSON_HEAD[1].1.len();

    let mut call = world.ask(CHAT, &[], QUESTION).unwrap();
    let long = filled(room + 1);
    assert_eq!(call.response_headers(JSON_HEAD, false), Flow::Continue);
    call.response_chunk(&long.as_bytes()[..room], false);
    assert!(matches!(call.stream.state, super::super::State::Recording(_)));
    call.response_chunk(&long.as_bytes()[room..], false);
    assert!(matches!(call.stream.state, super::super::State::Done), "the copy is gone before the end");
    call.response_chunk(b"", true);
    assert_eq!(world.proxy.store.keys(), 0);

    let fits = filled(room);
    world.answered(&[], QUESTION, JSON_HEAD, &fits);
    assert_eq!(world.stored(), Some(fits));
}

#[test]
fn the_provider_may_shorten_the_time() {
    let mut world = World::new("{}");
    let head = [JSON_HEAD, &[("cache-control", "public, max-age=10")]].concat();
    world.answered(&[], QUESTION, &head, ANSWER);
    world.step(9);
    assert!(world.stored().is_some());
    world.step(1);
    assert!(world.stored().is_none());
}

#[test]
fn the_answer_of_a_call_that_was_refused_further_out_is_not_touched() {
    // Budget replies from the body phase: the head came by here, the body did not, the refusal does.
    let world = World::new("{}");
    let mut call = world.call(Some("acme"));
    assert_eq!(call.request_headers(&head(CHAT), false), Flow::Continue);
    handoff::set_reply(&mut call.handoff, "budget");
    let refusal = [(":status", "429"), ("content-type", "application/json"), ("x-gateway-budget", "\"rule\"")];
    call.response(&refusal, b"{}");
    call.log();
    assert_eq!(call.response_headers.get("x-gateway-cache"), None);
    assert!(call.response_headers.get("x-gateway-budget").is_some(), "what budget says is not the provider's");
    assert_eq!(left(&call), None);
    assert_eq!((world.proxy.store.keys(), world.proxy.meter.total(metric::CACHE)), (0, 0));
}
