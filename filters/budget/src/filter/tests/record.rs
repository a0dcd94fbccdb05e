//! What metrics and access logs read of a call: its record, the decision, what a hit saved.

use tollgate_core::{OutputTimes, Usage, UsageRecord, UsageSource};

use super::*;

const PRICED: &str = r#"{
    "rules": [{"name": "tokens", "unit": "tokens", "window": {"rolling": "1m"}, "per": ["tenant"], "limit": 9000}],
    "prices": {"m": {"input": "3.00", "output": "15.00"}}, "slots": 64
}"#;

fn record(call: &Call<BudgetStream>) -> UsageRecord<'static> {
    handoff::usage_record(&call.handoff).unwrap()
}

fn decided(call: &Call<BudgetStream>) -> Option<String> {
    call.handoff.0.get(handoff::BUDGET).map(|word| String::from_utf8(word.clone()).unwrap())
}

#[test]
fn prices_need_no_rule_of_dollars_to_tell_what_a_call_cost() {
    let gateway = Gateway::configured(PRICED);
    let mut call = gateway.admitted("acme", CHAT);
    call.response(JSON_200, ANSWER);
    assert_eq!(record(&call).cost_nanousd, Some(30 * 3_000 + 12 * 15_000));
    let mut unpriced = gateway.admitted("acme", br#"{"model":"o3","messages":[]}"#);
    unpriced.response(JSON_200, ANSWER);
    assert_eq!((record(&unpriced).cost_nanousd, record(&unpriced).usage.total()), (None, REPORTED));
    let mut call = Gateway::new().admitted("acme", CHAT);
    call.response(JSON_200, ANSWER);
    assert_eq!(record(&call).cost_nanousd, None, "no prices at all");
}

#[test]
fn what_the_record_costs_is_what_a_rule_of_dollars_is_charged() {
    let rules = r#""rules": [{"name": "money", "unit": "usd", "window": {"calendar": "day"}, "limit": "9.00",
        "match": {"models": ["m"]}}]"#;
    let gateway = Gateway::configured(&format!(
        r#"{{{rules}, "prices": {{"m": {{"input": "0.0375", "output": "0.123456789"}}}}, "slots": 64}}"#
    ));
    let text = content_chunk("and so");
    let answers = [(JSON_200, ANSWER), (SSE_200, text.as_bytes()), (&[(":status", "500")], b"{}")];
    let mut sum = 0;
    for (head, answer) in answers {
        let mut call = gateway.admitted("acme", CHAT_STREAM);
        call.response_headers(head, false);
        call.response_chunk(answer, false);
        sum += record(&call).cost_nanousd.unwrap();
        call.log();
        let mut report = gateway.call("acme");
        let path = [(":method", "GET"), (":path", "/gateway/budget?model=m")];
        let Flow::Reply(reply) = report.request_headers(&path, true) else { panic!("the budget was not told") };
        let own: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
        let used = own["budgets"][0]["used"].as_str().unwrap().to_owned();
        assert_eq!(used, crate::money::NanoUsd(sum).to_string());
    }
}

#[test]
fn the_first_and_the_last_text_of_a_stream_are_told_and_what_is_none_moves_neither() {
    let mut gateway = Gateway::configured(PRICED);
    let start = gateway.proxy.now.as_secs();
    let mut call = gateway.admitted("acme", CHAT_STREAM);
    call.response_headers(SSE_200, false);
    assert_eq!(record(&call).output_times, None);
    let role = event(r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#);
    let mut times = Vec::new();
    for chunk in [role, ": ping\n\n".into(), content_chunk("a"), content_chunk("b"), finish_chunk(), usage_chunk()] {
        gateway.wait(1);
        call.proxy.now = gateway.proxy.now;
        call.response_chunk(chunk.as_bytes(), false);
        let since = |times: OutputTimes| (times.first.as_secs() - start, times.last.as_secs() - start);
        times.push(record(&call).output_times.map(since));
    }
    assert_eq!(times, [None, None, Some((3, 3)), Some((3, 4)), Some((3, 4)), Some((3, 4))]);
}

#[test]
fn how_it_ended_and_shown_reasoning_are_told_by_the_last_chunk() {
    let gateway = Gateway::configured(PRICED);
    let mut call = gateway.admitted("acme", CHAT_STREAM);
    call.response_headers(SSE_200, false);
    let thought = event(r#"{"choices":[{"index":0,"delta":{"reasoning_content":"hm"}}]}"#);
    call.response_chunk(thought.as_bytes(), false);
    assert!(record(&call).shows_reasoning && record(&call).finish_reason.is_none());
    // An end without usage, and in an event of its own, changes nothing else of the record.
    call.response_chunk(finish_chunk().as_bytes(), false);
    assert_eq!(record(&call).finish_reason.as_deref(), Some("stop"));
    call.response_chunk(b"data: [DONE]\n\n", true);
    assert_eq!(record(&call).usage.source, UsageSource::Estimated);
}

#[test]
fn a_chunk_that_brings_nothing_new_is_not_handed_off() {
    let gateway = Gateway::configured(PRICED);
    let mut call = gateway.admitted("acme", CHAT_STREAM);
    call.response_headers(SSE_200, false);
    call.response_chunk(content_chunk("word").as_bytes(), false);
    call.handoff.0.remove(handoff::USAGE);
    call.response_chunk(b": ping\n\n", false);
    assert_eq!(handoff::usage_record(&call.handoff), None);
}

#[test]
fn the_decision_is_left_as_one_line() {
    let gateway = Gateway::configured(PRICED);
    assert_eq!(decided(&gateway.admitted("acme", CHAT)).as_deref(), Some("allowed"));
    let mut refused = gateway.call("acme");
    refused.request(POST_CHAT, br#"{"model":"m","max_tokens":9001,"messages":[]}"#).unwrap_err();
    assert_eq!(decided(&refused).as_deref(), Some("denied tokens"));
    let mut bypassed = gateway.call("acme");
    bypassed.request_headers(&[(":method", "GET"), (":path", "/v1/models")], true);
    assert_eq!(decided(&bypassed).as_deref(), Some("bypassed"));
    gateway.proxy.store.refuse_next(16);
    let mut undecided = gateway.call("acme");
    undecided.request(POST_CHAT, CHAT).unwrap_err();
    assert_eq!(decided(&undecided).as_deref(), Some("undecided"));
    let mut unreadable = gateway.call("acme");
    unreadable.request(POST_CHAT, b"{").unwrap_err();
    assert_eq!(decided(&unreadable), None);
}

#[test]
fn what_a_hit_saved_is_priced_and_costs_nothing() {
    let gateway = Gateway::configured(PRICED);
    let answered = |input: u64, output: u64| Usage { input, output, ..Usage::default() };
    for (stored, input, output) in [
        (answered(30, 12), 30, 12),
        (answered(0, 12), estimated_input(CHAT), 12),
        (answered(30, u64::MAX), 30, crate::watch::MOST_TOKENS),
    ] {
        let mut call = gateway.admitted("acme", CHAT);
        call.handoff.0.insert(handoff::CACHE.into(), b"hit".to_vec());
        handoff::set_reply(&mut call.handoff, "cache");
        handoff::set_saved(&mut call.handoff, &UsageRecord::from(&stored));
        call.response(JSON_200, ANSWER);
        let saved = handoff::saved(&call.handoff).unwrap();
        assert_eq!((saved.usage.input, saved.usage.output), (input, output));
        assert_eq!(saved.cost_nanousd, Some(input * 3_000 + output * 15_000));
        assert_eq!((record(&call).usage.total(), record(&call).cost_nanousd), (0, Some(0)));
        call.log();
        assert_eq!(gateway.used("acme"), 0);
    }
}

#[test]
fn what_a_hit_of_a_model_without_price_saved_is_not_known_in_money() {
    let gateway = Gateway::new();
    let mut call = gateway.admitted("acme", CHAT);
    call.handoff.0.insert(handoff::CACHE.into(), b"hit".to_vec());
    handoff::set_reply(&mut call.handoff, "cache");
    handoff::set_saved(&mut call.handoff, &UsageRecord::from(&Usage { input: 3, output: 4, ..Usage::default() }));
    call.response(JSON_200, ANSWER);
    assert_eq!(handoff::saved(&call.handoff).map(|saved| (saved.cost_nanousd, saved.usage.total())), Some((None, 7)));
}
