//! Calls that share a provider's prompt cache share a hash.

use proptest::prelude::*;

use super::*;

fn worker() -> Worker {
    let mut config = config();
    config["pools"]["gpt"]["sticky"] = json!("prompt_prefix");
    config["pools"]["claude"]["sticky"] = json!("prompt_prefix");
    Worker::new(&config)
}

fn hash(call: &Call<ProviderStream>) -> Option<u64> {
    call.handoff.0.get(handoff::STICKY).map(|hash| std::str::from_utf8(hash).unwrap().parse().unwrap())
}

fn hash_of(worker: &Worker, tenant: &str, path: &str, body: &Value) -> Option<u64> {
    let mut call = worker.call_of(tenant, None);
    call.request(&json_head(path), body.to_string().as_bytes()).unwrap();
    hash(&call)
}

fn chat(model: &str, system: &str, turns: &[&str]) -> Value {
    let mut messages = vec![json!({"role": "system", "content": system})];
    messages.extend(turns.iter().map(|turn| json!({"role": "user", "content": turn})));
    json!({"model": model, "messages": messages, "temperature": turns.len()})
}

#[test]
fn the_hash_is_the_same_in_every_version() {
    let body = chat("gpt-4.1", "Be brief.", &["Hi"]);
    assert_eq!(hash_of(&worker(), "acme", CHAT, &body), Some(PINNED));
}

/// A change of this moves every conversation to another cache.
const PINNED: u64 = 8_920_947_488_066_237_407;

#[test]
fn pools_that_are_not_sticky_have_no_hash() {
    let mut call = Worker::new(&config()).call_of("acme", None);
    assert!(ask(&mut call, "gpt-4.1").is_ok());
    assert_eq!(hash(&call), None);
}

#[test]
fn a_model_that_the_path_names_sticks_by_its_body_all_the_same() {
    let worker = worker();
    let body = |text: &str| json!({"systemInstruction": {"parts": [{"text": "Be brief."}]}, "contents": [{"parts": [{"text": text}]}]});
    let path = "/v1beta/models/claude-x:generateContent";
    let first = hash_of(&worker, "acme", path, &body("a"));
    assert!(first.is_some());
    assert_eq!(first, hash_of(&worker, "acme", path, &body("b")));
    // Cut in pieces it is the same, and a body that cannot be read or is too long is let go without.
    let mut call = worker.call_of("acme", None);
    assert_eq!(call.request_headers(&json_head(path), false), Flow::Continue);
    assert_eq!(sent(&call).0, "claude", "known before the body came");
    let bytes = body("c").to_string().into_bytes();
    assert_eq!(call.request_body(&bytes.chunks(9).collect::<Vec<_>>()), Ok(bytes));
    assert_eq!(hash(&call), first);
    for body in [&b"{"[..], b"\xff", b"[]", &[b' '; 9 << 20]] {
        let mut call = worker.call_of("acme", None);
        assert!(call.request(&json_head(path), body).is_ok());
        assert_eq!(hash(&call), None);
    }
}

#[test]
fn a_socket_is_not_held() {
    let worker = worker();
    let mut call = worker.call();
    let head = [(":method", "GET"), (":path", "/v1/realtime?model=claude-x"), ("upgrade", "websocket")];
    assert_eq!(call.request_headers(&head, false), Flow::Continue);
    assert!(!tollgate_core::Stream::reads_request_body(&call.stream));
}

proptest! {
    #[test]
    fn one_prefix_has_one_hash_and_another_has_another(
        system in "[a-z]{1,40}", other in "[a-z]{1,40}", one in ".{0,20}", two in ".{0,20}", tenant in "[a-z]{1,8}",
    ) {
        let worker = worker();
        let hash = |tenant: &str, model: &str, system: &str, turns: &[&str]| {
            hash_of(&worker, tenant, CHAT, &chat(model, system, turns)).unwrap()
        };
        let known = hash(&tenant, "gpt-4.1", &system, &[&one]);
        prop_assert_eq!(known, hash(&tenant, "gpt-4.1", &system, &[&two]));
        prop_assert_eq!(known, hash(&tenant, "smart", &system, &[&two, &one]), "an alias is the same model");
        prop_assert_ne!(known, hash("Other", "gpt-4.1", &system, &[&one]));
        prop_assert_ne!(known, hash(&tenant, "gpt-4.1-mini", &system, &[&one]));
        if system != other {
            prop_assert_ne!(known, hash(&tenant, "gpt-4.1", &other, &[&one]));
        }
    }

    #[test]
    fn a_conversation_without_system_prompt_keeps_its_hash(first in ".{0,20}", next in ".{0,20}") {
        let worker = worker();
        let body = |turns: &[&str]| {
            let messages: Vec<_> = turns.iter().map(|turn| json!({"role": "user", "content": turn})).collect();
            json!({"model": "gpt-4.1", "messages": messages})
        };
        prop_assert_eq!(hash_of(&worker, "t", CHAT, &body(&[&first])), hash_of(&worker, "t", CHAT, &body(&[&first, &next])));
        if first != next {
            prop_assert_ne!(hash_of(&worker, "t", CHAT, &body(&[&first])), hash_of(&worker, "t", CHAT, &body(&[&next])));
        }
    }
}
