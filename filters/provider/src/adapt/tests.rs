//! Attempts as Envoy makes them: what one did to the head is there in the next, the body is not, and hand-offs go on.

mod attempts;
mod bodies;
mod costs;
mod ends;
mod refusals;

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::{Value, json};
use tollgate_core::handoff::{self, Attempt, Routing};
use tollgate_core::{Flow, Reply};
use tollgate_fakehost::{Call, FakeHandoff, Proxy};

use crate::ProviderFilter;

const PROVIDERS: [&str; 7] = ["azure", "env", "plain", "prefix", "header", "claude", "openai"];

/// Providers that differ in all there is.
fn config() -> Value {
    json!({
        "providers": {
            "azure": {
                "url": "https://azure.example.com",
                "credential": {"header": "api-key", "from_file": "azure.yaml"},
                "models": {"gpt": "gpt-a", "image": "image-a"},
                "paths": {"/v1": "/openai/deployments/{model}", "/v1/files": "/openai/files"},
                "query": {"api-version": "1"},
                "headers": {"x-org": "azure", "x-both": "azure"},
                "body": {"set": {"store": false}, "drop": ["user"]},
            },
            "env": {
                "url": "http://env.internal:8080",
                "credential": {"header": "x-own-key", "scheme": "Key", "from_env": "ENV_KEY"},
                "models": {"gpt": "gpt/e"},
                "query": {"region": "eu"},
                "headers": {"x-both": "env", "x-env": "e"},
            },
            "plain": {"url": "https://plain.example.com"},
            "prefix": {"url": "https://prefix.example.com", "paths": {"/": "/base"}},
            "header": {"url": "https://header.example.com", "headers": {"x-both": "header", "x-one": "1"}},
            "claude": {
                "url": "https://claude.example.com",
                "credential": {"header": "x-api-key", "from_file": "claude.yaml"},
                "models": {"claude": "claude-4"},
                "stand_ins": {"gpt": "claude"},
            },
            "openai": {
                "url": "https://openai.example.com:443",
                "credential": {"header": "authorization", "scheme": "Bearer", "from_file": "openai.yaml"},
            },
        },
        "pools": {"p": {"priorities": [PROVIDERS]}},
        "models": {"gpt": {"pool": "p"}, "image": {"pool": "p"}, "fast": {"model": "gpt"}},
        "max_body_bytes": 4096,
        "max_cooldown": "1h",
    })
}

/// One call and all its attempts.
struct World {
    proxy: Proxy,
    filter: Rc<ProviderFilter>,
    /// What Envoy reads from files.
    secrets: BTreeMap<&'static str, &'static str>,
    /// The head, which all attempts share.
    head: Vec<(String, String)>,
    /// The body as the caller sent it; none: the head ends the request.
    body: Option<Vec<u8>>,
    handoff: FakeHandoff,
}

/// What a provider got.
#[derive(Debug)]
struct Sent {
    head: Vec<(String, String)>,
    body: Vec<u8>,
    call: Call<crate::filter::ProviderStream>,
}

impl Sent {
    fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.head.iter().filter(|(found, _)| found == name).map(|(_, value)| value.as_str());
        let value = values.next();
        assert_eq!(values.next(), None, "{name} is given twice");
        value
    }

    /// The head with several values of one name as the list that they are.
    fn sorted(&self) -> BTreeMap<String, String> {
        let mut head: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in &self.head {
            head.entry(name.clone())
                .and_modify(|list| *list += &format!(", {value}"))
                .or_insert_with(|| value.clone());
        }
        head
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// Everything that the provider can read.
    fn all(&self) -> String {
        format!("{:?} {}", self.head, String::from_utf8_lossy(&self.body))
    }
}

impl World {
    fn new(head: &[(&str, &str)], body: Option<&str>) -> Self {
        let mut proxy = Proxy { now: tollgate_core::Timestamp::from_secs(1_795_521_600), ..Proxy::default() };
        proxy.env.0.insert("ENV_KEY".into(), "secret-env".into());
        let filter = proxy.configure_root("adapt", &config().to_string()).unwrap();
        let mut head: Vec<_> = head.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        if let Some(body) = body {
            head.push(("content-length".into(), body.len().to_string()));
        }
        let secrets = [("azure", "secret-azure"), ("claude", "secret-claude\n"), ("openai", "secret-openai")];
        let body = body.map(|body| body.as_bytes().to_vec());
        let mut world = Self { proxy, filter, secrets: secrets.into(), head, body, handoff: FakeHandoff::default() };
        world.route(Some("gpt"), Some("gpt"));
        world
    }

    /// A chat completion in JSON.
    fn chat(body: &str) -> Self {
        Self::new(
            &[
                (":method", "POST"),
                (":path", "/v1/chat/completions"),
                (":authority", "gateway"),
                ("content-type", "application/json"),
            ],
            Some(body),
        )
    }

    /// What route decided.
    fn route(&mut self, asked: Option<&str>, model: Option<&str>) {
        let routing = Routing { asked: asked.map(Into::into), model: model.map(Into::into), pool: "p".into() };
        handoff::set_routing(&mut self.handoff, &routing);
    }

    /// One attempt: Envoy puts the secrets into the head, adapt fits the request, Envoy counts the body where its length is
    /// not known.
    fn attempt(&mut self, provider: &str) -> Result<Sent, Reply> {
        for (name, secret) in &self.secrets {
            let name = format!("x-gateway-credential-{name}");
            self.head.retain(|(found, _)| *found != name);
            self.head.push((name, (*secret).into()));
        }
        let mut call = Call::open(&self.filter, &self.proxy);
        call.handoff = self.handoff.clone();
        call.attributes.endpoint_metadata.insert("provider".into(), provider.into());
        let pairs: Vec<_> = self.head.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let sent = match call.request_headers(&pairs, self.body.is_none()) {
            Flow::Continue => match &self.body {
                Some(body) => call.request_body(&chunks(body)),
                None => Ok(Vec::new()),
            },
            Flow::Reply(reply) => Err(reply),
            other => panic!("{other:?}"),
        };
        self.handoff = call.handoff.clone();
        let text = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
        self.head = call.request_headers.0.iter().map(|(name, value)| (name.clone(), text(value))).collect();
        let body = match sent {
            Ok(body) => body,
            Err(reply) => {
                call.log();
                assert_eq!(call.handoff.0, self.handoff.0, "what was answered here is no attempt");
                return Err(reply);
            }
        };
        if self.body.is_some() && !self.head.iter().any(|(name, _)| name == "content-length") {
            self.head.push(("content-length".into(), body.len().to_string()));
        }
        Ok(Sent { head: self.head.clone(), body, call })
    }

    /// The end of an attempt that was answered; what is left of its answer's head.
    fn answered(&mut self, mut sent: Sent, status: &str, headers: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
        let head: Vec<_> = [(":status", status)].into_iter().chain(headers.iter().copied()).collect();
        sent.call.handoff = self.handoff.clone();
        assert_eq!(sent.call.response_headers(&head, false), Flow::Continue);
        assert_eq!(sent.call.response_chunk(b"any \xff bytes", true), b"any \xff bytes");
        sent.call.log();
        self.handoff = sent.call.handoff.clone();
        sent.call.response_headers.0
    }

    /// The end of an attempt that was not answered.
    fn unanswered(&mut self, mut sent: Sent, failure: Option<&str>) {
        sent.call.handoff = self.handoff.clone();
        sent.call.attributes.transport_failure = failure.map(Into::into);
        sent.call.log();
        self.handoff = sent.call.handoff;
    }

    fn told(&self) -> Attempt {
        handoff::attempt(&self.handoff).unwrap()
    }

    fn trail(&self) -> String {
        String::from_utf8(self.handoff.0.get(handoff::ATTEMPTS).cloned().unwrap_or_default()).unwrap()
    }
}

/// A body in pieces of three bytes, the last of them empty as where trailers end it.
fn chunks(body: &[u8]) -> Vec<&[u8]> {
    body.chunks(3).chain([&b""[..]]).collect()
}

fn message(reply: &Reply) -> String {
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    format!("{} {}", reply.status, body["error"]["message"].as_str().unwrap())
}
