//! Whole calls through route, phase by phase.

mod answers;
mod cooling;
mod deciding;
mod hostile;
mod naming;
mod sticking;

use std::rc::Rc;

use serde_json::{Value, json};
use tollgate_core::handoff::{self, Attempt, Identity, Routing};
use tollgate_core::{Flow, Reply, Timestamp, metric};
use tollgate_fakehost::{Call, Proxy};

use crate::filter::{ProviderFilter, ProviderStream};

const CHAT: &str = "/v1/chat/completions";

/// A worker that serves one configuration.
struct Worker {
    filter: Rc<ProviderFilter>,
    proxy: Proxy,
}

impl Worker {
    fn new(config: &Value) -> Self {
        let mut proxy = Proxy { now: Timestamp::from_secs(1_795_521_600), ..Proxy::default() };
        let filter = proxy.configure_root("route", &config.to_string()).unwrap();
        Self { filter, proxy }
    }

    fn call(&self) -> Call<ProviderStream> {
        Call::open(&self.filter, &self.proxy)
    }

    fn call_of(&self, tenant: &str, tier: Option<&str>) -> Call<ProviderStream> {
        let mut call = self.call();
        handoff::set_identity(
            &mut call.handoff,
            &Identity { tenant: tenant.into(), credential_id: "k".into(), tier: tier.map(str::to_owned) },
        );
        call
    }

    fn count(&self, pool: &str, result: &str) -> u64 {
        self.proxy.meter.value(metric::ROUTES, &[("pool", pool), ("result", result)])
    }
}

/// Two pools, an alias, a canary, and rules for the rest.
fn config() -> Value {
    let provider = || json!({"url": "https://example.com"});
    json!({
        "providers": {"a": provider(), "b": provider(), "c": provider(), "d": provider()},
        "pools": {
            "gpt": {"priorities": [["a", "b"], ["c"]]},
            "claude": {"priorities": [["c"]]},
            "rest": {"priorities": [["d"]]}
        },
        "models": {
            "gpt-4.1": {"pool": "gpt"},
            "gpt-4.1-mini": {"pool": "gpt"},
            "claude*": {"pool": "claude"},
            "fast": {"model": "quick"},
            "quick": {"model": "gpt-4.1-mini"},
            "smart": {"model": "gpt-4.1"},
            "next": {"split": [{"weight": 90, "model": "gpt-4.1"}, {"weight": 10, "pool": "rest", "model": "gpt-5"}]}
        }
    })
}

/// The same with other members.
fn config_with(changes: &Value) -> Value {
    let mut config = config();
    for (name, value) in changes.as_object().unwrap() {
        config[name] = value.clone();
    }
    config
}

fn json_head(path: &str) -> [(&str, &str); 3] {
    [(":method", "POST"), (":path", path), ("content-type", "application/json")]
}

fn asking(model: &str) -> Vec<u8> {
    json!({"model": model, "messages": [{"role": "user", "content": "Hi"}]}).to_string().into_bytes()
}

/// Asks a chat model; where the call went, as pool and model, or the refusal as status and code.
fn ask(call: &mut Call<ProviderStream>, model: &str) -> Result<(String, Option<String>), (u16, String)> {
    let body = asking(model);
    match call.request(&json_head(CHAT), &body) {
        Ok(passed) => {
            assert_eq!(passed, body, "the body stays as it was");
            Ok(sent(call))
        }
        Err(reply) => Err(told(&reply)),
    }
}

/// Where a call went, once it was let go.
fn sent(call: &Call<ProviderStream>) -> (String, Option<String>) {
    let Routing { pool, model, .. } = handoff::routing(&call.handoff).expect("it was decided");
    assert_eq!(call.handoff.0[handoff::POOL], pool.as_bytes());
    assert_eq!(call.route.0, 1, "the route is chosen anew, once");
    (pool, model)
}

fn to(pool: &str, model: &str) -> Result<(String, Option<String>), (u16, String)> {
    Ok((pool.into(), Some(model.into())))
}

/// Status and code of a refusal in OpenAI's dialect.
fn told(reply: &Reply) -> (u16, String) {
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    (reply.status, body["error"]["code"].as_str().unwrap().into())
}

fn message(reply: &Reply) -> String {
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    body["error"]["message"].as_str().unwrap().into()
}

fn header<'r>(reply: &'r Reply, name: &str) -> Option<&'r [u8]> {
    reply.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_slice())
}

fn refused(flow: Flow) -> Reply {
    match flow {
        Flow::Reply(reply) => reply,
        other => panic!("{other:?}"),
    }
}
