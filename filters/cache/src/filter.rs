//! The phases of a call and what the cache decides in each.
//!
//! Request head: whose call is it, and what does the caller wish. Request body: wait until it is whole, make the key,
//! look it up, reply or let it go. Response head: say what was done, start recording. Response body: record, store at
//! the end. Nothing happens in the log phase: a call that never ended leaves nothing, and no count of what became of it.
//!
//! Behind a provider filter the key is that of the model that runs, and what another model answered in its stead is not
//! stored.
//!
//! A call that is no model call (another path or method) is not touched, not counted and not marked.

use std::rc::Rc;
use std::time::Duration;

use tollgate_core::handoff::{self, CacheStatus};
use tollgate_core::ports::{Body, Headers};
use tollgate_core::{
    Background, ConfigError, Cx, Filter, Flow, HeaderList, Reply, Setup, Stream, UsageRecord, header, metric,
};
use tollgate_llm::Api;

use crate::config::{CachePolicy, Mode};
use crate::control::{self, Wish};
use crate::entry::Entry;
use crate::key::{Key, KeyBuilder};
use crate::occupancy::{Change, Occupancy, Tally};
use crate::outcome::Stored;
use crate::recorder::Recorder;
use crate::stateful::is_stateful;
use crate::store;

/// How old the gauges may be.
const PACE: Duration = Duration::from_secs(10);

/// The cache filter.
#[derive(Debug)]
pub struct Cache {
    policy: CachePolicy,
    tally: Tally,
}

impl Filter for Cache {
    const NAME: &'static str = "cache";
    type Stream = CacheStream;

    fn configure(setup: &mut Setup<'_>) -> Result<Self, ConfigError> {
        Ok(Self { policy: CachePolicy::from_json(setup.config)?, tally: Tally::default() })
    }

    fn open(self: &Rc<Self>) -> CacheStream {
        CacheStream { cache: Rc::clone(self), state: State::Outside }
    }

    fn pace(&self) -> Option<Duration> {
        (self.policy.mode != Mode::Off).then_some(PACE)
    }

    fn on_tick(&self, cx: &mut Background<'_>) {
        self.tally.add(cx.store, Change::default());
        let Occupancy { entries, bytes } = Occupancy::read(cx.store);
        cx.meter.set(metric::CACHE_ENTRIES, &[], entries);
        cx.meter.set(metric::CACHE_BYTES, &[], bytes);
    }
}

/// One call.
#[derive(Debug)]
pub struct CacheStream {
    cache: Rc<Cache>,
    state: State,
}

/// How far the call is.
#[derive(Debug)]
enum State {
    /// No model call, or the cache is off.
    Outside,
    /// The body is on its way; with it the key can be made.
    Asked(Question),
    /// What the cache did is settled, and whether the answer is wanted.
    Decided(CacheStatus, Option<Wanted>),
    /// The answer is passing. Boxed, since it is far larger than the rest and most calls never get here.
    Recording(Box<Recorder>),
    /// Nothing more to do.
    Done,
}

/// A call that has a key once its body is whole.
#[derive(Debug)]
struct Question {
    api: Api,
    key: KeyBuilder,
    /// What to call the outcome if the store does not answer; `Refresh` does not ask it.
    otherwise: CacheStatus,
}

/// An answer that is to be stored.
#[derive(Debug)]
struct Wanted {
    api: Api,
    key: Key,
}

impl Stream for CacheStream {
    fn on_request_headers(&mut self, cx: &mut Cx<'_>, headers: &mut dyn Headers, last: bool) -> Flow {
        let head = headers.all();
        if head.first(header::GATEWAY_CACHE).is_some() {
            // Between caller and gateway only.
            headers.remove(header::GATEWAY_CACHE);
        }
        let api = Api::of(head.first(":path").unwrap_or_default());
        let is_call = api.is_inference() && head.first(":method") == Some(b"POST");
        if self.cache.policy.mode == Mode::Off || !is_call {
            return Flow::Continue;
        }
        let otherwise = match control::wish(&head) {
            Wish::Bypass => return self.decide(cx, CacheStatus::Bypass, None),
            Wish::Refresh => CacheStatus::Refresh,
            Wish::Normal => CacheStatus::Miss,
        };
        if last {
            return self.decide(cx, CacheStatus::Bypass, None);
        }
        // A compressed answer could not be read here, nor replayed to a caller that cannot read it; without the header any
        // coding is acceptable (RFC 9110 §12.5.3).
        headers.set("accept-encoding", b"identity");
        let identity = handoff::identity(cx.handoff);
        let route = cx.attributes.route_name();
        let shared = self.cache.policy.shared_between_tenants;
        let key = KeyBuilder::new(&head, identity.as_ref(), route.as_deref(), shared);
        self.state = State::Asked(Question { api, key, otherwise });
        Flow::Continue
    }

    fn on_request_body(&mut self, cx: &mut Cx<'_>, body: &mut dyn Body, last: bool) -> Flow {
        match std::mem::replace(&mut self.state, State::Done) {
            State::Asked(_) if body.len() > self.cache.policy.max_body_bytes => {
                self.decide(cx, CacheStatus::Bypass, None)
            }
            State::Asked(question) if last => self.answer(cx, question, &body.read()),
            State::Asked(question) => {
                self.state = State::Asked(question);
                Flow::Wait
            }
            other => {
                self.state = other;
                Flow::Continue
            }
        }
    }

    fn on_response_headers(&mut self, cx: &mut Cx<'_>, headers: &mut dyn Headers, last: bool) -> Flow {
        // A refusal at the request's body, by a filter further out, passes here too: it speaks for the gateway.
        if handoff::is_local_reply(cx.handoff) {
            self.state = State::Done;
            return Flow::Continue;
        }
        let head = headers.all();
        let is_ours = |name: &&[u8]| name.starts_with(header::GATEWAY_PREFIX.as_bytes());
        let ours = head.iter().map(|(name, _)| name).filter(is_ours);
        for name in ours.filter_map(|name| str::from_utf8(name).ok()) {
            // What stands there speaks for the gateway, so the provider may not write it.
            headers.remove(name);
        }
        let State::Decided(status, wanted) = std::mem::replace(&mut self.state, State::Done) else {
            return Flow::Continue;
        };
        headers.set(header::GATEWAY_CACHE, status.as_str().as_bytes());
        let Some(wanted) = wanted else { return Flow::Continue };
        match self.record(cx, &wanted, &head, last) {
            Ok(recorder) => self.state = State::Recording(Box::new(recorder)),
            Err(result) => result.count(cx.meter),
        }
        Flow::Continue
    }

    fn on_response_body(&mut self, cx: &mut Cx<'_>, body: &mut dyn Body, last: bool) -> Flow {
        let State::Recording(recorder) = &mut self.state else {
            return Flow::Continue;
        };
        let is_kept = recorder.feed(&body.read());
        if is_kept && !last {
            return Flow::Continue;
        }
        if let State::Recording(recorder) = std::mem::replace(&mut self.state, State::Done) {
            let entry =
                if is_kept { recorder.finish(cx.now).ok_or(Stored::Incomplete) } else { Err(Stored::TooLarge) };
            let result = entry.map_or_else(|result| result, |entry| self.store(cx, &entry));
            result.count(cx.meter);
        }
        Flow::Continue
    }
}

impl CacheStream {
    /// The whole body is there: look it up.
    fn answer(&mut self, cx: &mut Cx<'_>, question: Question, body: &[u8]) -> Flow {
        let Question { api, key, otherwise } = question;
        // No key: no JSON, or none that reads the same everywhere. Whether that is an error others say.
        let routing = handoff::routing(cx.handoff);
        let Some(key) = key.routed(routing.as_ref()).finish(body).filter(|_| !is_stateful(api, body)) else {
            return self.decide(cx, CacheStatus::Bypass, None);
        };
        if otherwise == CacheStatus::Miss
            && let Some(entry) = store::load(cx.store, self.cache.policy.slots, &key, cx.now)
        {
            self.decide(cx, CacheStatus::Hit, None);
            handoff::set_saved(cx.handoff, &UsageRecord::from(&entry.usage));
            let age = entry.age(cx.now).as_secs();
            return Flow::Reply(replay(entry, age));
        }
        self.decide(cx, otherwise, Some(Wanted { api, key }))
    }

    /// Whether an answer of this head can be stored at all.
    fn record(&self, cx: &Cx<'_>, wanted: &Wanted, head: &HeaderList, last: bool) -> Result<Recorder, Stored> {
        if handoff::attempt(cx.handoff).is_some_and(|attempt| attempt.stands_in) {
            return Err(Stored::StandIn);
        }
        let recorder =
            Recorder::start(&self.cache.policy, wanted.key, wanted.api, head).ok_or(Stored::NotCacheable)?;
        if last { Err(Stored::Incomplete) } else { Ok(recorder) }
    }

    /// Stores an answer. A store that does not take it costs a later miss, nothing else.
    fn store(&self, cx: &mut Cx<'_>, entry: &Entry) -> Stored {
        let Some(saved) = store::save(cx.store, self.cache.policy.slots, entry, cx.now) else {
            return Stored::TooLarge;
        };
        self.cache.tally.add(cx.store, saved.change);
        cx.meter.add(metric::CACHE_EVICTIONS, &[], u64::from(saved.evicted));
        Stored::Kept
    }

    /// Settles what the cache did: counts it and tells the other filters, once a call and before any answer exists.
    fn decide(&mut self, cx: &mut Cx<'_>, status: CacheStatus, wanted: Option<Wanted>) -> Flow {
        cx.handoff.set(handoff::CACHE, status.as_str().as_bytes());
        cx.meter.add(metric::CACHE, &[("result", status.as_str())], 1);
        self.state = State::Decided(status, wanted);
        Flow::Continue
    }
}

/// The stored answer, as it was given the first time.
fn replay(entry: Entry, age: u64) -> Reply {
    Reply { status: 200, headers: vec![("content-type".into(), entry.content_type)], body: entry.body }
        .with_header(header::GATEWAY_CACHE, CacheStatus::Hit.as_str())
        .with_header("age", age.to_string())
}

#[cfg(test)]
mod tests;
