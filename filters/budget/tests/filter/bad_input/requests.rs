//! Requests that nobody should send.

use serde_json::json;
use tollgate_core::{Identity, handoff};

use super::*;

/// Members of a request that nobody should send.
const ODD: &[&str] = &[
    r#","max_tokens":-1"#,
    r#","max_tokens":0"#,
    r#","max_tokens":1000000000000000000"#,
    r#","max_tokens":18446744073709551616"#,
    r#","max_tokens":"12""#,
    r#","max_tokens":1.5"#,
    r#","max_tokens":1e3"#,
    r#","max_tokens":null"#,
    r#","max_tokens":[]"#,
    r#","max_tokens":true"#,
    r#","max_tokens":0,"max_completion_tokens":0"#,
    r#","max_tokens":0,"max_completion_tokens":900"#,
    r#","max_tokens":1,"max_completion_tokens":1000000000000000000"#,
    r#","max_tokens":1,"max_tokens":1000"#,
    r#","max_tokens":1,"Max_Tokens":1000"#,
    r#","max_tokens":1,"max\u005ftokens":1000"#,
    r#","n":0"#,
    r#","n":-3"#,
    r#","n":1000000000000000000"#,
    r#","n":0.5"#,
    r#","n":0,"max_tokens":0"#,
    r#","n":18446744073709551615,"max_tokens":18446744073709551615"#,
    r#","best_of":1000000000000000000"#,
    r#","model":"dear""#,
    r#","stream":"yes""#,
    r#","stream":true,"stream_options":7"#,
    r#","stream":true,"stream_options":{"include_usage":"no"}"#,
    r#","tools":7"#,
    r#","messages":[]"#,
    r#","x":"\ud800""#,
    r#","x":{"y":[{"z":null}]}"#,
];

#[test]
fn an_odd_request_is_refused_or_holds_something_under_every_rule_and_none_passes_in_debt() {
    for unit in UNITS {
        for members in ["", r#","hard_cap":true"#] {
            if unit == "input_tokens" && !members.is_empty() {
                continue;
            }
            let mut is_any_admitted = false;
            for odd in ODD {
                let place = format!("{unit}{members}: {odd}");
                let gateway = gateway_of(unit, members);
                match ask(&gateway, CHAT, &body(odd)) {
                    Ok(mut call) => {
                        is_any_admitted = true;
                        let (used, reserved) = gateway.figures(&tenant("acme"), "m", unit);
                        assert!(used == 0 && reserved > 0, "{place} holds nothing");
                        call.response(
                            JSON_200,
                            answer(r#","usage":{"prompt_tokens":9000000,"completion_tokens":9000000}"#).as_bytes(),
                        );
                        call.log();
                    }
                    Err(reply) => assert!([400, 429].contains(&reply.status), "{place}: {}", reply.status),
                }
                let mut debt = ask(&gateway, CHAT, &body(""));
                if let Ok(call) = &mut debt {
                    let usage = r#","usage":{"prompt_tokens":99000000,"completion_tokens":99000000}"#;
                    call.response(JSON_200, answer(usage).as_bytes());
                    call.log();
                }
                let (used, _) = gateway.figures(&tenant("acme"), "m", unit);
                let limit = if unit == "usd" { 1_000_000_000_000 } else { 1_000_000 };
                if used >= limit {
                    let refused = ask(&gateway, CHAT, &body(odd)).map(|_| ()).expect_err(&place);
                    assert!([400, 429].contains(&refused.status), "{place}: {}", refused.status);
                } else {
                    assert_eq!(unit, "usd", "{place}: {used}");
                }
            }
            assert!(is_any_admitted);
        }
    }
}

#[test]
fn a_request_that_names_no_model_is_refused_where_money_or_models_count() {
    for unit in ["usd", "requests"] {
        let gateway = gateway_of(unit, if unit == "usd" { "" } else { r#","match":{"models":["*"]}"# });
        for model in ["", r#""model":"","#, r#""model":null,"#, r#""model":7,"#, r#""model":["m"],"#] {
            let body = format!(r#"{{{model}"messages":[]}}"#);
            assert_eq!(ask(&gateway, CHAT, body.as_bytes()).map(|_| ()).unwrap_err().status, 400, "{body}");
        }
        let path = "/v1beta/models/:generateContent";
        assert!(ask(&gateway, path, br#"{"contents":[]}"#).is_ok_and(|call| handoff::usage(&call.handoff).is_none()));
    }
}

#[test]
fn a_prompt_at_the_size_limit_is_counted_and_one_byte_more_is_refused() {
    let (before, after) = (r#"{"model":"m","messages":[{"role":"user","content":""#, r#""}]}"#);
    let most = 10 << 20;
    let text = "word ".repeat(most / 5 + 1);
    let whole = |length: usize| {
        let text = &text.as_bytes()[..length - before.len() - after.len()];
        [before.as_bytes(), text, after.as_bytes()].concat()
    };
    let gateway = Gateway::new(
        r#"{"rules":[{"name":"tokens","unit":"tokens","window":{"rolling":"1m"},"limit":100000000}],"slots":16,"max_body_bytes":10485760}"#,
    );
    ask(&gateway, CHAT, &whole(most)).unwrap();
    let (_, reserved) = gateway.figures(&tenant("acme"), "m", "tokens");
    assert!(reserved as usize > most / 5, "{reserved}");
    assert_eq!(ask(&gateway, CHAT, &whole(most + 1)).map(|_| ()).unwrap_err().status, 413);
}

#[test]
fn deep_json_is_refused_or_read_past() {
    let nest = |name: &str| body(&format!(r#","{name}":{}{}"#, "[".repeat(100_000), "]".repeat(100_000)));
    for name in ["tools", "stream_options", "max_tokens", "n", "x", "prompt", "input", "response_format"] {
        let gateway = gateway();
        match ask(&gateway, CHAT, &nest(name)) {
            Ok(_) => assert!(gateway.figures(&tenant("acme"), "m", "tokens").1 > 0, "{name}"),
            Err(reply) => assert_eq!(reply.status, 400, "{name}"),
        }
    }
}

#[test]
fn names_of_any_shape_are_accounts_of_their_own() {
    let names =
        ["\u{0}", "\u{0}\u{0}", "a\nb", "a\r\nx-gateway: 1", "\u{202e}", "\u{feff}", "../..", "", "%00", "\u{1f600}"];
    let gateway = Gateway::new(
        r#"{"rules":[{"name":"r","unit":"tokens","window":{"calendar":"month"},"limit":100000,"per":["tenant","model"],"match":{"models":["*"]}}],
            "slots":1024,"explain":true}"#,
    );
    for (at, name) in names.iter().enumerate() {
        let who = Identity { tenant: (*name).to_owned(), ..tenant("") };
        for model in names.iter().filter(|model| !model.is_empty()) {
            let mut call = gateway.call(&who);
            let body = json!({"model": model, "messages": []}).to_string();
            call.request(&[(":method", "POST"), (":path", CHAT)], body.as_bytes()).unwrap();
            let tokens = at + model.len();
            let usage = format!(r#","usage":{{"prompt_tokens":1,"completion_tokens":{tokens}}}"#);
            call.response(JSON_200, answer(&usage).as_bytes());
            for (header, value) in &call.response_headers.0 {
                assert!(!value.iter().any(u8::is_ascii_control), "{header} of {name:?} and {model:?}");
            }
            call.log();
        }
    }
    for (at, name) in names.iter().enumerate() {
        let who = Identity { tenant: (*name).to_owned(), ..tenant("") };
        for model in names.iter().filter(|model| !model.is_empty()) {
            assert_eq!(gateway.figures(&who, model, "r"), ((1 + at + model.len()) as u64, 0), "{name:?} {model:?}");
        }
    }
}

#[test]
fn a_name_of_a_model_that_is_a_book_is_refused_and_not_kept() {
    for (length, is_refused) in [(512, false), (513, true), (1 << 20, true)] {
        let name = "m".repeat(length);
        for (path, body) in [
            (CHAT.to_owned(), json!({"model": name, "messages": []})),
            (format!("/v1beta/models/{name}:generateContent"), json!({"contents": []})),
            (format!("/openai/deployments/{name}/chat/completions"), json!({"messages": []})),
            ("/openai/deployments/m/chat/completions".to_owned(), json!({"model": name, "messages": []})),
        ] {
            let asked = ask(&gateway(), &path, body.to_string().as_bytes());
            assert_eq!(asked.err().map(|reply| reply.status), is_refused.then_some(400), "{length}");
        }
    }
}
