//! What HTTP lets a client do beside a plain POST: other versions, trailers, upgrades, methods, spellings and codings. No
//! way of asking gets around the filters.

use futures_util::future::join_all;
use serde_json::{Value, json};
use tollgate_tests::client::http2::Http2Client;
use tollgate_tests::client::raw::{RawClient, chunk, post};
use tollgate_tests::client::{Call, MARK, unique};
use tollgate_tests::gateway::{Gateway, chat_body, merge};
use tollgate_tests::on_both_envoys;

const CHAT: &str = "/v1/chat/completions";

fn bearer(gateway: &Gateway, tenant: &str) -> String {
    format!("Bearer {}", gateway.key(tenant))
}

fn chat(more: &Value) -> String {
    let mut body = chat_body(&unique("prompt"));
    merge(&mut body, more);
    body.to_string()
}

/// Sends the bytes of a request and gives its status; `None` if the connection was closed instead.
async fn status_of(gateway: &Gateway, bytes: &[u8]) -> Option<u16> {
    let mut client = RawClient::connect(gateway.envoy.gateway()).await;
    client.write(bytes).await;
    client.read().await.map(|answer| answer.status)
}

on_both_envoys!(http2_calls_on_one_connection_are_served_side_by_side, async |gateway| {
    let mut client = Http2Client::connect(gateway.envoy.gateway()).await;
    let bearer = bearer(gateway, "acme");
    let marks: Vec<_> = (0..8).map(|_| unique("http2")).collect();
    let mut calls = Vec::new();
    for (at, mark) in marks.iter().enumerate() {
        let headers = [("authorization", bearer.as_str()), (MARK, mark)];
        calls.push(client.post(CHAT, &headers, &chat(&json!({"stream": at % 2 == 0})), None).await.answer());
    }
    for (at, (answer, mark)) in join_all(calls).await.iter().zip(&marks).enumerate() {
        assert_eq!((answer.status, answer.text.contains("[DONE]")), (200, at % 2 == 0), "{answer:?}");
        assert!(answer.headers.contains_key("x-ratelimit-remaining-tokens"));
        gateway.upstream_request(mark);
    }
    let refused = client.post(CHAT, &[], &chat(&json!({})), None).await.answer().await;
    assert_eq!(refused.status, 401);
});

on_both_envoys!(trailers_end_a_body_and_are_no_place_for_a_credential, async |gateway| {
    let mut client = Http2Client::connect(gateway.envoy.gateway()).await;
    let bearer = bearer(gateway, "acme");
    // As it is, and rewritten.
    for stream in [false, true] {
        let (mark, body) = (unique("trailers"), chat(&json!({"stream": stream})));
        let headers = [("authorization", bearer.as_str()), (MARK, &mark)];
        let answer = client.post(CHAT, &headers, &body, Some(&[("x-trailer", "1")])).await.answer().await;
        assert_eq!((answer.status, answer.text.contains("[DONE]")), (200, stream), "{answer:?}");
        let mut expected: Value = serde_json::from_str(&body).unwrap();
        if stream {
            merge(&mut expected, &json!({"stream_options": {"include_usage": true}}));
        }
        assert_eq!(serde_json::from_slice::<Value>(&gateway.upstream_request(&mark).body).unwrap(), expected);
        let again = client.post(CHAT, &headers[..1], &body, Some(&[])).await.answer().await;
        assert_eq!(again.headers.get("x-gateway-cache").unwrap(), "hit");
    }
    let late = [("authorization", bearer.as_str())];
    assert_eq!(client.post(CHAT, &[], &chat(&json!({})), Some(&late)).await.answer().await.status, 401);
});

on_both_envoys!(no_upgrade_opens_a_way_past_the_filters, async |gateway| {
    let (bearer, mark) = (format!("authorization: {}", bearer(gateway, "acme")), unique("upgrade"));
    let mark_line = format!("{MARK}: {mark}");
    let lines: [&[u8]; 6] = [
        b"connection: upgrade",
        b"upgrade: websocket",
        b"sec-websocket-version: 13",
        b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
        bearer.as_bytes(),
        mark_line.as_bytes(),
    ];
    let upgrade = post(CHAT, &lines, chat(&json!({})).as_bytes());
    assert_eq!(status_of(gateway, &upgrade).await, Some(403));
    let realtime = [b"GET", &post("/v1/realtime?model=gpt-4.1", &lines, b"")[4..]].concat();
    assert_eq!(status_of(gateway, &realtime).await, Some(403));
    assert!(gateway.upstream_requests(&mark).is_empty());
});

on_both_envoys!(a_body_framed_twice_is_refused, async |gateway| {
    let (bearer, mark) = (format!("authorization: {}", bearer(gateway, "acme")), unique("framed"));
    let mark_line = format!("{MARK}: {mark}");
    let body = [chunk(chat(&json!({})).as_bytes()), chunk(b"")].concat();
    for framing in [&b"transfer-encoding: chunked"[..], b"content-length: 3"] {
        let request = post(CHAT, &[framing, bearer.as_bytes(), mark_line.as_bytes()], &body);
        assert_eq!(status_of(gateway, &request).await, Some(400));
    }
    assert!(gateway.upstream_requests(&mark).is_empty());
});

on_both_envoys!(a_compressed_body_is_refused_whatever_it_reads_as, async |gateway| {
    // The head of a gzip member, and JSON that only says to be compressed.
    for body in [b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xab\x56\xca".to_vec(), chat(&json!({})).into_bytes()] {
        let call = Call::post_bytes(&gateway.url(CHAT), body).bearer(&gateway.key("acme"));
        let call = call.header("content-encoding", "gzip");
        let mark = call.mark().to_owned();
        let message = call.send().await.expect(400).json()["error"]["message"].to_string();
        assert!(message.contains("compressed"), "{message}");
        assert!(gateway.upstream_requests(&mark).is_empty());
    }
});

/// More tokens than `globex` has, so that a metered call is refused.
fn too_dear() -> String {
    chat(&json!({"max_tokens": 5_000}))
}

on_both_envoys!(another_method_is_no_way_around_the_budget, async |gateway| {
    let bearer = format!("authorization: {}", bearer(gateway, "globex"));
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "GET"] {
        let request = post(CHAT, &[bearer.as_bytes(), b"x-http-method-override: POST"], too_dear().as_bytes());
        let request = [method.as_bytes(), &request[4..]].concat();
        assert_eq!(status_of(gateway, &request).await, Some(429), "{method}");
    }
});

on_both_envoys!(another_spelling_of_the_path_is_no_way_around_the_budget, async |gateway| {
    let bearer = format!("authorization: {}", bearer(gateway, "globex"));
    for path in [
        "/v1/Chat/COMPLETIONS",
        "/v1/chat/completions;v=1",
        "/v1/chat/completions%3Bv=1",
        "//v1//chat//completions/",
        "/v1/chat/%63ompletions",
        "/v1/x/../chat/./completions",
        "/v1\\chat\\completions",
        "http://elsewhere.example/v1/chat/completions",
    ] {
        let request = post(path, &[bearer.as_bytes()], too_dear().as_bytes());
        assert_eq!(status_of(gateway, &request).await, Some(429), "{path}");
    }
    for path in ["/v1/chat%2fcompletions", "/v1/chat%5Ccompletions", "/v1/chat/completions%00"] {
        let request = post(path, &[bearer.as_bytes()], too_dear().as_bytes());
        assert_eq!(status_of(gateway, &request).await, Some(400), "{path}");
    }
});
