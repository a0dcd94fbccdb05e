//! The answers that the README shows are those of the filter under the configuration that it shows.

use std::collections::BTreeSet;
use std::rc::Rc;

use serde_json::{Value, json};
use tollgate_core::{Flow, Identity, Refusal, Reply, Timestamp, handoff};
use tollgate_fakehost::{Call, Proxy};

use super::{README, blocks, quoted, shown};
use crate::filter::{Budget, BudgetStream};

const CHAT: &str = "/v1/chat/completions";

/// The gateway of the README at noon of 2026-11-24.
struct Gateway {
    budget: Rc<Budget>,
    proxy: Proxy,
}

impl Gateway {
    fn new(config: &str) -> Self {
        let mut proxy = Proxy { now: Timestamp::from_secs(1_795_521_600), ..Proxy::default() };
        let budget = proxy.configure(config).unwrap();
        Self { budget, proxy }
    }

    fn call(&self, tenant: &str, tier: Option<&str>) -> Call<BudgetStream> {
        let mut call = Call::open(&self.budget, &self.proxy);
        let credential_id = format!("{tenant}-2026a");
        handoff::set_identity(
            &mut call.handoff,
            &Identity { tenant: tenant.into(), credential_id, tier: tier.map(str::to_owned) },
        );
        call
    }

    fn get(&self, tenant: &str, tier: Option<&str>, query: &str) -> Reply {
        reply(self.call(tenant, tier), query)
    }

    /// A call of acme's that was answered with 1,200 tokens in, 1,000 of them cached, and 300 out.
    fn acme_asks(&self) -> Call<BudgetStream> {
        let mut call = self.call("acme", Some("gold"));
        call.request(&post("/v1/messages"), &asking(500)).unwrap();
        call.response(
            &[(":status", "200"), ("content-type", "application/json")],
            br#"{"type":"message","content":[],"stop_reason":"end_turn",
                "usage":{"input_tokens":200,"cache_read_input_tokens":1000,"output_tokens":300}}"#,
        );
        call.log();
        call
    }
}

fn reply(mut call: Call<BudgetStream>, query: &str) -> Reply {
    let path = format!("/gateway/budget{query}");
    match call.request_headers(&[(":method", "GET"), (":path", &path)], true) {
        Flow::Reply(reply) => reply,
        other => panic!("{other:?}"),
    }
}

fn post(path: &str) -> [(&str, &str); 2] {
    [(":method", "POST"), (":path", path)]
}

fn asking(max_tokens: u64) -> Vec<u8> {
    let messages = json!([{"role": "user", "content": "Hello"}]);
    json!({"model": "claude-sonnet-4-5", "messages": messages, "max_tokens": max_tokens}).to_string().into_bytes()
}

fn json_of(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).unwrap()
}

/// A block of the README.
fn shown_json(block: usize) -> Value {
    serde_json::from_str(blocks("json")[block]).unwrap()
}

/// The headers of a block of the README; an indented line goes on with the one before.
fn headers(block: usize) -> Vec<(String, String)> {
    let text = blocks("http")[block].replace("\n  ", " ");
    let pairs = text.lines().map(|line| line.split_once(": ").unwrap());
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[test]
fn a_caller_over_its_limit_is_told_so_in_each_dialect() {
    let gateway = Gateway::new(shown());
    for _ in 0..60 {
        let mut call = gateway.call("globex", None);
        call.request(&post(CHAT), &asking(10)).unwrap();
        call.response(&[(":status", "200")], b"");
        call.log();
    }
    let paths = [CHAT, "/v1/messages", "/v1beta/models/gemini-2.5-flash:generateContent"];
    let replies = paths.map(|path| gateway.call("globex", None).request(&post(path), &asking(10)).unwrap_err());
    let [openai, anthropic, gemini] = replies.each_ref().map(json_of);
    assert_eq!(openai, shown_json(1));
    assert_eq!(
        (&anthropic["error"]["type"], &anthropic["error"]["code"]),
        (&json!("rate_limit_error"), &json!("rate_limit_exceeded"))
    );
    let reason = &gemini["error"]["details"][0]["reason"];
    assert_eq!((&gemini["error"]["status"], reason), (&json!("RESOURCE_EXHAUSTED"), &json!("RATE_LIMIT_EXCEEDED")));
    let status = (":status".to_owned(), replies[0].status.to_string());
    let told = replies[0].headers.iter().filter(|(name, _)| name != "content-type");
    let told = told.map(|(name, value)| (name.clone(), String::from_utf8(value.clone()).unwrap()));
    assert_eq!(std::iter::once(status).chain(told).collect::<Vec<_>>(), headers(0));
}

#[test]
fn budgets_read_as_shown() {
    let gateway = Gateway::new(shown());
    gateway.acme_asks();
    let own = json_of(&gateway.get("acme", Some("gold"), ""));
    assert_eq!(own, shown_json(2));
    let page = |after: u64| json_of(&gateway.get("platform", None, &format!("?scope=all&after={after}")));
    let mut pages = std::iter::successors(Some(page(0)), |previous| previous["next"].as_u64().map(page));
    assert_eq!(pages.find(|page| page["budgets"] != json!([])).unwrap(), shown_json(3));
    assert_eq!(blocks("json").len(), 4, "each is tested");
}

#[test]
fn an_explained_call_reads_as_shown() {
    let gateway = Gateway::new(&shown().replace("\"explain\": false", "\"explain\": true"));
    let call = gateway.acme_asks();
    let told = call.response_headers.get("x-gateway-budget").unwrap();
    assert_eq!(vec![("x-gateway-budget".to_owned(), told)], headers(1));
    assert_eq!(blocks("http").len(), 2, "each is tested");
}

/// Status and code of a refusal.
fn told(reply: &Reply) -> (u16, String) {
    (reply.status, json_of(reply)["error"]["code"].as_str().unwrap().to_owned())
}

#[test]
fn every_code_stands_under_its_status() {
    let small = shown().replace("\"max_body_bytes\": 8388608", "\"max_body_bytes\": 200");
    let gateway = Gateway::new(&small.replace("\"limit\": \"50.00\"", "\"limit\": \"0.01\""));
    let refused = |tenant, body: &[u8]| told(&gateway.call(tenant, None).request(&post(CHAT), body).unwrap_err());
    let mut given: BTreeSet<(u16, String)> = BTreeSet::new();
    given.insert(refused("globex", b"no json"));
    given.insert(refused("globex", &[b' '; 201]));
    given.insert(refused("globex", &asking(5_000)));
    given.insert(refused("acme", &asking(6_000_000)));
    given.insert(told(&gateway.get("globex", None, "?scope=all")));
    given.insert(told(&reply(Call::open(&gateway.budget, &gateway.proxy), "")));
    gateway.proxy.store.refuse_next(16);
    given.insert(refused("acme", &asking(10)));
    let table = README.split("| status | codes |\n").nth(1).unwrap();
    let rows = table.lines().skip(1).map_while(|line| line.strip_prefix("| ")?.split_once(" | "));
    let known: BTreeSet<&str> = Refusal::ALL.iter().map(|refusal| refusal.code()).collect();
    let shown: BTreeSet<(u16, String)> = rows
        .flat_map(|(status, codes)| {
            let status = status.parse().unwrap();
            let known = quoted(codes).into_iter().filter(|word| known.contains(word));
            known.map(move |code| (status, code.to_owned()))
        })
        .collect();
    assert_eq!(shown, given);
}
