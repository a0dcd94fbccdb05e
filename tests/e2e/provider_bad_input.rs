//! Whatever the caller writes where a model's name should be: it is refused, or goes by its rule. It never meets a wrong provider.

use std::time::Duration;

use serde_json::{Value, json};
use tollgate_tests::client::raw::{RawClient, chunk, post_chunked};
use tollgate_tests::client::{Call, MARK, unique};
use tollgate_tests::gateway::{Gateway, Setup};
use tollgate_tests::on_both_envoys;

use crate::provider_fleet::CHAT;

const MESSAGES: &str = "/v1/messages";
const GEMINI: &str = "/v1beta/models";

/// A pool for one name, one for names of a prefix, and one for requests that name none.
fn setup() -> Setup {
    let pool = |provider: &str| json!({"priorities": [[provider]], "timeout": "20s"});
    Setup::default().providers(json!({
        "providers": {
            "right": {"url": "http://scripted"},
            "wild": {"url": "http://scripted", "paths": {"/v1": "/base/{model}/v1"}},
            "nameless": {"url": "http://scripted"},
        },
        "pools": {"right": pool("right"), "wild": pool("wild"), "nameless": pool("nameless")},
        "models": {"right": {"pool": "right"}, "wild*": {"pool": "wild"}},
        "no_model": {"pool": "nameless"},
    }))
}

fn body(model: &Value) -> Vec<u8> {
    json!({"model": model, "max_tokens": 5, "messages": [{"role": "user", "content": unique("prompt")}]})
        .to_string()
        .into_bytes()
}

/// Sends bytes; the status, and who was asked.
async fn outcome(call: Call, gateway: &Gateway) -> (u16, Vec<&str>) {
    let mark = call.mark().to_owned();
    let answer = call.send().await;
    if answer.status != 200 {
        assert!(answer.json()["error"]["message"].is_string(), "{answer}");
    }
    let names = gateway.providers.keys().map(String::as_str);
    (answer.status, names.filter(|name| !gateway.requests_at(name, &mark).is_empty()).collect())
}

fn post(gateway: &Gateway, path: &str, body: Vec<u8>) -> Call {
    Call::post_bytes(&gateway.url(path), body).bearer(&gateway.key("acme"))
}

on_both_envoys!(what_is_no_models_name_is_refused_and_nobody_is_asked, setup(), async |gateway| {
    let long = "x".repeat(10_000);
    let values = [
        (json!(7), 400),
        (json!(["right"]), 400),
        (json!({"name": "right"}), 400),
        (json!(true), 400),
        (json!(long), 400),
        (json!("ri\u{0}ght"), 400),
        (json!("ri\nght"), 400),
        (json!("../right"), 404),
        (json!("right/../wild"), 404),
        (json!("right?x#y"), 404),
        (json!("%72ight"), 404),
        (json!("%2e%2e"), 404),
        (json!(".."), 404),
        (json!("rightly"), 404),
        (json!("righ"), 404),
        (json!("r\u{456}ght"), 404),
    ];
    for path in [CHAT, MESSAGES] {
        for (model, status) in &values {
            let found = outcome(post(gateway, path, body(model)), gateway).await;
            assert_eq!(found, (*status, vec![]), "{path}: {:.60}", model.to_string());
        }
    }
});

on_both_envoys!(what_could_be_read_in_two_ways_is_refused_and_nobody_is_asked, setup(), async |gateway| {
    let messages = r#""messages":[{"role":"user","content":"x"}]"#;
    for text in [
        format!(r#"{{"model":"right",{messages},"model":"wild-1"}}"#),
        format!(r#"{{"model":"right",{messages},"model":"right"}}"#),
        format!(r#"{{"model":"right",{messages},"Model":"wild-1"}}"#),
        format!(r#"{{"MODEL":"right",{messages}}}"#),
        format!(r#"{{"model":"right",{messages},"mod\u0065l":"wild-1"}}"#),
        format!(r#"{{"model":"right",{messages}}}{{"model":"wild-1"}}"#),
        format!(r#"[{{"model":"right",{messages}}}]"#),
        format!(r#"{{"model":"right",{messages}"#),
        "not json".to_owned(),
        "model=right".to_owned(),
        String::new(),
    ] {
        assert_eq!(outcome(post(gateway, CHAT, text.clone().into_bytes()), gateway).await, (400, vec![]), "{text}");
    }
});

on_both_envoys!(names_have_no_case_and_blanks_around_them_are_no_part_of_them, setup(), async |gateway| {
    for model in ["right", "RIGHT", " Right ", "models/right"] {
        let found = outcome(post(gateway, CHAT, body(&json!(model))), gateway).await;
        assert_eq!(found, (200, vec!["right"]), "{model:?}");
    }
});

on_both_envoys!(a_name_with_characters_of_a_path_stays_one_segment, setup(), async |gateway| {
    for (model, segment) in [
        ("wild/../../admin", "wild%2F..%2F..%2Fadmin"),
        ("wild?b#c&d", "wild%3Fb%23c%26d"),
        ("wild%2e%2e", "wild%252e%252e"),
        ("wild x\u{e9}", "wild%20x%C3%A9"),
    ] {
        let call = post(gateway, CHAT, body(&json!(model)));
        let mark = call.mark().to_owned();
        assert_eq!(outcome(call, gateway).await, (200, vec!["wild"]), "{model}");
        assert_eq!(gateway.upstream_request(&mark).path, format!("/base/{segment}/v1/chat/completions"));
    }
});

on_both_envoys!(a_path_that_could_name_two_models_is_refused, setup(), async |gateway| {
    let body = || json!({"contents": [{"parts": [{"text": unique("prompt")}]}]}).to_string().into_bytes();
    for path in ["right%2F..%2Fwild:generateContent", "%2e%2e:generateContent", "wild%5c..%5cright:generateContent"] {
        let (status, asked) = outcome(post(gateway, &format!("{GEMINI}/{path}"), body()), gateway).await;
        assert!(matches!(status, 400 | 404) && asked.is_empty(), "{path}: {status}, {asked:?}");
    }
    // The path decides, whatever the body says.
    let both = json!({"model": "wild-1", "contents": [{"parts": [{"text": "x"}]}]}).to_string().into_bytes();
    let found = outcome(post(gateway, &format!("{GEMINI}/right:generateContent"), both), gateway).await;
    assert_eq!(found, (200, vec!["right"]));
});

on_both_envoys!(an_unknown_content_type_is_refused_or_goes_by_the_rule_for_no_model, setup(), async |gateway| {
    let post = |path: &str, kind: &str, text: &str| {
        Call::post_text(&gateway.url(path), kind, text).bearer(&gateway.key("acme"))
    };
    let json = String::from_utf8(body(&json!("right"))).unwrap();
    // Where no model that we know runs, what is never JSON passes unread, and what some server may take for it is read.
    for (kind, meets) in [
        ("application/x-www-form-urlencoded", "nameless"),
        ("multipart/form-data; boundary=x", "nameless"),
        ("text/plain", "right"),
        ("application/json, text/plain", "right"),
    ] {
        assert_eq!(outcome(post(CHAT, kind, &json), gateway).await, (400, vec![]), "{kind}");
        assert_eq!(outcome(post("/v1/images/generations", kind, &json), gateway).await.1, [meets], "{kind}");
    }
    let found = outcome(post("/v1/images/generations", "application/json", &json), gateway).await;
    assert_eq!(found, (200, vec!["right"]));
    for encoding in ["gzip", "br"] {
        let call = post(CHAT, "application/json", &json).header("content-encoding", encoding);
        assert_eq!(outcome(call, gateway).await, (400, vec![]));
        let call = post("/v1/images/generations", "application/json", &json).header("content-encoding", encoding);
        assert_eq!(outcome(call, gateway).await, (400, vec![]));
    }
});

on_both_envoys!(a_body_that_is_cut_reaches_nobody, setup(), async |gateway| {
    let bearer = format!("authorization: Bearer {}", gateway.key("acme")).into_bytes();
    for whole in [body(&json!("right")), body(&json!("wild-1"))] {
        for keep in [1, whole.len() / 2, whole.len() - 1, whole.len()] {
            let mark = unique("cut");
            let mut client = RawClient::connect(gateway.envoy.gateway()).await;
            client.write(&post_chunked(CHAT, &[&bearer, format!("{MARK}: {mark}").as_bytes()])).await;
            client.write(&chunk(&whole[..keep])).await;
            tokio::time::sleep(Duration::from_millis(60)).await;
            drop(client);
            tokio::time::sleep(Duration::from_millis(60)).await;
            assert!(gateway.upstream_requests(&mark).is_empty(), "{keep} of {} bytes", whole.len());
        }
    }
    assert_eq!(outcome(post(gateway, CHAT, body(&json!("right"))), gateway).await, (200, vec!["right"]));
});
