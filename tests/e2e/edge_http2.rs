//! HTTP/2 as attackers write it: frames that break the protocol and floods end the connection, a bad call ends itself, no
//! provider hears of either, and the next call is served.

use tollgate_tests::client::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, Frame, FrameClient, GOAWAY, HEADERS, PING, PREFACE, RST_STREAM,
    SETTINGS, WINDOW_UPDATE, block, frame,
};
use tollgate_tests::client::{MARK, unique};
use tollgate_tests::gateway::{Gateway, chat_body};
use tollgate_tests::{on_both_envoys, on_own_envoys};

const CHAT: &str = "/v1/chat/completions";
/// `max_concurrent_streams`.
const STREAMS: u32 = 100;
/// Frames of a flood.
const FLOOD: u32 = 30_000;
/// Streams that the other side does not take are refused (RFC 9113 §7).
const REFUSED_STREAM: u32 = 7;
const WHOLE_HEAD: u8 = END_HEADERS | END_STREAM;

/// A call's pseudo-headers and what makes it good.
fn head(gateway: &Gateway, mark: &str) -> Vec<(String, String)> {
    let bearer = format!("Bearer {}", gateway.key("acme"));
    let pairs = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", CHAT),
        (":authority", "gateway"),
        ("content-type", "application/json"),
        ("authorization", &bearer),
        (MARK, mark),
    ];
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}

fn written(head: &[(String, String)]) -> Vec<u8> {
    block(&head.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect::<Vec<_>>())
}

/// The frames of a call with this head.
fn call(stream: u32, block: &[u8]) -> Vec<u8> {
    let body = chat_body(&unique("prompt")).to_string();
    [frame(HEADERS, END_HEADERS, stream, block), frame(DATA, END_STREAM, stream, body.as_bytes())].concat()
}

/// Fails unless a good call on this connection is served.
async fn assert_serves_on(gateway: &Gateway, client: &mut FrameClient, stream: u32, what: &str) {
    client.write(&call(stream, &written(&head(gateway, &unique("good"))))).await;
    let answer = client.outcome(stream).await.unwrap_or_else(|| panic!("{what}: the connection is closed"));
    assert!(answer.kind == HEADERS && answer.status() == Some(200), "{what}: {answer:?}");
}

async fn assert_serves(gateway: &Gateway, what: &str) {
    let mut client = FrameClient::start(gateway.envoy.gateway()).await;
    assert_serves_on(gateway, &mut client, 1, what).await;
}

fn assert_unanswered(what: &str, frames: &[Frame]) {
    assert!(frames.iter().all(|frame| frame.kind != HEADERS), "{what}: an answer among {frames:?}");
}

on_both_envoys!(frames_that_break_the_protocol_end_the_connection, async |gateway| {
    let mark = unique("edge");
    let head = written(&head(gateway, &mark));
    let start = [PREFACE, &frame(SETTINGS, 0, 0, b"")].concat();
    let open = frame(HEADERS, END_HEADERS, 1, &head);
    let after = |bytes: Vec<u8>| [start.clone(), bytes].concat();
    let cases: [(&str, Vec<u8>); 16] = [
        ("a bad preface", [b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", &start[24..], &call(1, &head)].concat()),
        ("DATA that is too large", after([open.clone(), frame(DATA, END_STREAM, 1, &[b' '; 20_000])].concat())),
        ("SETTINGS that are too large", after(frame(SETTINGS, 0, 0, &[0; 18_000]))),
        ("SETTINGS of a length that cannot be", after(frame(SETTINGS, 0, 0, &[0; 5]))),
        ("SETTINGS of a stream", after(frame(SETTINGS, 0, 1, b""))),
        ("HEADERS of stream 0", after(frame(HEADERS, WHOLE_HEAD, 0, &head))),
        ("DATA of stream 0", after(frame(DATA, END_STREAM, 0, b"x"))),
        ("DATA of a stream that is not open", after(frame(DATA, END_STREAM, 5, b"x"))),
        ("a stream of the server's", after(frame(HEADERS, WHOLE_HEAD, 2, &head))),
        ("CONTINUATION of nothing", after(frame(CONTINUATION, END_HEADERS, 1, &head))),
        ("a head with something between", after([frame(HEADERS, 0, 1, &head), frame(PING, 0, 0, &[0; 8])].concat())),
        ("PING of a length that cannot be", after(frame(PING, 0, 0, &[0; 7]))),
        ("WINDOW_UPDATE of nothing", after(frame(WINDOW_UPDATE, 0, 0, &[0; 4]))),
        ("a window that is too wide", after(frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]))),
        ("a promise of a client", after(frame(5, END_HEADERS, 1, &[&[0, 0, 0, 2], head.as_slice()].concat()))),
        ("a head that cannot be unpacked", after(frame(HEADERS, WHOLE_HEAD, 1, &[0xff; 6]))),
    ];
    for (what, bytes) in cases {
        let client = FrameClient::connect(gateway.envoy.gateway()).await;
        let frames = client.flood(&bytes).await;
        assert_unanswered(what, &frames);
        assert!(gateway.upstream_requests(&mark).is_empty(), "{what}");
        // Said before the end, unless the peer speaks no HTTP/2 at all.
        let is_told = frames.iter().any(|frame| frame.kind == GOAWAY && frame.code() != 0);
        assert!(is_told || frames.is_empty(), "{what}: {frames:?}");
        assert_serves(gateway, what).await;
    }
});

on_own_envoys!(floods_end_the_connection_and_nobody_elses, async |gateway| {
    let mark = unique("edge");
    let head = written(&head(gateway, &mark));
    let open = frame(HEADERS, 0, 1, &head);
    let times = |bytes: &[u8], count: u32| bytes.repeat(usize::try_from(count).unwrap());
    let reset = |at: u32| {
        let (stream, cancel) = (2 * at + 1, [0, 0, 0, 8]);
        [frame(HEADERS, END_HEADERS, stream, &head), frame(RST_STREAM, 0, stream, &cancel)].concat()
    };
    let cases: [(&str, Vec<u8>); 7] = [
        ("CONTINUATION of nothing", [open, times(&frame(CONTINUATION, 0, 1, b""), FLOOD)].concat()),
        ("empty DATA", [frame(HEADERS, END_HEADERS, 1, &head), times(&frame(DATA, 0, 1, b""), FLOOD)].concat()),
        ("rapid reset", (0..3_000).flat_map(reset).collect()),
        ("SETTINGS", times(&frame(SETTINGS, 0, 0, b""), FLOOD * 4)),
        ("PING", times(&frame(PING, 0, 0, &[0; 8]), FLOOD * 4)),
        ("PRIORITY", (0..FLOOD).flat_map(|at| frame(2, 0, 2 * at + 1, &[0, 0, 0, 0, 16])).collect()),
        ("WINDOW_UPDATE", times(&frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]), FLOOD)),
    ];
    let mut neighbour = FrameClient::start(gateway.envoy.gateway()).await;
    for (at, (what, bytes)) in (0..).zip(cases) {
        let client = FrameClient::connect(gateway.envoy.gateway()).await;
        let frames = client.flood(&[PREFACE, &frame(SETTINGS, 0, 0, b""), &bytes].concat()).await;
        assert_unanswered(what, &frames);
        assert!(gateway.upstream_requests(&mark).is_empty(), "{what}");
        assert_serves_on(gateway, &mut neighbour, 2 * at + 1, what).await;
    }
    assert_eq!(gateway.envoy.stat("http.gateway.downstream_rq_active").await, Some(0));
});

on_own_envoys!(a_head_that_does_not_end_is_given_up, async |gateway| {
    let before = gateway.envoy.stat("server.memory_allocated").await.unwrap();
    let mark = unique("edge");
    let mut client = FrameClient::start(gateway.envoy.gateway()).await;
    let piece = frame(CONTINUATION, 0, 1, &block(&[("x-a", &"a".repeat(8_000))]));
    client.write(&[frame(HEADERS, 0, 1, &written(&head(gateway, &mark))), piece.repeat(1_000)].concat()).await;
    // Envoy 1.36 ends the connection too; 1.40 reads on and keeps nothing.
    if let Some(end) = client.outcome(1).await {
        assert!(matches!(end.kind, RST_STREAM | GOAWAY), "{end:?}");
    }
    let after = gateway.envoy.stat("server.memory_allocated").await.unwrap();
    assert!(after < before + (4 << 20), "{before} bytes before, {after} after 8 MB of a head");
    assert!(gateway.upstream_requests(&mark).is_empty());
    assert_serves(gateway, "after a head without end").await;
});

on_both_envoys!(more_streams_than_are_taken_are_refused_one_by_one, async |gateway| {
    let mut client = FrameClient::start(gateway.envoy.gateway()).await;
    let mark = unique("edge");
    let head = written(&head(gateway, &mark));
    for at in 0..=STREAMS {
        client.write(&frame(HEADERS, END_HEADERS, 2 * at + 1, &head)).await;
    }
    let over = client.outcome(2 * STREAMS + 1).await.expect("the connection goes on");
    assert_eq!((over.kind, over.code()), (RST_STREAM, REFUSED_STREAM));
    // The others wait for their bodies; one that ends makes room.
    let body = chat_body(&unique("prompt")).to_string();
    client.write(&frame(DATA, END_STREAM, 1, body.as_bytes())).await;
    assert_eq!(client.outcome(1).await.unwrap().status(), Some(200));
    assert_serves_on(gateway, &mut client, 2 * STREAMS + 3, "after one ended").await;
    assert_eq!(gateway.upstream_requests(&mark).len(), 1);
});

on_both_envoys!(a_call_that_is_none_ends_itself_and_not_its_neighbours, async |gateway| {
    let mark = unique("edge");
    let good = head(gateway, &mark);
    let large = "a".repeat(15_000);
    let mut cases: Vec<(String, Vec<(String, String)>)> = Vec::new();
    let more = [
        ("connection", "close"),
        ("transfer-encoding", "chunked"),
        ("te", "gzip"),
        ("upgrade", "h2c"),
        ("keep-alive", "1"),
        ("proxy-connection", "keep-alive"),
        ("X-Upper", "a"),
        ("x y", "a"),
        ("x:y", "a"),
        ("", "a"),
        (":status", "200"),
        (":path", "/v1/models"),
        ("x-a", "b\r\nc: d"),
        ("x-a", "b\nc"),
        ("x-a", "b\0"),
        ("content-length", "3"),
        ("content-length", "9999"),
        ("content-length", "-1"),
        ("content-length", "5, 5"),
    ];
    for (name, value) in more {
        let pair = (name.to_owned(), value.to_owned());
        cases.push((format!("{pair:?}"), [good.clone(), vec![pair]].concat()));
    }
    for name in [":method", ":scheme", ":path", ":authority"] {
        let rest = good.iter().filter(|(found, _)| found != name).cloned().collect();
        cases.push((format!("no {name}"), rest));
    }
    for (name, value) in [(":path", "/v1/chat completions"), (":method", "POST /v1/models HTTP/1.1\r\nx: ")] {
        let mut other = good.clone();
        other.iter_mut().filter(|(found, _)| found == name).for_each(|(_, found)| value.clone_into(found));
        cases.push((format!("{name} {value:?}"), other));
    }
    let many = (0..120).map(|at| (format!("x-{at}"), "a".to_owned()));
    cases.push(("120 headers".to_owned(), good.iter().cloned().chain(many).collect()));
    let mut client = FrameClient::start(gateway.envoy.gateway()).await;
    let mut stream = 1;
    for (what, head) in cases {
        client.write(&call(stream, &written(&head))).await;
        let end = client.outcome(stream).await.unwrap_or_else(|| panic!("{what}: the connection is closed"));
        assert!(end.kind == RST_STREAM || (end.kind == HEADERS && end.status() == Some(400)), "{what}: {end:?}");
        assert_serves_on(gateway, &mut client, stream + 2, &what).await;
        stream += 4;
    }
    // A head in pieces that are too much together.
    let pieces = [HEADERS, CONTINUATION, CONTINUATION, CONTINUATION].map(|kind| {
        let is_first = kind == HEADERS;
        frame(kind, 0, stream, &if is_first { written(&good) } else { block(&[("x-large", &large)]) })
    });
    client
        .write(&[pieces.concat(), frame(CONTINUATION, END_HEADERS, stream, &block(&[("x-a", "b")]))].concat())
        .await;
    let end = client.outcome(stream).await.expect("the connection goes on");
    assert_eq!(end.kind, RST_STREAM, "{end:?}");
    assert_serves_on(gateway, &mut client, stream + 2, "after a large head").await;
    assert!(gateway.upstream_requests(&mark).is_empty());
});
