//! What callers say about themselves and the way: Envoy believes none of it, and providers are told none of it.

use tollgate_tests::client::{Answer, Call, unique};
use tollgate_tests::gateway::{Gateway, chat_body};
use tollgate_tests::{on_both_envoys, on_own_envoys};

const CHAT: &str = "/v1/chat/completions";
const SAID: [(&str, &str); 9] = [
    ("x-forwarded-for", "10.1.2.3"),
    ("forwarded", "for=10.1.2.3"),
    ("x-forwarded-proto", "https"),
    ("x-forwarded-client-cert", "By=spiffe://a;Subject=\"CN=admin\""),
    ("x-envoy-external-address", "10.1.2.3"),
    ("x-envoy-internal", "true"),
    ("x-envoy-max-retries", "9"),
    ("x-envoy-retry-on", "5xx"),
    ("x-envoy-upstream-alt-stat-name", "of_a_caller"),
];

fn saying(gateway: &Gateway) -> Call {
    let call = gateway.post(CHAT, &chat_body(&unique("prompt")));
    SAID.iter().fold(call, |call, (name, value)| call.header(name, value))
}

async fn sent(call: Call, status: u16) -> Answer {
    call.send().await.expect(status)
}

on_both_envoys!(no_provider_is_told_who_calls, async |gateway| {
    let answer = sent(saying(gateway), 200).await;
    let there = gateway.upstream_request(&answer.mark);
    for (name, _) in SAID {
        assert!(there.header(name).is_none(), "{name} reached the provider");
    }
    // Its own id, if a caller has one, goes through.
    let id = unique("id");
    let answer = sent(gateway.chat(&unique("prompt")).header("x-request-id", &id), 200).await;
    assert_eq!(answer.header("x-request-id"), Some(id.as_str()));
    assert_eq!(answer.header("server"), Some("tollgate"));
});

on_own_envoys!(no_caller_sets_how_often_a_provider_is_asked_or_what_is_counted, async |gateway| {
    let answer = sent(saying(gateway).told("status", 500), 500).await;
    assert_eq!(gateway.upstream_requests(&answer.mark).len(), 1, "a caller had the provider asked again");
    let page = gateway.metrics_text().await;
    assert!(!page.contains("of_a_caller"), "a caller made metrics of its own");
});
