//! Nobody gets where the configuration does not lead, whatever is sent.

use proptest::prelude::*;

use super::*;

#[test]
fn what_only_the_gateway_may_say_is_taken_out() {
    let worker = Worker::new(&config_with(&json!({"no_model": {"pool": "rest"}})));
    for path in ["/v1/models", "/gateway/budget"] {
        let mut call = worker.call();
        let head = [
            (":method", "GET"),
            (":path", path),
            ("x-gateway-pool", "claude"),
            ("x-gateway-model", "claude"),
            ("x-gateway-lane", "1"),
            ("x-gateway-lane", "01"),
            ("x-gateway-sticky", "7"),
            ("x-gateway-provider", "a"),
            ("x-gateway-credential", "k"),
            ("x-gateway-credential-a", "k"),
            ("x-gateway-cache", "bypass"),
            ("x-gateway-budget", "1"),
            ("x-request-id", "1"),
        ];
        assert_eq!(call.request_headers(&head, true), Flow::Continue);
        let left: Vec<_> = call.request_headers.0.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(left, [":method", ":path", "x-gateway-cache", "x-gateway-budget", "x-request-id"]);
    }
}

#[test]
fn names_with_hostile_characters_are_looked_up_like_any_other() {
    let worker = Worker::new(&config_with(&json!({"models": {"gpt*": {"pool": "gpt"}}})));
    for name in [
        "../gpt-4.1",
        "gpt/../../admin",
        "gpt?x=1",
        "gpt#x",
        "gpt%2f..",
        "gpt\u{202e}x",
        "gpt 4",
        "{model}",
        "*",
        "gpt*",
    ] {
        let expected = if name.starts_with("gpt") { to("gpt", name) } else { Err((404, "model_not_found".into())) };
        assert_eq!(ask(&mut worker.call(), name), expected, "{name}");
    }
    for path in [
        "/v1beta/models/..%2f..%2fgpt:generateContent",
        "/v1beta/models/%ff%fe:generateContent",
        "/openai/deployments/%00/chat/completions",
        "/openai/deployments//chat/completions",
        "/v1beta/models/:generateContent",
        "/v1/realtime?model=%ff",
        "/v1/realtime?model=",
    ] {
        let method = if path.starts_with("/v1beta") { "POST" } else { "GET" };
        let reply = refused(worker.call().request_headers(&[(":method", method), (":path", path)], true));
        let expected = if path.contains("%2f") || path.contains("%00") { 400 } else { 404 };
        assert_eq!(reply.status, expected, "{path}");
    }
}

fn any_body() -> impl Strategy<Value = Vec<u8>> {
    let name = prop_oneof![
        "[ -~]{0,12}",
        Just("gpt-4.1".to_owned()),
        Just("next".to_owned()),
        Just("claude-x".to_owned()),
        Just("FAST".to_owned()),
    ];
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..60),
        r#"\{("(model|Model|messages|tools)":("[a-z]{0,6}"|\[\{"role":"system"\}\]|7|null),?){0,3}\}?"#
            .prop_map(String::into_bytes),
        name.prop_map(|name| asking(&name)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Every call ends at a pool of the configuration or in a refusal, however it is cut, and keeps its bytes.
    #[test]
    fn a_decision_is_a_pool_of_the_configuration_or_a_refusal(
        method in "(GET|POST|PUT)",
        path in r"/(v1/chat/completions|v1/messages|v1/files|v1/realtime|v1beta/models/[a-z%0-9]{0,6}:[a-zA-Z]{0,3}generateContent|openai/deployments/.{0,8}/embeddings|.{0,20})(\?(model=)?.{0,9})?",
        kind in prop::option::of("(application/json|multipart/form-data|[ -~]{0,12})"),
        encoding in prop::option::of("(gzip|identity)"),
        body in any_body(),
        piece in 1_usize..40,
        tenant in prop::option::of("(t|free)"),
        rules in any::<(bool, bool, bool)>(),
    ) {
        let mut config = config_with(&json!({
            "max_body_bytes": 50, "overrides": [{"tenants": ["free"], "models": ["gpt*"], "use": {"model": "fast"}}],
        }));
        if rules.0 { config["unknown_model"] = json!({"pool": "rest"}); }
        if rules.1 { config["no_model"] = json!({"pool": "rest"}); }
        if rules.2 { config["pools"]["gpt"]["sticky"] = json!("prompt_prefix"); }
        let worker = Worker::new(&config);
        let mut call = match &tenant {
            Some(tenant) => worker.call_of(tenant, None),
            None => worker.call(),
        };
        let mut head = vec![(":method", method.as_str()), (":path", path.as_str())];
        head.extend(kind.as_deref().map(|kind| ("content-type", kind)));
        head.extend(encoding.as_deref().map(|encoding| ("content-encoding", encoding)));
        let reply = match call.request_headers(&head, body.is_empty()) {
            Flow::Reply(reply) => Some(reply),
            Flow::Continue if body.is_empty() => None,
            Flow::Continue => match call.request_body(&body.chunks(piece).collect::<Vec<_>>()) {
                Ok(passed) => {
                    prop_assert_eq!(&passed, &body);
                    None
                }
                Err(reply) => Some(reply),
            },
            other => panic!("{other:?}"),
        };
        let routing = handoff::routing(&call.handoff);
        match reply {
            Some(reply) => {
                prop_assert!(matches!(reply.status, 400 | 404 | 413), "{}", reply.status);
                prop_assert_eq!(routing, None);
                prop_assert_eq!(call.route.0, 0);
            }
            None if path.starts_with("/gateway/") => prop_assert_eq!(routing, None),
            None => {
                let routing = routing.expect("it was let go");
                prop_assert!(["gpt", "claude", "rest"].contains(&routing.pool.as_str()));
                prop_assert_eq!(call.route.0, 1);
                if tenant.as_deref() == Some("free") {
                    prop_assert_ne!(routing.model.as_deref(), Some("gpt-4.1"));
                }
                prop_assert_eq!(routing.model.is_none(), routing.asked.is_none());
            }
        }
        prop_assert_eq!(worker.proxy.meter.total(metric::ROUTES), u64::from(!path.starts_with("/gateway/")));
    }
}
