//! What a budget promises beside the sums: shadow rules, what callers and administrators are told, debt, and calls that try to
//! be free. One gateway for all; each test has tenants of its own, and rules that count these alone.

use serde_json::{Value, json};
use tollgate_tests::client::{Answer, Call, unique};
use tollgate_tests::gateway::{Gateway, Setup, chat_body, merge, wait_until};
use tollgate_tests::{on_both_envoys, on_own_envoys};

const CHAT: &str = "/v1/chat/completions";

fn rule(name: &str, tenant: &str, unit: &str, window: &Value, limit: impl Into<Value>) -> Value {
    let limit: Value = limit.into();
    json!({"name": name, "unit": unit, "window": window, "limit": limit, "per": ["tenant"], "match": {"tenants": [tenant]}})
}

fn setup() -> Setup {
    let (month, slow) = (json!({"calendar": "month"}), json!({"rolling": "31d"}));
    let mut shadow = rule("trial", "watched", "requests", &month, 1);
    shadow["mode"] = json!("shadow");
    let rules = json!([
        shadow,
        rule("listed", "listed", "requests", &month, 100),
        rule("calls", "curious", "requests", &slow, 100),
        rule("tokens", "curious", "tokens", &slow, 1_000),
        rule("monthly", "quota", "requests", &month, 1),
        rule("debts", "debtor", "tokens", &json!({"rolling": "1m"}), 1_000),
        rule("pictures", "painter", "requests", &slow, 2),
        rule("packed", "packer", "output_tokens", &month, 100_000),
        rule("safe", "wrecker", "tokens", &month, 1_000_000),
        rule("safe-dollars", "wrecker", "usd", &month, "1000"),
        rule("thrifty-requests", "thrifty", "requests", &month, 100),
        rule("thrifty-tokens", "thrifty", "tokens", &month, 100_000),
        rule("thrifty-dollars", "thrifty", "usd", &month, "1"),
    ]);
    Setup::default().config("budget", |config| {
        config["rules"] = rules;
        config["explain"] = json!(true);
        config["admins"] = json!({"tenants": ["auditor"]});
    })
}

fn chat(gateway: &Gateway, tenant: &str, more: &Value) -> Call {
    let mut body = chat_body(&unique("prompt"));
    merge(&mut body, more);
    gateway.post_by(tenant, CHAT, &body)
}

async fn used(gateway: &Gateway, tenant: &str, rule: &str) -> u64 {
    gateway.budget(tenant, rule).await["used"].as_u64().unwrap()
}

/// Fails unless a rule refused the call, and the provider never saw it.
async fn refused(gateway: &Gateway, call: Call, status: u16) -> Answer {
    let mark = call.mark().to_owned();
    let answer = call.send().await.expect(status);
    assert!(gateway.upstream_requests(&mark).is_empty(), "the provider was asked: {answer}");
    answer
}

/// All accounts, as an administrator reads them.
async fn all_budgets(gateway: &Gateway) -> Vec<Value> {
    let (mut found, mut after) = (Vec::new(), json!(0));
    while let Some(next) = after.as_u64() {
        let url = gateway.url(&format!("/gateway/budget?scope=all&after={next}"));
        let page = Call::get(&url).bearer(&gateway.token("auditor")).send().await.expect(200).json();
        found.extend(page["budgets"].as_array().unwrap().clone());
        after = page["next"].clone();
    }
    found
}

on_both_envoys!(a_shadow_rule_refuses_nothing_and_is_counted, setup(), async |gateway| {
    for refused in 0..3 {
        let answer = chat(gateway, "watched", &json!({})).send().await.expect(200);
        assert_eq!(answer.header("x-ratelimit-limit-requests"), None, "a shadow limits nobody");
        let told = answer.header("x-gateway-budget").unwrap();
        assert!(told.starts_with("\"trial\";unit=requests;limit=1;") && told.ends_with(";shadow"), "{told}");
        let denied = [("decision", "shadow_denied"), ("rule_name", "trial")];
        gateway.expect_metric("gateway_budget_total", &denied, f64::from(refused)).await;
    }
    gateway.expect_metric("gateway_budget_total", &[("decision", "denied"), ("rule_name", "trial")], 0.0).await;
    // What it would have refused it does not charge, and it is nothing to the caller.
    let all = all_budgets(gateway).await;
    assert_eq!(all.iter().find(|entry| entry["rule"] == "trial").unwrap()["used"], 1, "{all:?}");
    let own = Call::get(&gateway.url("/gateway/budget")).bearer(&gateway.token("watched")).send().await.expect(200);
    assert_eq!(own.json()["budgets"], json!([]));
});

on_both_envoys!(the_debug_header_tells_every_rule_and_a_refusal_names_the_tightest, setup(), async |gateway| {
    let answer = chat(gateway, "curious", &json!({"max_tokens": 400})).told("words", 400).send().await.expect(200);
    let told = answer.header("x-gateway-budget").unwrap().to_owned();
    assert!(told.contains("\"calls\";unit=requests;limit=100;used=0;reserved=1;estimate=1"), "{told}");
    assert!(told.contains("\"tokens\";unit=tokens;limit=1000;used=0;reserved=4"), "{told}");
    let answer = refused(gateway, chat(gateway, "curious", &json!({"max_tokens": 900})), 429).await;
    let message = answer.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("`tokens`") && !message.contains("`calls`"), "{message}");
    let told = answer.header("x-gateway-budget").unwrap();
    // The one call of before, and nothing of this one.
    assert!(told.contains("\"calls\";unit=requests;limit=100;used=1;reserved=0;"), "{told}");
    assert!(told.contains(";limit=1000;used=4") && told.contains(";reserved=0;estimate=9"), "{told}");
    // 400 of 1000 a month drain, so it would be days.
    assert!(answer.number("retry-after") > 86_400);
});

on_both_envoys!(only_administrators_may_list_all_budgets, setup(), async |gateway| {
    chat(gateway, "listed", &json!({})).send().await.expect(200);
    let url = gateway.url("/gateway/budget?scope=all");
    let refusal = Call::get(&url).bearer(&gateway.token("listed")).send().await.expect(403);
    assert_eq!(refusal.json()["error"]["code"], "endpoint_not_allowed");
    Call::get(&url).send().await.expect(401);
    let all = all_budgets(gateway).await;
    let is_it = |entry: &&Value| entry["rule"] == "listed" && entry["per"] == json!({"tenant": "listed"});
    assert_eq!(all.iter().filter(is_it).map(|entry| entry["used"].clone()).collect::<Vec<_>>(), [1], "{all:?}");
});

on_both_envoys!(a_calendar_budget_says_that_waiting_a_little_is_futile, setup(), async |gateway| {
    chat(gateway, "quota", &json!({})).send().await.expect(200);
    let answer = refused(gateway, chat(gateway, "quota", &json!({})), 429).await;
    let error = answer.json()["error"].clone();
    assert_eq!((&error["code"], &error["type"]), (&json!("insufficient_quota"), &json!("insufficient_quota")));
    assert_eq!(answer.header("x-should-retry"), Some("false"));
    let reset = gateway.budget("quota", "monthly").await["reset_seconds"].as_u64().unwrap();
    assert!(reset.abs_diff(answer.number("retry-after")) <= 5 && reset <= 31 * 86_400, "{reset} s to the first");
});

on_both_envoys!(what_was_overrun_is_debt_and_the_next_call_waits_for_it, setup(), async |gateway| {
    // It says 50 and takes 5,000, five times the limit of a minute.
    let call = chat(gateway, "debtor", &json!({"max_tokens": 50})).told("words", 5_000).told("no-limit", 1);
    call.send().await.expect(200);
    let own = gateway.budget("debtor", "debts").await;
    assert!(own["used"].as_u64().unwrap() > 4_500 && own["remaining"] == 0 && own["reserved"] == 0, "{own}");
    let answer = refused(gateway, chat(gateway, "debtor", &json!({"max_tokens": 50})), 429).await;
    // At a thousand a minute, four minutes until anything fits.
    assert!((200..=300).contains(&answer.number("retry-after")), "{answer}");
    assert_eq!(answer.header("x-should-retry"), Some("false"));
});

on_both_envoys!(calls_of_endpoints_without_tokens_are_counted, setup(), async |gateway| {
    let images = || {
        let body = json!({"model": "gpt-image-1", "prompt": unique("prompt")});
        gateway.post_by("painter", "/v1/images/generations", &body)
    };
    images().told("status", 500).send().await.expect(500);
    images().send().await.expect(200);
    chat(gateway, "painter", &json!({})).send().await.expect(200);
    let answer = refused(gateway, images(), 429).await;
    assert_eq!(answer.number("x-ratelimit-limit-requests"), 2);
    assert_eq!(used(gateway, "painter", "pictures").await, 2);
});

on_both_envoys!(a_packed_answer_is_charged_by_its_bytes, setup(), async |gateway| {
    let call = chat(gateway, "packer", &json!({})).told("words", 2_000).told("gzip", 1);
    let mark = call.mark().to_owned();
    let answer = call.send().await.expect(200);
    assert_eq!(answer.header("content-encoding"), Some("gzip"), "{answer}");
    assert_eq!(gateway.upstream_request(&mark).header("accept-encoding"), Some(&b"identity"[..]));
    let used = used(gateway, "packer", "packed").await;
    let bytes = answer.body.len() as u64;
    assert!((bytes / 16..=bytes).contains(&used) && used > 0, "{used} tokens for {bytes} bytes");
});

/// Sends bytes and gives the status, whether the provider was asked, and what was charged.
async fn outcome(gateway: &Gateway, body: Vec<u8>) -> (u16, bool, u64) {
    let before = used(gateway, "wrecker", "safe").await;
    let call = Call::post_bytes(&gateway.url(CHAT), body).bearer(&gateway.token("wrecker"));
    let mark = call.mark().to_owned();
    let status = call.send().await.status;
    let is_asked = !gateway.upstream_requests(&mark).is_empty();
    (status, is_asked, used(gateway, "wrecker", "safe").await - before)
}

on_both_envoys!(no_odd_body_is_served_for_nothing, setup(), async |gateway| {
    let more = |fields: Value| {
        let mut body = chat_body(&unique("prompt"));
        merge(&mut body, &fields);
        serde_json::to_vec(&body).unwrap()
    };
    let refused: [(Vec<u8>, u16); 8] = [
        (more(json!({"max_tokens": -1})), 400),
        (more(json!({"max_tokens": 1.5})), 400),
        (more(json!({"max_tokens": 1_000_000_000_000_000_000_u64})), 429),
        (more(json!({"max_tokens": 1, "max_completion_tokens": 1_000_000_000_u64})), 429),
        (more(json!({"n": 1_000_000_000_u64, "max_tokens": 1_000})), 429),
        (more(json!({"model": null})), 400),
        (more(json!({"model": 7})), 400),
        (more(json!({"messages": [{"role": "user", "content": "long ".repeat(2 << 20)}]})), 413),
    ];
    for (body, expected) in refused {
        let text = String::from_utf8_lossy(&body).chars().take(200).collect::<String>();
        assert_eq!(outcome(gateway, body).await, (expected, false, 0), "{text}");
    }
    for odd in [
        // Protobuf's JSON writes numbers so.
        more(json!({"max_tokens": "12"})),
        more(json!({"max_tokens": null})),
        more(json!({"max_tokens": 0})),
        more(json!({"n": 0})),
        more(json!({"stream": "yes"})),
        format!("{{\"model\":\"gpt-4.1\",\"messages\":{}{}}}", "[".repeat(50_000), "]".repeat(50_000)).into_bytes(),
        chat_body("deep")
            .to_string()
            .replacen('{', &format!("{{\"a\":{}{},", "[".repeat(100), "]".repeat(100)), 1)
            .into(),
    ] {
        let text = String::from_utf8_lossy(&odd).chars().take(200).collect::<String>();
        let (status, _, charged) = outcome(gateway, odd).await;
        assert!((status == 200) == (charged > 0), "{status}, {charged} tokens: {text}");
        assert!(matches!(status, 200 | 400 | 429), "{status}: {text}");
    }
});

/// What the three accounts of `thrifty` have used.
async fn thrifty(gateway: &Gateway) -> [Value; 3] {
    let mut used = [Value::Null, Value::Null, Value::Null];
    for (entry, unit) in used.iter_mut().zip(["requests", "tokens", "dollars"]) {
        *entry = gateway.budget("thrifty", &format!("thrifty-{unit}")).await["used"].clone();
    }
    used
}

async fn a_hit_is_free(gateway: &Gateway) {
    let body = chat_body(&unique("prompt"));
    let mut stream = body.clone();
    merge(&mut stream, &json!({"stream": true}));
    for body in [body, stream] {
        let first = gateway.post_by("thrifty", CHAT, &body).send().await.expect(200);
        assert_eq!(first.header("x-gateway-cache"), Some("miss"));
        let spent = thrifty(gateway).await;
        for _ in 0..3 {
            let again = gateway.post_by("thrifty", CHAT, &body).send().await.expect(200);
            assert_eq!((again.header("x-gateway-cache"), &again.body), (Some("hit"), &first.body));
        }
        assert_eq!(thrifty(gateway).await, spent);
    }
    assert_eq!(thrifty(gateway).await[0], 2);
}

on_both_envoys!(a_hit_behind_costs_nothing_in_any_unit, setup(), a_hit_is_free);

on_own_envoys!(
    a_hit_in_front_costs_nothing_in_any_unit,
    setup().moved("tollgate.cache", "tollgate.budget"),
    a_hit_is_free
);

fn limited(limit: u64) -> Setup {
    let setup = Setup::default().pushed();
    setup.config("budget", |config| {
        config["rules"] = json!([rule("changed", "mover", "tokens", &json!({"calendar": "month"}), limit)]);
    })
}

on_own_envoys!(another_limit_keeps_what_was_spent_and_what_is_held, limited(1_000), async |gateway| {
    let call = |max_tokens: u64| chat(gateway, "mover", &json!({"max_tokens": max_tokens})).told("words", max_tokens);
    call(500).send().await.expect(200);
    let spent = used(gateway, "mover", "changed").await;
    // One call is under way while the limits change.
    let slow = call(300).told("delay-ms", 2_500).open();
    let changes = async {
        wait_until("it is held", async || gateway.budget("mover", "changed").await["reserved"] != 0).await;
        gateway.push(&limited(600)).await;
        let own = gateway.budget("mover", "changed").await;
        assert_eq!(
            (&own["limit"], &own["used"], &own["remaining"]),
            (&json!(600), &json!(spent), &json!(0)),
            "{own}"
        );
        assert!(own["reserved"].as_u64().unwrap() >= 300, "{own}");
        refused(gateway, call(10), 429).await;
        gateway.push(&limited(2_000)).await;
        call(600).send().await.expect(200);
    };
    let (slow, ()) = futures_util::future::join(slow, changes).await;
    slow.rest().await.expect(200);
    let prompt = spent - 500;
    wait_until("all is settled", async || gateway.budget("mover", "changed").await["reserved"] == 0).await;
    assert_eq!(used(gateway, "mover", "changed").await, 500 + 300 + 600 + 3 * prompt);
});
