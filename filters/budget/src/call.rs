//! A call that asks to be admitted: what it may cost, whom it falls to, and what becomes of it.

use std::borrow::Cow;
use std::rc::Rc;

use tollgate_core::ports::Body;
use tollgate_core::{Cx, Identity, Refusal, Reply, Usage, handoff};
use tollgate_llm::{Api, Dialect, RequestFacts, force_stream_usage, limit_output, refuse};

use crate::admission::{Admission, Decision, Need, Outcome};
use crate::answer;
use crate::cap::{Allowance, HardRules, MOST_GENERATED};
use crate::config::OnContention;
use crate::filter::Budget;
use crate::learned::Lesson;
use crate::ledger::{Ledger, Terms};
use crate::models::normalized;
use crate::price::Price;
use crate::spend::{Model, Spend};
use crate::subject::Subject;
use crate::unit::{Consumption, Unit};
use crate::watch::MOST_TOKENS;

/// Longest name of a model in bytes: no provider's come near. It is hashed for every rule that goes by it, and kept with the call.
const LONGEST_MODEL: usize = 512;

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
    /// A call of an endpoint that runs no model we know: only how many there are is counted.
    pub fn decide_unread(&self, cx: &mut Cx<'_>) -> Result<Spend, Reply> {
        let consumption = Consumption { requests: 1, usage: Usage::default() };
        let need = Need::of(consumption, None);
        let ledger = self.budget.ledger(cx);
        let counting = self.counting(&self.subject(None, &[]));
        self.admit(cx, &ledger, counting, need, None)
    }

    /// The request is whole: decides, and makes sure that a stream will say what it cost.
    pub fn decide(&self, cx: &mut Cx<'_>, body: Option<&mut dyn Body>) -> Result<Spend, Reply> {
        let bytes = body.as_ref().map(|body| body.read()).unwrap_or_default();
        let facts = self.facts(cx, &bytes)?;
        let name = normalized(facts.model.as_deref().unwrap_or_default());
        let others: Vec<String> = facts.other_models.iter().map(|model| normalized(model)).collect();
        let subject = self.subject(Some(&name), &others);
        if name.is_empty() && self.budget.policy.rules.iter().any(|rule| rule.asks_for_model(&subject)) {
            return Err(answer::no_model(Dialect::of(&self.path)));
        }
        if std::iter::once(&name).chain(&others).any(|name| name.len() > LONGEST_MODEL) {
            return Err(answer::model_too_long(Dialect::of(&self.path), LONGEST_MODEL));
        }
        let ledger = self.budget.ledger(cx);
        let counting = self.counting(&subject);
        if facts.background && counting.iter().any(|(index, _)| self.counts_usage(*index)) {
            return Err(answer::in_background(Dialect::of(&self.path)));
        }
        let input = self.budget.learned.input(&facts, &name);
        let lesson = self.budget.learned.lesson(&self.identity.tenant, &name, &facts, input);
        let price = self.dearest(&name, &others, input);
        let prompt = Need::of(consumption(input, 0), price);
        let (rules, lease) = (&self.budget.policy.rules, self.budget.policy.lease);
        let hard = HardRules { rules, ledger: &ledger, now: cx.now, lease };
        let allowance = match facts.api {
            Api::Embeddings => None,
            _ => hard.allowance(&counting, &prompt, facts.max_output, facts.choices),
        };
        let need = self.need(&facts, &lesson, prompt, allowance);
        let model = Model { api: facts.api, lesson, shows_usage: facts.usage_asked };
        let spend = self.admit(cx, &ledger, counting, need, Some(model))?;
        let most = allowance.filter(|allowance| allowance.is_told).map(|allowance| allowance.per_choice);
        let asks_usage = body.is_some_and(|body| rewrite(&self.path, facts.api, &bytes, most, body));
        Ok(spend.hiding_usage(asks_usage))
    }

    /// What the call asks for. Where route decided on a model that one runs, whatever names the call gives.
    fn facts(&self, cx: &Cx<'_>, body: &[u8]) -> Result<RequestFacts, Reply> {
        let facts = RequestFacts::parse_and_count(&self.path, body)
            .map_err(|bad| refuse(Dialect::of(&self.path), Refusal::InvalidRequest, &bad.to_string()))?;
        Ok(match handoff::routing(cx.handoff).and_then(|routing| routing.model) {
            Some(model) => RequestFacts { model: Some(model), other_models: Vec::new(), ..facts },
            None => facts,
        })
    }

    /// Whether a rule counts more than how many calls there are.
    fn counts_usage(&self, rule: usize) -> bool {
        self.budget.policy.rules.get(rule).is_some_and(|rule| rule.unit != Unit::Requests)
    }

    fn subject<'a>(&'a self, model: Option<&'a str>, other_models: &'a [String]) -> Subject<'a> {
        Subject { identity: &self.identity, model, other_models, route: &self.route }
    }

    fn counting(&self, subject: &Subject<'_>) -> Vec<(usize, Terms)> {
        let rules = self.budget.policy.rules.iter().enumerate();
        rules.filter_map(|(index, rule)| Some((index, rule.terms(subject)?))).collect()
    }

    /// A call may cost what any model costs that it names.
    fn dearest(&self, name: &str, others: &[String], input: u64) -> Option<Price> {
        let names = std::iter::once(name).chain(others.iter().map(String::as_str));
        let prices = names.filter_map(|name| self.budget.policy.prices.of(name));
        let usual = Usage { input, output: self.budget.policy.output_estimate.cold(), ..Usage::default() };
        prices.max_by_key(|price| price.of(&usual)).copied()
    }

    /// What is reserved: the prompt, and what is expected to be generated. Under a hard cap a JSON answer, which nobody can stop, reserves
    /// all that it can take.
    fn need(&self, facts: &RequestFacts, lesson: &Lesson, prompt: Need, allowance: Option<Allowance>) -> Need {
        if facts.api == Api::Embeddings {
            return prompt;
        }
        let input = prompt.expected.usage.input;
        let all_choices = |tokens: u64| tokens.saturating_mul(facts.choices);
        let most = allowance.map_or(u64::MAX, |allowance| allowance.per_choice);
        let claimed = facts.max_output.map(|declared| all_choices(declared.min(most)));
        let expected = self.budget.learned.output(lesson).min(all_choices(most));
        let bound = if facts.stream { expected } else { claimed.unwrap_or(all_choices(most.min(MOST_GENERATED))) };
        Need {
            // Nothing is held beyond what can be charged. A call that may generate is never taken to generate nothing, whatever was
            // learned: it would pass in any debt.
            expected: consumption(input, expected.clamp(1, MOST_TOKENS)),
            bound: consumption(input, bound.clamp(1, MOST_TOKENS)),
            // No answer is shorter than a token.
            claimed: consumption(input, claimed.unwrap_or(facts.choices)),
            ..prompt
        }
    }

    fn admit(
        &self,
        cx: &mut Cx<'_>,
        ledger: &Ledger<'_>,
        counting: Vec<(usize, Terms)>,
        need: Need,
        model: Option<Model>,
    ) -> Result<Spend, Reply> {
        let policy = &self.budget.policy;
        let admission = Admission {
            rules: &policy.rules,
            ledger,
            now: cx.now,
            lease: policy.lease,
            passes_undecided: policy.on_contention == OnContention::Allow,
        };
        let decision = admission.decide(counting, &need);
        self.count(cx, &decision, &need, ledger.conflicts());
        self.budget.gauges.remember(cx.store, &policy.rules, &decision.charges, &self.identity);
        cx.handoff.set(handoff::BUDGET, self.told(&decision.outcome).as_bytes());
        let dialect = Dialect::of(&self.path);
        match decision.outcome {
            Outcome::Admitted => Ok(Spend::new(Rc::clone(&self.budget), decision.charges, need, model)),
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

    /// The decision as access logs tell it.
    fn told(&self, outcome: &Outcome) -> Cow<'static, str> {
        match outcome {
            Outcome::Admitted => "allowed".into(),
            Outcome::Undecided(_) => "undecided".into(),
            Outcome::Refused(refused) => {
                let rule = self.budget.policy.rules.get(refused.rule);
                format!("denied {}", rule.map(|rule| rule.name.as_str()).unwrap_or_default()).into()
            }
        }
    }

    fn count(&self, cx: &mut Cx<'_>, decision: &Decision, need: &Need, conflicts: u64) {
        let meters = &self.budget.meters;
        let verdict = match &decision.outcome {
            Outcome::Admitted => {
                meters.reserved.add(cx.meter, need.expected.usage.total());
                Some(&meters.allowed)
            }
            Outcome::Refused(refused) => meters.denied(refused.rule),
            Outcome::Undecided(fault) => Some(meters.fault(*fault)),
        };
        let in_shadow = decision.charges.iter().filter(|charge| charge.is_refused_in_shadow);
        let shadows = in_shadow.filter_map(|charge| meters.shadow_denied(charge.rule));
        let faults = decision.faults.iter().map(|fault| meters.fault(*fault));
        for counter in verdict.into_iter().chain(shadows).chain(faults) {
            counter.increment(cx.meter);
        }
        meters.conflicts.add(cx.meter, conflicts);
    }
}

fn consumption(input: u64, output: u64) -> Consumption {
    Consumption { requests: 1, usage: Usage { input, output, ..Usage::default() } }
}

/// Tells the provider the most that it may generate, and to tell the usage of a stream. Whether the latter was asked by us alone, so that the
/// client must not see it.
fn rewrite(path: &[u8], api: Api, bytes: &[u8], most: Option<u64>, body: &mut dyn Body) -> bool {
    let limited = most.and_then(|most| limit_output(path, bytes, most));
    let asks_usage = matches!(api, Api::ChatCompletions | Api::Completions);
    let forced = asks_usage.then(|| force_stream_usage(limited.as_deref().unwrap_or(bytes))).flatten();
    match (forced, limited) {
        (Some(forced), _) => body.replace(&forced),
        (None, Some(limited)) => {
            body.replace(&limited);
            false
        }
        // Nothing to change means that the client asked for usage itself, so it will see it.
        (None, None) => false,
    }
}
