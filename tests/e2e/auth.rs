//! Nobody gets in without a good credential, and no credential gets out.

use std::time::Duration;

use serde_json::{Value, json};
use tollgate_tests::client::{Call, unique};
use tollgate_tests::gateway::{Gateway, chat_body};
use tollgate_tests::secrets::Secrets;
use tollgate_tests::{on_both_envoys, on_own_envoys};

const CHAT: &str = "/v1/chat/completions";
const SIGNATURES: &str = "gateway_auth_signatures_total";
const HOUR: Duration = Duration::from_secs(3600);

fn call(gateway: &Gateway, path: &str) -> Call {
    Call::post(&gateway.url(path), &chat_body(&unique("prompt")))
}

on_both_envoys!(without_a_credential_a_call_is_refused_and_never_reaches_the_provider, async |gateway| {
    let call = call(gateway, CHAT);
    let mark = call.mark().to_owned();
    let answer = call.send().await.expect(401);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.json()["error"]["code"], "missing_credential");
    assert!(gateway.upstream_requests(&mark).is_empty());
});

on_both_envoys!(a_refusal_speaks_the_dialect_of_the_api_that_was_called, async |gateway| {
    let openai = call(gateway, "/v1/responses").send().await.expect(401).json();
    assert!(openai["error"]["message"].is_string() && openai["error"]["type"].is_string(), "{openai}");
    let anthropic = call(gateway, "/v1/messages").send().await.expect(401).json();
    assert_eq!(anthropic["type"], "error");
    assert_eq!(anthropic["error"]["type"], "authentication_error");
    let gemini = call(gateway, "/v1beta/models/gemini-2.5-flash:generateContent").send().await.expect(401).json();
    assert_eq!(gemini["error"]["code"], 401);
    assert_eq!(gemini["error"]["status"], "UNAUTHENTICATED");
});

on_both_envoys!(an_unknown_key_is_refused_and_not_echoed, async |gateway| {
    let wrong = unique("tg_wrong");
    let answer = call(gateway, CHAT).bearer(&wrong).send().await.expect(401);
    assert_eq!(answer.json()["error"]["code"], "invalid_api_key");
    assert!(!answer.text().contains(&wrong));
});

on_both_envoys!(a_key_is_taken_from_each_of_the_four_headers, async |gateway| {
    let key = gateway.key("acme");
    call(gateway, CHAT).bearer(&key).send().await.expect(200);
    for header in ["x-api-key", "api-key", "x-goog-api-key"] {
        call(gateway, CHAT).header(header, &key).send().await.expect(200);
    }
});

on_both_envoys!(a_token_of_the_issuer_is_as_good_as_a_key, async |gateway| {
    let token = gateway.secrets.token("acme", HOUR).unwrap();
    call(gateway, CHAT).bearer(&token).send().await.expect(200);
});

on_own_envoys!(a_token_is_checked_once_by_each_worker, async |gateway| {
    let token = gateway.secrets.token("acme", HOUR).unwrap();
    for _ in 0..8 {
        call(gateway, CHAT).bearer(&token).send().await.expect(200);
    }
    gateway.expect_metric(SIGNATURES, &[], 8.0).await;
    let remembered = gateway.metric(SIGNATURES, &[("type", "remembered")]).await;
    assert!(remembered >= 6.0, "two workers check a signature once each: {remembered} of 8 were remembered");
});

on_both_envoys!(a_token_that_is_over_is_told_so, async |gateway| {
    let token = gateway.secrets.token_made_ago("acme", 2 * HOUR, HOUR).unwrap();
    let answer = call(gateway, CHAT).bearer(&token).send().await.expect(401);
    assert_eq!(answer.json()["error"]["code"], "token_expired");
});

on_both_envoys!(a_token_that_the_issuer_did_not_sign_is_refused, async |gateway| {
    let dir = tempfile::tempdir().unwrap();
    let foreign = Secrets::create(dir.path(), None).unwrap().token("acme", HOUR).unwrap();
    let own = gateway.secrets.token("globex", HOUR).unwrap();
    // Claims of one token under the signature of another.
    let signature = own.rsplit_once('.').unwrap().1;
    let mixed = format!("{}.{signature}", gateway.secrets.token("acme", HOUR).unwrap().rsplit_once('.').unwrap().0);
    let forged =
        [(foreign, "signature_invalid"), (mixed, "signature_invalid"), (format!("{own}x"), "token_malformed")];
    for (token, code) in forged.into_iter().chain([(own.replace('.', ".."), "invalid_api_key")]) {
        let answer = call(gateway, CHAT).bearer(&token).send().await.expect(401);
        assert_eq!(answer.json()["error"]["code"], code);
        assert!(!answer.text().contains(&token));
    }
});

on_both_envoys!(different_credentials_in_one_call_are_ambiguous, async |gateway| {
    let call = call(gateway, CHAT).bearer(&gateway.key("acme")).header("x-api-key", &gateway.key("globex"));
    assert_eq!(call.send().await.expect(401).json()["error"]["code"], "ambiguous_credential");
});

on_both_envoys!(the_provider_sees_its_own_credential_and_never_the_callers, async |gateway| {
    let key = gateway.key("acme");
    let call = call(gateway, CHAT).bearer(&key).header("x-api-key", &key).header("api-key", &key);
    let mark = call.mark().to_owned();
    call.send().await.expect(200);
    let seen = gateway.upstream_request(&mark);
    let provider_key = std::fs::read_to_string(gateway.secrets.dir().join("provider-key")).unwrap();
    assert_eq!(seen.header("authorization"), Some(format!("Bearer {}", provider_key.trim()).as_bytes()));
    for (name, value) in &seen.headers {
        assert!(!String::from_utf8_lossy(value).contains(&key), "the caller's key is in `{name}`");
    }
});

on_both_envoys!(health_needs_no_credential, async |gateway| {
    for path in ["/health/live", "/health/ready"] {
        Call::get(&gateway.url(path)).send().await.expect(200);
    }
});

on_both_envoys!(no_log_holds_a_credential_or_a_prompt, async |gateway| {
    let prompt = unique("secret-prompt");
    let token = gateway.secrets.token("acme", HOUR).unwrap();
    let wrong = unique("tg_wrong");
    gateway.chat(&prompt).send().await.expect(200);
    for credential in [&token, &wrong] {
        call(gateway, CHAT).bearer(credential).send().await;
    }
    let last: Value = json!({"model": unique("model"), "messages": [{"role": "user", "content": prompt}]});
    let last = gateway.post(&format!("{CHAT}?key={wrong}"), &last);
    let id = last.send().await.header("x-request-id").expect("every answer has an id").to_owned();
    tollgate_tests::gateway::wait_until("the last call is logged", async || gateway.envoy.log().contains(&id)).await;
    let log = gateway.envoy.log();
    for secret in [&prompt, &token, &wrong, &gateway.key("acme")] {
        assert!(!log.contains(secret.as_str()), "the log holds {secret}");
    }
});
