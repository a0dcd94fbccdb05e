//! What users report of other gateways' limiters, each as a test of ours, as far as it is not one elsewhere. The other numbers stand
//! beside the tests of `src/`: grep for `#`.

use std::time::Duration;

use tollgate_core::{Identity, handoff};

use crate::fixture::recordings;
use crate::gateway::{Gateway, tenant};

const POST: &[(&str, &str)] = &[(":method", "POST"), (":path", "/v1/chat/completions")];
const JSON_200: &[(&str, &str)] = &[(":status", "200"), ("content-type", "application/json")];
const SSE_200: &[(&str, &str)] = &[(":status", "200"), ("content-type", "text/event-stream")];

fn gateway(rule: &str) -> Gateway {
    Gateway::new(&format!(
        r#"{{"rules":[{{"name":"r",{rule}}}],"slots":64,
            "prices":{{"*":{{"input":"3","cached_input":"0.3","cache_write":"3.75","output":"15"}}}}}}"#
    ))
}

fn chat(max_tokens: u64) -> String {
    format!(r#"{{"model":"m","max_tokens":{max_tokens},"messages":[]}}"#)
}

fn answer(input: u64, output: u64) -> String {
    let usage = format!(r#"{{"prompt_tokens":{input},"completion_tokens":{output}}}"#);
    format!(r#"{{"choices":[{{"message":{{"content":"x"}},"finish_reason":"stop"}}],"usage":{usage}}}"#)
}

fn used(gateway: &Gateway) -> u64 {
    gateway.figures(&tenant("acme"), "m", "r").0
}

/// The status of a refusal; a call that is admitted uses this much.
fn ask(gateway: &Gateway, max_tokens: u64, input: u64, output: u64) -> Result<(), u16> {
    let mut call = gateway.call(&tenant("acme"));
    call.request(POST, chat(max_tokens).as_bytes()).map_err(|reply| reply.status)?;
    call.response(JSON_200, answer(input, output).as_bytes());
    call.log();
    Ok(())
}

const MINUTE: &str = r#""unit":"tokens","window":{"rolling":"1m"},"limit":1000,"per":["tenant"]"#;

#[test]
fn the_call_that_does_not_fit_is_refused_itself_and_not_the_one_after() {
    // higress#2464: the limit always acted one request late.
    let gateway = gateway(MINUTE);
    assert_eq!(ask(&gateway, 500, 10, 690), Ok(()));
    assert_eq!((ask(&gateway, 500, 10, 500), used(&gateway)), (Err(429), 700));
    assert_eq!(ask(&gateway, 200, 10, 200), Ok(()));
}

#[test]
fn what_is_used_after_the_limit_was_crossed_is_added_as_well() {
    // higress ai-token-ratelimit adds only while `current <= threshold`; agentgateway's bucket clamps at 0.
    let gateway = gateway(MINUTE);
    let mut calls: Vec<_> = (0..3).map(|_| gateway.call(&tenant("acme"))).collect();
    calls.iter_mut().for_each(|call| drop(call.request(POST, chat(200).as_bytes()).unwrap()));
    for call in &mut calls {
        call.response(JSON_200, answer(10, 990).as_bytes());
        call.log();
    }
    assert_eq!(used(&gateway), 3_000);
}

#[test]
fn over_a_long_time_a_tenant_gets_its_rate_however_much_it_overruns() {
    // TensorZero drops the excess, fixed windows forget it: who always takes more than is reserved would get more for good.
    let (limit, hours) = (1_000, 3);
    for window in [r#"{"rolling":"1m"}"#, r#"{"calendar":"minute"}"#] {
        let mut gateway = gateway(&MINUTE.replace(r#"{"rolling":"1m"}"#, window));
        let (mut taken, mut admitted) = (0, 0);
        for _ in 0..hours * 3_600 {
            if ask(&gateway, 50, 10, 690).is_ok() {
                taken += 700;
                admitted += 1;
            }
            gateway.wait(Duration::from_secs(1));
        }
        let (windows, last) = (hours * 60, 700);
        assert!(taken <= limit * (windows + 1) + last, "{window}: {taken} in {admitted} calls");
        assert!(taken >= limit * (windows - 2), "{window}: {taken}, nor does it get less");
    }
}

#[test]
fn one_record_is_charged_once_however_often_it_is_written() {
    // higress#1080: two plugins shared one usage value, and streamed requests were charged twice.
    let gateway = gateway(MINUTE);
    let mut call = gateway.call(&tenant("acme"));
    call.request(POST, br#"{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[]}"#)
        .unwrap();
    call.response_headers(SSE_200, false);
    let recording = recordings().into_iter().find(|recording| recording.name == "chat_completions_stream").unwrap();
    let mut records = Vec::new();
    for piece in recording.body.chunks(20) {
        call.response_chunk(piece, false);
        records.push(handoff::usage(&call.handoff).unwrap());
        assert_eq!(used(&gateway), 0, "nothing is charged before the end");
    }
    records.dedup();
    call.log();
    assert!(records.len() > 3 && records.last() == Some(&recording.usage));
    assert_eq!(used(&gateway), recording.usage.total());
}

#[test]
fn a_stream_runs_on_where_its_budget_ends_and_the_next_call_is_refused() {
    // wasm-shim#372: the end of a budget cut the stream raw.
    let gateway = gateway(&MINUTE.replace("1000", "100"));
    let mut call = gateway.call(&tenant("acme"));
    call.request(POST, br#"{"model":"m","stream":true,"messages":[]}"#).unwrap();
    call.response_headers(SSE_200, false);
    let chunk =
        format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{}\"}}}}]}}\n\n", "x".repeat(400));
    for _ in 0..5 {
        assert_eq!(call.response_chunk(chunk.as_bytes(), false), chunk.as_bytes());
    }
    call.log();
    assert!(used(&gateway) >= 500);
    assert_eq!(ask(&gateway, 5, 1, 1), Err(429));
}

#[test]
fn each_model_of_a_tenant_may_have_a_quota_of_its_own() {
    // apisix#13226: quotas by consumer and model were asked for.
    let gateway = gateway(
        r#""unit":"tokens","window":{"rolling":"1m"},"limit":1000,"per":["tenant","model"],"match":{"models":["*"]}"#,
    );
    for (who, model, is_first) in
        [("a", "m", true), ("a", "M", false), ("a", "n", true), ("b", "m", true), ("b", "n", true)]
    {
        let body = format!(r#"{{"model":"{model}","max_tokens":900,"messages":[]}}"#);
        let mut call = gateway.call(&tenant(who));
        let is_admitted = call.request(POST, body.as_bytes()).is_ok();
        assert_eq!(is_admitted, is_first, "{who} {model}");
    }
}

#[test]
fn no_header_of_a_client_says_who_pays() {
    // agentgateway#3302, and samples elsewhere that key on `x-tenant-id`.
    let gateway = gateway(MINUTE);
    let victim = r#"{"tenant":"victim","credential_id":"key"}"#;
    let names = ["x-tenant-id", "tollgate_identity", "wasm.tollgate_identity", "x-gateway-tenant", "x-mse-consumer"];
    for name in names {
        let mut call = gateway.call(&tenant("acme"));
        call.request(&[POST, &[(name, victim), ("authorization", victim)]].concat(), chat(10).as_bytes()).unwrap();
        call.response(JSON_200, answer(10, 10).as_bytes());
        call.log();
    }
    assert_eq!(used(&gateway), 20 * names.len() as u64);
    assert_eq!(gateway.figures(&tenant("victim"), "m", "r"), (0, 0));
}

#[test]
fn the_same_usage_costs_the_same_streamed_and_not() {
    // litellm#9812: cached tokens had another price in streams; ai-gateway#2115: tokens written to the cache were lost in them.
    let gateway = gateway(r#""unit":"usd","window":{"calendar":"day"},"limit":"9","per":["tenant"]"#);
    let recordings = recordings();
    let cost = |name: &str| {
        let recording = recordings.iter().find(|recording| recording.name == name).unwrap();
        let before = used(&gateway);
        let mut call = gateway.call(&tenant("acme"));
        let path = recording.path("m");
        call.request(&[(":method", "POST"), (":path", &path)], &recording.request("m", true)).unwrap();
        call.response(recording.head(), &recording.body);
        call.log();
        used(&gateway) - before
    };
    for (whole, streamed) in [
        ("messages", "messages_stream"),
        ("responses", "responses_stream"),
        ("generate_content", "stream_generate_content"),
        ("generate_content", "stream_generate_content_array"),
    ] {
        assert_eq!(cost(whole), cost(streamed), "{whole}");
    }
    assert_eq!(cost("messages"), 21 * 3_000 + 1_800 * 300 + 100 * 3_750 + 393 * 15_000);
}

#[test]
fn a_choice_that_ends_early_does_not_free_the_others_of_a_hard_cap() {
    // Some servers (vLLM: `continuous_usage_stats`) tell usage with every chunk, so the first finish looked like the last word.
    let gateway = gateway(
        r#""unit":"output_tokens","window":{"calendar":"day"},"limit":1000,"per":["tenant"],"hard_cap":true"#,
    );
    let mut call = gateway.call(&tenant("acme"));
    call.request(POST, br#"{"model":"m","n":2,"stream":true,"messages":[]}"#).unwrap();
    call.response_headers(SSE_200, false);
    let chunk = |index: u32, reason: &str, usage: &str| {
        let choice =
            format!(r#"{{"index":{index},"delta":{{"content":"{}"}},"finish_reason":{reason}}}"#, "word".repeat(10));
        format!("data: {{\"object\":\"chat.completion.chunk\",\"choices\":[{choice}]{usage}}}\n\n")
    };
    let early = chunk(0, "\"stop\"", r#","usage":{"prompt_tokens":5,"completion_tokens":10}"#);
    let mut seen = call.response_chunk(early.as_bytes(), false);
    for _ in 0..200 {
        seen.extend(call.response_chunk(chunk(1, "null", "").as_bytes(), false));
    }
    let seen = String::from_utf8(seen).unwrap();
    assert!(seen.matches("wordword").count() <= 5 * 103 && seen.ends_with("data: [DONE]\n\n"), "{}", seen.len());
}

#[test]
fn without_any_other_filter_the_limit_still_limits() {
    // apisix-website PR#2028: the limiter was silently inert without another plugin on the route; TensorZero: who is not named is
    // not counted.
    let gateway = gateway(MINUTE);
    let nobody = Identity { tenant: "anonymous".to_owned(), credential_id: String::new(), tier: None };
    let ask = || {
        let mut call = tollgate_fakehost::Call::open(&gateway.budget, &gateway.proxy);
        call.request(POST, chat(400).as_bytes()).map(|_| ())
    };
    assert!(ask().is_ok() && ask().is_ok());
    assert_eq!(ask().unwrap_err().status, 429);
    assert!(gateway.figures(&nobody, "m", "r").1 >= 800);
}
