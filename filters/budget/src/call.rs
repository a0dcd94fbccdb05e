//! A call that asks to be admitted: what it may cost, whom it falls to, and what becomes of it.

use std::rc::Rc;

use tollgate_core::ports::Body;
use tollgate_core::{Cx, Identity, Refusal, Reply, Usage};
use tollgate_llm::{Api, Dialect, RequestFacts, force_stream_usage, refuse};

use crate::admission::{Admission, Decision, Need, Outcome};
use crate::answer;
use crate::config::OnContention;
use crate::filter::Budget;
use crate::ledger::Terms;
use crate::spend::Spend;
use crate::subject::Subject;
use crate::unit::Consumption;
use crate::watch::BYTES_PER_TOKEN;

/// A call that asks to be admitted.
pub struct Asking {
    /// Where it asks.
    pub budget: Rc<Budget>,
    /// Who pays.
    pub identity: Identity,
    /// The route, if any rule goes by it.
    pub route: String,
    /// The path with its query.
    pub path: Vec<u8>,
}

impl Asking {
    /// The request is whole: decides, and makes sure that a stream will say what it cost.
    pub fn decide(self, cx: &mut Cx<'_>, body: Option<&mut dyn Body>) -> Result<Spend, Reply> {
        if !Api::of(&self.path).is_inference() {
            let consumption = Consumption { requests: 1, usage: Usage::default() };
            let need = Need { expected: consumption, claimed: consumption, price: None };
            return self.admit(cx, None, need, Api::Other);
        }
        let bytes = body.as_ref().map(|body| body.read()).unwrap_or_default();
        let facts = RequestFacts::parse_and_count(&self.path, &bytes)
            .map_err(|bad| refuse(Dialect::of(&self.path), Refusal::InvalidRequest, &bad.to_string()))?;
        let model = facts.model.as_deref().unwrap_or_default().to_lowercase();
        if model.is_empty() && self.budget.needs_model {
            return Err(answer::no_model(Dialect::of(&self.path)));
        }
        let need = self.need(&facts, &model);
        let spend = self.admit(cx, Some(&model), need, facts.api)?;
        // Nothing to change means that the client asked for usage itself, so it will see it.
        let hide_usage = facts.stream && body.is_some_and(|body| force_usage(facts.api, body, &bytes));
        Ok(spend.hiding_usage(hide_usage))
    }

    /// Input: four bytes of text a token. Output: what the caller allows, else the configured estimate, per choice.
    fn need(&self, facts: &RequestFacts, model: &str) -> Need {
        let input = facts.prompt.text_bytes.div_ceil(BYTES_PER_TOKEN);
        let declared = match facts.api {
            Api::Embeddings => Some(0),
            _ => facts.max_output.map(|most| most.saturating_mul(facts.choices)),
        };
        let cold = self.budget.policy.output_estimate.cold;
        let output = declared.unwrap_or_else(|| cold.saturating_mul(facts.choices));
        let of = |output| Consumption { requests: 1, usage: Usage { input, output, ..Usage::default() } };
        Need {
            expected: of(output),
            claimed: of(declared.unwrap_or(0)),
            price: self.budget.policy.prices.of(model).copied(),
        }
    }

    fn admit(self, cx: &mut Cx<'_>, model: Option<&str>, need: Need, api: Api) -> Result<Spend, Reply> {
        let policy = &self.budget.policy;
        let subject = Subject { identity: &self.identity, model, route: &self.route };
        let rules = policy.rules.iter().enumerate();
        let counting: Vec<(usize, Terms)> =
            rules.filter_map(|(index, rule)| Some((index, rule.terms(&subject)?))).collect();
        let ledger = self.budget.ledger(cx);
        let admission = Admission {
            rules: &policy.rules,
            ledger: &ledger,
            now: cx.now,
            lease: policy.lease,
            passes_undecided: policy.on_contention == OnContention::Allow,
        };
        let decision = admission.decide(counting, &need);
        self.count(cx, &decision, &need, ledger.conflicts());
        let dialect = Dialect::of(&self.path);
        match decision.outcome {
            Outcome::Admitted => Ok(Spend::new(self.budget, decision.charges, need, api)),
            Outcome::Undecided(_) => Err(answer::undecided(dialect)),
            Outcome::Refused(refused) => {
                let Some(rule) = policy.rules.get(refused.rule) else { return Err(answer::undecided(dialect)) };
                let mut reply = answer::over_budget(dialect, rule, &refused);
                for (name, value) in answer::rate_limit_headers(&policy.rules, &decision.charges) {
                    reply = reply.with_header(name, value);
                }
                if policy.explain {
                    let explanation = answer::explanation(&policy.rules, &decision.charges, &need);
                    reply = reply.with_header(answer::EXPLANATION, explanation);
                }
                Err(reply)
            }
        }
    }

    fn count(&self, cx: &mut Cx<'_>, decision: &Decision, need: &Need, conflicts: u64) {
        let meters = &self.budget.meters;
        let counters = match &decision.outcome {
            Outcome::Admitted => {
                meters.reserved.add(cx.meter, need.expected.usage.total());
                Some(&meters.allowed)
            }
            Outcome::Refused(refused) => meters.denied(refused.rule),
            Outcome::Undecided(fault) => Some(meters.fault(*fault)),
        };
        let shadows = decision.shadow_refused.iter().filter_map(|rule| meters.shadow_denied(*rule));
        let faults = decision.faults.iter().map(|fault| meters.fault(*fault));
        for counter in counters.into_iter().chain(shadows).chain(faults) {
            counter.increment(cx.meter);
        }
        meters.conflicts.add(cx.meter, conflicts);
    }
}

fn force_usage(api: Api, body: &mut dyn Body, bytes: &[u8]) -> bool {
    matches!(api, Api::ChatCompletions | Api::Completions)
        && force_stream_usage(bytes).is_some_and(|forced| body.replace(&forced))
}
