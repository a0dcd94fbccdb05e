//! What a provider sees of a caller: no key, and the identity only if that is configured.

use serde_json::json;
use tollgate_tests::client::{Call, unique};
use tollgate_tests::gateway::{Setup, chat_body};
use tollgate_tests::on_own_envoys;

fn telling() -> Setup {
    Setup::default().config("auth", |config| {
        config["query_keys"] = json!(true);
        config["upstream_headers"] = json!({"tenant": "x-tenant", "credential_id": "x-caller"});
    })
}

on_own_envoys!(a_key_in_the_url_lets_in_and_goes_no_further, telling(), async |gateway| {
    let key = gateway.key("acme");
    let body = json!({"contents": [{"parts": [{"text": unique("prompt")}]}]});
    for (query, left) in [(format!("key={key}"), ""), (format!("a=b&%6bey={key}&c=d"), "?a=b&c=d")] {
        let path = "/v1beta/models/gemini-2.5-flash:generateContent";
        let call = Call::post(&gateway.url(&format!("{path}?{query}")), &body);
        let mark = call.mark().to_owned();
        call.header("x-tenant", "forged").header("x-caller", "forged").send().await.expect(200);
        let seen = gateway.upstream_request(&mark);
        assert_eq!(seen.path, format!("{path}{left}"));
        assert_eq!(seen.header("x-tenant"), Some(&b"acme"[..]));
        assert_eq!(seen.header("x-caller"), Some(&b"acme-demo"[..]));
        for (name, value) in &seen.headers {
            assert!(!String::from_utf8_lossy(value).contains(&key), "the caller's key is in `{name}`");
        }
    }
    let wrong = unique("tg_wrong");
    let call = Call::post(&gateway.url(&format!("/v1/chat/completions?key={wrong}")), &chat_body("x"));
    let answer = call.send().await.expect(401);
    assert_eq!(answer.json()["error"]["code"], "invalid_api_key");
    let id = answer.header("x-request-id").expect("every answer has an id").to_owned();
    tollgate_tests::gateway::wait_until("it is logged", async || gateway.envoy.log().contains(&id)).await;
    for secret in [&key, &wrong] {
        assert!(!gateway.envoy.log().contains(secret.as_str()), "the log holds a key");
    }
});
