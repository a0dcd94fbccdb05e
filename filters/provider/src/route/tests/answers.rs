//! What callers see of who answered.

use super::*;

fn attempted(worker: &Worker) -> Call<ProviderStream> {
    let mut call = worker.call();
    ask(&mut call, "smart").unwrap();
    let attempt = Attempt { provider: "b".into(), model: Some("gpt-4.1".into()), stands_in: false };
    handoff::set_attempt(&mut call.handoff, &attempt);
    call.handoff.0.insert(handoff::ATTEMPTS.into(), b"a=no_answer b=503".to_vec());
    call.attributes.code_details = Some("via_upstream".into());
    call
}

fn shown(worker: &Worker, call: &mut Call<ProviderStream>, head: &[(&str, &str)]) -> Option<String> {
    assert_eq!(call.response_headers(head, false), Flow::Continue);
    assert_eq!(worker.proxy.log.take(), Vec::<String>::new());
    call.response_headers.get("x-gateway-provider")
}

#[test]
fn the_provider_is_named_where_the_operator_wants_it_and_never_by_itself() {
    const HEAD: &[(&str, &str)] = &[(":status", "200"), ("x-gateway-provider", "forged")];
    let (open, closed) = (Worker::new(&config_with(&json!({"show_provider": true}))), Worker::new(&config()));
    assert_eq!(shown(&open, &mut attempted(&open), HEAD).as_deref(), Some("b"));
    assert_eq!(shown(&open, &mut attempted(&open), &[(":status", "429")]).as_deref(), Some("b"));
    assert_eq!(shown(&closed, &mut attempted(&closed), HEAD), None);
    // A filter further in answered: its refusal, or what was cached.
    let mut call = attempted(&open);
    handoff::set_reply(&mut call.handoff, "cache");
    assert_eq!(shown(&open, &mut call, HEAD), None);
    // Nobody was asked.
    let mut call = open.call();
    ask(&mut call, "smart").unwrap();
    assert_eq!(shown(&open, &mut call, HEAD), None);
}

#[test]
fn where_all_providers_failed_the_caller_is_told_so_in_its_own_dialect() {
    for show_provider in [false, true] {
        let worker = Worker::new(&config_with(&json!({"show_provider": show_provider})));
        for status in ["500", "502", "503", "504", "529"] {
            let mut call = attempted(&worker);
            let reply = refused(call.response_headers(
                &[
                    (":status", status),
                    ("content-type", "text/html"),
                    ("server", "a"),
                    ("retry-after", "7"),
                    ("x-should-retry", "false"),
                    ("x-ratelimit-limit-requests", "60"),
                    ("x-gateway-cache", "miss"),
                    ("x-gateway-provider", "forged"),
                ],
                false,
            ));
            assert_eq!(told(&reply), (503, "upstream_unavailable".into()));
            assert_eq!(message(&reply), "No model provider could answer. Try again in a moment.");
            let names: Vec<_> = reply.headers.iter().map(|(name, _)| name.as_str()).collect();
            let kept =
                ["content-type", "retry-after", "x-should-retry", "x-ratelimit-limit-requests", "x-gateway-cache"];
            assert_eq!(names, kept);
            assert_eq!(header(&reply, "retry-after"), Some(&b"7"[..]));
            let line = format!(
                "warn: no provider had an answer: pool gpt, model \"gpt-4.1\", last asked b, status {status}, ended attempts: a=no_answer b=503"
            );
            assert_eq!(worker.proxy.log.take(), [line]);
        }
    }
}

#[test]
fn the_refusal_is_in_the_dialect_of_the_call() {
    let worker = Worker::new(&config_with(&json!({"models": {"claude*": {"pool": "gpt"}}})));
    let mut call = worker.call();
    call.request(&json_head("/v1/messages"), &asking("claude-x")).unwrap();
    call.attributes.cluster_name = Some("pool_gpt".into());
    // Envoy made it, as it found nobody to ask.
    let reply = refused(call.response_headers(&[(":status", "503")], false));
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!((reply.status, &body["error"]["type"]), (503, &json!("overloaded_error")));
    assert_eq!(body["error"]["code"], "upstream_unavailable");
    let line = "warn: no provider had an answer: pool gpt, model \"claude-x\", last asked nobody, status 503, ended attempts: ";
    assert_eq!(worker.proxy.log.take(), [line]);
}

#[test]
fn where_there_is_one_to_ask_its_failure_is_the_answer() {
    let worker = Worker::new(&config_with(&json!({"show_provider": true})));
    for status in ["500", "503", "529"] {
        let mut call = worker.call();
        call.request(&json_head("/v1/messages"), &asking("claude-x")).unwrap();
        let attempt = Attempt { provider: "c".into(), model: Some("claude-x".into()), stands_in: false };
        handoff::set_attempt(&mut call.handoff, &attempt);
        call.attributes.cluster_name = Some("pool_claude".into());
        call.attributes.code_details = Some("via_upstream".into());
        assert_eq!(shown(&worker, &mut call, &[(":status", status)]).as_deref(), Some("c"));
        // Envoy says that it failed.
        for details in [None, Some("upstream_reset_before_response_started{connection_termination}")] {
            call.attributes.code_details = details.map(str::to_owned);
            let reply = refused(call.response_headers(&[(":status", status)], false));
            assert_eq!(told(&reply), (503, "upstream_unavailable".into()));
            assert_eq!(worker.proxy.log.take().len(), 1);
        }
    }
}

#[test]
fn a_key_that_a_provider_does_not_take_is_no_fault_of_the_callers() {
    for (path, model) in [(CHAT, "smart"), ("/v1/messages", "claude-x")] {
        let worker = Worker::new(&config());
        let mut call = worker.call();
        call.request(&json_head(path), &asking(model)).unwrap();
        let attempt = Attempt { provider: "c".into(), model: Some(model.into()), stands_in: false };
        handoff::set_attempt(&mut call.handoff, &attempt);
        call.attributes.code_details = Some("via_upstream".into());
        let reply = refused(call.response_headers(&[(":status", "401")], false));
        assert_eq!(told(&reply), (503, "upstream_unavailable".into()));
        assert_eq!(worker.proxy.log.take().len(), 1);
    }
    // Auth's own, at the body.
    let worker = Worker::new(&config());
    let mut call = worker.call();
    ask(&mut call, "smart").unwrap();
    handoff::set_reply(&mut call.handoff, "auth");
    assert_eq!(shown(&worker, &mut call, &[(":status", "401")]), None);
}

#[test]
fn other_answers_pass_as_they_are() {
    let worker = Worker::new(&config());
    for status in ["200", "400", "403", "404", "429", "501"] {
        let mut call = attempted(&worker);
        assert_eq!(shown(&worker, &mut call, &[(":status", status), ("retry-after", "9")]), None);
        assert_eq!(call.response_headers.get("retry-after").as_deref(), Some("9"));
    }
    // A filter's own 503, or one of a route that leads to no cluster.
    let mut call = attempted(&worker);
    handoff::set_reply(&mut call.handoff, "budget");
    assert_eq!(shown(&worker, &mut call, &[(":status", "503")]), None);
    let mut call = worker.call();
    ask(&mut call, "smart").unwrap();
    assert_eq!(shown(&worker, &mut call, &[(":status", "503")]), None);
    // Nothing was decided: the client was too slow with its body.
    let mut call = worker.call();
    assert_eq!(call.request_headers(&json_head(CHAT), false), Flow::Continue);
    assert_eq!(shown(&worker, &mut call, &[(":status", "503")]), None);
}

#[test]
fn a_line_of_the_log_holds_nothing_that_a_caller_could_forge_it_with() {
    let worker = Worker::new(&config_with(&json!({"models": {"*": {"pool": "gpt"}}})));
    let mut call = worker.call();
    ask(&mut call, &format!("x\u{a0}y{}", "z".repeat(200))).unwrap();
    call.attributes.cluster_name = Some("pool_gpt".into());
    call.handoff.0.insert(handoff::ATTEMPTS.into(), "é\n".repeat(2_000).into_bytes());
    refused(call.response_headers(&[(":status", "503")], false));
    let lines = worker.proxy.log.take();
    assert_eq!(lines.len(), 1);
    assert!(!lines[0].contains('\n') && lines[0].chars().count() < 800, "{lines:?}");
}
