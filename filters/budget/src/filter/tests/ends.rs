//! Every way in which a call may end, settled once.

use super::*;

/// Used and reserved after a call to a path with this answer.
fn settled(path: &str, body: &[u8], head: &[(&str, &str)], answer: &[u8]) -> u64 {
    let gateway = Gateway::new();
    let mut call = gateway.call("acme");
    call.request(&[(":method", "POST"), (":path", path)], body).unwrap();
    assert_eq!(call.response(head, answer), answer);
    let handed_off = handoff::usage(&call.handoff).unwrap().total();
    call.log();
    assert_eq!(gateway.reserved("acme"), 0);
    assert_eq!(gateway.used("acme"), handed_off, "what is handed off is what is charged");
    handed_off
}

fn chat_settled(head: &[(&str, &str)], answer: &[u8]) -> u64 {
    settled("/v1/chat/completions", CHAT, head, answer)
}

#[test]
fn reported_usage_is_charged_once_however_often_the_end_is_told() {
    let gateway = Gateway::new();
    let mut call = gateway.admitted("acme", CHAT);
    assert_eq!(call.response(JSON_200, ANSWER), ANSWER);
    call.log();
    call.log();
    assert_eq!((gateway.used("acme"), gateway.reserved("acme")), (REPORTED, 0));
}

#[test]
fn every_endpoint_is_charged_what_it_reports() {
    // litellm#34728: `/v1/responses` settled as 0.
    let responses = br#"{"id":"r","object":"response","status":"completed","model":"m","output":[],"usage":{"input_tokens":36,"output_tokens":87,"total_tokens":123}}"#;
    let body = br#"{"model":"m","input":"hello"}"#;
    assert_eq!(settled("/v1/responses", body, JSON_200, responses), 123);
    let embeddings = br#"{"object":"list","data":[],"model":"m","usage":{"prompt_tokens":8,"total_tokens":8}}"#;
    assert_eq!(settled("/v1/embeddings", body, JSON_200, embeddings), 8);
    let messages = br#"{"id":"m","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"x"}],"stop_reason":"end_turn","usage":{"input_tokens":10,"output_tokens":5}}"#;
    let body = br#"{"model":"m","max_tokens":50,"messages":[{"role":"user","content":"hi"}]}"#;
    assert_eq!(settled("/v1/messages", body, JSON_200, messages), 15);
    let gemini = br#"{"candidates":[{"content":{"parts":[{"text":"x"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":4,"candidatesTokenCount":6,"totalTokenCount":10}}"#;
    let body = br#"{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}"#;
    assert_eq!(settled("/v1beta/models/g:generateContent", body, JSON_200, gemini), 10);
}

#[test]
fn a_failed_call_costs_nothing() {
    for status in ["400", "401", "404", "429", "500", "503", "302"] {
        assert_eq!(chat_settled(&[(":status", status), ("content-type", "application/json")], ANSWER), 0, "{status}");
    }
}

#[test]
fn a_call_without_an_answer_costs_nothing_at_whatever_point_it_ended() {
    let gateway = Gateway::new();
    gateway.call("acme").log();
    let mut head_only = gateway.call("acme");
    head_only.request_headers(POST_CHAT, false);
    head_only.log();
    let mut unanswered = gateway.admitted("acme", CHAT);
    assert!(gateway.reserved("acme") > 0);
    assert_eq!(handoff::usage(&unanswered.handoff), None);
    unanswered.log();
    assert_eq!((gateway.used("acme"), gateway.reserved("acme")), (0, 0));
}

#[test]
fn an_answer_that_a_filter_gave_costs_nothing() {
    for filter in ["cache", "provider"] {
        let gateway = Gateway::new();
        let mut call = gateway.admitted("acme", CHAT);
        handoff::set_reply(&mut call.handoff, filter);
        assert_eq!(call.response(JSON_200, ANSWER), ANSWER);
        call.log();
        assert_eq!((gateway.used("acme"), gateway.reserved("acme")), (0, 0));
    }
}

#[test]
fn an_answer_of_our_own_leaves_nothing_behind() {
    let gateway = Gateway::new();
    let mut call = gateway.call("globex");
    let big = br#"{"model":"m","max_tokens":9000,"messages":[{"role":"user","content":"hi"}]}"#;
    assert_eq!(call.request(POST_CHAT, big).unwrap_err().status, 429);
    call.log();
    assert_eq!((gateway.used("globex"), gateway.reserved("globex")), (0, 0));
    assert_eq!((gateway.decisions_of("denied", "tokens-per-minute"), gateway.decisions("allowed")), (1, 0));
}

#[test]
fn an_answer_that_says_no_usage_is_charged_by_its_size() {
    let input = estimated_input(CHAT);
    assert_eq!(chat_settled(&[(":status", "200"), ("content-type", "text/plain")], b"123456789"), input + 3);
    assert_eq!(chat_settled(&[(":status", "200")], b"123456789"), input + 3);
    let gzip = [JSON_200, &[("content-encoding", "gzip")]].concat();
    assert_eq!(chat_settled(&gzip, &[0x1f; 40]), input + 10, "compressed in spite of what was asked");
    assert_eq!(chat_settled(JSON_200, b""), input);
}

#[test]
fn absurd_usage_is_capped() {
    let gateway = Gateway::new();
    let mut call = gateway.admitted("whale", CHAT);
    call.response(JSON_200, &answer_of("18446744073709551615", "18446744073709551615"));
    call.log();
    let charged = gateway.used("whale");
    assert!((30..=200_000_000).contains(&charged), "{charged}");
    let mut call = gateway.admitted("acme", CHAT);
    call.response(JSON_200, &answer_of("-5000", "-4970"));
    call.log();
    assert!(gateway.used("acme") > 0, "a negative figure pays nothing back");
}

#[test]
fn every_admitted_answer_tells_the_limit() {
    let gateway = Gateway::new();
    for head in [JSON_200, &[(":status", "503"), ("x-ratelimit-limit-tokens", "77")]] {
        let mut call = gateway.admitted("acme", CHAT);
        let reserved = gateway.reserved("acme");
        call.response(head, b"{}");
        assert_eq!(call.response_headers.get("x-ratelimit-limit-tokens").as_deref(), Some("100000"));
        let remaining = call.response_headers.get("x-ratelimit-remaining-tokens").unwrap();
        assert!(remaining.parse::<u64>().unwrap() <= 100_000 - reserved);
        assert!(call.response_headers.get("x-ratelimit-reset-tokens").is_some());
        call.log();
    }
}

#[test]
fn a_settlement_that_was_lost_is_given_back_when_its_lease_ends() {
    // litellm#27639, #30460: unreleased reservations piled up for good.
    let mut gateway = Gateway::new();
    let mut lost = gateway.admitted("acme", CHAT);
    gateway.proxy.store.refuse_next(64);
    lost.log();
    let mut killed = gateway.admitted("acme", CHAT);
    killed.response(JSON_200, ANSWER);
    drop(killed);
    assert_eq!(gateway.decisions("unsettled"), 1);
    gateway.wait(599);
    assert_eq!(gateway.reserved("acme"), 2 * (256 + estimated_input(CHAT)));
    gateway.wait(600 / 7 + 2);
    assert_eq!((gateway.used("acme"), gateway.reserved("acme")), (0, 0));
}

/// The usage record, which is near an estimate of four bytes a token: what finished calls taught moves it.
fn told(call: &Call<BudgetStream>, estimate: u64) -> u64 {
    let total = handoff::usage(&call.handoff).unwrap().total();
    assert!((estimate / 2..=estimate * 3).contains(&total), "{total} told, {estimate} estimated");
    total
}

#[test]
fn of_a_thousand_calls_that_end_at_random_each_is_charged_its_due() {
    let gateway = Gateway::configured(&CONFIG.replace("2000", "100000000"));
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };
    let (mut due, mut open) = (0, Vec::new());
    for _ in 0..1_000 {
        let streamed = random(2) == 0;
        let mut call = gateway.admitted("globex", if streamed { CHAT_STREAM } else { CHAT });
        let input = estimated_input(CHAT);
        due += match random(8) {
            0 => 0,
            1 => {
                handoff::set_reply(&mut call.handoff, "cache");
                call.response(JSON_200, ANSWER);
                0
            }
            2 => {
                call.response(&[(":status", "502")], b"bad gateway");
                0
            }
            3 => {
                call.response_headers(if streamed { SSE_200 } else { JSON_200 }, false);
                told(&call, input)
            }
            4 => {
                let size = random(100);
                call.response(&[(":status", "200")], &vec![b'x'; size as usize]);
                told(&call, input + size.div_ceil(4))
            }
            _ if streamed => {
                call.response(SSE_200, stream().0.as_bytes());
                REPORTED
            }
            _ => {
                call.response(JSON_200, ANSWER);
                REPORTED
            }
        };
        open.push(call);
        // Calls end in another order than they began, while other workers get in between.
        while open.len() > random(9) as usize {
            let mut ended = open.swap_remove(random(open.len() as u64) as usize);
            gateway.proxy.store.refuse_next(random(5) as u32);
            ended.log();
            gateway.proxy.store.refuse_next(0);
        }
    }
    open.iter_mut().for_each(Call::log);
    assert_eq!((gateway.used("globex"), gateway.reserved("globex")), (due, 0));
    assert_eq!(gateway.decisions("allowed"), 1_000);
}
