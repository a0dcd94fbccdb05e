//! The caller's key reaches no provider, in whatever place it comes and whoever is tried.

use serde_json::{Value, json};
use tollgate_tests::client::{Call, unique};
use tollgate_tests::gateway::{Gateway, chat_body, merge};
use tollgate_tests::on_own_envoys;

use crate::provider_fleet::CHAT;
use crate::provider_secrets::setup;

/// The headers in which a key of the caller may come.
const KEY_HEADERS: [&str; 4] = ["authorization", "x-api-key", "api-key", "x-goog-api-key"];

/// Fails if any of `secrets` stands anywhere in what reached a provider, or its own key is not all that it got.
fn assert_own_keys_only(gateway: &Gateway, mark: &str, secrets: &[&str]) -> Vec<&'static str> {
    let keys = [
        ("a", "authorization", format!("Bearer {}", gateway.secrets.provider_key("key-a").unwrap())),
        ("b", "x-api-key", gateway.secrets.provider_key("KEY_B").unwrap()),
        ("open", "none", String::new()),
    ];
    let mut asked = Vec::new();
    for (name, header, key) in keys {
        for request in gateway.requests_at(name, mark) {
            asked.push(name);
            for (found, value) in &request.headers {
                let value = String::from_utf8_lossy(value);
                assert!(!secrets.iter().any(|secret| value.contains(secret)), "`{found}: {value}` at {name}");
                let is_credential = KEY_HEADERS.contains(&found.as_str()) || found.contains("credential");
                assert!(!is_credential || (found == header && value == key), "`{found}: {value}` at {name}");
            }
            assert!(header == "none" || request.header(header).is_some(), "{name} got no key");
            assert!(!secrets.iter().any(|secret| request.path.contains(secret)), "{} at {name}", request.path);
            assert!(!request.path.contains("key="), "{} at {name}", request.path);
        }
    }
    asked
}

/// Makes the providers fail one after the other, so that each sees the call.
fn tried_everywhere(call: Call) -> (Call, String) {
    let mark = call.mark().to_owned();
    (call.told("status.a", 503).told("status.b", 500), mark)
}

on_own_envoys!(the_callers_key_reaches_no_provider_in_whatever_place_it_comes, setup(), async |gateway| {
    let key = gateway.key("acme");
    let mut body = chat_body(&unique("prompt"));
    merge(&mut body, &json!({"model": "m"}));
    let gemini = json!({"contents": [{"parts": [{"text": unique("prompt")}]}]});
    let mut calls: Vec<Call> = KEY_HEADERS
        .iter()
        .map(|header| {
            let value = if *header == "authorization" { format!("Bearer {key}") } else { key.clone() };
            Call::post(&gateway.url(CHAT), &body).header(header, &value)
        })
        .collect();
    calls.push(Call::post(&gateway.url(&format!("/v1beta/models/m:generateContent?key={key}")), &gemini));
    for call in calls {
        let cookie = call.header("cookie", "session=sk-cookie").header("x-gateway-credential-b", "sk-forged");
        let (call, mark) = tried_everywhere(cookie.header("cache-control", "no-store"));
        call.send().await.expect(200);
        let asked = assert_own_keys_only(gateway, &mark, &[&key, "sk-cookie", "sk-forged"]);
        assert_eq!(asked, ["a", "b", "open"]);
    }
});

on_own_envoys!(
    no_key_of_a_caller_passes_even_if_auth_is_left_out,
    setup().without("tollgate.auth"),
    async |gateway| {
        let mut body = chat_body(&unique("prompt"));
        merge(&mut body, &json!({"model": "m"}));
        let paths: [(&str, &Value); 2] =
            [(CHAT, &body), ("/v1beta/models/m:generateContent", &json!({"contents": [{"parts": [{"text": "x"}]}]}))];
        for (path, body) in paths {
            let url = gateway.url(&format!("{path}?key=sk-query&a=b&access_token=sk-query"));
            let mut call =
                Call::post(&url, body).header("cookie", "session=sk-own").header("cache-control", "no-store");
            for header in KEY_HEADERS {
                call = call.header(header, "Bearer sk-own");
            }
            let call =
                call.header("proxy-authorization", "Basic sk-own").header("x-gateway-credential-a", "sk-forged");
            let (call, mark) = tried_everywhere(call);
            call.send().await.expect(200);
            let asked = assert_own_keys_only(gateway, &mark, &["sk-own", "sk-query", "sk-forged"]);
            assert_eq!(asked, ["a", "b", "open"]);
            assert!(gateway.upstream_requests(&mark).iter().all(|request| request.path.ends_with("?a=b")));
        }
    }
);
