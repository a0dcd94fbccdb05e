//! HTTP/1.1 as attackers write it: what could be read in two ways, what is too large and what never ends is refused with an
//! answer, no provider hears of it, and the next call is served.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use tollgate_tests::client::raw::{RawAnswer, RawClient, chunk, post, post_chunked};
use tollgate_tests::client::{MARK, unique};
use tollgate_tests::gateway::{Gateway, Setup, chat_body};
use tollgate_tests::{on_both_envoys, on_own_envoys};

const CHAT: &str = "/v1/chat/completions";
const MESSAGES: &str = "/v1/messages";
const GEMINI: &str = "/v1beta/models/gemini-2.5-flash:generateContent";
/// `request_headers_timeout`.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// What a busy machine may take on top.
const SLACK: Duration = Duration::from_secs(10);

/// The lines that make a call good, with another mark each time.
struct Lines {
    mark: String,
    lines: Vec<Vec<u8>>,
}

impl Lines {
    fn new(gateway: &Gateway) -> Self {
        let mark = unique("edge");
        let lines = [format!("authorization: Bearer {}", gateway.key("acme")), format!("{MARK}: {mark}")];
        Self { mark, lines: lines.map(String::into_bytes).to_vec() }
    }

    fn with(mut self, lines: &[&str]) -> Self {
        self.lines.extend(lines.iter().map(|line| line.as_bytes().to_vec()));
        self
    }

    fn post(&self, path: &str, body: &[u8]) -> Vec<u8> {
        post(path, &self.refs(), body)
    }

    fn post_chunked(&self, path: &str) -> Vec<u8> {
        post_chunked(path, &self.refs())
    }

    /// A head without any framing of a body.
    fn head(&self, path: &str) -> Vec<u8> {
        let whole = self.post(path, b"");
        whole.strip_suffix(b"content-length: 0\r\n\r\n").unwrap().to_vec()
    }

    fn refs(&self) -> Vec<&[u8]> {
        self.lines.iter().map(Vec::as_slice).collect()
    }
}

fn chat() -> Vec<u8> {
    chat_body(&unique("prompt")).to_string().into_bytes()
}

fn whole_chunks(body: &[u8]) -> Vec<u8> {
    [chunk(body), chunk(b"")].concat()
}

async fn send(gateway: &Gateway, bytes: &[u8]) -> (RawClient, Option<RawAnswer>) {
    let mut client = RawClient::connect(gateway.envoy.gateway()).await;
    client.write(bytes).await;
    let answer = client.read().await;
    (client, answer)
}

/// Fails unless the answer has that status and is an error in words.
fn assert_refused(what: &str, answer: Option<RawAnswer>, status: u16) -> RawAnswer {
    let answer = answer.unwrap_or_else(|| panic!("{what}: the connection ended without an answer"));
    assert_eq!(answer.status, status, "{what}: {answer:?}");
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_else(|_| panic!("{what}: {answer:?}"));
    assert!(body["error"]["message"].as_str().is_some_and(|message| !message.is_empty()), "{what}: {answer:?}");
    answer
}

async fn assert_serves(gateway: &Gateway) {
    gateway.chat(&unique("prompt")).send().await.expect(200);
}

on_both_envoys!(a_head_that_is_too_large_is_refused, async |gateway| {
    let refused_before = gateway.envoy.stat("http.gateway.downstream_rq_4xx").await.unwrap();
    let large = |bytes: usize| format!("x-large: {}", "a".repeat(bytes));
    let many = |count: usize| (0..count).map(|at| format!("x-{at}: a")).collect::<Vec<_>>();
    for lines in [vec![large(64 << 10)], vec![large(33 << 10)], many(120), (0..40).map(|_| large(1_000)).collect()] {
        let call = Lines::new(gateway).with(&lines.iter().map(String::as_str).collect::<Vec<_>>());
        let (mut client, answer) = send(gateway, &call.post(CHAT, &chat())).await;
        assert_refused(&format!("{} lines", lines.len()), answer, 431);
        assert!(client.read().await.is_none(), "the connection goes on");
        assert!(gateway.upstream_requests(&call.mark).is_empty());
    }
    let path = format!("{CHAT}?{}", "a".repeat(64 << 10));
    assert_refused("a long path", send(gateway, &Lines::new(gateway).post(&path, &chat())).await.1, 431);
    assert!(gateway.envoy.stat("http.gateway.downstream_rq_4xx").await.unwrap() >= refused_before + 5);
    for lines in [vec![large(24 << 10)], many(80)] {
        let call = Lines::new(gateway).with(&lines.iter().map(String::as_str).collect::<Vec<_>>());
        let (_, answer) = send(gateway, &call.post(CHAT, &chat())).await;
        assert_eq!(answer.unwrap().status, 200);
    }
});

on_both_envoys!(a_body_that_could_end_in_two_places_is_refused, async |gateway| {
    let (length, chunked) = ("content-length: 3", "transfer-encoding: chunked");
    // What would be a call of its own for whoever reads the shorter body.
    let inner = Lines::new(gateway);
    let body = [whole_chunks(b"{}"), inner.post(CHAT, &chat())].concat();
    let cases: [(&[&str], u16); 17] = [
        (&[length, chunked], 400),
        (&[chunked, length], 400),
        (&[length, length], 400),
        (&[length, "content-length: 4"], 400),
        (&["content-length: 3, 3"], 400),
        (&["content-length: +3"], 400),
        (&["content-length: -3"], 400),
        (&["content-length: 0x3"], 400),
        (&["transfer-encoding : chunked"], 400),
        (&["transfer-encoding : chunked", length], 400),
        (&["transfer-encoding: \x0bchunked"], 400),
        (&["transfer-encoding: xchunked"], 501),
        (&["transfer-encoding: chunked, identity"], 501),
        (&["transfer-encoding: chunked", "transfer-encoding: identity"], 501),
        (&["transfer-encoding: \"chunked\""], 501),
        (&["transfer-encoding: chunked;q=1"], 501),
        (&["transfer-encoding: gzip, chunked"], 501),
    ];
    for (framing, status) in cases {
        let call = Lines::new(gateway).with(framing);
        let (mut client, answer) = send(gateway, &[call.head(CHAT), b"\r\n".to_vec(), body.clone()].concat()).await;
        assert_refused(&format!("{framing:?}"), answer, status);
        assert!(client.read().await.is_none(), "{framing:?}: what came behind was read as a call");
        assert!(gateway.upstream_requests(&call.mark).is_empty(), "{framing:?}");
    }
    assert!(gateway.upstream_requests(&inner.mark).is_empty());
    assert_serves(gateway).await;
});

on_both_envoys!(a_chunk_that_could_end_in_two_places_is_refused, async |gateway| {
    let inner = Lines::new(gateway);
    for start in
        ["3\nabc\n0\n\n", "3;a\nabc\r\n", "fffffffffffffffff\r\n", "-1\r\n", "0x3\r\nabc\r\n", "3 4\r\nabc\r\n"]
    {
        let call = Lines::new(gateway);
        let bytes = [call.post_chunked(CHAT), start.as_bytes().to_vec(), inner.post(CHAT, &chat())].concat();
        let (mut client, answer) = send(gateway, &bytes).await;
        assert_refused(start, answer, 400);
        assert!(client.read().await.is_none(), "{start:?}");
        assert!(gateway.upstream_requests(&call.mark).is_empty(), "{start:?}");
    }
    assert!(gateway.upstream_requests(&inner.mark).is_empty());
    assert_serves(gateway).await;
});

on_both_envoys!(a_head_that_is_no_head_is_refused, async |gateway| {
    for line in ["x y: a", "no colon", ": a", "x-a: \x01", "x-a: a\0b", "x\ty: a"] {
        let call = Lines::new(gateway).with(&[line]);
        let (mut client, answer) = send(gateway, &call.post(CHAT, &chat())).await;
        assert_refused(line, answer, 400);
        assert!(client.read().await.is_none(), "{line:?}");
        assert!(gateway.upstream_requests(&call.mark).is_empty(), "{line:?}");
    }
    let call = Lines::new(gateway);
    let older = String::from_utf8(call.post(CHAT, &chat())).unwrap().replace("HTTP/1.1", "HTTP/1.0");
    assert_refused("HTTP/1.0", send(gateway, older.as_bytes()).await.1, 426);
    for (garbage, status) in
        [(&b"GET /health/live\r\n\r\n"[..], 426), (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n", 400)]
    {
        assert_refused("garbage", send(gateway, garbage).await.1, status);
    }
    assert!(gateway.upstream_requests(&call.mark).is_empty());
    assert_serves(gateway).await;
});

on_both_envoys!(lines_that_end_in_a_bare_line_feed_are_written_anew, async |gateway| {
    // Envoy takes them, as RFC 9112 §2.2 allows; what a provider reads has no second meaning.
    let call = Lines::new(gateway).with(&["x-a: b\nx-c: d", "x-folded: e\r\n f", "x-return: g\rx-h: i"]);
    let (_, answer) = send(gateway, &call.post(CHAT, &chat())).await;
    assert_eq!(answer.unwrap().status, 200);
    let there = gateway.upstream_request(&call.mark);
    let of = |name: &str| there.header(name).map(|value| String::from_utf8_lossy(value).into_owned());
    assert_eq!((of("x-a").as_deref(), of("x-c").as_deref()), (Some("b"), Some("d")));
    assert_eq!(of("x-folded").as_deref(), Some("e f"));
    assert!(of("x-return").is_some_and(|value| !value.contains('\r')) && of("x-h").is_none());
});

on_both_envoys!(a_body_for_who_reads_none_is_no_further_call, async |gateway| {
    let (inner, call) = (Lines::new(gateway), Lines::new(gateway));
    let mut client = RawClient::connect(gateway.envoy.gateway()).await;
    client.write(&post("/health/live", &[], &inner.post(CHAT, &chat()))).await;
    let live = client.read().await.unwrap();
    assert_eq!((live.status, live.text().as_str()), (200, "live\n"));
    client.write(&call.post(CHAT, &chat())).await;
    let answer = client.read().await.expect("the connection goes on");
    assert!(answer.status == 200 && answer.text().contains("chat.completion"), "{answer:?}");
    assert_eq!(gateway.upstream_requests(&call.mark).len(), 1);
    assert!(gateway.upstream_requests(&inner.mark).is_empty(), "a body was read as a call");
});

on_both_envoys!(names_with_underscores_reach_nobody, async |gateway| {
    let call = Lines::new(gateway).with(&["transfer_encoding: chunked", "x_api_key: k", "content_length: 0"]);
    assert_eq!(send(gateway, &call.post(CHAT, &chat())).await.1.unwrap().status, 200);
    let there = gateway.upstream_request(&call.mark);
    for name in ["transfer_encoding", "x_api_key", "content_length"] {
        assert!(there.header(name).is_none(), "{name}");
    }
});

on_both_envoys!(a_trace_would_tell_the_providers_key_and_is_refused, async |gateway| {
    let call = Lines::new(gateway);
    for path in [CHAT, "/v1/models", "/health/live"] {
        let trace = [b"TRACE", &call.post(path, &chat())[4..]].concat();
        let (_, answer) = send(gateway, &trace).await;
        assert!(answer.is_some_and(|answer| answer.status == 405 || path == "/health/live"), "{path}");
    }
    assert!(gateway.upstream_requests(&call.mark).is_empty());
});

on_both_envoys!(a_body_that_is_too_large_is_refused_however_it_is_framed, async |gateway| {
    let long = vec![b' '; 11 << 20];
    for (path, is_json) in [(CHAT, true), ("/v1/files", false)] {
        let call = Lines::new(gateway);
        let framed = [call.post(path, &long), [call.post_chunked(path), whole_chunks(&long)].concat()];
        for bytes in framed {
            let mut text = bytes;
            if !is_json {
                let head = String::from_utf8_lossy(&text[..200]).replacen("application/json", "application/data", 1);
                text.splice(..200, head.into_bytes());
            }
            let (_, answer) = send(gateway, &text).await;
            assert_refused(path, answer, 413);
        }
        assert!(gateway.upstream_requests(&call.mark).is_empty(), "{path}");
    }
    assert_serves(gateway).await;
});

/// Sends a piece every half second until there is an answer; the answer and how long it took.
async fn dribble(gateway: &Gateway, start: Vec<u8>, piece: &[u8]) -> (Option<RawAnswer>, Duration) {
    let started = Instant::now();
    let mut client = RawClient::connect(gateway.envoy.gateway()).await;
    client.write(&start).await;
    while started.elapsed() < HEAD_TIMEOUT + SLACK {
        client.write(piece).await;
        if client.has_answer(Duration::from_millis(500)).await {
            return (client.read().await, started.elapsed());
        }
    }
    (None, started.elapsed())
}

on_own_envoys!(a_head_in_slow_pieces_ends_in_time, async |gateway| {
    let starts = [
        (b"P".to_vec(), &b""[..]),
        (b"POST /v1/messages HTTP/1.1\r\n".to_vec(), b"x-slow: 1\r\n"),
        (Lines::new(gateway).head(CHAT), b"x"),
    ];
    let slow = join_all((0..60).map(|at| {
        let (start, piece) = starts[at % 3].clone();
        dribble(gateway, start, piece)
    }));
    let others = async {
        sleep(Duration::from_secs(2)).await;
        assert_serves(gateway).await;
    };
    let (slow, ()) = tokio::join!(slow, others);
    for (answer, took) in slow {
        assert_refused("a slow head", answer, 408);
        assert!(took >= HEAD_TIMEOUT - Duration::from_secs(1), "{took:?}");
    }
    assert_eq!(gateway.envoy.stat("http.gateway.downstream_rq_header_timeout").await, Some(60));
    assert_eq!(gateway.envoy.stat("http.gateway.downstream_rq_active").await, Some(0));
});

/// A body may take less time here than the committed 60 s.
fn hasty() -> Setup {
    Setup::default().http("request_timeout", json!("4s"))
}

on_own_envoys!(a_body_in_slow_pieces_ends_in_time_and_in_the_dialect, hasty(), async |gateway| {
    let head = |path: &str| [Lines::new(gateway).head(path), b"content-length: 1000\r\n\r\n{".to_vec()].concat();
    let chunked = |path: &str| Lines::new(gateway).post_chunked(path);
    let slow = join_all([
        dribble(gateway, head(CHAT), b" "),
        dribble(gateway, head(MESSAGES), b" "),
        dribble(gateway, head(GEMINI), b""),
        dribble(gateway, chunked(CHAT), b"1\r\n \r\n"),
    ]);
    let (slow, ()) = tokio::join!(slow, async {
        sleep(Duration::from_secs(1)).await;
        assert_serves(gateway).await;
    });
    let bodies: Vec<Value> = slow
        .into_iter()
        .map(|(answer, _)| serde_json::from_slice(&assert_refused("a slow body", answer, 408).body).unwrap())
        .collect();
    assert_eq!((&bodies[1]["type"], &bodies[2]["error"]["code"]), (&json!("error"), &json!(408)));
    assert_eq!(gateway.envoy.stat("http.gateway.downstream_rq_timeout").await, Some(4));
    assert!(gateway.provider.requests().len() == 1, "a slow body reached the provider");
});

on_own_envoys!(
    a_connection_is_not_kept_for_ever,
    Setup::default().http("common_http_protocol_options/max_connection_duration", json!("2s")),
    async |gateway| {
        let mut client = RawClient::connect(gateway.envoy.gateway()).await;
        let call = || Lines::new(gateway).post(CHAT, &chat());
        client.write(&call()).await;
        assert_eq!(client.read().await.unwrap().status, 200);
        sleep(Duration::from_secs(4)).await;
        client.write(&call()).await;
        // Told with an answer, so that no call is lost.
        let last = client.read().await.expect("a call of an old connection is served");
        assert_eq!((last.status, last.header("connection")), (200, Some("close")));
        assert!(timeout(SLACK, client.read()).await.expect("the gateway closes").is_none());
    }
);
