//! A filter that does as it is told, and tells what it saw.

use std::rc::Rc;
use std::time::Duration;

use tollgate_core::ports::{Body, Expect, Headers, SharedStore};
use tollgate_core::{Answer, Background, Callout, CalloutId, ConfigError, Cx, Filter, Flow, Reply, Setup, Stream};
use tollgate_fakehost::abi;

/// Its configuration is its order. `wait` and `reply` are answered in every phase, `wait-body` in every body phase;
/// `hold`, `hold-reply` and `hold-replace` wait for the end of a body and then let go, reply, or put other bytes there;
/// `hold-changed` puts other bytes there and waits on; `hold-first` lets go in the middle, from four bytes on.
/// `suspend` suspends each call until a tick, then does what [`Puppet::decide`] said last, and sends a callout to the
/// cluster `keys` at each tick. `heads` wants no request body. Everything else is Continue.
pub(crate) struct Puppet {
    order: String,
}

impl Puppet {
    /// What a suspended call is told when it is woken: `stay`, `reply`, or anything else to go on.
    pub(crate) fn decide(verdict: &str) {
        abi::with(|abi| abi.properties.insert(b"verdict".to_vec(), verdict.into()));
    }

    /// The phases that the streams of this thread saw.
    pub(crate) fn saw() -> Vec<String> {
        abi::with(|abi| abi.properties.get(&b"saw"[..]).cloned())
            .map(|saw| String::from_utf8(saw).unwrap().split_terminator(' ').map(Into::into).collect())
            .unwrap_or_default()
    }
}

impl Filter for Puppet {
    const NAME: &'static str = "puppet";
    type Stream = PuppetStream;

    fn configure(setup: &mut Setup<'_>) -> Result<Self, ConfigError> {
        let order = String::from_utf8_lossy(setup.config).into_owned();
        setup.store.put("root", setup.root.as_bytes(), Expect::Anything);
        if order == "bad" {
            return Err(ConfigError::at("limits[0].tokens", "must be above 0,\nnot below"));
        }
        Ok(Self { order })
    }

    fn open(self: &Rc<Self>) -> PuppetStream {
        PuppetStream { order: self.order.clone() }
    }

    fn on_end(&self, store: &dyn SharedStore) {
        store.put("ended", self.order.as_bytes(), Expect::Anything);
    }

    fn pace(&self) -> Option<Duration> {
        (self.order == "suspend").then_some(Duration::from_micros(10_500))
    }

    fn on_tick(&self, cx: &mut Background<'_>) {
        let headers = vec![(":method".into(), "GET".into())];
        cx.callouts.send(&Callout { cluster: "keys".into(), headers, timeout: Duration::from_secs(5) });
        cx.wake = true;
    }

    fn on_answer(&self, cx: &mut Background<'_>, callout: CalloutId, answer: &Answer<'_>) {
        let body = String::from_utf8(answer.body.read()).unwrap();
        cx.log.info(&format!("{callout:?} {:?} {}\n{body}", answer.status, answer.headers.len()));
        cx.wake = true;
    }
}

pub(crate) struct PuppetStream {
    order: String,
}

impl PuppetStream {
    fn note(cx: &mut Cx<'_>, what: &str) {
        let mut saw = cx.handoff.get("saw").unwrap_or_default();
        saw.extend(format!("{what} ").bytes());
        cx.handoff.set("saw", &saw);
    }

    fn flow(&self) -> Flow {
        match self.order.as_str() {
            "wait" => Flow::Wait,
            "suspend-late" => Flow::Suspend,
            "reply" => Flow::Reply(Reply::json(429, b"{}".to_vec()).with_header("x-model", *b"a\r\nb")),
            _ => Flow::Continue,
        }
    }

    fn body(&self, cx: &mut Cx<'_>, side: &str, body: &mut dyn Body, last: bool) -> Flow {
        let bytes = String::from_utf8(body.read()).unwrap();
        Self::note(cx, &format!("{side}:{bytes}{}", if last { ":last" } else { "" }));
        match self.order.as_str() {
            "hold" | "hold-reply" | "hold-replace" if !last => Flow::Wait,
            "hold-first" if bytes.len() < 4 => Flow::Wait,
            "hold-changed" if !last => {
                body.replace(b"changed");
                Flow::Wait
            }
            "hold-reply" if last => Flow::Reply(Reply::json(403, b"{}".to_vec())),
            "hold-replace" => {
                let replaced = body.replace(b"other");
                Self::note(cx, &format!("replaced={replaced}"));
                Flow::Continue
            }
            "wait-body" => Flow::Wait,
            _ => self.flow(),
        }
    }
}

impl Stream for PuppetStream {
    fn on_request_headers(&mut self, cx: &mut Cx<'_>, headers: &mut dyn Headers, _last: bool) -> Flow {
        Self::note(cx, &format!("request:{}", headers.all().len()));
        if self.order == "suspend" { Flow::Suspend } else { self.flow() }
    }

    fn on_wake(&mut self, cx: &mut Cx<'_>, headers: &mut dyn Headers) -> Flow {
        Self::note(cx, &format!("wake:{}", headers.all().len()));
        match cx.handoff.get("verdict").as_deref() {
            Some(b"stay") => Flow::Suspend,
            Some(b"wait") => Flow::Wait,
            Some(b"reply") => Flow::Reply(Reply::json(401, b"{}".to_vec())),
            _ => Flow::Continue,
        }
    }

    fn reads_request_body(&self) -> bool {
        self.order != "heads"
    }

    fn on_request_body(&mut self, cx: &mut Cx<'_>, body: &mut dyn Body, last: bool) -> Flow {
        self.body(cx, "request-body", body, last)
    }

    fn on_response_headers(&mut self, cx: &mut Cx<'_>, headers: &mut dyn Headers, _last: bool) -> Flow {
        Self::note(cx, &format!("response:{}", headers.all().len()));
        self.flow()
    }

    fn on_response_body(&mut self, cx: &mut Cx<'_>, body: &mut dyn Body, last: bool) -> Flow {
        self.body(cx, "response-body", body, last)
    }

    fn on_log(&mut self, cx: &mut Cx<'_>) {
        Self::note(cx, &format!("log@{}", cx.now.as_nanos()));
    }
}
