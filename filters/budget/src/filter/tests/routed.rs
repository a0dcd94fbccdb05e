//! Calls that route sent to another model than their caller named, and that any provider answered. The test leaves what route and
//! adapt would leave.

mod learning;

use tollgate_core::handoff::{Attempt, Routing};

use super::*;

const PRICES: &str = r#""prices": {
    "cheap": {"input": "1.00", "output": "1.00"}, "dear": {"input": "10.00", "output": "10.00"},
    "*": {"input": "100", "output": "100"}
}, "provider_prices": {"azure-eu": {"cheap*": {"input": "3.00", "output": "3.00"}}}"#;
const MONEY: &str =
    r#""name": "money", "unit": "usd", "window": {"calendar": "day"}, "limit": "0.01", "per": ["tenant"]"#;

fn gateway(rules: &[&str]) -> Gateway {
    let rules: Vec<_> = rules.iter().map(|members| format!("{{{members}}}")).collect();
    Gateway::configured(&format!(r#"{{"rules": [{}], {PRICES}, "slots": 64}}"#, rules.join(",")))
}

fn requests(more: &str) -> String {
    format!(r#""name": "r", "unit": "requests", "window": {{"rolling": "1m"}}, "limit": 1, {more}"#)
}

fn chat(model: &str, max_tokens: u64) -> Vec<u8> {
    format!(r#"{{"model":"{model}","max_tokens":{max_tokens},"messages":[{{"role":"user","content":"hi"}}]}}"#).into()
}

/// What route leaves: the caller asked for one model, another was decided on.
fn route(call: &mut Call<BudgetStream>, asked: &str, model: &str) {
    let routing = Routing { asked: Some(asked.into()), model: Some(model.into()), pool: "gpt".into() };
    handoff::set_routing(&mut call.handoff, &routing);
}

/// What adapt leaves with an attempt.
fn attempt(call: &mut Call<BudgetStream>, provider: &str, model: &str, stands_in: bool) {
    let attempt = Attempt { provider: provider.into(), model: Some(model.into()), stands_in };
    handoff::set_attempt(&mut call.handoff, &attempt);
}

/// A call for one model that was decided to run another; the refusal's status if it does not fit.
fn routed(gateway: &Gateway, asked: &str, model: &str, max_tokens: u64) -> Result<Call<BudgetStream>, u16> {
    let mut call = gateway.call("acme");
    route(&mut call, asked, model);
    let sent = call.request(POST_CHAT, &chat(asked, max_tokens));
    sent.map(|_| call).map_err(|refusal| refusal.status)
}

/// What the tenant is charged for [`ANSWER`]: 42 tokens, all at one price.
fn charged(call: Result<Call<BudgetStream>, u16>, gateway: &Gateway) -> serde_json::Value {
    let mut call = call.unwrap();
    call.response(JSON_200, ANSWER);
    call.log();
    let own = gateway.own_budget("acme");
    assert_eq!(own["budgets"][0]["reserved"], "0.00");
    own["budgets"][0]["used"].clone()
}

fn answered_by(gateway: &Gateway, model: &str, provider: &str, ran: &str) -> serde_json::Value {
    let mut call = routed(gateway, "fast", model, 100).unwrap();
    attempt(&mut call, provider, ran, ran != model);
    charged(Ok(call), gateway)
}

/// What is used under the first rule that counts a model.
fn used_of(gateway: &Gateway, model: &str) -> serde_json::Value {
    let path = format!("/gateway/budget?model={model}");
    let reply = match gateway.call("acme").request_headers(&[(":method", "GET"), (":path", &path)], true) {
        Flow::Reply(reply) => reply,
        other => panic!("{other:?}"),
    };
    serde_json::from_slice::<serde_json::Value>(&reply.body).unwrap()["budgets"][0]["used"].clone()
}

/// The usage record as an access log shows it.
fn record(call: &Call<BudgetStream>) -> serde_json::Value {
    serde_json::from_slice(&call.handoff.0[handoff::USAGE]).unwrap()
}

#[test]
fn an_alias_falls_under_the_rules_of_the_model_that_runs_and_of_no_other() {
    for matched in [r#""match": {"models": ["dear"]}"#, r#""per": ["model"], "match": {"models": ["dear", "fast"]}"#]
    {
        let gateway = gateway(&[&requests(matched)]);
        let _held = routed(&gateway, "dear", "dear", 10).unwrap();
        assert_eq!(
            routed(&gateway, "fast", "DEAR ", 10).err(),
            Some(429),
            "{matched}: another name is no way around"
        );
        routed(&gateway, "dear", "cheap", 10).unwrap();
    }
}

#[test]
fn money_is_held_at_the_price_of_the_model_that_runs() {
    let gateway = gateway(&[MONEY]);
    assert_eq!(routed(&gateway, "dear", "dear", 2_000).err(), Some(429));
    routed(&gateway, "dear", "cheap", 2_000).unwrap();
    assert_eq!(routed(&gateway, "cheap", "dear", 2_000).err(), Some(429));
}

#[test]
fn names_that_do_not_run_cost_nothing() {
    let gateway = gateway(&[MONEY]);
    let path = [(":method", "POST"), (":path", "/openai/deployments/never-heard-of/chat/completions")];
    let mut both = gateway.call("acme");
    assert_eq!(
        both.request(&path, &chat("dear", 2_000)).unwrap_err().status,
        429,
        "without route the dearest counts"
    );
    let mut both = gateway.call("acme");
    route(&mut both, "never-heard-of", "cheap");
    both.request(&path, &chat("dear", 2_000)).unwrap();
}

#[test]
fn a_call_that_names_no_model_has_the_one_that_was_decided_on() {
    let gateway = gateway(&[MONEY]);
    let nameless = br#"{"max_tokens":10,"messages":[]}"#;
    let mut call = gateway.call("acme");
    let routing = Routing { asked: None, model: None, pool: "gpt".into() };
    handoff::set_routing(&mut call.handoff, &routing);
    assert_eq!(call.request(POST_CHAT, nameless).unwrap_err().status, 400);
    let mut call = gateway.call("acme");
    handoff::set_routing(&mut call.handoff, &Routing { model: Some("cheap".into()), ..routing });
    call.request(POST_CHAT, nameless).unwrap();
}

#[test]
fn the_name_that_was_decided_on_is_bounded_as_any() {
    let long = "m".repeat(513);
    assert_eq!(routed(&gateway(&[MONEY]), "fast", &long, 10).err(), Some(400));
    let gateway = gateway(&[MONEY]);
    let mut call = gateway.call("acme");
    route(&mut call, &long, "cheap");
    call.request(POST_CHAT, &chat(&long, 10)).unwrap();
}

#[test]
fn an_answer_is_charged_at_the_price_of_who_gave_it() {
    for (provider, ran, dollars) in [
        ("openai", "cheap", "0.000042"),
        ("openai", "CHEAP", "0.000042"),
        ("azure-eu", "cheap", "0.000126"),
        ("azure-eu", "Cheap-2", "0.000126"),
        ("azure-eu", "dear", "0.00042"),
        ("openai", "never-heard-of", "0.0042"),
    ] {
        assert_eq!(answered_by(&gateway(&[MONEY]), "cheap", provider, ran), dollars, "{provider} {ran}");
    }
}

#[test]
fn a_model_without_a_price_of_its_own_is_charged_as_the_one_it_stands_in_for() {
    let rule = format!(r#"{MONEY}, "match": {{"models": ["dear"]}}"#);
    let config = format!(r#"{{"rules": [{{{rule}}}], "prices": {{"dear": {{"input": "10", "output": "10"}}}}}}"#);
    let gateway = Gateway::configured(&config);
    let mut call = routed(&gateway, "fast", "dear", 100).unwrap();
    attempt(&mut call, "openai", "never-heard-of", true);
    call.response(JSON_200, ANSWER);
    call.log();
    assert_eq!(used_of(&gateway, "dear"), "0.00042");
}

#[test]
fn an_answer_of_whom_nobody_tells_is_charged_as_it_was_reserved() {
    let gateway = gateway(&[MONEY]);
    assert_eq!(charged(routed(&gateway, "fast", "cheap", 100), &gateway), "0.000042");
    let mut call = routed(&gateway, "fast", "cheap", 100).unwrap();
    let nameless = Attempt { provider: "azure-eu".into(), model: None, stands_in: false };
    handoff::set_attempt(&mut call.handoff, &nameless);
    assert_eq!(charged(Ok(call), &gateway), "0.000084");
}

#[test]
fn a_cheaper_answer_gives_back_and_a_dearer_one_is_debt() {
    let gateway = gateway(&[MONEY]);
    let mut call = routed(&gateway, "fast", "dear", 900).unwrap();
    assert_eq!(routed(&gateway, "fast", "cheap", 2_000).err(), Some(429), "the rest is held");
    attempt(&mut call, "openai", "cheap", true);
    assert_eq!(charged(Ok(call), &gateway), "0.000042");
    let mut call = routed(&gateway, "fast", "cheap", 100).unwrap();
    attempt(&mut call, "openai", "dear", true);
    call.response(JSON_200, &answer_of("1999", "2029"));
    call.log();
    let own = gateway.own_budget("acme");
    assert_eq!((&own["budgets"][0]["used"], &own["budgets"][0]["remaining"]), (&"0.020332".into(), &"0.00".into()));
    assert_eq!(routed(&gateway, "fast", "cheap", 10).err(), Some(429));
}

#[test]
fn attempts_that_failed_cost_nothing() {
    let gateway = gateway(&[MONEY]);
    let mut call = routed(&gateway, "fast", "cheap", 100).unwrap();
    for (provider, ran) in [("openai", "dear"), ("openai", "never-heard-of"), ("azure-eu", "cheap")] {
        attempt(&mut call, provider, ran, ran != "cheap");
    }
    assert_eq!(charged(Ok(call), &gateway), "0.000126", "the last alone has usage");
    let mut call = routed(&gateway, "fast", "cheap", 100).unwrap();
    attempt(&mut call, "openai", "dear", true);
    call.response(&[(":status", "503"), ("content-type", "application/json")], ANSWER);
    assert_eq!((record(&call)["input"].as_u64(), record(&call)["provider"].as_str()), (Some(0), Some("openai")));
    call.log();
    let mut unanswered = routed(&gateway, "fast", "cheap", 100).unwrap();
    attempt(&mut unanswered, "openai", "cheap", false);
    unanswered.log();
    let own = gateway.own_budget("acme");
    assert_eq!((&own["budgets"][0]["used"], &own["budgets"][0]["reserved"]), (&"0.000126".into(), &"0.00".into()));
}

#[test]
fn the_account_stays_the_one_that_it_was_reserved_in() {
    let by_model = r#""name": "m", "unit": "tokens", "window": {"rolling": "1h"}, "limit": 9999, "per": ["model"], "match": {"models": ["cheap", "dear"]}"#;
    let gateway = gateway(&[by_model]);
    let mut call = routed(&gateway, "fast", "dear", 100).unwrap();
    attempt(&mut call, "openai", "cheap", true);
    call.response(JSON_200, ANSWER);
    call.log();
    assert_eq!((used_of(&gateway, "dear"), used_of(&gateway, "cheap")), (REPORTED.into(), 0.into()));
}

#[test]
fn a_stream_under_a_hard_cap_ends_by_the_price_of_who_answers() {
    let hard = format!(r#"{MONEY}, "hard_cap": true"#).replace("0.01", "0.002");
    let passed = |ran: &str| {
        let gateway = gateway(&[&hard]);
        let mut call = gateway.call("acme");
        route(&mut call, "fast", "cheap");
        call.request(POST_CHAT, CHAT_STREAM).unwrap();
        attempt(&mut call, "openai", ran, ran != "cheap");
        call.response_headers(SSE_200, false);
        let text = content_chunk(&"word ".repeat(400));
        (0..4).map(|_| call.response_chunk(text.as_bytes(), false).len()).sum::<usize>()
    };
    let (cheap, dear) = (passed("cheap"), passed("dear"));
    assert!(dear < cheap / 2, "{dear} bytes of the dear one, {cheap} of the cheap one");
}

#[test]
fn the_record_names_who_answered_and_what_ran() {
    let gateway = gateway(&[MONEY]);
    let mut call = routed(&gateway, "fast", "cheap", 100).unwrap();
    attempt(&mut call, "azure-eu", "Cheap-2", true);
    call.response_headers(JSON_200, false);
    assert_eq!((&record(&call)["source"], &record(&call)["model"]), (&"estimated".into(), &"Cheap-2".into()));
    call.response_chunk(ANSWER, true);
    let expected = serde_json::json!({
        "input": 30, "output": 12, "cached_input": 0, "cache_write": 0, "reasoning": 0, "source": "reported",
        "provider": "azure-eu", "model": "Cheap-2", "cost_nanousd": 126_000, "finish_reason": "stop",
    });
    assert_eq!(record(&call), expected);
    assert_eq!(handoff::usage(&call.handoff).unwrap().total(), REPORTED);
    let mut call = routed(&gateway, "fast", "cheap", 100).unwrap();
    call.response(JSON_200, ANSWER);
    assert_eq!((record(&call).get("provider"), record(&call).get("model")), (None, None));
}
