//! Calls through the filter, told from outside: what goes on, what comes back, what `GET /gateway/budget` then says.

mod admission;
mod ends;
mod gauges;
mod hard;
mod learning;
mod record;
mod routed;
mod rules;
mod streams;

use tollgate_core::{Identity, Reply, Timestamp, metric};
use tollgate_fakehost::{Call, Proxy};
use tollgate_llm::{BytesPerToken, RequestFacts};

use super::*;

const CONFIG: &str = r#"{
    "rules": [{
        "name": "tokens-per-minute", "unit": "tokens", "window": {"rolling": "1m"}, "per": ["tenant"],
        "limit": 100000, "limits": {"tenants": {"globex": 2000, "whale": 1000000000000}}
    }],
    "slots": 64, "max_body_bytes": 4096
}"#;
const POST_CHAT: &[(&str, &str)] = &[(":method", "POST"), (":path", "/v1/chat/completions")];
const JSON_200: &[(&str, &str)] = &[(":status", "200"), ("content-type", "application/json")];
const SSE_200: &[(&str, &str)] = &[(":status", "200"), ("content-type", "text/event-stream")];
const CHAT: &[u8] = br#"{"model":"m","messages":[{"role":"user","content":"Say something nice."}]}"#;
const CHAT_STREAM: &[u8] =
    br#"{"model":"m","stream":true,"messages":[{"role":"user","content":"Say something nice."}]}"#;
const ANSWER: &[u8] = br#"{"id":"c1","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"You are kind."},"finish_reason":"stop"}],"usage":{"prompt_tokens":30,"completion_tokens":12,"total_tokens":42}}"#;
/// What [`ANSWER`] and [`usage_chunk`] say.
const REPORTED: u64 = 42;

/// One gateway: the filter of one worker, and what all workers share.
struct Gateway {
    budget: Rc<Budget>,
    proxy: Proxy,
}

impl Gateway {
    fn new() -> Self {
        Self::configured(CONFIG)
    }

    fn configured(config: &str) -> Self {
        let mut proxy = Proxy { now: Timestamp::from_secs(1_700_000_000), ..Proxy::default() };
        let budget = proxy.configure(config).unwrap();
        Self { budget, proxy }
    }

    fn call(&self, tenant: &str) -> Call<BudgetStream> {
        let mut call = Call::open(&self.budget, &self.proxy);
        let identity = Identity { tenant: tenant.into(), credential_id: "key-1".into(), tier: None };
        handoff::set_identity(&mut call.handoff, &identity);
        call
    }

    /// An admitted call, waiting for its answer.
    fn admitted(&self, tenant: &str, body: &[u8]) -> Call<BudgetStream> {
        let mut call = self.call(tenant);
        call.request(POST_CHAT, body).expect("the call fits");
        call
    }

    fn own_budget(&self, tenant: &str) -> serde_json::Value {
        let mut call = self.call(tenant);
        let Flow::Reply(reply) = call.request_headers(&[(":method", "GET"), (":path", "/gateway/budget")], true)
        else {
            panic!("the budget was not told")
        };
        assert_eq!(reply.status, 200);
        serde_json::from_slice(&reply.body).unwrap()
    }

    fn used(&self, tenant: &str) -> u64 {
        self.own_budget(tenant)["budgets"][0]["used"].as_u64().unwrap()
    }

    fn reserved(&self, tenant: &str) -> u64 {
        self.own_budget(tenant)["budgets"][0]["reserved"].as_u64().unwrap()
    }

    fn decisions(&self, decision: &str) -> u64 {
        self.proxy.meter.value(metric::BUDGET, &[("decision", decision)])
    }

    fn decisions_of(&self, decision: &str, rule: &str) -> u64 {
        self.proxy.meter.value(metric::BUDGET, &[("decision", decision), ("rule_name", rule)])
    }

    fn wait(&mut self, seconds: u64) {
        self.proxy.now = self.proxy.now.plus(Duration::from_secs(seconds));
    }
}

/// Tokens that the filter estimates for the prompt of a body.
fn estimated_input(body: &[u8]) -> u64 {
    RequestFacts::parse(b"/v1/chat/completions", body).unwrap().input_tokens(BytesPerToken::ENGLISH)
}

/// [`ANSWER`] with another number of output tokens.
fn answer_of(output: &str, total: &str) -> Vec<u8> {
    let answer = String::from_utf8(ANSWER.to_vec()).unwrap();
    answer.replace(":12,", &format!(":{output},")).replace(":42}", &format!(":{total}}}")).into_bytes()
}

fn header_of(reply: &Reply, name: &str) -> Option<String> {
    let (_, value) = reply.headers.iter().find(|(found, _)| found == name)?;
    Some(String::from_utf8_lossy(value).into_owned())
}

fn event(json: &str) -> String {
    format!("data: {json}\n\n")
}

fn content_chunk(text: &str) -> String {
    event(&format!(
        r#"{{"id":"c1","object":"chat.completion.chunk","model":"m","choices":[{{"index":0,"delta":{{"content":"{text}"}},"finish_reason":null}}]}}"#
    ))
}

fn finish_chunk() -> String {
    event(
        r#"{"id":"c1","object":"chat.completion.chunk","model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
    )
}

fn usage_chunk() -> String {
    event(
        r#"{"id":"c1","object":"chat.completion.chunk","model":"m","choices":[],"usage":{"prompt_tokens":30,"completion_tokens":12,"total_tokens":42}}"#,
    )
}

/// A finished stream as the provider sends it, and as a client that did not ask for usage sees it.
fn stream() -> (String, String) {
    let content = content_chunk("You are ") + &content_chunk("k\u{ee}nd.") + &finish_chunk();
    (format!("{content}{}data: [DONE]\n\n", usage_chunk()), format!("{content}data: [DONE]\n\n"))
}
