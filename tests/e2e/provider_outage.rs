//! Nobody answers: one clear refusal in the caller's dialect, at once, and for the operator how each attempt ended. What was
//! ejected comes back by itself.

use std::time::{Duration, Instant};

use serde_json::json;
use tollgate_tests::client::{Call, unique};
use tollgate_tests::gateway::{Gateway, Setup, chat_body, merge, wait_until};
use tollgate_tests::on_both_envoys;

use crate::provider_fleet::{CHAT, logged};

/// All attempts of a call that nobody answers.
const QUICKLY: Duration = Duration::from_secs(5);
/// What nobody but an operator may read.
const INSIDE: [&str; 6] = ["failing", "mixed", "dead", "127.0.0.1", "scripted provider was told", "connect"];

/// Each test has pools of its own, since failures eject a pool's endpoints for a while.
fn setup() -> Setup {
    let chain = |names: [&str; 2]| json!({"priorities": [[names[0]], [names[1]]], "timeout": "20s"});
    Setup::default().providers(json!({
        "providers": {
            "a": {"url": "http://scripted"},
            "b": {"url": "http://scripted"},
            "moved": {"url": "http://scripted", "paths": {"/v1": "/base/v1", "/v1beta": "/base/v1beta"}},
            "dead-1": {"url": "http://refusing"},
            "dead-2": {"url": "http://refusing"},
        },
        "pools": {
            "refusing": chain(["dead-1", "dead-2"]),
            "failing": chain(["a", "b"]),
            "overloaded": chain(["a", "b"]),
            "broken": chain(["a", "b"]),
            "mixed": {"priorities": [["dead-1"], ["a"], ["b"]], "timeout": "20s"},
            "moved": chain(["dead-1", "moved"]),
            "one-ejected": chain(["a", "b"]),
            "all-ejected": chain(["a", "b"]),
        },
        "models": {
            "m-refusing": {"pool": "refusing"},
            "m-failing": {"pool": "failing"},
            "m-overloaded": {"pool": "overloaded"},
            "m-broken": {"pool": "broken"},
            "m-mixed": {"pool": "mixed"},
            "m-moved": {"pool": "moved"},
            "m-one": {"pool": "one-ejected"},
            "m-all": {"pool": "all-ejected"},
        },
        "show_provider": true,
    }))
}

/// A call of each dialect for a model.
fn dialects(gateway: &Gateway, model: &str) -> [Call; 3] {
    let messages = json!([{"role": "user", "content": unique("prompt")}]);
    let gemini = json!({"contents": [{"parts": [{"text": unique("prompt")}]}]});
    [
        gateway.post(CHAT, &json!({"model": model, "messages": messages})),
        gateway.post("/v1/messages", &json!({"model": model, "max_tokens": 9, "messages": messages})),
        gateway.post(&format!("/v1beta/models/{model}:generateContent"), &gemini),
    ]
}

pub(crate) fn chat(gateway: &Gateway, model: &str) -> Call {
    let mut body = chat_body(&unique("prompt"));
    merge(&mut body, &json!({"model": model}));
    gateway.post(CHAT, &body)
}

/// Fails unless all three answers are one clear refusal each, and gives what the access log says of the attempts.
async fn refused(gateway: &Gateway, calls: [Call; 3]) -> Vec<String> {
    let mut attempts = Vec::new();
    for (at, call) in calls.into_iter().enumerate() {
        let started = Instant::now();
        let answer = call.send().await.expect(503);
        assert!(started.elapsed() < QUICKLY, "{:?}", started.elapsed());
        assert!(answer.is_whole && answer.header("x-gateway-provider").is_none(), "{answer}");
        let body = answer.json();
        let error = &body["error"];
        match at {
            0 => {
                assert_eq!((&error["type"], &error["code"]), (&json!("server_error"), &json!("upstream_unavailable")))
            }
            1 => {
                assert_eq!((&body["type"], &error["type"]), (&json!("error"), &json!("overloaded_error")), "{answer}")
            }
            _ => assert_eq!((&error["code"], &error["status"]), (&json!(503), &json!("UNAVAILABLE")), "{answer}"),
        }
        assert!(error["message"].as_str().unwrap().contains("No model provider could answer"), "{answer}");
        let leaked: Vec<_> = INSIDE.iter().filter(|word| answer.text().contains(**word)).collect();
        assert!(leaked.is_empty(), "{leaked:?} in {answer}");
        attempts.push(logged(gateway, &answer).await["attempts"].as_str().unwrap_or_default().to_owned());
    }
    attempts
}

on_both_envoys!(when_all_refuse_the_connection_each_dialect_gets_one_clear_503, setup(), async |gateway| {
    let attempts = refused(gateway, dialects(gateway, "m-refusing")).await;
    assert_eq!(attempts, vec!["dead-1=connect dead-2=connect"; 3]);
    let told = "no provider had an answer: pool refusing, model \"m-refusing\", last asked dead-2, status 503";
    assert!(gateway.envoy.log().contains(told));
});

on_both_envoys!(when_all_answer_an_error_each_dialect_gets_one_clear_503, setup(), async |gateway| {
    for (model, status) in [("m-failing", 500), ("m-overloaded", 529)] {
        let calls = dialects(gateway, model).map(|call| call.told("status", status));
        let attempts = refused(gateway, calls).await;
        assert_eq!(attempts, vec![format!("a={status} b={status}"); 3]);
    }
});

on_both_envoys!(when_all_break_off_each_dialect_gets_one_clear_503, setup(), async |gateway| {
    let calls = dialects(gateway, "m-broken").map(|call| call.told("reset", 1));
    let attempts = refused(gateway, calls).await;
    assert_eq!(attempts[0], "a=no_answer b=no_answer");
});

on_both_envoys!(when_each_fails_in_its_own_way_each_dialect_gets_one_clear_503, setup(), async |gateway| {
    let calls = dialects(gateway, "m-mixed").map(|call| call.told("status.a", 502).told("reset.b", 1));
    let attempts = refused(gateway, calls).await;
    assert_eq!(attempts[0], "dead-1=connect a=502 b=no_answer");
});

on_both_envoys!(
    a_refusal_is_in_the_callers_dialect_also_where_the_provider_has_other_paths,
    setup(),
    async |gateway| {
        let calls = dialects(gateway, "m-moved").map(|call| call.told("status", 500));
        let attempts = refused(gateway, calls).await;
        assert_eq!(attempts[2], "dead-1=connect moved=500");
    }
);

on_both_envoys!(a_provider_that_was_ejected_is_asked_again_after_a_while, setup(), async |gateway| {
    for _ in 0..6 {
        let answer = chat(gateway, "m-one").told("status.a", 503).send().await.expect(200);
        assert_eq!(answer.header("x-gateway-provider"), Some("b"));
    }
    let provider = async || {
        let answer = chat(gateway, "m-one").send().await.expect(200);
        answer.header("x-gateway-provider").unwrap().to_owned()
    };
    // It would answer now, and is left alone all the same.
    assert_eq!(provider().await, "b");
    tokio::time::sleep(Duration::from_secs(8)).await;
    wait_until("it is asked again", async || provider().await == "a").await;
});

on_both_envoys!(a_pool_whose_endpoints_are_all_ejected_answers_as_soon_as_they_do, setup(), async |gateway| {
    for _ in 0..8 {
        chat(gateway, "m-all").told("status", 503).send().await.expect(503);
    }
    let ejected = gateway.envoy.stat("cluster.pool_all-ejected.outlier_detection.ejections_active").await;
    assert_eq!(ejected, Some(2));
    chat(gateway, "m-all").send().await.expect(200);
});
