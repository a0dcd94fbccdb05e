//! The phases of a call: reserve when the request is whole, watch the answer, settle once in the log phase.
//!
//! What a call owes, by how it ended:
//!
//! | end | owes |
//! |---|---|
//! | success with reported usage | what was reported |
//! | success without, or cut in the middle | estimated input, and the output that passed |
//! | answered by a filter, as from the cache | nothing |
//! | success after other providers failed | as above, at the price of who answered |
//! | any other status; no answer at all, also when the client left before one | nothing |
//!
//! The usage record (`tollgate_core::handoff::USAGE`) says the same from the answer's head on, so metrics and access log
//! agree with what is settled.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tollgate_core::ports::{Body, Headers};
use tollgate_core::{
    Background, ConfigError, Cx, Filter, Flow, Identity, Reply, Setup, Stream, Timestamp, handoff, header,
};
use tollgate_llm::{Api, Dialect};

use crate::answer;
use crate::call::Asking;
use crate::config::Policy;
use crate::gauges::{self, Gauges};
use crate::learned::Learned;
use crate::ledger::Ledger;
use crate::mask;
use crate::meters::Meters;
use crate::report::{self, Query};
use crate::spend::Spend;

/// Who pays when no auth filter runs before: all callers together.
const ANONYMOUS: &str = "anonymous";
/// A provider that reports absurd usage leaves one line in the log in this time.
const LOG_PAUSE: Duration = Duration::from_secs(60);

/// The budget filter.
pub struct Budget {
    /// What it goes by.
    pub policy: Policy,
    /// What it counts.
    pub meters: Meters,
    /// Which accounts it tells of.
    pub gauges: Gauges,
    /// What it learned.
    pub learned: Learned,
    needs_route: bool,
    /// Whether any rule counts calls that run no model we know.
    counts_other: bool,
    told_at: Cell<Timestamp>,
}

impl Filter for Budget {
    const NAME: &'static str = "budget";
    type Stream = BudgetStream;

    fn configure(setup: &mut Setup<'_>) -> Result<Self, ConfigError> {
        let policy = Policy::parse(setup.config)?;
        Ok(Self {
            meters: Meters::new(&policy.rules),
            gauges: Gauges::new(&policy.rules, setup.now),
            learned: Learned::new(&policy, setup.random),
            needs_route: policy.rules.iter().any(|rule| rule.needs_route()),
            counts_other: policy.rules.iter().any(|rule| rule.counts_other()),
            told_at: Cell::default(),
            policy,
        })
    }

    fn open(self: &Rc<Self>) -> BudgetStream {
        BudgetStream { budget: Rc::clone(self), phase: Phase::Outside }
    }

    fn pace(&self) -> Option<Duration> {
        Some(gauges::PACE)
    }

    fn on_tick(&self, cx: &mut Background<'_>) {
        self.gauges.tick(&self.policy.rules, self.policy.slots, cx);
    }
}

impl Budget {
    /// All accounts.
    pub fn ledger<'a>(&self, cx: &Cx<'a>) -> Ledger<'a> {
        Ledger::new(cx.store, self.policy.slots)
    }

    /// Writes a line, but not for every call.
    pub fn tell_of_absurd_usage(&self, cx: &mut Cx<'_>) {
        if cx.now.since(self.told_at.get()) >= LOG_PAUSE {
            self.told_at.set(cx.now);
            cx.log.warn("a provider reported more tokens than any call can use; the usage was capped");
        }
    }
}

/// One call.
pub struct BudgetStream {
    budget: Rc<Budget>,
    phase: Phase,
}

enum Phase {
    /// Nothing to decide: not counted, refused, or settled already.
    Outside,
    /// The body of a model call is being read.
    Reading(Box<Asking>),
    /// Admitted, not yet settled.
    Open(Box<Spend>),
}

impl Stream for BudgetStream {
    fn on_request_headers(&mut self, cx: &mut Cx<'_>, headers: &mut dyn Headers, last: bool) -> Flow {
        let all = headers.all();
        let method = all.first(":method").unwrap_or_default();
        let path = all.first(":path").unwrap_or_default();
        if method == b"GET" && path.split(|byte| *byte == b'?').next() == Some(report::PATH) {
            let identity = handoff::identity(cx.handoff);
            let ledger = self.budget.ledger(cx);
            let query = Query::parse(path);
            return Flow::Reply(report::report(&self.budget.policy, &ledger, cx.now, identity.as_ref(), &query));
        }
        // A provider that does not look at the method would run the model for any call that brings a body.
        let may_do_work = method == b"POST" || !last;
        let api = Api::of(path);
        let is_inference = api.is_inference();
        if !may_do_work || !(is_inference || self.budget.counts_other) {
            self.budget.meters.bypassed.increment(cx.meter);
            cx.handoff.set(handoff::BUDGET, b"bypassed");
            return Flow::Continue;
        }
        let asking = self.asking(cx, path);
        if !is_inference {
            let decided = asking.decide_unread(cx);
            return self.admit(decided);
        }
        // Whatever reads as JSON here, the provider would read what it unpacks to.
        if header::is_encoded(&all) {
            return Flow::Reply(answer::compressed(Dialect::of(path)));
        }
        if mask::is_masked(api, path) {
            return Flow::Reply(answer::masked(Dialect::of(path)));
        }
        headers.remove(mask::HEADER);
        let most = self.budget.policy.max_body_bytes;
        if header::declared_length(&all).is_some_and(|length| length > most as u64) {
            return Flow::Reply(answer::too_large(Dialect::of(path), most));
        }
        // Usage must be readable in the answer (without the header any coding is acceptable, RFC 9110 §12.5.3), and the body may grow
        // by a stream option.
        headers.set("accept-encoding", b"identity");
        headers.remove("content-length");
        if last {
            let decided = asking.decide(cx, None);
            return self.admit(decided);
        }
        self.phase = Phase::Reading(Box::new(asking));
        Flow::Continue
    }

    fn reads_request_body(&self) -> bool {
        matches!(self.phase, Phase::Reading(_))
    }

    fn on_request_body(&mut self, cx: &mut Cx<'_>, body: &mut dyn Body, last: bool) -> Flow {
        let Phase::Reading(asking) = &self.phase else { return Flow::Continue };
        let most = self.budget.policy.max_body_bytes;
        if body.len() > most {
            let reply = answer::too_large(Dialect::of(&asking.path), most);
            self.phase = Phase::Outside;
            return Flow::Reply(reply);
        }
        if !last {
            return Flow::Wait;
        }
        match std::mem::replace(&mut self.phase, Phase::Outside) {
            Phase::Reading(asking) => {
                let decided = asking.decide(cx, Some(body));
                self.admit(decided)
            }
            Phase::Outside | Phase::Open(_) => Flow::Continue,
        }
    }

    fn on_response_headers(&mut self, cx: &mut Cx<'_>, headers: &mut dyn Headers, _last: bool) -> Flow {
        let Phase::Open(spend) = &mut self.phase else { return Flow::Continue };
        spend.answer_began(cx, headers);
        Flow::Continue
    }

    fn on_response_body(&mut self, cx: &mut Cx<'_>, body: &mut dyn Body, last: bool) -> Flow {
        let Phase::Open(spend) = &mut self.phase else { return Flow::Continue };
        spend.answer_passed(cx, body, last);
        Flow::Continue
    }

    fn on_log(&mut self, cx: &mut Cx<'_>) {
        let Phase::Open(spend) = std::mem::replace(&mut self.phase, Phase::Outside) else { return };
        spend.settle(cx);
    }
}

impl BudgetStream {
    fn asking(&self, cx: &Cx<'_>, path: &[u8]) -> Asking {
        let identity = handoff::identity(cx.handoff).unwrap_or_else(|| Identity {
            tenant: ANONYMOUS.to_owned(),
            credential_id: String::new(),
            tier: None,
        });
        let route = if self.budget.needs_route { cx.attributes.route_name() } else { None };
        Asking { budget: Rc::clone(&self.budget), identity, route: route.unwrap_or_default(), path: path.to_vec() }
    }

    fn admit(&mut self, decided: Result<Spend, Reply>) -> Flow {
        match decided {
            Ok(spend) => {
                self.phase = Phase::Open(Box::new(spend));
                Flow::Continue
            }
            Err(reply) => Flow::Reply(reply),
        }
    }
}

#[cfg(test)]
mod tests;
