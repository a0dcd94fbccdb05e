//! The providers that the tests of routing and of falling back share. `first` and `second` differ in all that providers can
//! differ in; `third` and `fourth` take requests as they are; the others let nobody in, each in its own way.
//!
//! Envoy leaves an endpoint alone that fails often, and `route` one that asks for it. So every test that makes providers
//! fail has a pool and models of its own.

use serde_json::{Value, json};
use tollgate_tests::client::{Answer, Call};
use tollgate_tests::gateway::{Gateway, Setup};
use tollgate_tests::provider::record::Recorded;

pub(crate) const CHAT: &str = "/v1/chat/completions";
pub(crate) const MESSAGES: &str = "/v1/messages";

/// Longest that an attempt may be silent before it has begun to answer.
pub(crate) const PER_TRY: &str = "1s";

/// Instructions to a provider.
pub(crate) type Told = &'static [(&'static str, u64)];

/// Ways to fail, and what the provider `first` is told for each.
pub(crate) const FAILURES: &[(&str, Told)] = &[
    ("503", &[("status", 503)]),
    ("500", &[("status", 500)]),
    ("529", &[("status", 529)]),
    ("429", &[("status", 429), ("retry-after", 1)]),
    ("reset", &[("reset", 1)]),
    ("hang", &[("delay-ms", 4_000)]),
];

/// Providers that let nobody in.
pub(crate) const CLOSED: &[(&str, &str)] = &[
    ("refusing", "http://refusing"),
    ("misnamed", "https://misnamed"),
    ("self-signed", "https://self-signed"),
    ("expired", "https://expired"),
];

/// Pools of `first` and `second` beside those of [`FAILURES`].
const PAIRS: &[&str] =
    &["edits", "streams", "cooling", "shared-cooling", "all-cooling", "mixed", "wrong", "nobody", "silent"];

fn providers() -> Value {
    let mut providers = json!({
        "first": {
            "url": "http://scripted",
            "credential": {"header": "authorization", "scheme": "Bearer", "from_file": "first.yaml"},
            "models": {"edits": "edits-of-first", "gemini-2.5-flash": "gemini-of-first"},
            "query": {"first": "1"},
            "headers": {"openai-organization": "org-first"},
            "body": {"set": {"store": false}, "drop": ["user"]},
        },
        "second": {
            "url": "http://scripted",
            "credential": {"header": "api-key", "from_env": "TEST_SECOND_KEY"},
            "region": "westeurope",
            "models": {"edits": "edits/of second", "gemini-2.5-flash": "gemini-of-second"},
            "paths": {
                "/v1": "/openai/deployments/{model}",
                "/v1/messages": "/anthropic/v1/messages",
                "/v1/models": "/google/v1/models",
                "/v1beta": "/google/v1beta",
            },
            "query": {"api-version": "2025-01-01"},
            "headers": {"x-second": "2"},
            "body": {"set": {"metadata": {"by": "second"}}, "drop": ["seed"]},
        },
        "third": {
            "url": "http://scripted",
            "credential": {"header": "x-api-key", "from_file": "third.yaml"},
            "models": {"azure-alias": "azure-prod"},
            "paths": {"/v1/openai": "/openai"},
        },
        "fourth": {"url": "http://scripted"},
        "secure": {
            "url": "https://scripted",
            "credential": {"header": "x-goog-api-key", "from_file": "secure.yaml"},
        },
    });
    for (name, url) in CLOSED {
        let credential = json!({"header": "authorization", "scheme": "Bearer", "from_file": format!("{name}.yaml")});
        providers[*name] = json!({"url": url, "credential": credential, "headers": {"x-closed": "1"}});
    }
    providers
}

/// One set-up for all these tests, so that each version of Envoy starts once.
pub(crate) fn fleet() -> Setup {
    let mut pools = json!({
        "plain": {"priorities": [["third"], ["fourth"]], "timeout": "60s"},
        "third": {"priorities": [["third"]]},
        "fourth": {"priorities": [["fourth"]]},
        "alone": {"priorities": [["second"]]},
        "secure": {"priorities": [["refusing"], ["secure"]]},
    });
    let mut models = json!({
        "plain*": {"pool": "plain"},
        "alone": {"pool": "alone"},
        "secure": {"pool": "secure"},
        "large": {"pool": "third"},
        "small": {"pool": "fourth"},
        "alias": {"model": "second-alias"},
        "second-alias": {"model": "large"},
        "tiered": {"pool": "third"},
        "renamed": {"pool": "fourth", "model": "runs-instead"},
        "next": {"split": [{"weight": 90, "model": "large"}, {"weight": 10, "model": "small"}]},
        "gemini-2.5-flash": {"pool": "edits"},
        "azure-alias": {"pool": "third"},
    });
    let pair = |pools: &mut Value, models: &mut Value, name: &str, providers: [&str; 2]| {
        let [first, second] = providers;
        pools[name] = json!({"priorities": [[first], [second]], "timeout": "20s", "per_try_timeout": PER_TRY});
        // Clients of several tests call each by models of their own.
        models[name] = json!({"pool": name});
        models[format!("{name}-*")] = json!({"pool": name});
    };
    for name in PAIRS {
        pair(&mut pools, &mut models, name, ["first", "second"]);
    }
    for (kind, _) in FAILURES {
        for user in ["fails", "sdk"] {
            pair(&mut pools, &mut models, &format!("{user}-{kind}"), ["first", "second"]);
        }
    }
    for (kind, _) in CLOSED {
        pair(&mut pools, &mut models, &format!("fails-{kind}"), [kind, "second"]);
        pair(&mut pools, &mut models, &format!("sdk-{kind}"), [kind, "second"]);
    }
    let config = json!({
        "providers": providers(),
        "pools": pools,
        "models": models,
        "overrides": [
            {"tenants": ["globex"], "models": ["large"], "use": {"model": "small"}},
            {"tiers": ["free"], "models": ["tiered"], "use": {"model": "small"}},
        ],
        "unknown_model": {"pool": "third"},
        "no_model": {"pool": "fourth"},
        "show_provider": true,
    });
    Setup::default()
        .providers(config)
        // Tokens made here have no claim of a tier, so a tenant is its own.
        .config("auth", |config| config["jwt"]["issuers"][0]["tier_claim"] = json!("tenant"))
        .config("budget", |config| {
            // Accounts that only grow, and large bodies.
            for rule in 0..2 {
                config["rules"][rule]["window"] = json!({"calendar": "month"});
                config["rules"][rule]["limit"] = json!(1_000_000_000);
            }
            config["rules"][0]["limits"] = json!({});
        })
}

/// A chat for a model.
pub(crate) fn chat(model: &str, prompt: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": prompt}]})
}

/// The same with instructions for one provider.
pub(crate) fn told_at(call: Call, names: &str, told: &[(&str, u64)]) -> Call {
    let call = call.header("x-provider-at", names);
    told.iter().fold(call, |call, (what, value)| call.told(what, *value))
}

/// Who answered.
pub(crate) fn provider(answer: &Answer) -> &str {
    answer.header("x-gateway-provider").unwrap_or("(none)")
}

/// The line of a call in the access log, once it is there.
pub(crate) async fn logged(gateway: &Gateway, answer: &Answer) -> Value {
    let id = answer.header("x-request-id").expect("every answer has an id");
    let line = || {
        let log = gateway.envoy.log();
        let found = log.lines().find(|line| line.contains(id) && line.starts_with('{'));
        found.and_then(|line| serde_json::from_str(line).ok())
    };
    tollgate_tests::gateway::wait_until("the call is logged", async || line().is_some()).await;
    line().expect("waited for above")
}

/// A header as text.
pub(crate) fn text<'a>(request: &'a Recorded, name: &str) -> Option<&'a str> {
    request.header(name).and_then(|value| str::from_utf8(value).ok())
}

/// All of a request's head as text: what must not be in it is looked for here.
pub(crate) fn head(request: &Recorded) -> String {
    let headers = request.headers.iter().map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value)));
    [request.path.clone()].into_iter().chain(headers).collect::<Vec<_>>().join("\n")
}
