//! The phases of a call: reserve when the request is whole, watch the answer, settle once in the log phase.
//!
//! What a call owes, by how it ended:
//!
//! | end | owes |
//! |---|---|
//! | success with reported usage | what was reported |
//! | success without, or cut in the middle | estimated input, and the output that passed |
//! | answered by a filter, as from the cache | nothing |
//! | any other status; no answer at all, also when the client left before one | nothing |
//!
//! The usage record (`tollgate_core::handoff::USAGE`) says the same at every moment, so metrics and access log agree
//! with what is settled.

use std::rc::Rc;

use tollgate_core::ports::{Body, Headers};
use tollgate_core::{
    ConfigError, Cx, Filter, Flow, HeaderList, Refusal, Reply, Setup, Stream, handoff, header, metric,
};
use tollgate_llm::{Api, Dialect, RequestFacts, force_stream_usage, refuse};

use crate::account::{Balance, Lease, Verdict};
use crate::answer::{self, Need, OWN_BUDGET};
use crate::codec::TenantId;
use crate::config::{OnContention, Policy};
use crate::ledger::{Ledger, Payer};
use crate::spend::Spend;
use crate::watch::BYTES_PER_TOKEN;

/// Who pays when no auth filter runs before: all callers together.
const ANONYMOUS: &str = "anonymous";

/// The budget filter.
#[derive(Debug)]
pub struct Budget {
    policy: Policy,
}

impl Filter for Budget {
    const NAME: &'static str = "budget";
    type Stream = BudgetStream;

    fn configure(setup: &mut Setup<'_>) -> Result<Self, ConfigError> {
        Policy::parse(setup.config).map(|policy| Self { policy })
    }

    fn open(self: &Rc<Self>) -> BudgetStream {
        BudgetStream { budget: Rc::clone(self), phase: Phase::Outside }
    }
}

/// One call.
#[derive(Debug)]
pub struct BudgetStream {
    budget: Rc<Budget>,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    /// Nothing to decide: not a model call, refused, or settled already.
    Outside,
    /// The body of a model call is being read.
    Reading { payer: Payer, path: Vec<u8> },
    /// Admitted, not yet settled.
    Open(Box<Spend>),
}

impl Stream for BudgetStream {
    fn on_request_headers(&mut self, cx: &mut Cx<'_>, headers: &mut dyn Headers, last: bool) -> Flow {
        let all = headers.all();
        let method = all.first(":method").unwrap_or_default();
        let path = all.first(":path").unwrap_or_default();
        if method == b"GET" && path.split(|byte| *byte == b'?').next() == Some(OWN_BUDGET) {
            return Flow::Reply(self.own_budget(cx));
        }
        // A provider that does not look at the method would run the model for any call that brings a body.
        let may_run_a_model = Api::of(path).is_inference() && (method == b"POST" || !last);
        if !may_run_a_model {
            count(cx, "bypassed");
            return Flow::Continue;
        }
        // Whatever reads as JSON here, the provider would read what it unpacks to.
        if header::is_encoded(&all) {
            return Flow::Reply(answer::compressed(Dialect::of(path)));
        }
        if declared_length(&all).is_some_and(|length| length > self.budget.policy.max_body_bytes as u64) {
            return Flow::Reply(answer::too_large(Dialect::of(path), self.budget.policy.max_body_bytes));
        }
        // Usage must be readable in the answer, and the body may grow by a stream option.
        headers.remove("accept-encoding");
        headers.remove("content-length");
        self.phase = Phase::Reading { payer: self.payer(cx), path: path.to_vec() };
        if last { self.admit(cx, None) } else { Flow::Continue }
    }

    fn on_request_body(&mut self, cx: &mut Cx<'_>, body: &mut dyn Body, last: bool) -> Flow {
        let Phase::Reading { path, .. } = &self.phase else { return Flow::Continue };
        let most = self.budget.policy.max_body_bytes;
        if body.len() > most {
            let reply = answer::too_large(Dialect::of(path), most);
            self.phase = Phase::Outside;
            return Flow::Reply(reply);
        }
        if last { self.admit(cx, Some(body)) } else { Flow::Wait }
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
        if self.ledger(cx).settle(&spend.payer, cx.now, spend.lease, spend.cost().total()).is_err() {
            // The hold stands until its lease ends; what the call cost beyond it is lost.
            count(cx, "unsettled");
        }
    }
}

impl BudgetStream {
    fn ledger<'a>(&self, cx: &Cx<'a>) -> Ledger<'a> {
        Ledger { store: cx.store, slots: self.budget.policy.slots }
    }

    fn payer(&self, cx: &Cx<'_>) -> Payer {
        let identity = handoff::identity(cx.handoff);
        self.payer_named(identity.as_ref().map_or(ANONYMOUS, |identity| &identity.tenant))
    }

    fn payer_named(&self, tenant: &str) -> Payer {
        Payer { tenant: TenantId::of(tenant), limit: self.budget.policy.limit_of(tenant) }
    }

    fn own_budget(&self, cx: &Cx<'_>) -> Reply {
        let Some(identity) = handoff::identity(cx.handoff) else {
            let message = "Send an API key or a token to read your own budget.";
            return refuse(Dialect::OpenAi, Refusal::MissingCredential, message);
        };
        let balance = self.ledger(cx).balance(&self.payer_named(&identity.tenant), cx.now);
        answer::own_budget(&identity.tenant, &balance)
    }

    /// The request is whole: decides, and makes sure that a stream will say what it cost.
    fn admit(&mut self, cx: &mut Cx<'_>, body: Option<&mut dyn Body>) -> Flow {
        let Phase::Reading { payer, path } = std::mem::replace(&mut self.phase, Phase::Outside) else {
            return Flow::Continue;
        };
        let dialect = Dialect::of(&path);
        let bytes = body.as_ref().map(|body| body.read()).unwrap_or_default();
        let facts = match RequestFacts::parse(&path, &bytes) {
            Ok(facts) => facts,
            Err(bad) => return Flow::Reply(refuse(dialect, Refusal::InvalidRequest, &bad.to_string())),
        };
        let need = self.need(&facts);
        let (lease, balance) = match self.reserve(cx, &payer, need, dialect) {
            Ok(reserved) => reserved,
            Err(reply) => return Flow::Reply(reply),
        };
        // Nothing to change means that the client asked for usage itself, so it will see it.
        let hide_usage = facts.stream && body.is_some_and(|body| force_usage(facts.api, body, &bytes));
        let spend = Spend::new(payer, lease, balance, facts.api, need.input, hide_usage);
        spend.hand_off(cx);
        self.phase = Phase::Open(Box::new(spend));
        Flow::Continue
    }

    /// Input: four bytes of text a token. Output: what the caller allows, else the configured estimate, per choice.
    fn need(&self, facts: &RequestFacts) -> Need {
        let output = match facts.api {
            Api::Embeddings => 0,
            _ => facts.max_output.unwrap_or(self.budget.policy.output_estimate).saturating_mul(facts.choices),
        };
        Need { input: facts.text_bytes.div_ceil(BYTES_PER_TOKEN), output }
    }

    fn reserve(
        &self,
        cx: &mut Cx<'_>,
        payer: &Payer,
        need: Need,
        dialect: Dialect,
    ) -> Result<(Option<Lease>, Option<Balance>), Reply> {
        let policy = &self.budget.policy;
        match self.ledger(cx).reserve(payer, cx.now, need.tokens(), policy.lease) {
            Ok((Verdict::Granted(lease), balance)) => {
                count(cx, "allowed");
                Ok((Some(lease), Some(balance)))
            }
            Ok((Verdict::Later(wait), balance)) => {
                count(cx, "denied");
                Err(answer::over_budget(dialect, need, Some(wait), &balance))
            }
            Ok((Verdict::Never, balance)) => {
                count(cx, "denied");
                Err(answer::over_budget(dialect, need, None, &balance))
            }
            Err(fault) => {
                count(cx, fault.as_str());
                match policy.on_contention {
                    OnContention::Allow => Ok((None, None)),
                    OnContention::Deny => Err(answer::undecided(dialect)),
                }
            }
        }
    }
}

fn force_usage(api: Api, body: &mut dyn Body, bytes: &[u8]) -> bool {
    matches!(api, Api::ChatCompletions | Api::Completions)
        && force_stream_usage(bytes).is_some_and(|forced| body.replace(&forced))
}

fn declared_length(headers: &HeaderList) -> Option<u64> {
    std::str::from_utf8(headers.first("content-length")?).ok()?.trim().parse().ok()
}

fn count(cx: &mut Cx<'_>, decision: &str) {
    cx.meter.add(metric::BUDGET, &[("decision", decision)], 1);
}

#[cfg(test)]
mod tests;
