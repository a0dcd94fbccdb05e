//! Policies of several rules: what each counts, who is told what.

use super::*;

const PRICES: &str = r#""prices":{"m":{"input":"1.00","output":"10.00"},"*":{"input":"100","output":"100"}}"#;

fn gateway(rules: &[&str]) -> Gateway {
    with_more(rules, r#""slots":64"#)
}

fn with_more(rules: &[&str], more: &str) -> Gateway {
    let rules: Vec<_> = rules.iter().map(|members| format!("{{{members}}}")).collect();
    Gateway::configured(&format!(r#"{{"rules":[{}],{PRICES},{more}}}"#, rules.join(",")))
}

fn chat(model: &str, max_tokens: u64) -> Vec<u8> {
    format!(r#"{{"model":"{model}","max_tokens":{max_tokens},"messages":[{{"role":"user","content":"hi"}}]}}"#).into()
}

/// The refusal's code, message, `retry-after` and `x-should-retry`.
fn told(reply: &Reply) -> (String, String, u64, Option<String>) {
    let error: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    let text = |name: &str| error["error"][name].as_str().unwrap().to_owned();
    let wait = header_of(reply, "retry-after").unwrap().parse().unwrap();
    (text("code"), text("message"), wait, header_of(reply, "x-should-retry"))
}

fn answered(gateway: &Gateway, tenant: &str, body: &[u8], answer: &[u8]) {
    let mut call = gateway.admitted(tenant, body);
    call.response(JSON_200, answer);
    call.log();
}

const TWO_REQUESTS: &str =
    r#""name":"two-a-minute","unit":"requests","window":{"rolling":"1m"},"limit":2,"per":["tenant"]"#;
const DAY_OF_MONEY: &str =
    r#""name":"dollars-a-day","unit":"usd","window":{"calendar":"day"},"limit":"0.01","per":["tenant"]"#;

#[test]
fn requests_are_counted_and_told_and_a_failed_one_is_given_back() {
    let gateway = gateway(&[TWO_REQUESTS]);
    let mut failed = gateway.admitted("acme", CHAT);
    failed.response(&[(":status", "500")], b"");
    failed.log();
    answered(&gateway, "acme", CHAT, ANSWER);
    let mut second = gateway.admitted("acme", CHAT);
    second.response(JSON_200, ANSWER);
    assert_eq!(second.response_headers.get("x-ratelimit-limit-requests").as_deref(), Some("2"));
    assert_eq!(second.response_headers.get("x-ratelimit-remaining-requests").as_deref(), Some("0"));
    assert_eq!(second.response_headers.get("x-ratelimit-reset-requests").as_deref(), Some("1m0s"));
    assert_eq!(second.response_headers.get("x-ratelimit-limit-tokens"), None, "no rule limits them");
    second.log();
    let reply = gateway.call("acme").request(POST_CHAT, CHAT).unwrap_err();
    let (code, message, wait, retry) = told(&reply);
    assert_eq!((code.as_str(), wait, retry), ("rate_limit_exceeded", 30, None));
    assert!(message.contains("`two-a-minute` allows 2 requests per rolling 1m"), "{message}");
    gateway.admitted("globex", CHAT);
}

#[test]
fn other_endpoints_count_as_requests_and_are_not_read() {
    let gateway = gateway(&[TWO_REQUESTS]);
    let head = [(":method", "POST"), (":path", "/v1/images/generations"), ("content-encoding", "gzip")];
    for _ in 0..2 {
        let mut call = gateway.call("acme");
        assert_eq!(call.request(&head, b"\x1f\x8b no json").unwrap(), b"\x1f\x8b no json");
        assert_eq!(call.request_headers.get("content-encoding").as_deref(), Some("gzip"));
        assert_eq!(call.response(JSON_200, b"{}"), b"{}");
        call.log();
    }
    assert_eq!(gateway.call("acme").request(&head, b"x").unwrap_err().status, 429);
    let list = [(":method", "GET"), (":path", "/v1/models")];
    assert_eq!(gateway.call("acme").request_headers(&list, true), Flow::Continue);
}

#[test]
fn money_is_charged_by_the_price_of_the_model() {
    let gateway = gateway(&[DAY_OF_MONEY]);
    // 30 tokens in at 1 dollar a million, 12 out at 10.
    answered(&gateway, "acme", &chat("M", 10), ANSWER);
    assert_eq!(gateway.own_budget("acme")["budgets"][0]["used"], "0.00015");
    answered(&gateway, "globex", &chat("never-heard-of", 10), ANSWER);
    assert_eq!(gateway.own_budget("globex")["budgets"][0]["used"], "0.0042");
}

#[test]
fn a_calendar_budget_that_is_used_up_is_a_quota_and_no_rate() {
    let gateway = gateway(&[DAY_OF_MONEY]);
    answered(&gateway, "acme", &chat("m", 900), &answer_of("999", "1029"));
    let reply = gateway.call("acme").request(POST_CHAT, &chat("m", 900)).unwrap_err();
    let (code, message, wait, retry) = told(&reply);
    assert_eq!((code.as_str(), retry.as_deref()), ("insufficient_quota", Some("false")));
    assert_eq!(wait, 86_400 - 1_700_000_000 % 86_400, "until midnight");
    assert!(
        message.contains("`dollars-a-day` allows 0.01 US dollars per calendar day; 0.01002 are used"),
        "{message}"
    );
    let error: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(error["error"]["type"], "insufficient_quota");
}

#[test]
fn the_refusal_names_the_tightest_rule_and_only_that_one_is_counted() {
    let gateway = gateway(&[TWO_REQUESTS, DAY_OF_MONEY]);
    answered(&gateway, "acme", &chat("m", 900), ANSWER);
    answered(&gateway, "acme", &chat("m", 900), &answer_of("999", "1029"));
    let (code, message, ..) = told(&gateway.call("acme").request(POST_CHAT, &chat("m", 900)).unwrap_err());
    assert_eq!(code, "insufficient_quota", "{message}");
    assert_eq!(gateway.decisions_of("denied", "dollars-a-day"), 1);
    assert_eq!(gateway.decisions_of("denied", "two-a-minute"), 0);
}

#[test]
fn a_model_must_be_named_where_budgets_go_by_it() {
    let nameless = br#"{"messages":[{"role":"user","content":"hi"}]}"#;
    let by_model = r#""name":"r","unit":"requests","window":{"rolling":"1m"},"limit":9,"per":["model"],"match":{"models":["*"]}"#;
    for rule in [DAY_OF_MONEY, by_model] {
        let gateway = gateway(&[rule]);
        for body in [&nameless[..], br#"{"model":"","messages":[]}"#, br#"{"model":null,"messages":[]}"#] {
            assert_eq!(gateway.call("acme").request(POST_CHAT, body).unwrap_err().status, 400);
        }
    }
    gateway(&[TWO_REQUESTS]).admitted("acme", nameless);
}

#[test]
fn another_case_of_a_models_name_is_the_same_model() {
    let gateway = gateway(&[
        r#""name":"r","unit":"requests","window":{"rolling":"1m"},"limit":1,"match":{"models":["gpt-4*"]}"#,
    ]);
    answered(&gateway, "acme", &chat("gpt-4.1", 10), ANSWER);
    assert_eq!(gateway.call("acme").request(POST_CHAT, &chat("GPT-4.1", 10)).unwrap_err().status, 429);
    gateway.admitted("acme", &chat("o3", 10));
}

#[test]
fn a_shadow_rule_refuses_nothing_and_tells_only_operators() {
    let trial =
        r#""name":"trial","unit":"requests","window":{"rolling":"1m"},"limit":1,"mode":"shadow","per":["tenant"]"#;
    let gateway = with_more(&[trial], r#""slots":64,"admins":{"tenants":["ops"]}"#);
    for _ in 0..3 {
        let mut call = gateway.admitted("acme", CHAT);
        call.response(JSON_200, ANSWER);
        assert_eq!(call.response_headers.get("x-ratelimit-limit-requests"), None);
        call.log();
    }
    assert_eq!((gateway.decisions_of("shadow_denied", "trial"), gateway.decisions("allowed")), (2, 3));
    let list = list(&gateway, "ops", "scope=all").unwrap();
    assert_eq!(list["budgets"][0]["used"], 1, "what it would have refused is not charged");
    assert_eq!(gateway.own_budget("acme")["budgets"].as_array().unwrap().len(), 0, "callers are not told");
}

#[test]
fn the_explanation_is_told_only_where_the_operator_wants_it() {
    let tokens = r#""name":"t","unit":"tokens","window":{"rolling":"1m"},"limit":2000,"per":["tenant"]"#;
    let (silent, open) = (gateway(&[tokens, TWO_REQUESTS]), with_more(&[tokens, TWO_REQUESTS], r#""explain":true"#));
    let mut call = silent.admitted("acme", &chat("m", 10));
    call.response(JSON_200, ANSWER);
    assert_eq!(call.response_headers.get("x-gateway-budget"), None);
    let body = chat("m", 10);
    let need = 10 + estimated_input(&body);
    let mut call = open.admitted("acme", &body);
    call.response(JSON_200, ANSWER);
    let told = format!(
        "\"t\";unit=tokens;limit=2000;used=0;reserved={need};estimate={need}, \
         \"two-a-minute\";unit=requests;limit=2;used=0;reserved=1;estimate=1"
    );
    assert_eq!(call.response_headers.get("x-gateway-budget"), Some(told));
    let reply = open.call("acme").request(POST_CHAT, &chat("m", 5_000)).unwrap_err();
    assert!(header_of(&reply, "x-gateway-budget").unwrap().contains(&format!("estimate={}", 4_990 + need)));
}

#[test]
fn a_caller_reads_each_budget_of_its_own() {
    let by_model = r#""name":"by-model","unit":"requests","window":{"rolling":"1h"},"limit":9,"per":["tenant","model"],"match":{"models":["*"]}"#;
    let gateway = gateway(&[TWO_REQUESTS, by_model, DAY_OF_MONEY]);
    answered(&gateway, "acme", &chat("m", 10), ANSWER);
    let own = gateway.own_budget("acme");
    let names: Vec<_> = own["budgets"].as_array().unwrap().iter().map(|entry| &entry["rule"]).collect();
    assert_eq!(names, ["two-a-minute", "dollars-a-day"], "no model was named");
    let mut call = gateway.call("acme");
    let head = [(":method", "GET"), (":path", "/gateway/budget?model=M&x=1")];
    let Flow::Reply(reply) = call.request_headers(&head, true) else { panic!("the budget was not told") };
    let own: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
    let entry = &own["budgets"][1];
    assert_eq!(
        *entry,
        serde_json::json!({
            "rule": "by-model", "unit": "requests", "window": "rolling 1h",
            "per": {"tenant": "acme", "model": "m"},
            "limit": 9, "used": 1, "reserved": 0, "remaining": 8, "reset_seconds": 400,
        })
    );
}

fn list(gateway: &Gateway, tenant: &str, query: &str) -> Result<serde_json::Value, u16> {
    let path = format!("/gateway/budget?{query}");
    match gateway.call(tenant).request_headers(&[(":method", "GET"), (":path", &path)], true) {
        Flow::Reply(reply) if reply.status == 200 => Ok(serde_json::from_slice(&reply.body).unwrap()),
        Flow::Reply(reply) => Err(reply.status),
        other => panic!("{other:?}"),
    }
}

#[test]
fn administrators_alone_list_all_budgets() {
    let gateway = with_more(&[TWO_REQUESTS, DAY_OF_MONEY], r#""slots":3000,"admins":{"tenants":["ops"]}"#);
    answered(&gateway, "acme", &chat("m", 10), ANSWER);
    answered(&gateway, "globex", &chat("m", 10), ANSWER);
    assert_eq!(list(&gateway, "acme", "scope=all"), Err(403));
    let (mut found, mut after) = (Vec::new(), Some(0));
    while let Some(from) = after {
        let page = list(&gateway, "ops", &format!("scope=all&after={from}")).unwrap();
        found.extend(page["budgets"].as_array().unwrap().iter().cloned());
        after = page["next"].as_u64();
    }
    let mut names: Vec<_> = found
        .iter()
        .map(|entry| {
            format!(
                "{} {} {}",
                entry["rule"].as_str().unwrap(),
                entry["per"]["tenant"].as_str().unwrap(),
                entry["used"]
            )
        })
        .collect();
    names.sort();
    let expected = [
        "dollars-a-day acme \"0.00015\"",
        "dollars-a-day globex \"0.00015\"",
        "two-a-minute acme 1",
        "two-a-minute globex 1",
    ];
    assert_eq!(names, expected);
    let beyond = list(&gateway, "ops", "scope=all&after=4294967295").unwrap();
    assert_eq!((beyond["budgets"].as_array().unwrap().len(), beyond["next"].as_u64()), (0, None));
}

#[test]
fn a_changed_limit_counts_at_once_and_keeps_what_was_spent() {
    let gateway = gateway(&[TWO_REQUESTS]);
    answered(&gateway, "acme", CHAT, ANSWER);
    let mut proxy = gateway.proxy.clone();
    let config = format!(r#"{{"rules":[{{{}}}],"slots":64}}"#, TWO_REQUESTS.replace("\"limit\":2", "\"limit\":1"));
    let tighter = Gateway { budget: proxy.configure(&config).unwrap(), proxy };
    assert_eq!(tighter.call("acme").request(POST_CHAT, CHAT).unwrap_err().status, 429);
}

#[test]
fn absurd_usage_is_counted_and_told_once_a_minute() {
    let mut gateway = Gateway::new();
    for _ in 0..3 {
        answered(&gateway, "whale", CHAT, &answer_of("18446744073709551615", "18446744073709551615"));
    }
    assert_eq!((gateway.decisions("capped"), gateway.proxy.log.take().len()), (3, 1));
    gateway.wait(60);
    answered(&gateway, "whale", CHAT, &answer_of("18446744073709551615", "18446744073709551615"));
    assert_eq!(gateway.proxy.log.take().len(), 1);
}

#[test]
fn tokens_reserved_settled_and_overrun_are_counted() {
    let gateway = Gateway::new();
    let body = chat("m", 10);
    answered(&gateway, "acme", &body, ANSWER);
    let reserved = 10 + estimated_input(&body);
    let total = |name| gateway.proxy.meter.total(name);
    assert_eq!(total(metric::BUDGET_TOKENS_RESERVED), reserved);
    assert_eq!(total(metric::BUDGET_TOKENS_SETTLED), REPORTED);
    assert_eq!(total(metric::BUDGET_TOKENS_OVERRUN), REPORTED - reserved);
    gateway.proxy.store.refuse_next(5);
    answered(&gateway, "acme", &body, ANSWER);
    assert_eq!(total(metric::BUDGET_CONFLICTS), 5);
}

#[test]
fn a_limit_of_nothing_lets_nobody_pass_in_any_unit() {
    for unit in ["requests", "tokens", "input_tokens", "output_tokens", "usd"] {
        let limit = if unit == "usd" { r#""0""# } else { "0" };
        let rule = format!(r#""name":"none","unit":"{unit}","window":{{"rolling":"1m"}},"limit":{limit}"#);
        for body in [CHAT, &chat("m", 10)] {
            let reply = gateway(&[&rule]).call("acme").request(POST_CHAT, body).unwrap_err();
            assert_eq!(
                (reply.status, header_of(&reply, "x-should-retry").as_deref()),
                (429, Some("false")),
                "{unit}"
            );
        }
    }
}

#[test]
fn an_estimate_larger_than_a_small_limit_refuses_nobody_for_good() {
    // litellm#29193: a fixed floor made a small key refuse its very first call.
    let gateway =
        gateway(&[r#""name":"small","unit":"tokens","window":{"rolling":"1m"},"limit":100,"per":["tenant"]"#]);
    let mut first = gateway.admitted("acme", CHAT);
    assert_eq!(gateway.reserved("acme"), 100, "alone, since nobody knows what it will take");
    first.response(JSON_200, ANSWER);
    first.log();
    assert_eq!(gateway.used("acme"), REPORTED);
}

#[test]
fn a_lowered_limit_drains_from_now_on_even_if_nobody_passes() {
    let ten = r#""name":"r","unit":"requests","window":{"calendar":"day"},"limit":10,"per":["tenant"]"#;
    let gateway = gateway(&[ten]);
    for _ in 0..7 {
        answered(&gateway, "acme", CHAT, ANSWER);
    }
    let mut proxy = gateway.proxy.clone();
    let config = format!(r#"{{"rules":[{{{}}}],"slots":64}}"#, ten.replace("10", "2"));
    let mut tighter = Gateway { budget: proxy.configure(&config).unwrap(), proxy };
    let ask = |gateway: &Gateway| gateway.call("acme").request(POST_CHAT, CHAT);
    let (.., wait, _) = told(&ask(&tighter).unwrap_err());
    tighter.wait(wait - 1);
    assert_eq!(ask(&tighter).unwrap_err().status, 429, "two are forgotten a day, not ten");
    tighter.wait(1);
    ask(&tighter).unwrap();
}

#[test]
fn a_calendar_window_of_a_minute_is_a_rate() {
    let gateway = gateway(&[r#""name":"r","unit":"requests","window":{"calendar":"minute"},"limit":1"#]);
    answered(&gateway, "acme", CHAT, ANSWER);
    let (code, _, wait, retry) = told(&gateway.call("acme").request(POST_CHAT, CHAT).unwrap_err());
    assert_eq!((code.as_str(), retry), ("rate_limit_exceeded", None));
    assert!(wait <= 60);
}

#[test]
fn a_rule_for_others_asks_nobody_else_for_a_model() {
    let rule = DAY_OF_MONEY.replace(r#""per""#, r#""match":{"tenants":["globex"]},"per""#);
    let (gateway, nameless) = (gateway(&[&rule]), br#"{"messages":[{"role":"user","content":"hi"}]}"#);
    gateway.admitted("acme", nameless);
    assert_eq!(gateway.call("globex").request(POST_CHAT, nameless).unwrap_err().status, 400);
}

#[test]
fn the_providers_own_limits_do_not_stand_beside_ours() {
    let theirs = [("x-ratelimit-limit-requests", "500"), ("x-ratelimit-limit-tokens", "9"), ("x-request-id", "r")];
    let head = [JSON_200, &theirs].concat();
    let mut call = Gateway::new().admitted("acme", CHAT);
    call.response(&head, ANSWER);
    assert_eq!(call.response_headers.get("x-ratelimit-limit-requests"), None);
    assert_eq!(call.response_headers.get("x-ratelimit-limit-tokens").as_deref(), Some("100000"));
    assert_eq!(call.response_headers.get("x-request-id").as_deref(), Some("r"));
    let unlimited = gateway(&[&TWO_REQUESTS.replace(r#""per""#, r#""match":{"tenants":["globex"]},"per""#)]);
    let mut call = unlimited.admitted("acme", CHAT);
    call.response(&head, ANSWER);
    assert_eq!(call.response_headers.get("x-ratelimit-limit-requests").as_deref(), Some("500"));
}

#[test]
fn another_number_of_slots_begins_with_all_accounts_whole() {
    let gateway = gateway(&[TWO_REQUESTS]);
    for tenant in 0..20 {
        answered(&gateway, &tenant.to_string(), CHAT, ANSWER);
    }
    let mut proxy = gateway.proxy.clone();
    let config = format!(r#"{{"rules":[{{{TWO_REQUESTS}}}],"slots":128}}"#);
    let other = Gateway { budget: proxy.configure(&config).unwrap(), proxy };
    assert!((0..20).all(|tenant| other.used(&tenant.to_string()) == 0));
}

#[test]
fn an_answer_in_the_background_is_refused_where_anything_but_calls_is_counted() {
    let body = br#"{"model":"m","background":true,"input":"hi"}"#;
    let head = [(":method", "POST"), (":path", "/v1/responses")];
    assert_eq!(gateway(&[DAY_OF_MONEY]).call("acme").request(&head, body).unwrap_err().status, 400);
    gateway(&[TWO_REQUESTS]).call("acme").request(&head, body).unwrap();
}

#[test]
fn an_answer_of_googles_cannot_be_masked() {
    let body = br#"{"contents":[{"parts":[{"text":"hi"}]}]}"#;
    let ask = |path: &str| {
        let mut call = Gateway::new().call("acme");
        let head = [(":method", "POST"), (":path", path), ("x-goog-fieldmask", "candidates")];
        let outcome = call.request(&head, body);
        (outcome.map_err(|reply| reply.status), call.request_headers.get("x-goog-fieldmask"))
    };
    let (sent, mask) = ask("/v1beta/models/g:generateContent?key=k");
    assert_eq!((sent.unwrap(), mask), (body.to_vec(), None));
    assert_eq!(ask("/v1beta/models/g:generateContent?$fields=candidates").0, Err(400));
}

#[test]
fn a_models_name_with_what_providers_leave_off_is_the_same_model() {
    let rule = r#""name":"r","unit":"requests","window":{"rolling":"1m"},"limit":1,"match":{"models":["gemini-2*"]}"#;
    for name in ["models/gemini-2.5-pro", " gemini-2.5-pro", "Models/Gemini-2.5-Pro "] {
        let gateway = gateway(&[rule]);
        answered(&gateway, "acme", &chat("gemini-2.5-pro", 10), ANSWER);
        assert_eq!(gateway.call("acme").request(POST_CHAT, &chat(name, 10)).unwrap_err().status, 429, "{name}");
    }
}
