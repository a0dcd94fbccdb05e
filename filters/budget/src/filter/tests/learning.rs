//! What finished calls teach, and what they do not.

use super::*;

fn asking(max_tokens: u64) -> Vec<u8> {
    format!(r#"{{"model":"m","max_tokens":{max_tokens},"messages":[{{"role":"user","content":"hi"}}]}}"#).into()
}

fn finish(gateway: &Gateway, tenant: &str, times: usize) {
    for _ in 0..times {
        let mut call = gateway.admitted(tenant, &asking(1_000));
        call.response(JSON_200, ANSWER);
        call.log();
    }
}

/// What is reserved for one more call.
fn reserved_next(gateway: &Gateway, tenant: &str) -> u64 {
    let mut call = gateway.admitted(tenant, &asking(1_000));
    let reserved = gateway.reserved(tenant);
    call.log();
    reserved
}

#[test]
fn ten_finished_calls_of_a_kind_take_the_place_of_what_is_declared() {
    let gateway = Gateway::new();
    finish(&gateway, "acme", 9);
    assert!(reserved_next(&gateway, "acme") >= 1_000);
    finish(&gateway, "acme", 1);
    let reserved = reserved_next(&gateway, "acme");
    assert!((12..60).contains(&reserved), "twelve tokens each time, and the prompt: {reserved}");
    assert!(reserved_next(&gateway, "globex") >= 1_000, "another tenant learns nothing from it");
}

#[test]
fn a_call_that_claims_more_than_the_limit_is_refused_whatever_was_learned() {
    let gateway = Gateway::configured(&CONFIG.replace("2000", "1500"));
    finish(&gateway, "globex", 30);
    let reply = gateway.call("globex").request(POST_CHAT, &asking(1_600)).unwrap_err();
    assert_eq!((reply.status, header_of(&reply, "x-should-retry").as_deref()), (429, Some("false")));
}

#[test]
fn what_was_cut_or_failed_teaches_nothing() {
    let gateway = Gateway::new();
    for _ in 0..20 {
        let mut call = gateway.admitted("acme", &asking(1_000));
        call.response_headers(SSE_200, false);
        call.response_chunk(content_chunk("cut").as_bytes(), false);
        call.log();
        let mut call = gateway.admitted("acme", &asking(1_000));
        call.response(&[(":status", "500"), ("content-type", "application/json")], ANSWER);
        call.log();
        let mut call = gateway.admitted("acme", &asking(1_000));
        handoff::set_reply(&mut call.handoff, "cache");
        call.response(JSON_200, ANSWER);
        call.log();
    }
    assert!(reserved_next(&gateway, "acme") >= 1_000);
}

#[test]
fn who_only_trusts_what_is_declared_says_so() {
    let config = CONFIG.replace("\"slots\"", "\"output_estimate\": {\"reserve\": \"declared\"}, \"slots\"");
    let gateway = Gateway::configured(&config);
    finish(&gateway, "acme", 30);
    assert!(reserved_next(&gateway, "acme") >= 1_000);
}

#[test]
fn while_nothing_is_known_a_fixed_figure_may_be_reserved() {
    let config =
        CONFIG.replace("\"slots\"", "\"output_estimate\": {\"while_cold\": \"fixed\", \"cold\": 50}, \"slots\"");
    assert!(reserved_next(&Gateway::configured(&config), "acme") < 100);
}

#[test]
fn bytes_of_a_token_are_learned_for_prompts_and_for_what_passed() {
    let gateway = Gateway::new();
    let text = "\u{6f22}\u{5b57}".repeat(200);
    let prompt = format!(
        r#"{{"model":"han","stream":true,"max_tokens":10,"messages":[{{"role":"user","content":"{text}"}}]}}"#
    );
    let answer = content_chunk(&text)
        + &finish_chunk()
        + &event(r#"{"choices":[],"usage":{"prompt_tokens":600,"completion_tokens":600,"total_tokens":1200}}"#);
    let charged_when_cut = |gateway: &Gateway| {
        let before = gateway.used("whale");
        let mut call = gateway.admitted("whale", prompt.as_bytes());
        call.response_headers(SSE_200, false);
        call.response_chunk(content_chunk(&text).as_bytes(), false);
        call.log();
        gateway.used("whale") - before
    };
    let at_first = charged_when_cut(&gateway);
    for _ in 0..100 {
        let mut call = gateway.admitted("whale", prompt.as_bytes());
        call.response_headers(SSE_200, false);
        call.response_chunk(answer.as_bytes(), false);
        call.log();
    }
    let learned = charged_when_cut(&gateway);
    assert!(at_first < 700 && (1_000..1_300).contains(&learned), "{at_first}, then {learned} of 1,200");
}
