//! One admitted call, from its reservation to the log phase.

use std::rc::Rc;

use tollgate_core::handoff::{self, Attempt};
use tollgate_core::ports::{Body, Headers};
use tollgate_core::{Cx, HeaderList};
use tollgate_llm::{Api, Framing};

use crate::admission::{Charge, Need};
use crate::answer;
use crate::cap::{Cap, HardRules};
use crate::filter::Budget;
use crate::learned::Lesson;
use crate::models::normalized;
use crate::price::Price;
use crate::record::Told;
use crate::rule::Rule;
use crate::unit::Consumption;
use crate::watch::{Watch, capped};

/// The model call that it is.
pub struct Model {
    /// The endpoint.
    pub api: Api,
    /// What is learned when it has finished.
    pub lesson: Lesson,
    /// Whether the client asked for the usage of a stream.
    pub shows_usage: bool,
}

/// An admitted call that is not settled yet.
pub struct Spend {
    budget: Rc<Budget>,
    /// What each rule that counts it holds.
    charges: Vec<Charge>,
    /// What it was taken to need.
    need: Need,
    /// At which price it is charged: that of the reservation, until it is known who answers.
    price: Option<Price>,
    /// Who answers, where adapt tells.
    attempt: Option<Attempt>,
    /// `None`: it runs none that we know.
    model: Option<Model>,
    /// The usage chunk was asked for by us alone.
    hide_usage: bool,
    /// The answer, once a successful one began.
    watch: Option<Watch>,
    /// A part of the answer that must stay within hard rules.
    cap: Option<Cap>,
    /// What was last handed off of the answer.
    told: Told,
}

impl Spend {
    /// Nothing is used before an answer comes.
    pub fn new(budget: Rc<Budget>, charges: Vec<Charge>, need: Need, model: Option<Model>) -> Self {
        let price = need.price;
        let (attempt, watch, cap) = (None, None, None);
        Self { budget, charges, need, price, attempt, model, hide_usage: false, watch, cap, told: Told::default() }
    }

    /// The same; whether the usage chunk of a stream was asked for by us alone.
    #[must_use]
    pub fn hiding_usage(self, hide_usage: bool) -> Self {
        Self { hide_usage, ..self }
    }

    /// Leaves the usage record for metrics and access log.
    fn hand_off(&self, cx: &mut Cx<'_>) {
        handoff::set_usage(cx.handoff, self.told.record(self.price.as_ref(), self.attempt.as_ref()));
    }

    /// Adds to what the cache says that a hit saved what it would have cost: at the price that it was held at, since nobody was asked.
    fn price_saved(&self, cx: &mut Cx<'_>) {
        if !self.watch.as_ref().is_some_and(Watch::is_free) || !handoff::is_cache_hit(cx.handoff) {
            return;
        }
        let Some(mut saved) = handoff::saved(cx.handoff) else { return };
        saved.usage = capped(saved.usage);
        // As of an answer that passes and never tells its input.
        if saved.usage.input == 0 {
            saved.usage.input = self.need.expected.usage.input;
        }
        saved.cost_nanousd = self.price.as_ref().map(|price| price.of(&saved.usage));
        handoff::set_saved(cx.handoff, &saved);
    }

    /// Who answers says what is charged and what is learned. The accounts stay those that it was reserved in.
    fn answered_by(&mut self, attempt: Attempt) {
        if let Some(ran) = attempt.model.as_deref().map(normalized) {
            self.price = self.budget.policy.price_at(&attempt.provider, &ran).copied().or(self.price);
            if let Some(model) = &mut self.model {
                model.lesson.answered_by(ran);
            }
        }
        self.attempt = Some(attempt);
    }

    /// The answer's head: tells the limits, and watches what a success costs.
    pub fn answer_began(&mut self, cx: &mut Cx<'_>, headers: &mut dyn Headers) {
        if let Some(attempt) = handoff::attempt(cx.handoff) {
            self.answered_by(attempt);
        }
        let all = headers.all();
        let policy = &self.budget.policy;
        if !self.charges.is_empty() {
            // The provider's own, of requests where ours tell tokens, would stand beside ours as if they were one.
            for (name, _) in all.iter().filter(|(name, _)| name.starts_with(b"x-ratelimit-")) {
                headers.remove(&String::from_utf8_lossy(name));
            }
        }
        for (name, value) in answer::rate_limit_headers(&policy.rules, &self.charges) {
            headers.set(name, value.as_bytes());
        }
        if policy.explain {
            headers.set(answer::EXPLANATION, self.explanation().as_bytes());
        }
        if is_success(&all) {
            self.watch(cx, headers, Framing::of_head(&all));
        }
        if let Some(watch) = &self.watch {
            self.told.take(watch, cx.now);
        }
        self.hand_off(cx);
        self.price_saved(cx);
    }

    fn watch(&mut self, cx: &mut Cx<'_>, headers: &mut dyn Headers, framing: Option<Framing>) {
        let provider_spoke = !handoff::is_local_reply(cx.handoff);
        let mut watch = match &self.model {
            Some(model) if provider_spoke => {
                let ratio = self.budget.learned.answer_ratio(model.lesson.model());
                Watch::new(model.api, framing, self.need.expected.usage.input, ratio)
            }
            None if provider_spoke => Watch::counted(),
            _ => Watch::free(),
        };
        if self.hide_usage && framing == Some(Framing::Sse) {
            headers.remove("content-length");
            watch = watch.hiding_usage();
        }
        if let (Some(model), Some(framing)) = (&self.model, framing)
            && provider_spoke
            && Cap::can_end(model.api, framing)
            && self.charges.iter().any(|charge| self.rule(charge).is_some_and(|rule| rule.is_hard))
        {
            headers.remove("content-length");
            self.cap = Some(Cap::new(model.api, framing, model.shows_usage));
        }
        self.watch = Some(watch);
    }

    /// A part of the answer's body.
    pub fn answer_passed(&mut self, cx: &mut Cx<'_>, body: &mut dyn Body, last: bool) {
        let Some(watch) = self.watch.as_mut().filter(|watch| watch.reads()) else { return };
        let bytes = body.read();
        let mut passes = watch.feed(&bytes, last);
        self.keep_up(cx);
        if let Some(cap) = &mut self.cap {
            passes = cap.pass(passes.as_deref().unwrap_or(&bytes), last).or(passes);
        }
        // Where the host takes no more bytes (trailers came), only the rest of a cut event is lost.
        if let Some(passes) = passes {
            body.replace(&passes);
        }
        self.update(cx);
    }

    /// Holds more for an answer that grows under a hard rule, or ends it.
    fn keep_up(&mut self, cx: &mut Cx<'_>) {
        let used = self.consumption();
        let (Some(cap), Some(watch)) = (&mut self.cap, &self.watch) else { return };
        // What the provider says in the end it will not exceed any more.
        if cap.is_hit() || watch.finished_content().is_some() {
            return;
        }
        let (policy, ledger) = (&self.budget.policy, self.budget.ledger(cx));
        let hard = HardRules { rules: &policy.rules, ledger: &ledger, now: cx.now, lease: policy.lease };
        if let Some(rule) = hard.keep_up(&mut self.charges, &used, self.price.as_ref()) {
            cap.hit(&used.usage);
            if let Some(counter) = self.budget.meters.ended(rule) {
                counter.increment(cx.meter);
            }
        }
        self.budget.meters.conflicts.add(cx.meter, ledger.conflicts());
    }

    /// The call is over: every rule is charged what it used.
    pub fn settle(self, cx: &mut Cx<'_>) {
        let (meters, ledger) = (&self.budget.meters, self.budget.ledger(cx));
        let due = self.consumption();
        for charge in self.charges.iter().filter(|charge| !charge.is_refused_in_shadow) {
            let amount = self.rule(charge).map_or(0, |rule| rule.unit.amount(&due, self.price.as_ref()));
            if ledger.settle(&charge.terms, cx.now, charge.lease, amount).is_err() {
                // The hold stands until its lease ends; what the call cost beyond it is lost.
                meters.unsettled.increment(cx.meter);
            }
        }
        meters.conflicts.add(cx.meter, ledger.conflicts());
        let (reserved, used) = (self.need.expected.usage.total(), due.usage.total());
        meters.settled.add(cx.meter, used);
        meters.overrun.add(cx.meter, used.saturating_sub(reserved));
        let Some(watch) = &self.watch else { return };
        if watch.is_capped() {
            meters.capped.increment(cx.meter);
            self.budget.tell_of_absurd_usage(cx);
        } else if let (Some(model), Some(content)) = (&self.model, watch.finished_content())
            && !self.cap.as_ref().is_some_and(Cap::is_hit)
        {
            self.budget.learned.learn(&model.lesson, content, &due.usage);
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
        if self.watch.as_ref().is_some_and(|watch| self.told.take(watch, cx.now)) {
            self.hand_off(cx);
        }
    }
}

fn is_success(headers: &HeaderList) -> bool {
    matches!(headers.first(":status"), Some([b'2', _, _]))
}
