//! Answers and usage figures that no provider should send.

use proptest::prelude::*;
use tollgate_core::handoff;

use super::*;
use crate::gateway::estimated_input;

const SSE_200: &[(&str, &str)] = &[(":status", "200"), ("content-type", "text/event-stream")];
/// More than any call is charged: a token is counted at most a hundred million times.
const MOST: u64 = 200_000_000;

/// What a chat of 400 bytes of text is charged, input and output, if its provider says this of its usage.
fn charged(answer: &str, head: &[(&str, &str)]) -> (u64, u64) {
    let gateway = gateway();
    let mut call = ask(&gateway, CHAT, &body("")).unwrap();
    call.response(head, answer.as_bytes());
    let usage = handoff::usage(&call.handoff).unwrap();
    call.log();
    let figures = gateway.figures(&tenant("acme"), "m", "tokens");
    assert_eq!(figures, (usage.total(), 0), "{answer}");
    (usage.input, usage.output)
}

#[test]
fn a_figure_that_cannot_be_is_made_up_for_by_what_was_seen() {
    let input = estimated_input(CHAT, &body(""));
    let figures = |prompt: &str, completion: &str| {
        format!(r#","usage":{{"prompt_tokens":{prompt},"completion_tokens":{completion}}}"#)
    };
    for bad in ["-9", "1e300", "\"12\"", "12.5", "null", "0", "[]", "{}", "[7]", "true", "99999999999999999999999"] {
        assert_eq!(charged(&answer(&figures(bad, "12")), JSON_200), (input, 12), "input of {bad}");
        assert_eq!(charged(&answer(&figures("30", bad)), JSON_200), (30, 100), "output of {bad}");
        assert_eq!(charged(&answer(&figures(bad, bad)), JSON_200), (input, 100), "both of {bad}");
    }
    for usage in ["", r#","usage":null"#, r#","usage":[]"#, r#","usage":"30""#, r#","usage":{}"#, r#","usage":7"#] {
        assert_eq!(charged(&answer(usage), JSON_200), (input, 100), "{usage}");
    }
    assert_eq!(charged(&answer(r#","usage":{"completion_tokens":12}"#), JSON_200), (input, 12));
    assert_eq!(charged(&answer(r#","usage":{"prompt_tokens":30}"#), JSON_200), (30, 100));
}

#[test]
fn of_figures_that_contradict_each_other_the_larger_counts() {
    for (usage, input, output) in [
        (r#","usage":{"prompt_tokens":30,"completion_tokens":12,"total_tokens":5}"#, 30, 12),
        (r#","usage":{"prompt_tokens":30,"completion_tokens":12,"total_tokens":92}"#, 30, 62),
        (
            r#","usage":{"prompt_tokens":1,"completion_tokens":1},"usage":{"prompt_tokens":30,"completion_tokens":12}"#,
            30,
            12,
        ),
        (
            r#","usage":{"prompt_tokens":30,"completion_tokens":12},"usage":{"prompt_tokens":1,"completion_tokens":1}"#,
            30,
            12,
        ),
        (r#","usage":{"prompt_tokens":30,"prompt_tokens":3,"completion_tokens":12}"#, 30, 12),
        (
            r#","usage":{"prompt_tokens":30,"completion_tokens":12,"prompt_tokens_details":{"cached_tokens":900}}"#,
            30,
            12,
        ),
        (
            r#","usage":{"prompt_tokens":30,"completion_tokens":12,"completion_tokens_details":{"reasoning_tokens":900}}"#,
            30,
            12,
        ),
    ] {
        assert_eq!(charged(&answer(usage), JSON_200), (input, output), "{usage}");
    }
    // The same in other places is not theirs to say.
    let elsewhere =
        r#","x":{"usage":{"prompt_tokens":1,"completion_tokens":1}},"service":[{"usage":{"prompt_tokens":1}}]"#;
    assert_eq!(charged(&answer(elsewhere), JSON_200).1, 100);
}

#[test]
fn absurd_figures_are_capped_in_every_unit_and_drain_some_day() {
    let max = u64::MAX;
    let usage = format!(
        r#","usage":{{"prompt_tokens":{max},"completion_tokens":{max},"total_tokens":{max},"prompt_tokens_details":{{"cached_tokens":{max}}}}}"#
    );
    for unit in UNITS {
        let gateway = gateway_of(unit, "");
        for calls in 1..=3 {
            // Let through in spite of the debt, as calls in flight are.
            let before = gateway.figures(&tenant("acme"), "m", unit).0;
            let Ok(mut call) = ask(&gateway, CHAT, &body("")) else { break };
            call.response(JSON_200, answer(&usage).as_bytes());
            call.log();
            let used = gateway.figures(&tenant("acme"), "m", unit).0 - before;
            let most = if unit == "usd" { MOST * 10_000 } else { MOST };
            assert!(used > 0 && used <= most, "{unit}, call {calls}: {used}");
        }
    }
}

#[test]
fn usage_that_was_told_before_the_answer_ran_is_not_taken_for_the_end_of_it() {
    let text = "x".repeat(40);
    let chunk = |index: u32, reason: &str, usage: &str| {
        format!(
            "data: {{\"choices\":[{{\"index\":{index},\"delta\":{{\"content\":\"{text}\"}},\"finish_reason\":{reason}}}]{usage}}}\n\n"
        )
    };
    let early = r#","usage":{"prompt_tokens":30,"completion_tokens":0}"#;
    let stream = chunk(0, "null", early) + &chunk(0, "null", "").repeat(8) + &chunk(0, "\"stop\"", "");
    assert_eq!(charged(&stream, SSE_200), (30, 100));
    // The first of two choices ends, the second goes on.
    let stream = chunk(0, "\"stop\"", r#","usage":{"prompt_tokens":30,"completion_tokens":5}"#)
        + &chunk(1, "null", "").repeat(9);
    assert_eq!(charged(&stream, SSE_200), (30, 100));
}

#[test]
fn an_answer_that_cannot_be_read_is_charged_by_its_size() {
    let input = estimated_input(CHAT, &body(""));
    let deep = format!(r#"{{"choices":{}"#, "[".repeat(399_988));
    for (head, answer, least) in [
        (JSON_200, "You may call this JSON, but it is none. ".repeat(10), 100),
        (JSON_200, format!("data: {}\n\n", "x".repeat(393)), 100),
        (JSON_200, format!("{}{}", "{}", "x".repeat(398)), 100),
        (JSON_200, deep.clone(), 100_000),
        (SSE_200, format!("data: {}\n\n", "plain words ".repeat(33)), 99),
        (SSE_200, format!("data: {deep}\n\n"), 100_000),
    ] {
        let (input_charged, output) = charged(&answer, head);
        assert_eq!(input_charged, input);
        // What came before the unreadable part was read.
        assert!(
            output >= least - least / 1_000 && output <= 3 * least,
            "{output} of {least}: {}",
            answer.get(..60).unwrap()
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn whatever_a_provider_sends_costs_at_least_the_prompt_and_at_most_the_cap(
        pieces in prop::collection::vec(
            prop_oneof![
                prop::collection::vec(any::<u8>(), 0..40),
                r#"(\{|\}|\[|\]|"usage"|"choices"|"prompt_tokens"|"completion_tokens"|:|,|-?[0-9]{1,25}|1e300|"x"|data: |\n\n|\r|\[DONE\])+"#
                    .prop_map(String::into_bytes),
            ],
            0..8,
        ),
        is_sse: bool,
        is_ended: bool,
        is_hard: bool,
        path in prop::sample::select(&[CHAT, "/v1/responses", "/v1/messages", "/v1/embeddings", "/v1beta/models/m:streamGenerateContent"][..]),
    ) {
        let gateway = gateway_of("tokens", if is_hard { r#","hard_cap":true"# } else { "" });
        let body = br#"{"model":"m","stream":true,"input":"hi","messages":[{"role":"user","content":"hi"}],"contents":[{"parts":[{"text":"hi"}]}]}"#;
        let mut call = ask(&gateway, path, body).unwrap();
        let reserved = gateway.figures(&tenant("acme"), "m", "tokens").1;
        call.response_headers(if is_sse { SSE_200 } else { JSON_200 }, false);
        for piece in &pieces {
            call.response_chunk(piece, false);
        }
        if is_ended {
            call.response_chunk(b"", true);
        }
        call.log();
        let (used, left) = gateway.figures(&tenant("acme"), "m", "tokens");
        prop_assert!(used > 0 && used <= MOST && left == 0 && reserved > 0, "{used} used, {left} left");
    }
}
