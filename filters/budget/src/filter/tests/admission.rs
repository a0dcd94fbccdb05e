//! Who gets in, and what those are told who do not.

use super::*;

fn with_max(field: &str) -> Vec<u8> {
    format!(r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}],{field}}}"#).into_bytes()
}

fn refused(gateway: &Gateway, tenant: &str, body: &[u8]) -> Reply {
    gateway.call(tenant).request(POST_CHAT, body).expect_err("the call is refused")
}

#[test]
fn a_call_reserves_its_input_and_the_output_it_may_ask_for() {
    for (field, output) in [
        (r#""temperature":1"#, 256),
        (r#""max_tokens":100"#, 100),
        (r#""max_completion_tokens":700"#, 700),
        (r#""max_tokens":100,"n":3"#, 300),
        (r#""n":2"#, 512),
    ] {
        let (gateway, body) = (Gateway::new(), with_max(field));
        let _call = gateway.admitted("acme", &body);
        assert_eq!(gateway.reserved("acme"), estimated_input(&body) + output, "{field}");
    }
}

#[test]
fn embeddings_reserve_their_input_alone_and_an_empty_one_is_stopped_by_debt_too() {
    let post = [(":method", "POST"), (":path", "/v1/embeddings")];
    let gateway = Gateway::new();
    let mut call = gateway.call("globex");
    call.request(&post, br#"{"model":"m","input":"0123456789012345"}"#).unwrap();
    assert_eq!(gateway.reserved("globex"), 4);
    call.response(JSON_200, br#"{"object":"list","data":[],"usage":{"prompt_tokens":3000,"total_tokens":3000}}"#);
    call.log();
    let empty = gateway.call("globex").request(&post, br#"{"model":"m","input":""}"#);
    assert_eq!(empty.unwrap_err().status, 429);
}

#[test]
fn a_small_maximum_beside_a_large_one_hides_nothing() {
    // litellm PR#34223: `max_tokens: 1` reserved 1 while 738 tokens were generated.
    let gateway = Gateway::new();
    for body in [
        with_max(r#""max_tokens":1,"max_completion_tokens":900"#),
        with_max(r#""max_completion_tokens":900,"max_tokens":1"#),
    ] {
        match gateway.call("acme").request(POST_CHAT, &body) {
            Ok(_) => assert!(gateway.reserved("acme") >= 900),
            Err(reply) => assert_eq!(reply.status, 400),
        }
    }
}

#[test]
fn absurd_maxima_are_refused_or_estimated_but_never_free() {
    for field in [
        r#""max_tokens":-1"#,
        r#""max_tokens":"12""#,
        r#""max_tokens":1000000000000000000"#,
        r#""max_tokens":18446744073709551615,"n":9"#,
        r#""max_tokens":1e300"#,
        r#""max_tokens":0"#,
        r#""max_tokens":null"#,
        r#""max_tokens":5,"n":0"#,
    ] {
        let gateway = Gateway::new();
        match gateway.call("acme").request(POST_CHAT, &with_max(field)) {
            Ok(_) => assert!(gateway.reserved("acme") > 0, "{field}"),
            Err(reply) => assert!([400, 429].contains(&reply.status), "{field}: {}", reply.status),
        }
    }
}

#[test]
fn no_call_that_may_generate_is_taken_to_generate_nothing() {
    let config = CONFIG.replace(r#""unit": "tokens""#, r#""unit": "output_tokens""#);
    let gateway = Gateway::configured(&config);
    let zeros = [with_max(r#""max_tokens":0"#), with_max(r#""max_tokens":0,"max_completion_tokens":0"#)];
    // Some servers take 0 for no maximum.
    let open: Vec<_> = zeros.iter().map(|body| gateway.admitted("acme", body)).collect();
    assert_eq!(gateway.reserved("acme"), 2 * 256);
    drop(open);
    let nothing = answer_of("0", "30").to_vec();
    let nothing = String::from_utf8(nothing).unwrap().replace("You are kind.", "");
    for _ in 0..20 {
        let mut call = gateway.admitted("globex", CHAT);
        call.response(JSON_200, nothing.as_bytes());
        call.log();
    }
    let mut call = gateway.admitted("globex", CHAT);
    assert_eq!(gateway.reserved("globex"), 1, "whatever was learned");
    call.response(JSON_200, &answer_of("5000", "5030"));
    call.log();
    for body in zeros.iter().map(Vec::as_slice).chain([CHAT]) {
        assert_eq!(refused(&gateway, "globex", body).status, 429, "there is debt");
    }
}

#[test]
fn many_choices_are_claimed_and_no_more_is_held_than_can_be_charged() {
    let gateway = Gateway::new();
    let reply = refused(&gateway, "acme", &with_max(r#""n":1000000000000000000"#));
    assert_eq!(header_of(&reply, "x-should-retry").as_deref(), Some("false"), "at least a token each");
    for _ in 0..3 {
        gateway.admitted("whale", &with_max(r#""n":400000000000"#));
    }
    assert!(gateway.proxy.meter.total(metric::BUDGET_TOKENS_RESERVED) <= 3 * 100_000_100);
}

#[test]
fn a_refusal_says_when_this_call_would_fit() {
    let gateway = Gateway::new();
    let mut first = gateway.admitted("globex", &with_max(r#""max_tokens":1900"#));
    let body = with_max(r#""max_tokens":200"#);
    let reply = refused(&gateway, "globex", &body);
    assert_eq!(reply.status, 429);
    let excess = 2 * estimated_input(&body) + 100;
    assert_eq!(header_of(&reply, "retry-after"), Some((excess * 60).div_ceil(2000).to_string()));
    assert_eq!(header_of(&reply, "x-ratelimit-limit-tokens").as_deref(), Some("2000"));
    let remaining: u64 = header_of(&reply, "x-ratelimit-remaining-tokens").unwrap().parse().unwrap();
    assert_eq!(remaining, 100 - estimated_input(&body), "some is left, but not enough for this call");
    assert_eq!(header_of(&reply, "x-ratelimit-reset-tokens").as_deref(), Some("58s"));
    assert_eq!(header_of(&reply, "x-should-retry"), None);
    let error: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(error["error"]["code"], "rate_limit_exceeded");
    first.log();
    gateway.admitted("globex", &body);
}

#[test]
fn a_call_larger_than_the_limit_is_told_both_numbers_and_not_to_retry() {
    let gateway = Gateway::new();
    let body = with_max(r#""max_tokens":5000"#);
    let reply = refused(&gateway, "globex", &body);
    assert_eq!(reply.status, 429);
    assert_eq!(header_of(&reply, "x-should-retry").as_deref(), Some("false"));
    assert_eq!(header_of(&reply, "retry-after").as_deref(), Some("60"));
    let text = String::from_utf8(reply.body).unwrap();
    let need = 5000 + estimated_input(&body);
    assert!(text.contains(&need.to_string()) && text.contains("2000"), "{text}");
}

#[test]
fn debt_is_remembered_and_a_retry_within_a_minute_called_futile() {
    let mut gateway = Gateway::new();
    let mut call = gateway.admitted("globex", &with_max(r#""max_tokens":10"#));
    call.response(JSON_200, &answer_of("4970", "5000"));
    call.log();
    assert_eq!(gateway.used("globex"), 5_000);
    let body = with_max(r#""max_tokens":10"#);
    assert_eq!(header_of(&refused(&gateway, "globex", &body), "x-should-retry").as_deref(), Some("false"));
    gateway.wait(60);
    assert_eq!(gateway.used("globex"), 3_000, "the next window does not forget");
    let wait: u64 = header_of(&refused(&gateway, "globex", &body), "retry-after").unwrap().parse().unwrap();
    gateway.wait(wait - 1);
    refused(&gateway, "globex", &body);
    gateway.wait(1);
    gateway.admitted("globex", &body);
}

#[test]
fn refusals_speak_the_dialect_of_the_call() {
    let gateway = Gateway::new();
    let big = br#"{"model":"m","max_tokens":9000,"messages":[{"role":"user","content":"hi"}]}"#;
    let mut call = gateway.call("globex");
    let reply = call.request(&[(":method", "POST"), (":path", "/v1/messages")], big).unwrap_err();
    let error: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!((reply.status, &error["type"]), (429, &"error".into()));
}

#[test]
fn parallel_calls_of_two_workers_admit_no_more_than_the_budget() {
    // litellm#18730, ai-gateway#680.
    let gateway = Gateway::new();
    let other = Gateway { budget: gateway.proxy.clone().configure(CONFIG).unwrap(), proxy: gateway.proxy.clone() };
    let body = with_max(r#""max_tokens":100"#);
    let cost = 100 + estimated_input(&body);
    let mut open = Vec::new();
    for worker in [&gateway, &other].into_iter().cycle().take(60) {
        let mut call = worker.call("globex");
        gateway.proxy.store.refuse_next(3);
        if call.request(POST_CHAT, &body).is_ok() {
            open.push(call);
        }
    }
    assert_eq!(open.len() as u64, 2000 / cost);
    assert_eq!(gateway.decisions("allowed") + gateway.decisions_of("denied", "tokens-per-minute"), 60);
    open.iter_mut().for_each(Call::log);
    assert_eq!((gateway.used("globex"), gateway.reserved("globex")), (0, 0));
}

#[test]
fn an_undecidable_call_is_refused_or_passes_as_configured() {
    let gateway = Gateway::new();
    gateway.proxy.store.refuse_next(16);
    let reply = refused(&gateway, "acme", CHAT);
    assert_eq!((reply.status, header_of(&reply, "retry-after").as_deref()), (503, Some("1")));
    assert_eq!(gateway.decisions("contended"), 1);

    let gateway = Gateway::configured(&CONFIG.replace("\"slots\"", "\"on_contention\": \"allow\", \"slots\""));
    gateway.proxy.store.refuse_next(16);
    let mut call = gateway.admitted("acme", CHAT);
    call.response(JSON_200, ANSWER);
    call.log();
    assert_eq!(gateway.used("acme"), REPORTED, "what passed unreserved is charged all the same");
}

#[test]
fn tenants_are_apart_whatever_their_names_hold() {
    let gateway = Gateway::new();
    let names = ["a", "A", "a ", "a;.;x=.=y", "\u{0}", "テナント", "\"}", "", "a/../b"];
    for (index, name) in names.iter().enumerate() {
        let mut call = gateway.admitted(name, CHAT);
        let output = (index + 1) * 10;
        call.response(JSON_200, &answer_of(&output.to_string(), &(30 + output).to_string()));
        call.log();
    }
    for (index, name) in names.iter().enumerate() {
        assert_eq!(gateway.used(name), 40 + index as u64 * 10, "{name:?}");
        assert_eq!(gateway.own_budget(name)["tenant"], *name);
    }
}

#[test]
fn without_identity_all_callers_share_the_default_budget() {
    let gateway = Gateway::new();
    let mut call = Call::open(&gateway.budget, &gateway.proxy);
    call.request(POST_CHAT, CHAT).unwrap();
    assert!(gateway.reserved("anonymous") > 0);
    let own = call.request_headers(&[(":method", "GET"), (":path", "/gateway/budget?x")], true);
    assert!(matches!(own, Flow::Reply(reply) if reply.status == 401));
}

#[test]
fn what_is_no_model_call_passes_untouched() {
    let gateway = Gateway::new();
    for (method, path) in
        [("GET", "/v1/models"), ("PUT", "/v1/models"), ("POST", "/v1/files"), ("GET", "/gateway/budgets")]
    {
        let mut call = gateway.call("acme");
        let headers = [(":method", method), (":path", path), ("accept-encoding", "gzip"), ("content-length", "9")];
        assert_eq!(call.request_headers(&headers, false), Flow::Continue);
        assert_eq!(call.request_headers.0.len(), 4);
        assert_eq!(call.request_body(&[b"no", b" json"]).unwrap(), b"no json");
        assert_eq!(call.response(&[(":status", "200"), ("content-length", "2")], b"ok"), b"ok");
        assert_eq!(call.response_headers.0.len(), 2);
        call.log();
    }
    assert_eq!((gateway.decisions("bypassed"), gateway.used("acme")), (4, 0));
}

#[test]
fn a_call_with_a_body_is_metered_under_any_method_and_one_without_only_as_a_post() {
    for method in ["POST", "PUT", "PATCH", "GET", "OPTIONS", "post"] {
        let (gateway, head) = (Gateway::new(), [(":method", method), (":path", "/v1/chat/completions")]);
        gateway.call("acme").request(&head, CHAT).unwrap();
        assert_eq!((gateway.decisions("allowed"), gateway.decisions("bypassed")), (1, 0), "{method}");
    }
    let gateway = Gateway::new();
    for method in ["GET", "HEAD", "DELETE", "OPTIONS"] {
        let head = [(":method", method), (":path", "/v1/chat/completions")];
        assert_eq!(gateway.call("acme").request_headers(&head, true), Flow::Continue, "{method}");
    }
    assert_eq!(gateway.decisions("bypassed"), 4);
}

#[test]
fn a_body_that_is_no_json_is_refused_and_costs_nothing() {
    let gateway = Gateway::new();
    for body in [&b"hello"[..], b"[1]", b"{\"model\":", b"\xff\xfe"] {
        let mut call = gateway.call("acme");
        assert_eq!(call.request(POST_CHAT, body).unwrap_err().status, 400);
        call.log();
    }
    let mut call = gateway.call("acme");
    let bodiless = call.request_headers(POST_CHAT, true);
    assert!(matches!(bodiless, Flow::Reply(reply) if reply.status == 400));
    assert_eq!((gateway.used("acme"), gateway.reserved("acme"), gateway.decisions("allowed")), (0, 0, 0));
}

#[test]
fn a_compressed_body_is_refused_with_the_way_out_even_if_it_reads_as_json() {
    for (coding, is_refused) in
        [("gzip", true), ("zstd", true), ("identity, br", true), ("\u{e4}", true), ("Identity", false)]
    {
        let gateway = Gateway::new();
        let outcome = gateway.call("acme").request(&[POST_CHAT, &[("content-encoding", coding)]].concat(), CHAT);
        assert_eq!(outcome.is_err(), is_refused, "{coding}");
        if let Err(reply) = outcome {
            let text = String::from_utf8(reply.body).unwrap();
            assert!(reply.status == 400 && text.contains("without `content-encoding`"), "{text}");
        }
        assert_eq!(gateway.proxy.store.keys() == 0, is_refused, "{coding}");
    }
}

#[test]
fn a_model_with_a_name_of_a_book_is_refused_and_not_kept() {
    let gateway = Gateway::new();
    let named = |length: usize| format!(r#"{{"model":"{}","messages":[]}}"#, "m".repeat(length)).into_bytes();
    gateway.admitted("acme", &named(512));
    assert_eq!(refused(&gateway, "acme", &named(513)).status, 400);
    let path = format!("/openai/deployments/{}/chat/completions", "m".repeat(513));
    let deployment = gateway.call("acme").request(&[(":method", "POST"), (":path", &path)], CHAT);
    assert_eq!(deployment.unwrap_err().status, 400);
}

#[test]
fn a_body_over_the_limit_is_refused_by_its_length_or_when_it_grows_over() {
    let gateway = Gateway::new();
    let declared = [POST_CHAT, &[("content-length", "4097")]].concat();
    assert_eq!(gateway.call("acme").request(&declared, b"{}").unwrap_err().status, 413);
    let mut call = gateway.call("acme");
    call.request_headers(POST_CHAT, false);
    assert_eq!(call.request_body(&[&[b' '; 4096], b" ", b"{}"]).unwrap_err().status, 413);
    call.log();
    assert_eq!(gateway.proxy.store.keys(), 0);
}

#[test]
fn usage_stays_readable_and_no_stale_length_goes_on() {
    let mut call = Gateway::new().call("acme");
    let length = CHAT.len().to_string();
    let headers = [POST_CHAT, &[("accept-encoding", "gzip, br"), ("content-length", &length)]].concat();
    call.request(&headers, CHAT).unwrap();
    assert_eq!(call.request_headers.get("accept-encoding").as_deref(), Some("identity"));
    assert_eq!(call.request_headers.get("content-length"), None);
}
