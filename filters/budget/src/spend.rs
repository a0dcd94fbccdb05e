//! One admitted call, from its reservation to the log phase.

use std::rc::Rc;

use tollgate_core::ports::{Body, Headers};
use tollgate_core::{Cx, HeaderList, Usage, handoff};
use tollgate_llm::{Api, Framing};

use crate::admission::{Charge, Need};
use crate::answer;
use crate::filter::Budget;
use crate::rule::Rule;
use crate::unit::Consumption;
use crate::watch::Watch;

/// An admitted call that is not settled yet.
pub struct Spend {
    budget: Rc<Budget>,
    /// What each rule that counts it holds.
    charges: Vec<Charge>,
    /// What it was taken to need.
    need: Need,
    api: Api,
    /// The usage chunk was asked for by us alone.
    hide_usage: bool,
    /// The answer, once a successful one began.
    watch: Option<Watch>,
    /// As it was last handed off.
    usage: Usage,
}

impl Spend {
    /// Nothing is used before an answer comes.
    pub fn new(budget: Rc<Budget>, charges: Vec<Charge>, need: Need, api: Api) -> Self {
        Self { budget, charges, need, api, hide_usage: false, watch: None, usage: Usage::default() }
    }

    /// The same; whether the usage chunk of a stream was asked for by us alone.
    #[must_use]
    pub fn hiding_usage(self, hide_usage: bool) -> Self {
        Self { hide_usage, ..self }
    }

    /// Leaves the usage record for metrics and access log.
    pub fn hand_off(&self, cx: &mut Cx<'_>) {
        handoff::set_usage(cx.handoff, &self.usage);
    }

    /// The answer's head: tells the limits, and watches what a success costs.
    pub fn answer_began(&mut self, cx: &mut Cx<'_>, headers: &mut dyn Headers) {
        let all = headers.all();
        let policy = &self.budget.policy;
        for (name, value) in answer::rate_limit_headers(&policy.rules, &self.charges) {
            headers.set(name, value.as_bytes());
        }
        if policy.explain {
            headers.set(answer::EXPLANATION, self.explanation().as_bytes());
        }
        if !is_success(&all) {
            return;
        }
        let framing = Framing::of_head(&all);
        let no_provider_spoke = handoff::is_cache_hit(cx.handoff) || handoff::is_local_reply(cx.handoff);
        let mut watch = if no_provider_spoke {
            Watch::free()
        } else if self.api.is_inference() {
            Watch::new(self.api, framing, self.need.expected.usage.input)
        } else {
            Watch::counted()
        };
        if self.hide_usage && framing == Some(Framing::Sse) {
            headers.remove("content-length");
            watch = watch.hiding_usage();
        }
        self.watch = Some(watch);
        self.update(cx);
    }

    /// A part of the answer's body.
    pub fn answer_passed(&mut self, cx: &mut Cx<'_>, body: &mut dyn Body, last: bool) {
        let Some(watch) = self.watch.as_mut().filter(|watch| watch.reads()) else { return };
        // Where the host takes no more bytes (trailers came), only the rest of a cut event is lost.
        if let Some(bytes) = watch.feed(&body.read(), last) {
            body.replace(&bytes);
        }
        self.update(cx);
    }

    /// The call is over: every rule is charged what it used.
    pub fn settle(self, cx: &mut Cx<'_>) {
        let (meters, ledger) = (&self.budget.meters, self.budget.ledger(cx));
        let due = self.consumption();
        for charge in &self.charges {
            let amount = self.rule(charge).map_or(0, |rule| rule.unit.amount(&due, self.need.price.as_ref()));
            if ledger.settle(&charge.terms, cx.now, charge.lease, amount).is_err() {
                // The hold stands until its lease ends; what the call cost beyond it is lost.
                meters.unsettled.increment(cx.meter);
            }
        }
        meters.conflicts.add(cx.meter, ledger.conflicts());
        let (reserved, used) = (self.need.expected.usage.total(), due.usage.total());
        meters.settled.add(cx.meter, used);
        meters.overrun.add(cx.meter, used.saturating_sub(reserved));
        if self.watch.as_ref().is_some_and(Watch::is_capped) {
            meters.capped.increment(cx.meter);
            self.budget.tell_of_absurd_usage(cx);
        }
    }

    /// What the call owes as it stands.
    fn consumption(&self) -> Consumption {
        self.watch.as_ref().map(Watch::consumption).unwrap_or_default()
    }

    fn rule(&self, charge: &Charge) -> Option<&Rule> {
        self.budget.policy.rules.get(charge.rule)
    }

    fn explanation(&self) -> String {
        answer::explanation(&self.budget.policy.rules, &self.charges, &self.need)
    }

    fn update(&mut self, cx: &mut Cx<'_>) {
        let usage = self.consumption().usage;
        if usage != self.usage {
            self.usage = usage;
            self.hand_off(cx);
        }
    }
}

fn is_success(headers: &HeaderList) -> bool {
    matches!(headers.first(":status"), Some([b'2', _, _]))
}
