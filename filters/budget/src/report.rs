//! `GET /gateway/budget`: the caller's own budgets, and for administrators all of them.
//!
//! A caller sees each rule that limits it, and of one that all share what all of them use. An account that a rule keeps by model or route is told for the `model` and `route` that
//! the query names; without them such a rule is left out, since nobody can list what was never asked for.
//!
//! `?scope=all` reads the slots themselves, [`PAGE`] of them a call: shared data is read under one lock, and a worker that reads
//! serves nobody else. `next` is the value of `after` for the rest; null: that was all.

use serde::Serialize;
use tollgate_core::{Identity, Refusal, Reply, Timestamp};
use tollgate_llm::{Dialect, refuse};

use crate::account::Balance;
use crate::answer::{amount_text, whole_seconds};
use crate::config::Policy;
use crate::ledger::Ledger;
use crate::owner::Words;
use crate::rule::Mode;
use crate::subject::Subject;
use crate::unit::Unit;
use crate::window::Window;

/// Where budgets are read.
pub const PATH: &[u8] = b"/gateway/budget";
/// Slots that one call reads: some 2 ms.
const PAGE: u32 = 1024;

/// What the query asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Query {
    all: bool,
    after: u32,
    model: Option<String>,
    route: Option<String>,
}

impl Query {
    /// Reads the path with its query. Unknown parameters are ignored, as everywhere.
    pub fn parse(path: &[u8]) -> Self {
        let mut query = Self::default();
        let Some(at) = path.iter().position(|byte| *byte == b'?') else { return query };
        let parameters = path.get(at + 1..).unwrap_or_default();
        for (name, value) in form_urlencoded::parse(parameters) {
            match &*name {
                "scope" => query.all = value == "all",
                "after" => query.after = value.parse().unwrap_or(0),
                "model" => query.model = Some(value.to_lowercase()),
                "route" => query.route = Some(value.into_owned()),
                _ => {}
            }
        }
        query
    }
}

/// One account as JSON. Amounts are whole numbers in the unit; of `usd`, dollars as a string.
#[derive(Debug, Serialize)]
struct Entry<'a> {
    rule: &'a str,
    unit: &'static str,
    window: String,
    #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
    per: serde_json::Map<String, serde_json::Value>,
    limit: serde_json::Value,
    used: serde_json::Value,
    reserved: serde_json::Value,
    remaining: serde_json::Value,
    reset_seconds: u64,
}

#[derive(Serialize)]
struct Own<'a> {
    tenant: &'a str,
    budgets: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct All {
    budgets: Vec<serde_json::Value>,
    next: Option<u32>,
}

/// Answers the call.
pub fn report(
    policy: &Policy,
    ledger: &Ledger<'_>,
    now: Timestamp,
    identity: Option<&Identity>,
    query: &Query,
) -> Reply {
    let Some(identity) = identity else {
        let message = "Send an API key or a token to read your own budget.";
        return refuse(Dialect::OpenAi, Refusal::MissingCredential, message);
    };
    if !query.all {
        return own(policy, ledger, now, identity, query);
    }
    if !policy.is_admin(identity) {
        let message = "Only administrators may list all budgets. Leave `scope=all` out to read your own.";
        return refuse(Dialect::OpenAi, Refusal::EndpointNotAllowed, message);
    }
    all(policy, ledger, now, query.after)
}

fn own(policy: &Policy, ledger: &Ledger<'_>, now: Timestamp, identity: &Identity, query: &Query) -> Reply {
    let subject = Subject {
        identity,
        // Rules that do not go by the model count calls of any.
        model: Some(query.model.as_deref().unwrap_or_default()),
        other_models: &[],
        route: query.route.as_deref().unwrap_or_default(),
    };
    let mut budgets = Vec::new();
    for rule in &policy.rules {
        if rule.mode == Mode::Shadow {
            continue;
        }
        let by_model = rule.scope.models.is_some() || rule.per.contains(&crate::owner::Dimension::Model);
        if (by_model && query.model.is_none()) || (rule.needs_route() && query.route.is_none()) {
            continue;
        }
        let Some(terms) = rule.terms(&subject) else { continue };
        let balance = ledger.balance(&terms, now);
        let words = Words::parse(&terms.owner.words);
        let mut entry = entry(&rule.name, rule.unit, rule.window, &balance);
        entry.per = per(words.as_ref());
        budgets.push(entry);
    }
    answer(&Own { tenant: &identity.tenant, budgets })
}

fn all(policy: &Policy, ledger: &Ledger<'_>, now: Timestamp, after: u32) -> Reply {
    let end = after.saturating_add(PAGE).min(policy.slots);
    let budgets = (after..end).filter_map(|slot| {
        ledger.read(slot, |slot| {
            let mut account = slot.account;
            account.advance(now, account.limit);
            let words = Words::parse(slot.words).filter(|_| !account.is_idle())?;
            let mut entry = entry(words.rule, words.unit, account.window, &account.balance());
            entry.per = per(Some(&words));
            serde_json::to_value(&entry).ok()
        })?
    });
    answer(&All { budgets: budgets.collect(), next: Some(end).filter(|end| *end < policy.slots) })
}

fn per(words: Option<&Words<'_>>) -> serde_json::Map<String, serde_json::Value> {
    let values = words.map(|words| words.values.as_slice()).unwrap_or_default();
    values.iter().map(|(dimension, value)| ((*dimension).to_owned(), (*value).into())).collect()
}

fn entry<'a>(rule: &'a str, unit: Unit, window: Window, balance: &Balance) -> Entry<'a> {
    let amount = |amount: u64| match unit {
        Unit::Usd => amount_text(unit, amount).into(),
        _ => amount.into(),
    };
    Entry {
        rule,
        unit: unit.as_str(),
        window: window.to_string(),
        per: serde_json::Map::new(),
        limit: amount(balance.limit),
        used: amount(balance.used),
        reserved: amount(balance.reserved),
        remaining: amount(balance.remaining),
        reset_seconds: whole_seconds(balance.reset),
    }
}

fn answer(body: &impl Serialize) -> Reply {
    // Strings and numbers always serialize.
    let body = serde_json::to_vec(body).unwrap_or_default();
    Reply::json(200, body).with_header("cache-control", "no-store")
}
