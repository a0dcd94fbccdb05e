//! Where a call names its model, and what becomes of calls that name none or two.

use super::*;

#[test]
fn a_body_is_held_whole_and_let_go_as_it_was() {
    let worker = Worker::new(&config());
    let mut call = worker.call();
    assert_eq!(call.request_headers(&json_head(CHAT), false), Flow::Continue);
    assert_eq!(handoff::routing(&call.handoff), None, "nothing is decided yet");
    let body = asking("gpt-4.1");
    let chunks: Vec<&[u8]> = body.chunks(7).collect();
    assert_eq!(call.request_body(&chunks), Ok(body));
    assert_eq!(sent(&call), ("gpt".into(), Some("gpt-4.1".into())));
    assert_eq!(handoff::routing(&call.handoff).unwrap().asked.as_deref(), Some("gpt-4.1"));
    assert_eq!(worker.count("gpt", "routed"), 1);
}

#[test]
fn a_path_or_the_realtime_query_decides_at_the_head() {
    let worker = Worker::new(&config());
    for path in [
        "/v1beta/models/claude-x:streamGenerateContent?alt=sse",
        "/v1beta/models/claude-x:countTokens",
        "/openai/deployments/claude-x/chat/completions?api-version=1",
        "/v1/realtime?model=claude-x",
    ] {
        let mut call = worker.call();
        assert_eq!(call.request_headers(&json_head(path), false), Flow::Continue);
        assert_eq!(sent(&call), ("claude".into(), Some("claude-x".into())), "{path}");
        // Another name in the body has no say, and the body need not be whole.
        assert_eq!(call.request_body(&[br#"{"model":"gpt-4.1"}"#]), Ok(br#"{"model":"gpt-4.1"}"#.to_vec()));
        assert_eq!(sent(&call), ("claude".into(), Some("claude-x".into())), "{path}");
    }
}

#[test]
fn another_spelling_of_a_name_is_the_same_model() {
    let worker = Worker::new(&config());
    for name in ["GPT-4.1", " gpt-4.1 ", "models/gpt-4.1", "SMART", "Models/Smart"] {
        assert_eq!(ask(&mut worker.call(), name), to("gpt", "gpt-4.1"), "{name}");
    }
    // Some providers tell case apart, so what the configuration does not write stays.
    assert_eq!(ask(&mut worker.call(), "Claude-X"), to("claude", "Claude-X"));
}

#[test]
fn a_name_in_doubt_is_refused_and_never_guessed_at() {
    let worker = Worker::new(&config_with(&json!({"unknown_model": {"pool": "rest"}, "no_model": {"pool": "rest"}})));
    let long = format!(r#"{{"model":"{}"}}"#, "x".repeat(10_000));
    let bodies = [
        r#"{"model":"gpt-4.1","model":"claude"}"#,
        r#"{"model":"gpt-4.1","Model":"claude"}"#,
        r#"{"MODEL":"gpt-4.1"}"#,
        r#"{"model":7}"#,
        r#"{"model":["gpt-4.1"]}"#,
        r#"{"model":{"name":"gpt-4.1"}}"#,
        r#"{"model":true}"#,
        r#"{"model":"gpt\n4"}"#,
        r#"{"model":"gpt-4.1""#,
        r#"{"model":"gpt-4.1"} {"model":"claude"}"#,
        r#"{'model':'gpt-4.1'}"#,
        "\u{feff}{\"model\":\"gpt-4.1\"}",
        &long,
    ];
    for path in [CHAT, "/v1/responses", "/v1/embeddings", "/v1/images/generations", "/v1/moderations", "/v2/rerank"] {
        for body in bodies {
            if path != CHAT && !body.starts_with('{') {
                continue;
            }
            let reply = worker.call().request(&json_head(path), body.as_bytes()).unwrap_err();
            assert_eq!(told(&reply), (400, "invalid_request".into()), "{path} {body}");
            assert!(!message(&reply).contains("claude"), "nothing of the body is repeated");
        }
    }
    assert_eq!(worker.count("none", "refused"), worker.proxy.meter.total(metric::ROUTES));
}

#[test]
fn endpoints_that_need_no_model_go_by_it_where_it_is_named() {
    let worker = Worker::new(&config_with(&json!({"no_model": {"pool": "rest"}})));
    for path in ["/v1/images/generations", "/v1/audio/speech", "/v1/moderations", "/v1/rerank"] {
        let mut call = worker.call();
        call.request(&json_head(path), br#"{"model":"claude-x","input":"x"}"#).unwrap();
        assert_eq!(sent(&call), ("claude".into(), Some("claude-x".into())), "{path}");
        for body in [&br#"{"input":"x"}"#[..], b"[]", b"\"x\"", b"null", br#"{"model":null}"#, br#"{"model":" "}"#] {
            let mut call = worker.call();
            call.request(&json_head(path), body).unwrap();
            assert_eq!(sent(&call), ("rest".into(), None), "{path}");
        }
    }
    assert_eq!(worker.count("rest", "no_model"), 24);
}

#[test]
fn bodies_that_name_no_model_are_not_held() {
    let with_rule = Worker::new(&config_with(&json!({"no_model": {"pool": "rest"}, "max_body_bytes": 10})));
    let without = Worker::new(&config());
    let kinds = ["multipart/form-data; boundary=x", "application/octet-stream", "application/x-www-form-urlencoded"];
    for kind in kinds {
        let head = [(":method", "POST"), (":path", "/v1/audio/transcriptions"), ("content-type", kind)];
        let mut call = with_rule.call();
        assert_eq!(call.request_headers(&head, false), Flow::Continue);
        assert_eq!(sent(&call), ("rest".into(), None));
        assert_eq!(call.request_body(&[b"--x and more than 10 bytes", b"--"]).unwrap().len(), 28);
        assert_eq!(told(&refused(without.call().request_headers(&head, false))), (404, "not_found".into()));
        let head = [(":method", "POST"), (":path", CHAT), ("content-type", kind)];
        assert_eq!(told(&refused(with_rule.call().request_headers(&head, false))), (400, "invalid_request".into()));
    }
}

#[test]
fn calls_without_a_body_name_no_model() {
    let with_rule = Worker::new(&config_with(&json!({"no_model": {"pool": "rest"}})));
    let without = Worker::new(&config());
    for (method, path) in [("GET", "/v1/models"), ("GET", CHAT), ("DELETE", "/v1/files/f"), ("POST", "/v1/uploads")] {
        let head = [(":method", method), (":path", path)];
        let mut call = with_rule.call();
        assert_eq!(call.request_headers(&head, true), Flow::Continue);
        assert_eq!(sent(&call), ("rest".into(), None));
        assert_eq!(told(&refused(without.call().request_headers(&head, true))), (404, "not_found".into()));
    }
    let head = [(":method", "POST"), (":path", CHAT)];
    assert_eq!(told(&refused(with_rule.call().request_headers(&head, true))), (400, "invalid_request".into()));
}

#[test]
fn an_inference_call_without_model_goes_where_the_rule_says_or_is_told_to_name_one() {
    for body in
        [&b"{}"[..], br#"{"model":null}"#, br#"{"model":""}"#, br#"{"model":"  "}"#, br#"{"model":"models/"}"#]
    {
        let mut call = Worker::new(&config_with(&json!({"no_model": {"pool": "rest"}}))).call();
        call.request(&json_head(CHAT), body).unwrap();
        assert_eq!(sent(&call), ("rest".into(), None));
        let reply = Worker::new(&config()).call().request(&json_head(CHAT), body).unwrap_err();
        assert_eq!((reply.status, message(&reply)), (400, "The request names no model. Name one in `model`.".into()));
    }
}

#[test]
fn a_body_that_is_too_long_to_be_read_is_refused_by_its_length_or_as_it_comes() {
    let worker = Worker::new(&config_with(&json!({"max_body_bytes": 40, "no_model": {"pool": "rest"}})));
    for path in [CHAT, "/v1/moderations"] {
        let head: Vec<_> = json_head(path).into_iter().chain([("content-length", "41")]).collect();
        assert_eq!(told(&refused(worker.call().request_headers(&head, false))), (413, "request_too_large".into()));
        let mut call = worker.call();
        assert_eq!(call.request_headers(&json_head(path), false), Flow::Continue);
        assert_eq!(told(&call.request_body(&[&[b' '; 40], b" ", b"{}"]).unwrap_err()).0, 413);
        let body = format!("{:40}", r#"{"model":"gpt-4.1"}"#);
        assert!(worker.call().request(&json_head(path), body.as_bytes()).is_ok());
    }
}

#[test]
fn what_the_gateway_answers_itself_is_not_decided_over() {
    let worker = Worker::new(&config());
    for path in ["/gateway/budget?model=x", "/gateway/cache/purge"] {
        let mut call = worker.call();
        assert_eq!(call.request_headers(&json_head(path), false), Flow::Continue);
        assert!(call.handoff.0.is_empty() && call.route.0 == 0);
        assert_eq!(call.response_headers(&[(":status", "503")], true), Flow::Continue);
    }
    assert_eq!(worker.proxy.meter.total(metric::ROUTES), 0);
}
