//! Bad input and bad upstreams: each ends in one clear refusal in the caller's dialect, and nothing hangs.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tollgate_tests::client::{Answer, Call, unique};
use tollgate_tests::envoy::{command, configuration, free_address, version};
use tollgate_tests::gateway::{Gateway, Setup, chat_body, merge};
use tollgate_tests::render::{Address, Upstream};
use tollgate_tests::secrets::Secrets;
use tollgate_tests::{on_both_envoys, on_own_envoys};

const CHAT: &str = "/v1/chat/completions";
const MESSAGES: &str = "/v1/messages";
const GEMINI: &str = "/v1beta/models/gemini-2.5-flash:generateContent";
/// Above `max_body_bytes` of the committed configurations (8 MiB), and above what Envoy's buffer takes (10 MiB).
const TOO_LARGE: [usize; 2] = [(8 << 20) + 1, 11 << 20];

/// Fails unless the body is an error of the dialect that belongs to `path`.
fn assert_dialect(path: &str, answer: &Answer) {
    let body = answer.json();
    let error = &body["error"];
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{answer}");
    match path {
        MESSAGES => assert_eq!(body["type"], "error", "{answer}"),
        GEMINI => assert_eq!(error["code"], answer.status, "{answer}"),
        _ => assert!(error["type"].is_string(), "{answer}"),
    }
    assert!(answer.header("content-type").unwrap_or_default().starts_with("application/json"), "{answer}");
}

fn post_bytes(gateway: &Gateway, path: &str, body: Vec<u8>) -> Call {
    Call::post_bytes(&gateway.url(path), body).bearer(&gateway.key("acme"))
}

on_both_envoys!(a_body_that_is_no_json_is_refused_before_the_provider, async |gateway| {
    for path in [CHAT, MESSAGES, GEMINI] {
        for body in ["", "not json", "[1, 2]", "{\"model\": \"gpt-4.1\",", "{\"model\": 7}x"] {
            let call = post_bytes(gateway, path, body.into());
            let mark = call.mark().to_owned();
            let answer = call.send().await.expect(400);
            assert_dialect(path, &answer);
            assert!(gateway.upstream_requests(&mark).is_empty(), "`{body}` reached the provider");
        }
    }
});

on_both_envoys!(a_field_that_decides_may_not_stand_twice, async |gateway| {
    let body = br#"{"model":"gpt-4.1","stream":false,"messages":[],"stream":true}"#;
    assert_dialect(CHAT, &post_bytes(gateway, CHAT, body.to_vec()).send().await.expect(400));
});

on_both_envoys!(a_body_over_the_limit_is_refused, async |gateway| {
    for path in [CHAT, MESSAGES, GEMINI] {
        for size in TOO_LARGE {
            let mut body = serde_json::to_vec(&chat_body("long")).unwrap();
            body.resize(size, b' ');
            let answer = post_bytes(gateway, path, body).send().await.expect(413);
            assert_dialect(path, &answer);
        }
    }
});

on_both_envoys!(what_envoy_itself_refuses_is_told_in_the_dialect_too, async |gateway| {
    // What is no JSON, of paths that run no model, is not read by the filters, so it is Envoy that finds these bodies too long.
    for (path, is_anthropic) in [("/v1/files", false), ("/v1/messages/batches", true)] {
        let call = Call::post_text(&gateway.url(path), "application/octet-stream", &" ".repeat(11 << 20));
        let answer = call.bearer(&gateway.key("acme")).send().await.expect(413);
        assert_dialect(if is_anthropic { MESSAGES } else { CHAT }, &answer);
        assert_eq!(answer.json()["error"]["code"], "request_payload_too_large");
    }
    let escaped = post_bytes(gateway, "/v1/chat%2fcompletions", b"{}".to_vec()).send().await.expect(400);
    assert_dialect(CHAT, &escaped);
    let lost = Call::get(&gateway.url("/nowhere")).bearer(&gateway.key("acme")).send().await.expect(404);
    assert_dialect(CHAT, &lost);
    assert_eq!(lost.json()["error"]["code"], "not_found");
});

on_both_envoys!(a_large_body_within_the_limit_arrives_whole, async |gateway| {
    let mut body = serde_json::to_vec(&chat_body(&unique("large"))).unwrap();
    body.resize(6 << 20, b' ');
    let call = post_bytes(gateway, CHAT, body.clone());
    let mark = call.mark().to_owned();
    call.send().await.expect(200);
    assert_eq!(gateway.upstream_request(&mark).body_bytes, body.len());
});

on_both_envoys!(deeply_nested_json_harms_nobody, async |gateway| {
    let deep = format!("{{\"model\":\"gpt-4.1\",\"messages\":{}{}}}", "[".repeat(200_000), "]".repeat(200_000));
    let answer = post_bytes(gateway, CHAT, deep.into_bytes()).send().await;
    assert!((400..500).contains(&answer.status) || answer.status == 200, "{answer}");
    gateway.chat(&unique("prompt")).send().await.expect(200);
});

on_both_envoys!(malformed_credentials_are_refused, async |gateway| {
    let long = "a".repeat(20_000);
    for wrong in ["", " ", "e30.e30.", "eyJhbGciOiJub25lIn0.eyJ0ZW5hbnQiOiJhY21lIn0.", "a.b.c.d", "..", &long] {
        let call =
            Call::post(&gateway.url(CHAT), &chat_body("x")).header("authorization", &format!("Bearer {wrong}"));
        assert_dialect(CHAT, &call.send().await.expect(401));
    }
    let basic = Call::post(&gateway.url(CHAT), &chat_body("x")).header("authorization", "Basic dXNlcjpwYXNz");
    assert_dialect(CHAT, &basic.send().await.expect(401));
});

on_both_envoys!(an_error_of_the_provider_passes_as_it_is, async |gateway| {
    // Of a model of its own: it is left alone for that long.
    let mut body = chat_body(&unique("prompt"));
    merge(&mut body, &json!({"model": "gpt-overrun"}));
    let answer = gateway.post(CHAT, &body).told("status", 429).told("retry-after", 17).send().await.expect(429);
    assert_eq!(answer.header("retry-after"), Some("17"));
    assert_eq!(answer.json()["error"]["message"], "The scripted provider was told to fail.");
    gateway.chat(&unique("prompt")).told("status", 500).send().await.expect(500);
});

on_both_envoys!(an_overloaded_provider_is_asked_again, async |gateway| {
    let call = gateway.chat(&unique("prompt")).told("status", 503);
    let mark = call.mark().to_owned();
    call.send().await.expect(503);
    let attempts = gateway.upstream_requests(&mark);
    assert_eq!(attempts.len(), 3);
    assert!(attempts.iter().all(|attempt| attempt.body == attempts[0].body));
});

on_both_envoys!(a_provider_that_resets_is_told_in_the_dialect, async |gateway| {
    let bodies = [
        (CHAT, chat_body(&unique("prompt"))),
        (
            MESSAGES,
            json!({"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": unique("prompt")}]}),
        ),
        (GEMINI, json!({"contents": [{"parts": [{"text": unique("prompt")}]}]})),
    ];
    for (path, body) in bodies {
        let answer = gateway.post(path, &body).told("reset", 1).send().await;
        assert!(matches!(answer.status, 502..=504), "{answer}");
        assert_dialect(path, &answer);
    }
});

on_both_envoys!(an_answer_that_breaks_off_breaks_off_for_the_client_too, async |gateway| {
    let stream = gateway.chat_stream(&unique("prompt")).told("cut-after", 4).told("chunk-delay-ms", 50).send().await;
    assert!(!stream.is_whole, "a cut stream looks finished: {stream}");
    assert!(!stream.text().contains("[DONE]"));
});

on_both_envoys!(a_slow_provider_is_waited_for, async |gateway| {
    let started = Instant::now();
    gateway.chat(&unique("prompt")).told("delay-ms", 3_000).send().await.expect(200);
    assert!(started.elapsed() >= Duration::from_secs(3));
});

on_own_envoys!(
    a_provider_that_is_down_is_told_at_once_in_the_dialect,
    Setup::default().upstream(Upstream::plain(Address::loopback(free_address().unwrap().port()))),
    async |gateway| {
        let bodies = [
            (CHAT, chat_body("x")),
            (MESSAGES, json!({"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]})),
            (GEMINI, json!({"contents": [{"parts": [{"text": "x"}]}]})),
        ];
        for (path, body) in bodies {
            let started = Instant::now();
            let answer = gateway.post(path, &body).send().await.expect(503);
            assert_dialect(path, &answer);
            assert!(started.elapsed() < Duration::from_secs(10));
        }
        gateway.expect_metric("gateway_requests_total", &[("status", "503")], 3.0).await;
        gateway.expect_metric("gateway_tokens_total", &[], 0.0).await;
    }
);

/// Lets Envoy check a configuration; whether it is good, and what it said.
fn validate(prefix: &str, setup: &Setup) -> (bool, String) {
    let dir = tempfile::tempdir().unwrap();
    let secrets = Secrets::create(&dir.path().join("secrets"), None).unwrap();
    let config = configuration(&version(prefix), dir.path(), &setup.run(Address::loopback(1), &secrets)).unwrap();
    let output = command(&version(prefix), &config, &secrets).args(["--mode", "validate"]).output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

/// Declares a test of `validate` for every supported Envoy.
macro_rules! validating {
    ($name:ident, $test:expr) => {
        mod $name {
            use super::*;

            #[test]
            fn v1_40() {
                let test: fn(&str) = $test;
                test("1.40");
            }

            #[test]
            fn v1_36() {
                let test: fn(&str) = $test;
                test("1.36");
            }
        }
    };
}

validating!(the_committed_configuration_is_valid, |prefix| {
    let (is_valid, said) = validate(prefix, &Setup::default());
    assert!(is_valid, "{said}");
});

validating!(a_provider_with_a_name_and_tls_gives_a_valid_configuration, |prefix| {
    let setup = Setup::default().upstream("https://api.example.com".parse().unwrap());
    let (is_valid, said) = validate(prefix, &setup);
    assert!(is_valid, "{said}");
});

validating!(a_misspelt_field_is_named_and_nothing_starts, |prefix| {
    for filter in ["auth", "budget", "cache", "metrics"] {
        let setup = Setup::default().config(filter, |config| config["a_misspelt_field"] = json!(1));
        let (is_valid, said) = validate(prefix, &setup);
        assert!(!is_valid && said.contains("a_misspelt_field"), "{filter}: {said}");
    }
});

validating!(a_key_pasted_in_the_wrong_place_is_not_repeated, |prefix| {
    let key = unique("tg_pasted");
    let setup = Setup::default().config("auth", |config| config["api_keys"] = Value::from(key.as_str()));
    let (is_valid, said) = validate(prefix, &setup);
    assert!(!is_valid && !said.contains(&key), "{said}");
});
