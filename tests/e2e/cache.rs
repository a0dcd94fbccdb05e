//! The same question of the same tenant gets the stored answer; anything else is asked anew.

use std::time::Duration;

use serde_json::json;
use tollgate_tests::client::{Answer, Call, unique};
use tollgate_tests::gateway::{Gateway, Setup, chat_body, merge};
use tollgate_tests::{on_both_envoys, on_own_envoys};

const CHAT: &str = "/v1/chat/completions";

fn status(answer: &Answer) -> &str {
    answer.header("x-gateway-cache").unwrap_or("(none)")
}

/// Sends a call and tells what the cache did, and how often the provider was asked for it.
async fn outcome(gateway: &Gateway, call: Call) -> (Answer, usize) {
    let mark = call.mark().to_owned();
    let answer = call.send().await;
    let asked = gateway.upstream_requests(&mark).len();
    (answer, asked)
}

on_both_envoys!(the_same_call_again_is_a_hit_byte_for_byte, async |gateway| {
    let prompt = unique("prompt");
    let (first, asked) = outcome(gateway, gateway.chat(&prompt)).await;
    assert_eq!((first.status, status(&first), asked), (200, "miss", 1));
    let (second, asked) = outcome(gateway, gateway.chat(&prompt)).await;
    assert_eq!((second.status, status(&second), asked), (200, "hit", 0));
    assert_eq!(second.body, first.body);
    assert_eq!(second.header("content-type"), first.header("content-type"));
    assert!(second.number("age") <= 30);
});

on_both_envoys!(a_stream_is_replayed_event_for_event, async |gateway| {
    let prompt = unique("prompt");
    let first = gateway.chat_stream(&prompt).send().await.expect(200);
    let (second, asked) = outcome(gateway, gateway.chat_stream(&prompt)).await;
    assert_eq!((status(&second), asked), ("hit", 0));
    assert!(second.header("content-type").unwrap().starts_with("text/event-stream"));
    assert_eq!(second.events(), first.events());
});

on_both_envoys!(a_stream_never_answers_a_call_for_json, async |gateway| {
    let prompt = unique("prompt");
    gateway.chat_stream(&prompt).send().await.expect(200);
    let plain = gateway.chat(&prompt).send().await.expect(200);
    assert_eq!(status(&plain), "miss");
    assert_eq!(plain.json()["object"], "chat.completion");
});

on_both_envoys!(a_client_that_asks_for_stream_usage_gets_it_from_a_hit_too, async |gateway| {
    let mut body = chat_body(&unique("prompt"));
    merge(&mut body, &json!({"stream": true, "stream_options": {"include_usage": true}}));
    for expected in ["miss", "hit"] {
        let answer = gateway.post(CHAT, &body).send().await.expect(200);
        assert_eq!(status(&answer), expected);
        assert_eq!(answer.chunks().last().unwrap()["usage"]["completion_tokens"], 9);
    }
});

on_both_envoys!(no_tenant_gets_what_another_paid_for, async |gateway| {
    let body = chat_body(&unique("prompt"));
    gateway.post_as("acme", CHAT, &body).send().await.expect(200);
    let other = gateway.secrets.token("initech", Duration::from_secs(600)).unwrap();
    let answer = Call::post(&gateway.url(CHAT), &body).bearer(&other).send().await.expect(200);
    assert_eq!(status(&answer), "miss");
});

on_both_envoys!(a_key_and_a_token_of_one_tenant_share_answers, async |gateway| {
    let body = chat_body(&unique("prompt"));
    gateway.post_as("acme", CHAT, &body).send().await.expect(200);
    let token = gateway.secrets.token("acme", Duration::from_secs(600)).unwrap();
    let answer = Call::post(&gateway.url(CHAT), &body).bearer(&token).send().await.expect(200);
    assert_eq!(status(&answer), "hit");
});

on_both_envoys!(every_parameter_and_every_message_is_part_of_the_question, async |gateway| {
    let base = chat_body(&unique("prompt"));
    gateway.post(CHAT, &base).send().await.expect(200);
    let system = [json!({"role": "system", "content": "Be brief."}), base["messages"][0].clone()];
    let others = [
        json!({"model": "gpt-4.1-mini"}),
        json!({"temperature": 0.1}),
        json!({"max_tokens": 5}),
        json!({"user": "somebody"}),
        json!({"an_extension_nobody_knows": 1}),
        json!({"messages": system}),
    ];
    for other in others {
        let mut body = base.clone();
        merge(&mut body, &other);
        let answer = gateway.post(CHAT, &body).send().await.expect(200);
        assert_eq!(status(&answer), "miss", "{other}");
    }
});

on_both_envoys!(the_caller_can_bypass_and_refresh, async |gateway| {
    let prompt = unique("prompt");
    let first = gateway.chat(&prompt).send().await.expect(200);
    let bypassed = gateway.chat(&prompt).header("cache-control", "no-store").send().await.expect(200);
    assert_eq!(status(&bypassed), "bypass");
    assert_ne!(bypassed.body, first.body);
    assert_eq!(gateway.chat(&prompt).send().await.body, first.body, "a bypass stores nothing");
    let fresh = gateway.chat(&prompt).header("x-gateway-cache", "refresh").send().await.expect(200);
    assert_eq!(status(&fresh), "refresh");
    assert_ne!(fresh.body, first.body);
    let last = gateway.chat(&prompt).send().await;
    assert_eq!((status(&last), last.body == fresh.body), ("hit", true), "a refresh replaces what was stored");
});

on_both_envoys!(a_turn_of_a_conversation_always_reaches_the_provider, async |gateway| {
    let body = json!({"model": "gpt-4.1", "input": "Go on.", "conversation": unique("conv")});
    for _ in 0..2 {
        let (answer, asked) = outcome(gateway, gateway.post("/v1/responses", &body)).await;
        assert_eq!((answer.status, status(&answer), asked), (200, "bypass", 1));
    }
});

on_both_envoys!(what_failed_or_broke_off_is_not_stored, async |gateway| {
    for (what, value) in [("status", 500), ("status", 429), ("cut-after", 4)] {
        let prompt = unique("prompt");
        let bad = gateway.chat_stream(&prompt).told(what, value).send().await;
        assert!(bad.status >= 400 || !bad.is_whole, "{bad}");
        let good = gateway.chat_stream(&prompt).send().await.expect(200);
        assert_eq!(status(&good), "miss", "after {what} {value}");
        assert_eq!(good.events().last().unwrap(), "[DONE]");
    }
});

on_own_envoys!(
    an_answer_ends_with_its_time,
    Setup::default().config("cache", |config| config["ttl"] = json!("1s")),
    async |gateway| {
        let prompt = unique("prompt");
        gateway.chat(&prompt).send().await.expect(200);
        tokio::time::sleep(Duration::from_millis(2_100)).await;
        assert_eq!(status(&gateway.chat(&prompt).send().await), "miss");
    }
);
