//! Whole calls through the filter, in a proxy in memory.

mod lookup;
mod metrics;
mod routed;
mod storing;
mod wishes;

use std::rc::Rc;

use tollgate_core::handoff::set_identity;
use tollgate_core::{Flow, Identity, Reply, Timestamp, handoff, metric};
use tollgate_fakehost::{Call, Proxy};

use super::{Cache, CacheStream};

const CHAT: &str = "/v1/chat/completions";
const QUESTION: &str = r#"{"model":"gpt-4.1","messages":[{"role":"user","content":"Hi"}],"temperature":0.5}"#;
const ANSWER: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-4.1","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11}}"#;
const STREAM: &str = concat!(
    "data: {\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hel\"},\"finish_reason\":null}]}\n\n",
    "data: {\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"lo\"},\"finish_reason\":\"stop\"}]}\n\n",
    "data: {\"id\":\"1\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2,\"total_tokens\":11}}\n\n",
    "data: [DONE]\n\n",
);
const JSON_HEAD: &[(&str, &str)] = &[(":status", "200"), ("content-type", "application/json; charset=utf-8")];
const SSE_HEAD: &[(&str, &str)] = &[(":status", "200"), ("content-type", "text/event-stream")];

/// One Envoy with the filter in it, and a clock.
struct World {
    proxy: Proxy,
    filter: Rc<Cache>,
}

impl World {
    fn new(config: &str) -> Self {
        let mut proxy = Proxy { now: Timestamp::from_secs(1_000), ..Proxy::default() };
        let filter = proxy.configure(config).unwrap();
        Self { proxy, filter }
    }

    /// Another worker: its own VM and policy, the same store.
    fn worker(&self) -> Self {
        let mut proxy = self.proxy.clone();
        let filter = proxy.configure("{}").unwrap();
        Self { proxy, filter }
    }

    fn step(&mut self, secs: u64) {
        self.proxy.now = Timestamp::from_secs(self.proxy.now.as_secs() + secs);
    }

    fn call(&self, tenant: Option<&str>) -> Call<CacheStream> {
        let mut call = Call::open(&self.filter, &self.proxy);
        if let Some(tenant) = tenant {
            let identity = Identity { tenant: tenant.into(), credential_id: "k1".into(), tier: None };
            set_identity(&mut call.handoff, &identity);
        }
        call
    }

    /// Asks as `acme`: the reply of the cache, or the call that now waits for its provider.
    fn ask(&self, path: &str, extra: &[(&str, &str)], body: &str) -> Result<Call<CacheStream>, Reply> {
        let mut call = self.call(Some("acme"));
        let passed = call.request(&[&head(path), extra].concat(), body.as_bytes())?;
        assert_eq!(passed, body.as_bytes(), "the request is passed on as it came");
        Ok(call)
    }

    /// A whole call that the provider answers; panics on a hit.
    fn answered(&self, extra: &[(&str, &str)], body: &str, head: &[(&str, &str)], answer: &str) -> Call<CacheStream> {
        let mut call = self.ask(CHAT, extra, body).expect("nothing is stored");
        assert_eq!(call.response(head, answer.as_bytes()), answer.as_bytes(), "the answer is passed on as it came");
        call.log();
        call
    }

    /// What asking the plain question again brings: the stored body, if there is one.
    fn stored(&self) -> Option<String> {
        self.ask(CHAT, &[], QUESTION).err().map(|reply| String::from_utf8(reply.body).unwrap())
    }

    fn counted(&self, result: &str) -> u64 {
        self.proxy.meter.value(metric::CACHE, &[("result", result)])
    }
}

fn head(path: &str) -> Vec<(&str, &str)> {
    vec![(":method", "POST"), (":path", path), (":authority", "gw"), ("accept-encoding", "gzip, br")]
}

fn reply_header(reply: &Reply, name: &str) -> Option<String> {
    let (_, value) = reply.headers.iter().find(|(found, _)| found == name)?;
    Some(String::from_utf8(value.clone()).unwrap())
}

fn left(call: &Call<CacheStream>) -> Option<&str> {
    call.handoff.0.get(handoff::CACHE).map(|status| std::str::from_utf8(status).unwrap())
}
