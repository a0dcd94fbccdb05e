//! Hard caps: answers that are kept within what is left.
//!
//! At admission the maximum that a call names is lowered to what its hard rules leave, so that the provider stops by itself; a call that
//! names none gets one if little is left (a large one might be more than the model can generate, which providers refuse). A JSON answer
//! reserves all that it may take. A stream reserves what it is expected to take, then more as it goes, a slice at a time; where nothing more
//! is left, it is ended as its API would end an answer that reached its maximum.
//!
//! A JSON answer to a call that names no maximum holds what any model can generate, or all that is left if that is less.
//!
//! What is counted as a stream passes is an estimate until the provider tells, and the provider is not stopped: what it generates until the
//! client leaves is charged. So a hard cap is exact for what the provider is told, and near for a stream.

use std::time::Duration;

use tollgate_core::{Timestamp, Usage};
use tollgate_llm::{Api, Cut, Framing, StreamCutter};

use crate::admission::{Charge, Need};
use crate::ledger::{Ledger, Terms};
use crate::price::Price;
use crate::rule::Rule;
use crate::unit::Consumption;

/// An answer of fewer tokens is worth nothing, and OpenAI's responses refuse a smaller maximum.
const LEAST_OUTPUT: u64 = 16;
/// The largest maximum that is added to a call without one: all models in use can generate so much.
const MOST_ADDED: u64 = 4_096;
/// What a model can generate at most, in tokens: GPT-5 128,000, o1 and its kin 100,000, others less (their model pages, 2025).
pub const MOST_GENERATED: u64 = 131_072;
/// Tokens of output that are reserved ahead of a stream.
const SLICE: u64 = 256;

/// What hard rules let a call generate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Tokens of one choice.
    pub per_choice: u64,
    /// Whether the request must be told so.
    pub is_told: bool,
}

/// The hard rules of a policy at one moment.
pub struct HardRules<'a> {
    /// All rules of the policy.
    pub rules: &'a [Rule],
    /// All accounts.
    pub ledger: &'a Ledger<'a>,
    /// The moment.
    pub now: Timestamp,
    /// How long a reservation is held.
    pub lease: Duration,
}

impl HardRules<'_> {
    /// What a call may generate that these rules count: its prompt alone needs `prompt`, and it declares this maximum for so many choices.
    /// `None`: no hard rule is among them.
    pub fn allowance(
        &self,
        counting: &[(usize, Terms)],
        prompt: &Need,
        declared: Option<u64>,
        choices: u64,
    ) -> Option<Allowance> {
        let hard = counting.iter().filter_map(|(index, terms)| {
            let rule = self.rules.get(*index).filter(|rule| rule.is_hard)?;
            let left = self.ledger.balance(terms, self.now).remaining;
            let left = left.saturating_sub(prompt.amount(rule, u64::MAX));
            Some(rule.unit.output_within(left, prompt.price.as_ref()))
        });
        // With less left than the least the call is refused, and told when that much is there.
        let per_choice = (hard.min()? / choices.max(1)).max(LEAST_OUTPUT);
        let is_told = declared.map_or(per_choice <= MOST_ADDED, |most| most > per_choice);
        Some(Allowance { per_choice, is_told })
    }

    /// Holds more for a stream that has used up what was held. The rule under which nothing is left, if any.
    pub fn keep_up(&self, charges: &mut [Charge], used: &Consumption, price: Option<&Price>) -> Option<usize> {
        let ahead = Usage { output: used.usage.output.saturating_add(SLICE), ..used.usage };
        let ahead = Consumption { usage: ahead, ..*used };
        for charge in charges {
            let Some(rule) = self.rules.get(charge.rule).filter(|rule| rule.is_hard) else { continue };
            let beyond =
                |consumption| rule.unit.amount(consumption, price).saturating_sub(charge.lease_or_none().amount);
            let (missing, wished) = (beyond(used), beyond(&ahead));
            if missing > 0 && !self.hold(charge, wished) && !self.hold(charge, missing) {
                return Some(charge.rule);
            }
        }
        None
    }

    /// Whether so much more is held, or the ledger cannot say: then the next piece of the stream asks again.
    fn hold(&self, charge: &mut Charge, more: u64) -> bool {
        match self.ledger.extend(&charge.terms, self.now, charge.lease_or_none(), more, self.lease) {
            Ok((verdict, _)) => {
                let lease = verdict.granted();
                charge.lease = lease.or(charge.lease);
                lease.is_some()
            }
            Err(_) => true,
        }
    }
}

/// One answer that must stay within hard rules.
#[derive(Debug)]
pub struct Cap {
    cutter: StreamCutter,
    /// Whether the client asked for the usage of a stream.
    show_usage: bool,
    /// To be sent before what comes next.
    ending: Vec<u8>,
    is_hit: bool,
}

impl Cap {
    /// Nothing seen yet.
    pub fn new(api: Api, framing: Framing, show_usage: bool) -> Self {
        Self { cutter: StreamCutter::new(api, framing), show_usage, ending: Vec::new(), is_hit: false }
    }

    /// Whether such an answer can be ended early: a stream, and Gemini's that is one JSON array.
    pub fn can_end(api: Api, framing: Framing) -> bool {
        framing == Framing::Sse || api == Api::StreamGenerateContent
    }

    /// Whether nothing was left.
    pub const fn is_hit(&self) -> bool {
        self.is_hit
    }

    /// Nothing is left: the stream ends as soon as it can.
    pub fn hit(&mut self, usage: &Usage) {
        self.is_hit = true;
        match self.cutter.cut(usage, self.show_usage) {
            Cut::Now(ending) => self.ending = ending,
            // The event under way passes first, or nothing is left to end.
            Cut::Pending | Cut::Over | Cut::Impossible => {}
        }
    }

    /// Bytes pass. `Some`: others go on in their place.
    pub fn pass(&mut self, bytes: &[u8], last: bool) -> Option<Vec<u8>> {
        let mut passes = std::mem::take(&mut self.ending);
        let has_ending = !passes.is_empty();
        let fed = self.cutter.feed(bytes);
        let is_same = fed.len() == bytes.len();
        passes.extend_from_slice(&fed);
        let rest = if last { self.cutter.finish() } else { Vec::new() };
        let changes = has_ending || !is_same || !rest.is_empty();
        passes.extend(rest);
        changes.then_some(passes)
    }
}
