//! Hard caps: answers that are kept within what is left.
//!
//! At admission the maximum that a call names is lowered to what its hard rules leave, so that the provider stops by itself; a call that
//! names none gets one if little is left (a large one might be more than the model can generate, which providers refuse). A JSON answer
//! reserves all that it may take. A stream reserves what it is expected to take, then more as it goes, a slice at a time; where nothing more
//! is left, it is ended as its API would end an answer that reached its maximum.
//!
//! So of JSON answers to calls that name no maximum one runs at a time where much is left: each holds all of it.
//!
//! What is counted as a stream passes is an estimate until the provider tells, and the provider is not stopped: what it generates until the
//! client leaves is charged. So a hard cap is exact for what the provider is told, and near for a stream and for a JSON answer that it is not
//! told of.

use tollgate_core::{Timestamp, Usage};
use tollgate_llm::{Api, Cut, Framing, StreamCutter};

use crate::admission::{Charge, Need};
use crate::ledger::{Ledger, Terms};
use crate::rule::Rule;
use crate::unit::Consumption;

/// An answer of fewer tokens is worth nothing, and OpenAI's responses refuse a smaller maximum.
const LEAST_OUTPUT: u64 = 16;
/// The largest maximum that is added to a call without one: all models in use can generate so much.
const MOST_ADDED: u64 = 4_096;

/// What hard rules let a call generate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Tokens of one choice.
    pub per_choice: u64,
    /// Whether the request must be told so.
    pub is_told: bool,
}

impl Allowance {
    /// Of a call that names this maximum and asks for so many choices; `input` is what its prompt consumes. `None`: no hard rule counts it.
    pub fn of(
        rules: &[Rule],
        counting: &[(usize, Terms)],
        ledger: &Ledger<'_>,
        now: Timestamp,
        input: &Need,
        declared: Option<u64>,
        choices: u64,
    ) -> Option<Self> {
        let hard = counting.iter().filter_map(|(index, terms)| {
            let rule = rules.get(*index).filter(|rule| rule.is_hard)?;
            let left = ledger.balance(terms, now).remaining.saturating_sub(input.amount(rule, u64::MAX));
            Some(rule.unit.output_within(left, input.price.as_ref()))
        });
        // With less left than the least the call is refused, and told when that much is there.
        let per_choice = (hard.min()? / choices.max(1)).max(LEAST_OUTPUT);
        let is_told = declared.map_or(per_choice <= MOST_ADDED, |most| most > per_choice);
        Some(Self { per_choice, is_told })
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
        if let Cut::Now(ending) = self.cutter.cut(usage, self.show_usage) {
            self.ending = ending;
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

/// Tokens of output that are reserved ahead of a stream.
const SLICE: u64 = 256;

/// Reserves more for a stream that has used up what was held under its hard rules. The rule under which nothing is left, if any.
pub fn keep_up(
    rules: &[Rule],
    charges: &mut [Charge],
    ledger: &Ledger<'_>,
    now: Timestamp,
    used: &Consumption,
    need: &Need,
    lease: std::time::Duration,
) -> Option<usize> {
    let ahead = Usage { output: used.usage.output.saturating_add(SLICE), ..used.usage };
    let ahead = Consumption { usage: ahead, ..*used };
    for charge in charges {
        let Some(rule) = rules.get(charge.rule).filter(|rule| rule.is_hard) else { continue };
        let amount = |consumption| rule.unit.amount(consumption, need.price.as_ref());
        let held = charge.held();
        let missing = amount(used).saturating_sub(held.amount);
        if missing == 0 {
            continue;
        }
        let wished = amount(&ahead).saturating_sub(held.amount);
        let granted = [wished, missing].into_iter().find_map(|more| {
            match ledger.extend(&charge.terms, now, held, more, lease) {
                Ok((verdict, _)) => verdict.granted().map(Some),
                // Nobody can say: the next piece asks again.
                Err(_) => Some(None),
            }
        });
        match granted {
            Some(Some(lease)) => charge.lease = Some(lease),
            Some(None) => {}
            None => return Some(charge.rule),
        }
    }
    None
}
