//! What proxy-wasm hosts are known to get wrong, or to punish: odd header bytes, bodies in slow pieces, lengths after a
//! rewrite, local replies on their way back.

use std::time::Duration;

use serde_json::{Value, json};
use tollgate_tests::client::raw::{RawClient, chunk, post, post_chunked};
use tollgate_tests::client::{MARK, unique};
use tollgate_tests::gateway::{Gateway, chat_body, merge};
use tollgate_tests::provider::record::Recorded;
use tollgate_tests::{on_both_envoys, on_own_envoys};

const CHAT: &str = "/v1/chat/completions";

fn bearer(gateway: &Gateway) -> Vec<u8> {
    format!("authorization: Bearer {}", gateway.key("acme")).into_bytes()
}

fn mark_line(mark: &str) -> Vec<u8> {
    format!("{MARK}: {mark}").into_bytes()
}

fn assert_length(request: &Recorded) {
    let length = request.header("content-length").map(|value| String::from_utf8_lossy(value).into_owned());
    let is_chunked = request.header("transfer-encoding").is_some();
    assert!(length.is_some() != is_chunked, "a body has exactly one framing: {:?}", request.headers);
    assert!(length.is_none_or(|length| length == request.body_bytes.to_string()), "{:?}", request.headers);
}

on_both_envoys!(header_bytes_that_are_no_text_neither_kill_nor_change, async |gateway| {
    let mark = unique("odd");
    let body = chat_body(&unique("prompt")).to_string();
    let odd: [&[u8]; 4] = [b"x-odd: \xff\xfe\x80", &bearer(gateway), &mark_line(&mark), b"user-agent: \xfe\xff"];
    let mut client = RawClient::connect(gateway.envoy.gateway()).await;
    client.write(&post(CHAT, &odd, body.as_bytes())).await;
    assert_eq!(client.read().await.expect("an answer").status, 200);
    assert_eq!(gateway.upstream_request(&mark).header("x-odd"), Some(&b"\xff\xfe\x80"[..]));
});

on_both_envoys!(odd_bytes_in_headers_that_filters_read_are_refused_or_ignored, async |gateway| {
    let body = chat_body(&unique("prompt")).to_string();
    for line in [&b"authorization: Bearer \xff\xfe"[..], b"x-api-key: \xff\xfe", b"authorization: \xff\xfe"] {
        let mut client = RawClient::connect(gateway.envoy.gateway()).await;
        client.write(&post(CHAT, &[line], body.as_bytes())).await;
        assert_eq!(client.read().await.expect("an answer").status, 401);
    }
    for line in [&b"cache-control: \xff\xfe"[..], b"x-gateway-cache: \xff\xfe", b"x-request-id: \xff\xfe"] {
        let mut client = RawClient::connect(gateway.envoy.gateway()).await;
        client.write(&post(CHAT, &[line, &bearer(gateway)], body.as_bytes())).await;
        assert_eq!(client.read().await.expect("an answer").status, 200);
    }
    // Both workers still stand.
    for _ in 0..6 {
        gateway.chat(&unique("prompt")).send().await.expect(200);
    }
});

/// Sends a body of some 100 KiB in 20 slow chunks and gives what the provider got.
async fn send_slowly(gateway: &Gateway, body: &[u8], lines: &[&[u8]]) -> (u16, Vec<Recorded>) {
    let mark = unique("slow");
    let (bearer, mark_line) = (bearer(gateway), mark_line(&mark));
    let mut head: Vec<&[u8]> = vec![&bearer, &mark_line];
    head.extend(lines);
    let mut client = RawClient::connect(gateway.envoy.gateway()).await;
    client.write(&post_chunked(CHAT, &head)).await;
    for piece in body.chunks(body.len().div_ceil(20)) {
        tokio::time::sleep(Duration::from_millis(15)).await;
        client.write(&chunk(piece)).await;
    }
    client.write(&chunk(b"")).await;
    (client.read().await.expect("an answer").status, gateway.upstream_requests(&mark))
}

on_both_envoys!(a_slow_chunked_body_arrives_byte_for_byte_on_a_route_that_retries, async |gateway| {
    let prompt: String = (0..9_000).map(|at| format!("word {at} ")).collect();
    let body = chat_body(&format!("{} {prompt}", unique("prompt"))).to_string();
    // Through the cache, past it, and with attempts that fail.
    let cases: [(&[&[u8]], u16, usize); 3] = [
        (&[], 200, 1),
        (&[b"cache-control: no-store"], 200, 1),
        (&[b"cache-control: no-store", b"x-provider-status: 503"], 503, 3),
    ];
    for (lines, status, attempts) in cases {
        let (found, requests) = send_slowly(gateway, body.as_bytes(), lines).await;
        assert_eq!((found, requests.len()), (status, attempts));
        for request in requests {
            assert_length(&request);
            assert!(
                request.body == body.as_bytes(),
                "{} of {} bytes arrived, or others",
                request.body_bytes,
                body.len()
            );
        }
    }
});

on_both_envoys!(a_slow_chunked_body_that_is_rewritten_arrives_whole, async |gateway| {
    let prompt: String = (0..9_000).map(|at| format!("word {at} ")).collect();
    let mut body = chat_body(&format!("{} {prompt}", unique("prompt")));
    merge(&mut body, &json!({"stream": true}));
    let (status, requests) = send_slowly(gateway, body.to_string().as_bytes(), &[]).await;
    assert_eq!((status, requests.len()), (200, 1));
    assert_length(&requests[0]);
    merge(&mut body, &json!({"stream_options": {"include_usage": true}}));
    assert!(serde_json::from_slice::<Value>(&requests[0].body).unwrap() == body);
});

on_both_envoys!(lengths_are_right_after_a_rewrite_so_that_calls_on_one_connection_stay_apart, async |gateway| {
    let bearer = bearer(gateway);
    let marks = [unique("first"), unique("second"), unique("third")];
    let mut bytes = Vec::new();
    for (at, mark) in marks.iter().enumerate() {
        let mut body = chat_body(&unique("prompt"));
        // Rewritten, rewritten, as it is.
        merge(&mut body, &json!({"stream": at < 2}));
        bytes.extend(post(CHAT, &[&bearer, &mark_line(mark)], body.to_string().as_bytes()));
    }
    let mut client = RawClient::connect(gateway.envoy.gateway()).await;
    client.write(&bytes).await;
    for (at, mark) in marks.iter().enumerate() {
        let answer = client.read().await.expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.text().contains("[DONE]"), at < 2, "the answer of another call");
        let request = gateway.upstream_request(mark);
        assert_length(&request);
        let body: Value = serde_json::from_slice(&request.body).expect("one whole JSON body");
        assert_eq!(body.get("stream_options").is_some(), at < 2);
    }
});

on_both_envoys!(a_client_that_leaves_in_the_middle_of_its_body_harms_nobody, async |gateway| {
    let mark = unique("left");
    let mut client = RawClient::connect(gateway.envoy.gateway()).await;
    client.write(&post_chunked(CHAT, &[&bearer(gateway), &mark_line(&mark)])).await;
    client.write(&chunk(b"{\"model\":\"gpt-4.1\",")).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    drop(client);
    gateway.chat(&unique("prompt")).send().await.expect(200);
    assert!(gateway.upstream_requests(&mark).is_empty());
});

on_own_envoys!(own_replies_are_neither_counted_twice_nor_cached_nor_charged, async |gateway| {
    let body = chat_body(&unique("prompt"));
    let mut large = chat_body(&unique("prompt"));
    merge(&mut large, &json!({"max_tokens": 5_000}));
    // 401, 429 and 413 twice each: were they stored, the second would be a hit; were they charged, tokens would show.
    let unknown = unique("tg_unknown");
    for _ in 0..2 {
        tollgate_tests::client::Call::post(&gateway.url(CHAT), &body).bearer(&unknown).send().await.expect(401);
        let refused = gateway.post_as("globex", CHAT, &large).send().await.expect(429);
        assert_ne!(refused.header("x-gateway-cache"), Some("hit"));
        assert_eq!(refused.number("x-ratelimit-remaining-tokens"), 2_000, "a refusal was charged");
    }
    gateway.expect_metric("gateway_requests_total", &[("status", "401")], 2.0).await;
    gateway.expect_metric("gateway_requests_total", &[("status", "429")], 2.0).await;
    gateway.expect_metric("gateway_tokens_total", &[], 0.0).await;
    // A miss and two hits: three calls, one charge.
    for _ in 0..3 {
        gateway.post(CHAT, &body).send().await.expect(200);
    }
    gateway.expect_metric("gateway_requests_total", &[("status", "200")], 3.0).await;
    gateway.expect_metric("gateway_requests_total", &[], 7.0).await;
    gateway.expect_metric("gateway_cache_total", &[("result", "hit")], 2.0).await;
    gateway.expect_metric("gateway_tokens_total", &[("type", "output")], 9.0).await;
});
