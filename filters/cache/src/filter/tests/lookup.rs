//! What hits and what misses.

use super::*;

#[test]
fn the_same_call_again_gets_the_same_bytes_and_their_age() {
    let mut world = World::new("{}");
    let first = world.answered(&[], QUESTION, JSON_HEAD, ANSWER);
    assert_eq!(first.response_headers.get("x-gateway-cache").as_deref(), Some("miss"));
    assert_eq!(left(&first), Some("miss"));
    world.step(42);

    let mut second = world.call(Some("acme"));
    let reply = second.request(&head(CHAT), QUESTION.as_bytes()).expect_err("a hit");
    assert_eq!(reply.status, 200);
    assert_eq!(reply.body, ANSWER.as_bytes());
    assert_eq!(reply_header(&reply, "content-type").as_deref(), Some("application/json; charset=utf-8"));
    assert_eq!(reply_header(&reply, "x-gateway-cache").as_deref(), Some("hit"));
    assert_eq!(reply_header(&reply, "age").as_deref(), Some("42"));
    assert_eq!(left(&second), Some("hit"));
    second.log();
    assert_eq!((world.counted("miss"), world.counted("hit")), (1, 1));
    assert_eq!(world.proxy.meter.total(metric::CACHE), 2);
}

#[test]
fn a_stream_is_replayed_whole_with_its_usage_chunk() {
    let world = World::new("{}");
    let question = r#"{"model":"m","messages":[],"stream":true,"stream_options":{"include_usage":true}}"#;
    let mut call = world.ask(CHAT, &[], question).unwrap();
    assert_eq!(call.response_headers(SSE_HEAD, false), Flow::Continue);
    for (i, byte) in STREAM.bytes().enumerate() {
        assert_eq!(call.response_chunk(&[byte], i + 1 == STREAM.len()), [byte]);
    }
    let reply = world.ask(CHAT, &[], question).expect_err("a hit");
    assert_eq!(reply.body, STREAM.as_bytes());
    assert_eq!(reply_header(&reply, "content-type").as_deref(), Some("text/event-stream"));
}

#[test]
fn a_body_that_ends_with_an_empty_last_chunk_is_stored() {
    let world = World::new("{}");
    let mut call = world.ask(CHAT, &[], QUESTION).unwrap();
    assert_eq!(call.response_headers(JSON_HEAD, false), Flow::Continue);
    call.response_chunk(ANSWER.as_bytes(), false);
    assert_eq!(world.stored(), None);
    call.response_chunk(b"", true);
    assert_eq!(world.stored().as_deref(), Some(ANSWER));
}

#[test]
fn another_spelling_of_the_same_body_hits() {
    let world = World::new("{}");
    world.answered(&[], QUESTION, JSON_HEAD, ANSWER);
    let same = "{ \"temperature\": 0.50,\n \"messages\": [{\"content\":\"\\u0048i\", \"role\":\"user\"}], \"model\":\"gpt-4.1\" }";
    assert!(world.ask(CHAT, &[], same).is_err());
}

#[test]
fn a_request_body_in_chunks_is_one_body() {
    let world = World::new("{}");
    world.answered(&[], QUESTION, JSON_HEAD, ANSWER);
    let mut call = world.call(Some("acme"));
    assert_eq!(call.request_headers(&head(CHAT), false), Flow::Continue);
    let (one, two) = QUESTION.as_bytes().split_at(30);
    assert!(call.request_body(&[one, two, b""]).is_err());
}

#[test]
fn every_part_of_the_call_that_differs_misses() {
    let world = World::new("{}");
    world.answered(&[], QUESTION, JSON_HEAD, ANSWER);
    for (from, to) in [
        ("gpt-4.1", "gpt-4.1-mini"),
        ("Hi", "Hi "),
        ("Hi", "hi"),
        ("user", "system"),
        ("0.5", "0.6"),
        ("0.5", "0.5,\"stream\":true"),
        ("0.5", "0.5,\"stream\":false"),
        ("0.5", "0.5,\"seed\":1"),
        ("0.5", "0.5,\"n\":2"),
        ("0.5", "0.5,\"max_tokens\":5"),
        ("0.5", "0.5,\"tools\":[]"),
        ("0.5", "0.5,\"user\":\"u\""),
        ("0.5", "0.5,\"never_heard_of\":{\"a\":[1]}"),
        ("[{", "[{\"role\":\"system\",\"content\":\"Be brief\"},{"),
        ("}]", "},{\"role\":\"assistant\",\"content\":\"Hello\"}]"),
    ] {
        let other = QUESTION.replacen(from, to, 1);
        assert_ne!(other, QUESTION);
        assert!(world.ask(CHAT, &[], &other).is_ok(), "{other}");
    }
    for path in ["/v1/completions", "/eu/v1/chat/completions", "/v1/chat/completions?api-version=2"] {
        assert!(world.ask(path, &[], QUESTION).is_ok(), "{path}");
    }
    assert!(world.ask(CHAT, &[("openai-organization", "org-1")], QUESTION).is_ok());
    assert!(world.stored().is_some(), "and the same still hits");
}

#[test]
fn tenants_share_nothing_unless_the_operator_says_so() {
    for (config, shared) in [("{}", false), (r#"{"shared_between_tenants":true}"#, true)] {
        let world = World::new(config);
        world.answered(&[], QUESTION, JSON_HEAD, ANSWER);
        for other in [Some("globex"), None] {
            let hit = world.call(other).request(&head(CHAT), QUESTION.as_bytes()).is_err();
            assert_eq!(hit, shared, "{config} {other:?}");
        }
    }
}

#[test]
fn without_auth_a_credential_is_its_own_partition() {
    let world = World::new("{}");
    let ask = |key| {
        let mut call = world.call(None);
        let head = [&head(CHAT), [("authorization", key)].as_slice()].concat();
        call.request(&head, QUESTION.as_bytes()).map(|_| call)
    };
    ask("Bearer a").unwrap().response(JSON_HEAD, ANSWER.as_bytes());
    assert!(ask("Bearer b").is_ok());
    assert!(ask("Bearer a").is_err());
}

#[test]
fn routes_share_nothing() {
    let world = World::new("{}");
    world.answered(&[], QUESTION, JSON_HEAD, ANSWER);
    let mut call = world.call(Some("acme"));
    call.attributes.route_name = Some("eu".into());
    assert!(call.request(&head(CHAT), QUESTION.as_bytes()).is_ok());
}

#[test]
fn an_answer_expires() {
    let mut world = World::new(r#"{"ttl":"60s"}"#);
    world.answered(&[], QUESTION, JSON_HEAD, ANSWER);
    world.step(59);
    assert!(world.stored().is_some());
    world.step(1);
    assert!(world.stored().is_none());
    world.answered(&[], QUESTION, JSON_HEAD, ANSWER);
    assert!(world.stored().is_some());
}

#[test]
fn one_worker_hits_what_another_stored() {
    let world = World::new("{}");
    world.answered(&[], QUESTION, JSON_HEAD, ANSWER);
    assert_eq!(world.worker().stored().as_deref(), Some(ANSWER));
}

#[test]
fn two_calls_of_one_slot_displace_each_other_and_never_mix() {
    let world = World::new(r#"{"slots":1}"#);
    world.answered(&[], QUESTION, JSON_HEAD, ANSWER);
    let other = QUESTION.replace("Hi", "Bye");
    let goodbye = ANSWER.replace("Hello", "Goodbye");
    world.answered(&[], &other, JSON_HEAD, &goodbye);
    assert!(world.stored().is_none());
    assert_eq!(world.ask(CHAT, &[], &other).err().unwrap().body, goodbye.as_bytes());
    assert_eq!(world.proxy.store.keys(), 2, "the slot, and how full the store is");
}

#[test]
fn a_corrupt_slot_is_a_miss_and_heals() {
    use tollgate_core::ports::{Expect, SharedStore};
    let world = World::new(r#"{"slots":1}"#);
    world.answered(&[], QUESTION, JSON_HEAD, ANSWER);
    let bytes = world.proxy.store.get("tollgate.cache.0").unwrap().value;
    for corrupt in [&bytes[..bytes.len() - 1], b"\xff\xfe", &[]] {
        world.proxy.store.put("tollgate.cache.0", corrupt, Expect::Anything);
        world.answered(&[], QUESTION, JSON_HEAD, ANSWER);
        assert_eq!(world.stored().as_deref(), Some(ANSWER));
    }
}

#[test]
fn anthropic_gemini_and_embeddings_answers_are_replayed() {
    let world = World::new("{}");
    for (path, answer) in [
        (
            "/v1/messages",
            r#"{"type":"message","content":[{"type":"text","text":"Hello"}],"stop_reason":"end_turn","usage":{"input_tokens":9,"output_tokens":2}}"#,
        ),
        (
            "/v1beta/models/gemini-2.5-pro:generateContent",
            r#"{"candidates":[{"content":{"parts":[{"text":"Hello"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":2,"totalTokenCount":11}}"#,
        ),
        (
            "/v1/embeddings",
            r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.1,0.2]}],"usage":{"prompt_tokens":2,"total_tokens":2}}"#,
        ),
    ] {
        let mut call = world.ask(path, &[], "{}").unwrap();
        call.response(JSON_HEAD, answer.as_bytes());
        assert_eq!(
            world.ask(path, &[], "{}").err().map(|reply| reply.body),
            Some(answer.as_bytes().to_vec()),
            "{path}"
        );
    }
}
