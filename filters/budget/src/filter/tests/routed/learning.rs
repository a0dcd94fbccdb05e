//! Which model an answer teaches.

use super::*;

const TOKENS: &str =
    r#""name": "t", "unit": "tokens", "window": {"rolling": "1h"}, "limit": 100000000, "per": ["tenant"]"#;

fn finish(gateway: &Gateway, asked: &str, model: &str, ran: &str) {
    for _ in 0..30 {
        let mut call = routed(gateway, asked, model, 1_000).unwrap();
        attempt(&mut call, "openai", ran, ran != model);
        call.response(JSON_200, ANSWER);
        call.log();
    }
}

/// What is reserved for one more call.
fn reserved_next(gateway: &Gateway, asked: &str, model: &str) -> u64 {
    let mut call = routed(gateway, asked, model, 1_000).unwrap();
    let reserved = gateway.reserved("acme");
    call.log();
    reserved
}

#[test]
fn calls_of_an_alias_teach_the_model_that_runs() {
    let gateway = gateway(&[TOKENS]);
    finish(&gateway, "fast", "cheap", "cheap");
    assert!(reserved_next(&gateway, "cheap", "cheap") < 60);
    assert!(
        reserved_next(&gateway, "fast", "dear") >= 1_000,
        "the alias points elsewhere now, of which nothing is known"
    );
}

#[test]
fn how_long_answers_of_a_stand_in_are_teaches_neither_model() {
    let gateway = gateway(&[TOKENS]);
    finish(&gateway, "dear", "dear", "cheap");
    assert!(reserved_next(&gateway, "dear", "dear") >= 1_000);
    assert!(reserved_next(&gateway, "cheap", "cheap") >= 1_000);
}

#[test]
fn a_stand_in_teaches_how_long_its_own_tokens_are() {
    let text = "\u{6f22}\u{5b57}".repeat(200);
    let usage = event(r#"{"choices":[],"usage":{"prompt_tokens":600,"completion_tokens":600,"total_tokens":1200}}"#);
    let prompt = |model: &str| {
        format!(
            r#"{{"model":"{model}","stream":true,"max_tokens":10,"messages":[{{"role":"user","content":"{text}"}}]}}"#
        )
    };
    let gateway = gateway(&[TOKENS]);
    let answer = |ran: &str, chunks: &[&str]| {
        let before = gateway.used("acme");
        let mut call = gateway.call("acme");
        route(&mut call, "dear", "dear");
        call.request(POST_CHAT, prompt("dear").as_bytes()).unwrap();
        attempt(&mut call, "openai", ran, ran != "dear");
        call.response_headers(SSE_200, false);
        chunks.iter().for_each(|chunk| drop(call.response_chunk(chunk.as_bytes(), false)));
        call.log();
        gateway.used("acme") - before
    };
    let cut = |ran: &str| answer(ran, &[&content_chunk(&text)]);
    let at_first = (cut("dear"), cut("cheap"));
    assert_eq!(at_first.0, at_first.1);
    for _ in 0..100 {
        answer("cheap", &[&content_chunk(&text), &finish_chunk(), &usage]);
    }
    assert_eq!(cut("dear"), at_first.0, "neither its prompts nor its answers were seen");
    let learned = cut("cheap");
    assert!((at_first.0 + 200..1_000).contains(&learned), "{learned}, at first {}", at_first.0);
}
