//! Money goes by the model that ran and by who answered, whatever the caller called it and whoever failed before.

use futures_util::future::join_all;
use serde_json::{Value, json};
use tollgate_tests::client::{Answer, Call, unique};
use tollgate_tests::gateway::{Gateway, Setup, chat_body, merge};
use tollgate_tests::{on_both_envoys, on_own_envoys};

use crate::provider_fleet::CHAT;

/// Nano-dollars a token of input and of output: of `main` at `a`, of `main` at `b`, of `small` anywhere.
const AT_A: [u64; 2] = [2_000, 8_000];
const AT_B: [u64; 2] = [3_000, 9_000];
const SMALL: [u64; 2] = [500, 1_000];

fn providers(alias: &str) -> Value {
    json!({
        "providers": {
            "a": {"url": "http://scripted", "models": {"main": "main-at-a"}},
            "b": {"url": "http://scripted", "models": {"main": "main-at-b"}},
            "c": {"url": "http://scripted", "stand_ins": {"main": "small"}},
        },
        "pools": {
            "same": {"priorities": [["a"], ["b"]], "timeout": "20s"},
            "other": {"priorities": [["a"], ["c"]], "timeout": "20s"},
        },
        "models": {
            "main": {"pool": "same"},
            "small": {"pool": "same"},
            "helped": {"pool": "other", "model": "main"},
            "alias": {"model": alias},
        },
        "show_provider": true,
    })
}

pub(crate) fn setup(alias: &str) -> Setup {
    let price = |[input, output]: [u64; 2]| {
        let dollars = |nanos: u64| format!("{}.{:03}", nanos / 1_000, nanos % 1_000);
        json!({"input": dollars(input), "output": dollars(output)})
    };
    let rule = |name: &str, unit: &str, more: Value| {
        let limit = if unit == "usd" { json!("1000") } else { json!(1_000_000) };
        let mut rule =
            json!({"name": name, "unit": unit, "window": {"calendar": "month"}, "per": ["tenant"], "limit": limit});
        merge(&mut rule, &more);
        rule
    };
    Setup::default().providers(providers(alias)).config("budget", |config| {
        config["rules"] = json!([
            rule("dollars", "usd", json!({})),
            rule("tokens", "tokens", json!({})),
            rule("requests", "requests", json!({})),
            rule("of-main", "tokens", json!({"match": {"models": ["main"]}})),
            rule("of-small", "tokens", json!({"match": {"models": ["small"]}})),
            rule("of-alias", "tokens", json!({"match": {"models": ["alias", "helped"]}})),
        ]);
        config["prices"] =
            json!({"main": price(AT_A), "small": price(SMALL), "*": {"input": "900", "output": "900"}});
        config["provider_prices"] = json!({"b": {"main": price(AT_B)}});
    })
}

pub(crate) fn body(model: &str) -> Value {
    let mut body = chat_body(&unique("prompt"));
    merge(&mut body, &json!({"model": model}));
    body
}

pub(crate) fn provider(answer: &Answer) -> Option<&str> {
    answer.header("x-gateway-provider")
}

/// Tokens in and out, as the provider told them.
fn tokens(answer: &Answer) -> [u64; 2] {
    let usage = &answer.json()["usage"];
    ["prompt_tokens", "completion_tokens"].map(|field| usage[field].as_u64().unwrap())
}

fn cost([input, output]: [u64; 2], [in_price, out_price]: [u64; 2]) -> u64 {
    input * in_price + output * out_price
}

/// What a tenant has used under a rule, dollars as nano-dollars. The settlement is behind the answer by a moment.
pub(crate) async fn used(gateway: &Gateway, tenant: &str, rule: &str) -> u64 {
    let model = rule.strip_prefix("of-").unwrap_or("main");
    let url = gateway.url(&format!("/gateway/budget?model={model}"));
    let own = Call::get(&url).bearer(&gateway.token(tenant)).send().await.expect(200).json();
    let entry = own["budgets"].as_array().unwrap().iter().find(|entry| entry["rule"] == rule);
    let entry = entry.unwrap_or_else(|| panic!("no `{rule}` in {own}"));
    assert!(entry["reserved"] == 0 || entry["reserved"] == "0.00", "{entry}");
    match &entry["used"] {
        Value::String(dollars) => {
            let (whole, fraction) = dollars.split_once('.').unwrap();
            format!("{whole}{fraction:0<9}").parse().unwrap()
        }
        units => units.as_u64().unwrap(),
    }
}

on_both_envoys!(
    an_alias_pays_the_price_and_fills_the_account_of_the_model_that_runs,
    setup("small"),
    async |gateway| {
        let answer = gateway.post_by("aliased", CHAT, &body("alias")).told("words", 30).send().await.expect(200);
        let tokens = tokens(&answer);
        assert_eq!(used(gateway, "aliased", "dollars").await, cost(tokens, SMALL));
        assert_eq!(used(gateway, "aliased", "of-small").await, tokens[0] + tokens[1]);
        assert_eq!(used(gateway, "aliased", "of-alias").await, 0);
    }
);

on_both_envoys!(
    a_fallback_is_charged_at_its_own_price_and_what_failed_before_it_costs_nothing,
    setup("small"),
    async |gateway| {
        let call = gateway.post_by("fallen", CHAT, &body("main")).told("words", 30).told("status.a", 500);
        let answer = call.send().await.expect(200);
        assert_eq!(provider(&answer), Some("b"));
        assert_eq!(used(gateway, "fallen", "dollars").await, cost(tokens(&answer), AT_B));
        assert_eq!(used(gateway, "fallen", "requests").await, 1);
        // Who stands in runs another model: its price, and the account of the model that was decided on.
        let call = gateway.post_by("helped", CHAT, &body("helped")).told("words", 30).told("status.a", 500);
        let answer = call.send().await.expect(200);
        assert_eq!((provider(&answer), &answer.json()["model"]), (Some("c"), &json!("small")));
        assert_eq!(used(gateway, "helped", "dollars").await, cost(tokens(&answer), SMALL));
        assert_eq!(used(gateway, "helped", "of-main").await, tokens(&answer).iter().sum::<u64>());
    }
);

on_own_envoys!(an_account_is_the_sum_of_the_final_answers_however_attempts_ended, setup("small"), async |gateway| {
    let calls = (0..60_u64).map(async |at| {
        let call = gateway.post_by("busy", CHAT, &body("main")).told("words", 5 + at);
        let call = match at % 6 {
            0 => call.told("status.a", 503),
            1 => call.told("reset.a", 1),
            2 => call.told("status.a", 429),
            3 => call.told("status.a", 500).told("status.b", 503),
            _ => call,
        };
        (at % 6, call.send().await)
    });
    let (mut tokens_sum, mut dollars, mut answered) = (0, 0, 0);
    for (kind, answer) in join_all(calls).await {
        if kind == 3 {
            answer.expect(503);
            continue;
        }
        let answer = answer.expect(200);
        let price = if provider(&answer) == Some("b") { AT_B } else { AT_A };
        assert!(kind > 3 || provider(&answer) == Some("b"), "{answer}");
        tokens_sum += tokens(&answer).iter().sum::<u64>();
        dollars += cost(tokens(&answer), price);
        answered += 1;
    }
    assert_eq!(answered, 50);
    assert_eq!(used(gateway, "busy", "tokens").await, tokens_sum);
    assert_eq!(used(gateway, "busy", "dollars").await, dollars);
    assert_eq!(used(gateway, "busy", "requests").await, answered);
});
