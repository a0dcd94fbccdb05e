//! Each provider gets what is its own and what the caller sent, and nothing of another provider.

use super::*;

const BODY: &str = r#"{"user":"u","model":"gpt", "messages":[{"role":"user","content":"gpt \u00e9"}]}"#;

#[test]
fn a_request_is_fitted_to_its_provider() {
    let mut world = World::chat(BODY);
    let sent = world.attempt("azure").unwrap();
    assert_eq!(sent.header(":path"), Some("/openai/deployments/gpt-a/chat/completions?api-version=1"));
    assert_eq!(sent.header(":authority"), Some("azure.example.com"));
    assert_eq!(sent.header("api-key"), Some("secret-azure"));
    assert_eq!((sent.header("x-org"), sent.header("x-both")), (Some("azure"), Some("azure")));
    assert_eq!(
        sent.text(),
        r#"{"store":false,"model":"gpt-a", "messages":[{"role":"user","content":"gpt \u00e9"}]}"#
    );
    assert_eq!(sent.header("content-length"), Some(sent.body.len().to_string().as_str()));
    assert_eq!(world.told(), Attempt { provider: "azure".into(), model: Some("gpt".into()), stands_in: false });
}

#[test]
fn what_needs_no_change_gets_none() {
    let mut world = World::chat(BODY);
    let sent = world.attempt("openai").unwrap();
    assert!(!sent.call.handoff.0.contains_key("tollgate_original"));
    assert_eq!(sent.text(), BODY);
    let length = BODY.len().to_string();
    let expected = [
        (":authority", "openai.example.com"),
        (":method", "POST"),
        (":path", "/v1/chat/completions"),
        ("authorization", "Bearer secret-openai"),
        ("content-length", length.as_str()),
        ("content-type", "application/json"),
    ];
    assert_eq!(sent.sorted(), expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
}

#[test]
fn no_attempt_sees_anything_of_another() {
    for first in PROVIDERS {
        for second in PROVIDERS {
            for third in PROVIDERS {
                let mut world = World::chat(BODY);
                world.head.extend([
                    ("x-both".to_owned(), "caller".to_owned()),
                    ("x-both".to_owned(), "again".to_owned()),
                    ("x-own-key".to_owned(), "caller-secret".to_owned()),
                ]);
                for provider in [first, second] {
                    let sent = world.attempt(provider).unwrap();
                    world.unanswered(sent, None);
                }
                let after = world.attempt(third).unwrap();
                let mut fresh = World::chat(BODY);
                fresh
                    .head
                    .extend([("x-both".to_owned(), "caller".to_owned()), ("x-both".to_owned(), "again".to_owned())]);
                let alone = fresh.attempt(third).unwrap();
                assert_eq!(after.sorted(), alone.sorted(), "{first} {second} {third}");
                assert_eq!(after.body, alone.body, "{first} {second} {third}");
                assert_eq!(world.told(), fresh.told());
            }
        }
    }
}

#[test]
fn what_the_caller_sent_comes_back_where_a_provider_does_not_set_it() {
    let mut world = World::chat(BODY);
    world
        .head
        .extend([("x-both", "caller"), ("x-other", "o")].map(|(name, value)| (name.to_owned(), value.to_owned())));
    let sent = world.attempt("azure").unwrap();
    assert_eq!(sent.header("x-both"), Some("azure"));
    let sent = world.attempt("env").unwrap();
    assert_eq!((sent.header("x-both"), sent.header("x-org"), sent.header("x-env")), (Some("env"), None, Some("e")));
    let sent = world.attempt("plain").unwrap();
    assert_eq!(
        (sent.header("x-both"), sent.header("x-env"), sent.header("x-other")),
        (Some("caller"), None, Some("o"))
    );
    assert_eq!(sent.header(":path"), Some("/v1/chat/completions"));
    assert_eq!((sent.text(), sent.header("content-length")), (BODY, Some(BODY.len().to_string().as_str())));
    let sent = world.attempt("claude").unwrap();
    assert_eq!(sent.text(), BODY.replace("\"gpt\"", "\"claude-4\""));
    assert_eq!(sent.header("content-length"), Some(sent.body.len().to_string().as_str()));
    let expected = Attempt { provider: "claude".into(), model: Some("claude".into()), stands_in: true };
    assert_eq!(world.told(), expected);
}

#[test]
fn a_header_of_the_provider_is_the_only_one_of_its_name() {
    for values in [&["header"][..], &["header", "caller"], &["caller", "header"], &[]] {
        let mut world = World::chat(BODY);
        world.head.extend(values.iter().map(|value| ("x-both".to_owned(), (*value).to_owned())));
        assert_eq!(world.attempt("header").unwrap().header("x-both"), Some("header"), "{values:?}");
    }
}

#[test]
fn no_credential_of_the_caller_and_none_of_ours_but_one_reaches_a_provider() {
    for provider in PROVIDERS {
        let mut world = World::new(
            &[
                (":method", "POST"),
                (":path", "/v1/chat/completions?key=caller&x=1&access_token=caller"),
                (":authority", "gateway"),
                ("authorization", "Bearer caller"),
                ("authorization", "Basic caller"),
                ("proxy-authorization", "caller"),
                ("x-api-key", "caller"),
                ("api-key", "caller"),
                ("x-goog-api-key", "caller"),
                ("x-own-key", "caller"),
                ("cookie", "session=caller"),
                ("x-gateway-credential-env", "caller"),
                ("x-gateway-pool", "caller"),
                ("x-gateway-cache", "caller"),
                ("sec-websocket-protocol", "realtime, openai-insecure-api-key.caller, openai-beta.realtime-v1"),
            ],
            Some(BODY),
        );
        for _ in 0..2 {
            let sent = world.attempt(provider).unwrap();
            let all = sent.all();
            assert!(!all.contains("caller") && !all.contains("x-gateway-"), "{all}");
            assert!(sent.header(":path").unwrap().contains("x=1"));
            assert_eq!(sent.header("sec-websocket-protocol"), Some("realtime, openai-beta.realtime-v1"));
            let secrets = ["secret-azure", "secret-env", "secret-claude", "secret-openai"];
            let own = format!("secret-{provider}");
            assert!(secrets.iter().all(|secret| all.contains(secret) == (*secret == own)), "{all}");
        }
        assert!(world.handoff.0.values().all(|value| !String::from_utf8_lossy(value).contains("caller")));
    }
}

#[test]
fn a_secret_that_changes_is_used_from_then_on() {
    let mut world = World::chat(BODY);
    assert_eq!(world.attempt("openai").unwrap().header("authorization"), Some("Bearer secret-openai"));
    world.secrets.insert("openai", "rotated");
    assert_eq!(world.attempt("openai").unwrap().header("authorization"), Some("Bearer rotated"));
    assert_eq!(world.attempt("env").unwrap().header("x-own-key"), Some("Key secret-env"));
}

#[test]
fn a_model_in_the_path_or_the_query_gets_the_providers_name() {
    for (path, expected) in [
        ("/v1beta/models/gpt:generateContent?alt=sse", "/v1beta/models/gpt%2Fe:generateContent?alt=sse&region=eu"),
        ("/openai/deployments/gpt/chat/completions", "/openai/deployments/gpt%2Fe/chat/completions?region=eu"),
        ("/v1/realtime?model=gpt", "/v1/realtime?model=gpt%2Fe&region=eu"),
        ("/openai/realtime?deployment=gpt", "/openai/realtime?deployment=gpt%2Fe&region=eu"),
        ("/v1/realtime?a=b&model=gpt&region=us", "/v1/realtime?a=b&model=gpt%2Fe&region=eu"),
    ] {
        let mut world = World::new(&[(":method", "GET"), (":path", path), (":authority", "g")], None);
        assert_eq!(world.attempt("env").unwrap().header(":path"), Some(expected));
        // Also in the attempts behind.
        assert_eq!(world.attempt("env").unwrap().header(":path"), Some(expected));
        assert_eq!(world.attempt("plain").unwrap().header(":path"), Some(path));
    }
}

#[test]
fn a_request_that_names_no_model_is_fitted_all_the_same() {
    let mut world = World::new(&[(":method", "GET"), (":path", "/v1/files/f?x"), (":authority", "g")], None);
    world.route(None, None);
    let sent = world.attempt("azure").unwrap();
    assert_eq!(sent.header(":path"), Some("/openai/files/f?x&api-version=1"));
    assert_eq!(sent.header("content-length"), None);
    assert_eq!(world.told(), Attempt { provider: "azure".into(), model: None, stands_in: false });
    world.answered(sent, "200", &[]);
    let labels = [("provider", "azure"), ("model", "none"), ("status", "200")];
    assert_eq!(world.proxy.meter.value("gateway_upstream_attempts_total", &labels), 1);
    let mut world = World::new(&[(":method", "GET"), (":path", "/v1/models"), (":authority", "g")], None);
    world.route(None, None);
    assert_eq!(world.attempt("azure").unwrap().header(":path"), Some("/v1/models?api-version=1"));
}

#[test]
fn on_whose_account_a_request_runs_is_not_the_callers_to_say() {
    let mut world = World::chat(BODY);
    for name in crate::config::providers::checks::ACCOUNT {
        world.head.push(((*name).to_owned(), "caller".to_owned()));
    }
    let sent = world.attempt("openai").unwrap();
    assert!(!sent.all().contains("caller"), "{}", sent.all());
}
