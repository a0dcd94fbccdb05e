//! Hard caps: answers are kept within what is left, and end as answers end.

use super::*;

const CONFIG: &str = r#"{
    "rules": [{"name": "cap", "unit": "output_tokens", "window": {"calendar": "day"}, "per": ["tenant"],
        "limit": 1000, "hard_cap": true}],
    "slots": 64
}"#;

fn gateway() -> Gateway {
    Gateway::configured(CONFIG)
}

fn sent(gateway: &Gateway, path: &str, body: &str) -> serde_json::Value {
    let mut call = gateway.call("acme");
    let sent = call.request(&[(":method", "POST"), (":path", path)], body.as_bytes()).unwrap();
    call.log();
    serde_json::from_slice(&sent).unwrap()
}

/// Spends so many tokens of the tenant's.
fn spend(gateway: &Gateway, tokens: u64) {
    let mut call = gateway.admitted("acme", CHAT);
    call.response(JSON_200, &answer_of(&tokens.to_string(), &(30 + tokens).to_string()));
    call.log();
}

#[test]
fn a_maximum_is_lowered_to_what_is_left_and_a_missing_one_added() {
    let gateway = gateway();
    spend(&gateway, 900);
    let chat = |more: &str| format!(r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}]{more}}}"#);
    let path = "/v1/chat/completions";
    assert_eq!(sent(&gateway, path, &chat(r#","max_tokens":500"#))["max_tokens"], 100);
    assert_eq!(sent(&gateway, path, &chat(r#","max_tokens":50"#))["max_tokens"], 50);
    assert_eq!(sent(&gateway, path, &chat(r#","max_tokens":500,"n":4"#))["max_tokens"], 25);
    assert_eq!(sent(&gateway, path, &chat(""))["max_completion_tokens"], 100);
    let messages = sent(&gateway, "/v1/messages", &chat(r#","max_tokens":9000"#));
    assert_eq!(messages["max_tokens"], 100);
    let gemini = sent(&gateway, "/v1beta/models/g:generateContent", r#"{"contents":[{"parts":[{"text":"hi"}]}]}"#);
    assert_eq!(gemini["generationConfig"]["maxOutputTokens"], 100);
}

#[test]
fn a_large_allowance_is_not_told_to_a_call_that_names_no_maximum() {
    let gateway = Gateway::configured(&CONFIG.replace("1000", "100000"));
    let mut call = gateway.call("acme");
    assert_eq!(call.request(POST_CHAT, CHAT).unwrap(), CHAT, "it may be more than the model can generate");
}

#[test]
fn a_json_answer_reserves_all_that_it_may_take_so_that_many_side_by_side_fit() {
    let gateway = gateway();
    let body = br#"{"model":"m","max_tokens":300,"messages":[]}"#;
    let calls: Vec<_> = (0..5)
        .filter_map(|_| {
            let mut call = gateway.call("acme");
            call.request(POST_CHAT, body)
                .ok()
                .map(|sent| (call, serde_json::from_slice::<serde_json::Value>(&sent).unwrap()))
        })
        .collect();
    let maxima: Vec<_> = calls.iter().map(|(_, sent)| sent["max_tokens"].as_u64().unwrap()).collect();
    assert_eq!(maxima, [300, 300, 300, 100], "the last is lowered to what is left, a fifth is refused");
}

#[test]
fn a_maximum_that_its_api_does_not_read_is_no_way_around_a_cap() {
    for member in [r#""max_output_tokens":1"#, r#""generationConfig":{"maxOutputTokens":1}"#, r#""max_tokens":0"#] {
        let gateway = gateway();
        let body = format!(r#"{{"model":"m","messages":[],{member}}}"#);
        let mut first = gateway.call("acme");
        let sent = first.request(POST_CHAT, body.as_bytes()).unwrap();
        assert_eq!(gateway.reserved("acme"), 1_000, "{member}: its JSON answer may take all that is left");
        if !member.contains(":0") {
            let sent: serde_json::Value = serde_json::from_slice(&sent).unwrap();
            assert_eq!(sent["max_completion_tokens"], 1_000);
        }
        assert!(gateway.call("acme").request(POST_CHAT, body.as_bytes()).is_err());
        first.log();
    }
}

#[test]
fn with_nothing_left_a_call_is_refused_and_told_when_something_is() {
    let gateway = gateway();
    spend(&gateway, 990);
    let reply = gateway.call("acme").request(POST_CHAT, CHAT).unwrap_err();
    let error: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(error["error"]["code"], "insufficient_quota");
}

#[test]
fn a_stream_that_hits_the_cap_ends_as_its_api_ends_at_a_maximum() {
    let gateway = gateway();
    spend(&gateway, 500);
    let mut call = gateway.admitted("acme", CHAT_STREAM);
    call.response_headers(&[SSE_200, &[("content-length", "99")]].concat(), false);
    assert_eq!(call.response_headers.get("content-length"), None);
    let chunk = content_chunk(&"word".repeat(10));
    let mut seen = String::new();
    for _ in 0..200 {
        seen += &String::from_utf8(call.response_chunk(chunk.as_bytes(), false)).unwrap();
    }
    seen += &String::from_utf8(call.response_chunk((finish_chunk() + "data: [DONE]\n\n").as_bytes(), true)).unwrap();
    call.log();
    // Ten tokens a chunk, 500 left.
    let content = seen.matches("wordword").count() / 5;
    assert!((45..=51).contains(&content), "{content} chunks passed");
    assert_eq!(seen.matches(r#""finish_reason":"length""#).count(), 1);
    assert_eq!(seen.matches(r#""finish_reason":"stop""#).count(), 0);
    assert!(seen.ends_with("data: [DONE]\n\n") && seen.matches("[DONE]").count() == 1);
    assert!(!seen.contains("\"usage\":{"), "nobody asked for it");
    assert_eq!(gateway.decisions_of("ended", "cap"), 1);
    let balance = &gateway.own_budget("acme")["budgets"][0];
    assert_eq!(balance["reserved"], 0);
}

#[test]
fn a_stream_within_the_cap_holds_more_as_it_goes_and_passes_untouched() {
    let gateway = gateway();
    let mut call = gateway.admitted("acme", CHAT_STREAM);
    call.response_headers(SSE_200, false);
    let chunk = content_chunk(&"word".repeat(10));
    let at_first = gateway.reserved("acme");
    for _ in 0..80 {
        assert_eq!(call.response_chunk(chunk.as_bytes(), false), chunk.as_bytes());
        assert!(gateway.reserved("acme") <= 1_000);
    }
    assert!(gateway.reserved("acme") >= 800 && at_first == 256, "{at_first}");
    let (finish, done) = (finish_chunk(), "data: [DONE]\n\n".to_owned());
    assert_eq!(
        call.response_chunk((finish.clone() + &usage_chunk() + &done).as_bytes(), true),
        (finish + &done).as_bytes()
    );
    call.log();
    assert_eq!((gateway.used("acme"), gateway.reserved("acme")), (12, 0), "what the provider says counts in the end");
}

#[test]
fn streams_side_by_side_share_what_is_left() {
    let gateway = gateway();
    let mut calls: Vec<_> = (0..3).map(|_| gateway.admitted("acme", CHAT_STREAM)).collect();
    let chunk = content_chunk(&"word".repeat(10));
    calls.iter_mut().for_each(|call| {
        call.response_headers(SSE_200, false);
    });
    let mut content = 0;
    for _ in 0..100 {
        for call in &mut calls {
            content +=
                String::from_utf8(call.response_chunk(chunk.as_bytes(), false)).unwrap().matches("wordword").count()
                    / 5;
        }
    }
    assert!((95..=103).contains(&content), "{content} chunks of ten tokens, 1,000 tokens");
    assert_eq!(gateway.decisions_of("ended", "cap"), 3);
}

#[test]
fn money_caps_as_tokens_do() {
    let gateway = Gateway::configured(
        r#"{"rules": [{"name": "cap", "unit": "usd", "window": {"calendar": "month"}, "per": ["tenant"],
            "limit": "0.01", "hard_cap": true}],
            "prices": {"*": {"input": "1.00", "output": "10.00"}}, "slots": 64}"#,
    );
    let body = r#"{"model":"m","max_tokens":5000,"messages":[]}"#;
    let most = sent(&gateway, "/v1/chat/completions", body)["max_tokens"].as_u64().unwrap();
    assert!((990..1_000).contains(&most), "a cent pays 1,000 tokens less the prompt: {most}");
}

#[test]
fn a_json_answer_without_a_maximum_holds_what_it_can_take_under_the_hard_rule_alone() {
    let soft = r#""rules": [{"name": "soft", "unit": "tokens", "window": {"rolling": "1m"}, "limit": 5000},"#;
    let gateway = Gateway::configured(&CONFIG.replace("1000", "300000").replace(r#""rules": ["#, soft));
    let held = |gateway: &Gateway| {
        let own = gateway.own_budget("acme");
        let of = |rule: &str| {
            let entry = own["budgets"].as_array().unwrap().iter().find(|entry| entry["rule"] == rule).unwrap();
            entry["reserved"].as_u64().unwrap()
        };
        (of("cap"), of("soft"))
    };
    let calls = [(); 2].map(|()| gateway.admitted("acme", CHAT));
    let (cap, soft) = held(&gateway);
    assert_eq!(cap, 2 * 131_072);
    assert!(soft < 600, "{soft}");
    drop(calls);
}

#[test]
fn a_json_answer_without_a_maximum_holds_all_that_is_left() {
    let gateway = Gateway::configured(&CONFIG.replace("1000", "100000"));
    let mut first = gateway.admitted("acme", CHAT);
    assert_eq!(gateway.reserved("acme"), 100_000);
    assert_eq!(gateway.call("acme").request(POST_CHAT, CHAT).unwrap_err().status, 429);
    first.response(JSON_200, ANSWER);
    first.log();
    assert_eq!((gateway.used("acme"), gateway.reserved("acme")), (12, 0));
    gateway.admitted("acme", CHAT);
}

#[test]
fn an_answer_that_cannot_be_ended_is_not_counted_as_ended() {
    let gateway = gateway();
    let mut call = gateway.admitted("acme", br#"{"model":"m","max_tokens":20,"messages":[]}"#);
    call.response_headers(JSON_200, false);
    let answer = answer_of("900", "930");
    for piece in answer.chunks(50) {
        assert_eq!(call.response_chunk(piece, false), piece);
    }
    call.log();
    assert_eq!((gateway.used("acme"), gateway.decisions_of("ended", "cap")), (900, 0));
}
