//! The model that a caller names decides who serves the call, wherever and however it is named.

use futures_util::StreamExt as _;
use futures_util::stream;
use serde_json::{Value, json};
use tollgate_tests::client::{Answer, Call, unique};
use tollgate_tests::gateway::{Gateway, Setup, merge};
use tollgate_tests::on_both_envoys;

use crate::provider_fleet::{CHAT, MESSAGES, chat, fleet, provider};

/// Calls whose shares are counted.
const CALLS: usize = 2_000;
/// A tenth of them give or take 5 standard deviations of a binomial distribution (13.4 each).
const TENTH: std::ops::RangeInclusive<usize> = 133..=267;

/// Nobody serves what is not named.
fn strict() -> Setup {
    Setup::default().providers(json!({
        "providers": {"hidden-provider": {"url": "http://scripted"}},
        "pools": {"hidden-pool": {"priorities": [["hidden-provider"]]}},
        "models": {"hidden-model": {"pool": "hidden-pool"}, "hidden-prefix*": {"pool": "hidden-pool"}},
    }))
}

/// The model that the one provider of a call was asked for.
fn model_at_provider(gateway: &Gateway, answer: &Answer) -> Value {
    let body: Value = serde_json::from_slice(&gateway.upstream_request(&answer.mark).body).expect("a JSON body");
    body["model"].clone()
}

async fn served(gateway: &Gateway, call: Call) -> (String, Value) {
    let answer = call.send().await.expect(200);
    (provider(&answer).to_owned(), model_at_provider(gateway, &answer))
}

on_both_envoys!(an_alias_runs_the_model_that_it_stands_for, fleet(), async |gateway| {
    for (name, site, model) in [
        ("large", "third", "large"),
        ("alias", "third", "large"),
        (" Alias ", "third", "large"),
        ("renamed", "fourth", "runs-instead"),
        ("plain-any", "third", "plain-any"),
    ] {
        let call = gateway.post(CHAT, &chat(name, &unique("prompt")));
        assert_eq!(served(gateway, call).await, (site.to_owned(), json!(model)), "{name}");
        let mut body = chat(name, &unique("prompt"));
        merge(&mut body, &json!({"max_tokens": 9}));
        let call = gateway.post(MESSAGES, &body);
        assert_eq!(served(gateway, call).await, (site.to_owned(), json!(model)), "{name}");
    }
});

on_both_envoys!(some_callers_get_another_model_and_no_alias_leads_around_it, fleet(), async |gateway| {
    for name in ["large", "alias", "second-alias", "LARGE"] {
        let theirs = gateway.post_as("globex", CHAT, &chat(name, &unique("prompt")));
        assert_eq!(served(gateway, theirs).await, ("fourth".into(), json!("small")), "{name}");
        let others = gateway.post_as("acme", CHAT, &chat(name, &unique("prompt")));
        assert_eq!(
            served(gateway, others).await,
            (
                "third".into(),
                json!(name.replace("LARGE", "large").replace("second-alias", "large").replace("alias", "large"))
            ),
            "{name}"
        );
    }
    let free = gateway.post_by("free", CHAT, &chat("tiered", &unique("prompt")));
    assert_eq!(served(gateway, free).await, ("fourth".into(), json!("small")));
    let paying = gateway.post_by("paying", CHAT, &chat("tiered", &unique("prompt")));
    assert_eq!(served(gateway, paying).await, ("third".into(), json!("tiered")));
});

on_both_envoys!(an_unknown_model_goes_where_the_configuration_says, fleet(), async |gateway| {
    let call = gateway.post(CHAT, &chat("unheard-of", &unique("prompt")));
    assert_eq!(served(gateway, call).await, ("third".into(), json!("unheard-of")));
});

on_both_envoys!(a_refusal_names_the_model_that_was_asked_for_and_no_other, strict(), async |gateway| {
    let gemini = json!({"contents": [{"parts": [{"text": "x"}]}]});
    let calls = [
        (CHAT, chat("gpt-9", "x"), "/error/code", json!("model_not_found")),
        ("/v1/embeddings", json!({"model": "gpt-9", "input": "x"}), "/error/code", json!("model_not_found")),
        (MESSAGES, chat("gpt-9", "x"), "/error/type", json!("not_found_error")),
        ("/v1beta/models/gpt-9:generateContent", gemini.clone(), "/error/status", json!("NOT_FOUND")),
        ("/v1beta/models/gpt-9:streamGenerateContent?alt=sse", gemini, "/error/status", json!("NOT_FOUND")),
    ];
    for (path, body, place, expected) in calls {
        let answer = gateway.post(path, &body).send().await.expect(404);
        assert_eq!(answer.json().pointer(place), Some(&expected), "{answer}");
        assert!(answer.text().contains("`gpt-9`") && !answer.text().contains("hidden"), "{answer}");
        assert!(gateway.upstream_requests(&answer.mark).is_empty());
    }
    let nameless = Call::get(&gateway.url("/v1/models")).bearer(&gateway.key("acme")).send().await.expect(404);
    assert_eq!(nameless.json()["error"]["code"], "not_found");
    assert!(!nameless.text().contains("hidden"), "{nameless}");
    let known = gateway.post(CHAT, &chat("hidden-prefix-1", &unique("prompt"))).send().await.expect(200);
    assert_eq!(known.header("x-gateway-provider"), None, "who answers is shown only where that is configured");
});

on_both_envoys!(a_split_gives_each_branch_its_share, fleet(), async |gateway| {
    let ask = async |_| {
        let call = gateway.post(CHAT, &chat("next", &unique("prompt"))).told("words", 1);
        let answer = call.send().await.expect(200);
        let (site, model) = (provider(&answer).to_owned(), answer.json()["model"].clone());
        let expected = if site == "third" { "large" } else { "small" };
        assert_eq!(model, expected, "the branch and its model belong together");
        site
    };
    let sites: Vec<String> = stream::iter(0..CALLS).map(ask).buffer_unordered(16).collect().await;
    let small = sites.iter().filter(|site| *site == "fourth").count();
    assert_eq!(sites.iter().filter(|site| *site == "third").count(), CALLS - small);
    assert!(TENTH.contains(&small), "{small} of {CALLS} calls went to a branch of a tenth");
});
