//! A body reaches each provider whole, however it came, and reaches nobody else.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tollgate_tests::client::raw::{RawAnswer, RawClient, chunk, post_chunked};
use tollgate_tests::client::{MARK, unique};
use tollgate_tests::gateway::Gateway;
use tollgate_tests::on_both_envoys;
use tollgate_tests::provider::record::Recorded;

use crate::provider_fleet::{CHAT, Told, chat, fleet, provider, text, told_at};

/// Calls at once.
const CALLS: usize = 50;
/// Pieces of a slow body, and the pause between them.
const PIECES: usize = 16;
const PAUSE: Duration = Duration::from_millis(15);

/// A body of about `size` bytes, spaced as no library would.
fn body_of(model: &str, size: usize) -> Vec<u8> {
    let text = unique("prompt").repeat(size / 23);
    format!("{{ \"model\" : \"{model}\",\n\t\"seed\":7, \"messages\":[{{\"role\":\"user\" ,\"content\":\"{text}\\u0021\"}}] , \"user\":\"u-1\" }}\n").into_bytes()
}

/// Sends it piece by piece; `failing` answers 503.
async fn send_slowly(gateway: &Gateway, failing: &str, mark: &str, body: &[u8]) -> RawAnswer {
    let mut client = RawClient::connect(gateway.envoy.gateway()).await;
    let lines = [
        format!("authorization: Bearer {}", gateway.key("acme")),
        format!("{MARK}: {mark}"),
        format!("x-provider-at: {failing}"),
        "x-provider-status: 503".to_owned(),
    ];
    let lines: Vec<&[u8]> = lines.iter().map(String::as_bytes).collect();
    client.write(&post_chunked(CHAT, &lines)).await;
    for piece in body.chunks(body.len() / PIECES + 1) {
        client.write(&chunk(piece)).await;
        tokio::time::sleep(PAUSE).await;
    }
    client.write(&chunk(b"")).await;
    let answer = client.read().await.expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer
}

fn assert_framed(request: &Recorded) {
    assert_eq!(text(request, "content-length"), Some(request.body_bytes.to_string().as_str()));
    assert_eq!(text(request, "transfer-encoding"), None);
}

fn one(mut requests: Vec<Recorded>) -> Recorded {
    assert_eq!(requests.len(), 1);
    requests.pop().unwrap()
}

/// The provider keeps the first 2 MiB of what it got.
async fn arrives_unchanged(gateway: &Gateway, size: usize) {
    let (mark, body) = (unique("call"), body_of("plain-large", size));
    let answer = send_slowly(gateway, "third", &mark, &body).await;
    assert_eq!(answer.header("x-gateway-provider"), Some("fourth"));
    for site in ["third", "fourth"] {
        let request = one(gateway.requests_at(site, &mark));
        assert_eq!(request.body_bytes, body.len(), "{site}");
        assert!(body.starts_with(&request.body), "{site} got other bytes");
        assert_framed(&request);
    }
}

/// What differs is what the provider wants different; all between is the caller's, byte for byte.
async fn arrives_edited(gateway: &Gateway, size: usize) {
    let (mark, body) = (unique("call"), body_of("edits", size));
    let answer = send_slowly(gateway, "first", &mark, &body).await;
    assert_eq!(answer.header("x-gateway-provider"), Some("second"));
    let sent = String::from_utf8(body).unwrap();
    let at = sent.find("\"messages\"").unwrap();
    let messages = sent.get(at..sent.rfind(']').unwrap()).unwrap();
    for (site, model, gone, set) in [
        ("first", "edits-of-first", "user", ("store", json!(false))),
        ("second", "edits/of second", "seed", ("metadata", json!({"by": "second"}))),
    ] {
        let request = one(gateway.requests_at(site, &mark));
        assert_framed(&request);
        let got = String::from_utf8_lossy(&request.body);
        if request.body.len() < request.body_bytes {
            assert!(got.contains(messages.get(..1 << 20).unwrap()), "{site} got other bytes");
            assert!(request.body_bytes.abs_diff(sent.len()) < 100, "{} of {}", request.body_bytes, sent.len());
            continue;
        }
        assert!(got.contains(messages), "{site} got other bytes");
        let mut expected: Value = serde_json::from_str(&sent).unwrap();
        expected["model"] = json!(model);
        expected.as_object_mut().unwrap().remove(gone);
        expected[set.0] = set.1;
        assert!(serde_json::from_slice::<Value>(&request.body).unwrap() == expected, "{site} got other members");
    }
    let path = one(gateway.requests_at("second", &mark)).path;
    assert_eq!(path, "/openai/deployments/edits%2Fof%20second/chat/completions?api-version=2025-01-01");
}

on_both_envoys!(a_slow_body_of_1_mb_falls_back_byte_for_byte, fleet(), async |gateway| {
    arrives_unchanged(gateway, 1 << 20).await;
});
on_both_envoys!(a_slow_body_of_5_mb_falls_back_byte_for_byte, fleet(), async |gateway| {
    arrives_unchanged(gateway, 5 << 20).await;
});
on_both_envoys!(a_slow_body_of_1_mb_falls_back_with_each_providers_changes, fleet(), async |gateway| {
    arrives_edited(gateway, 1 << 20).await;
});
on_both_envoys!(a_slow_body_of_5_mb_falls_back_with_each_providers_changes, fleet(), async |gateway| {
    arrives_edited(gateway, 5 << 20).await;
});

on_both_envoys!(calls_at_once_are_not_mixed_up, fleet(), async |gateway| {
    let fates: [(&str, Told, u16); 5] = [
        ("first", &[], 200),
        ("first", &[("status", 503)], 200),
        ("first", &[("reset", 1)], 200),
        ("first,second", &[("status", 422)], 422),
        ("first", &[("status", 500), ("delay-ms", 100)], 200),
    ];
    let ask = async |at: usize| {
        let (names, told, status) = fates[at % fates.len()];
        let (model, prompt) = (format!("mixed-{at}"), unique("prompt").repeat(1 + at * 50));
        let call = told_at(gateway.post(CHAT, &chat(&model, &prompt)), names, told);
        let answer = call.send().await.expect(status);
        let attempts = gateway.upstream_requests(&answer.mark);
        assert!((1..=2).contains(&attempts.len()), "{} attempts", attempts.len());
        for attempt in &attempts {
            let body: Value = serde_json::from_slice(&attempt.body).unwrap();
            assert_eq!(body["messages"][0]["content"], prompt, "another call's body");
            assert_eq!(body["model"], model);
        }
        assert_eq!(gateway.requests_at(provider(&answer), &answer.mark).len(), 1);
        if status == 200 {
            let told = answer.json();
            assert_eq!(told["model"], model);
            let words = format!("Hello from the scripted provider. You said {} characters.", prompt.len());
            assert_eq!(told["choices"][0]["message"]["content"], words, "another call's answer");
        }
    };
    join_all((0..CALLS).map(ask)).await;
});
