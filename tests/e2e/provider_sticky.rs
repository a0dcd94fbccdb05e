//! Calls of one prompt go to one endpoint, so that its prompt cache works; and leave it when it fails.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use tollgate_tests::client::{Answer, Call, unique};
use tollgate_tests::gateway::{Gateway, Setup};
use tollgate_tests::on_own_envoys;

use crate::provider_fleet::CHAT;

const PROMPTS: usize = 10;
const CALLS: usize = 200;

fn setup() -> Setup {
    let site = json!({"url": "http://scripted"});
    Setup::default().providers(json!({
        "providers": {"a": site, "b": site, "c": site},
        "pools": {
            "sticky": {"priorities": [["a", "b", "c"]], "timeout": "20s", "sticky": "prompt_prefix"},
            "spread": {"priorities": [["a", "b", "c"]], "timeout": "20s"},
        },
        "models": {"sticky": {"pool": "sticky"}, "spread": {"pool": "spread"}},
        "show_provider": true,
    }))
}

fn call(gateway: &Gateway, model: &str, system: &str) -> Call {
    let messages = json!([{"role": "system", "content": system}, {"role": "user", "content": unique("question")}]);
    gateway.post(CHAT, &json!({"model": model, "messages": messages})).told("prompt-cache", 1)
}

fn cached(answer: &Answer) -> u64 {
    answer.json()["usage"]["prompt_tokens_details"]["cached_tokens"].as_u64().unwrap_or_default()
}

fn provider(answer: &Answer) -> String {
    answer.header("x-gateway-provider").unwrap().to_owned()
}

fn prompts(count: usize) -> Vec<String> {
    (0..count).map(|_| format!("{} {}", unique("You are"), "You know all rules of the house. ".repeat(40))).collect()
}

/// Makes the calls in turn, and gives how many of them found nothing in the prompt cache, and who was asked for each prompt.
async fn cold_calls(gateway: &Gateway, model: &str) -> (usize, BTreeMap<String, BTreeSet<String>>) {
    let (mut cold, mut asked) = (0, BTreeMap::<_, BTreeSet<_>>::new());
    for prompt in prompts(PROMPTS).iter().cycle().take(CALLS) {
        let answer = call(gateway, model, prompt).send().await.expect(200);
        cold += usize::from(cached(&answer) == 0);
        asked.entry(prompt.clone()).or_default().insert(provider(&answer));
    }
    (cold, asked)
}

/// Percent of the calls that could have been warm.
fn warm(cold: usize) -> f64 {
    (CALLS - cold) as f64 / (CALLS - PROMPTS) as f64 * 100.0
}

on_own_envoys!(
    only_the_first_call_of_a_prompt_is_cold_and_without_sticky_the_first_at_each_endpoint,
    setup(),
    async |gateway| {
        let (sticky, asked) = cold_calls(gateway, "sticky").await;
        let (spread, spread_over) = cold_calls(gateway, "spread").await;
        eprintln!(
            "repeated calls with cached tokens: {:.1} % with sticky, {:.1} % without; cold calls for {PROMPTS} prompts: {sticky} and {spread}",
            warm(sticky),
            warm(spread)
        );
        assert_eq!(sticky, PROMPTS, "only the first call of each prompt may be cold");
        assert!(asked.values().all(|asked| asked.len() == 1), "{asked:?}");
        assert!(spread >= PROMPTS * 2, "{spread} cold calls without sticky");
        assert!(spread_over.values().any(|asked| asked.len() == 3), "{spread_over:?}");
        // Different prompts share the endpoints.
        let all: BTreeSet<_> = asked.into_values().flatten().collect();
        assert!(all.len() >= 2, "all prompts are at {all:?}");
    }
);

on_own_envoys!(who_fails_is_left_and_the_prompts_of_others_stay_where_they_are, setup(), async |gateway| {
    let prompts = prompts(30);
    let mut homes = Vec::new();
    for prompt in &prompts {
        homes.push(provider(&call(gateway, "sticky", prompt).send().await.expect(200)));
    }
    let mut moved = 0;
    for (prompt, home) in prompts.iter().zip(&homes) {
        let answer = call(gateway, "sticky", prompt).told("status.a", 503).send().await.expect(200);
        assert_ne!(provider(&answer), "a");
        moved += usize::from(home != "a" && provider(&answer) != *home);
    }
    // Of thirty, one or two may move when a member of a hash table goes.
    assert!(moved <= 3, "{moved} prompts of healthy endpoints moved");
});
