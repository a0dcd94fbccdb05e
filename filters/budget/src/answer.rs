//! What the caller is told of a decision: `x-ratelimit-*` headers, `x-gateway-budget`, and refusals in its own dialect.

use std::time::Duration;

use tollgate_core::{Refusal, Reply};
use tollgate_llm::{Dialect, refuse};

use crate::account::Balance;
use crate::admission::{Charge, Need, Refused};
use crate::money::NanoUsd;
use crate::rule::{Mode, Rule};
use crate::unit::Unit;

/// How it was decided, where the operator wants it told.
pub const EXPLANATION: &str = "x-gateway-budget";
/// A retry is called futile when it would have to wait longer.
const WORTH_WAITING: Duration = Duration::from_secs(60);
/// Longest wait that is told, a year: a `retry-after` of centuries helps nobody.
const LONGEST_WAIT: Duration = Duration::from_secs(365 * 86_400);

/// The tightest limits of requests and of tokens, as OpenAI tells them: `x-ratelimit-{limit,remaining,reset}-…`. `reset` is the time
/// until the whole limit is free. Rules in shadow mode limit nothing.
pub fn rate_limit_headers(rules: &[Rule], charges: &[Charge]) -> Vec<(&'static str, String)> {
    const REQUESTS: [&str; 3] =
        ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"];
    const TOKENS: [&str; 3] =
        ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"];
    let tightest = |unit| {
        let balances = charges.iter().filter_map(|charge| {
            let rule = rules.get(charge.rule)?;
            charge.balance.filter(|_| rule.unit == unit && rule.mode == Mode::Enforce)
        });
        balances.min_by_key(|balance| (balance.remaining, balance.limit))
    };
    let told = [(Unit::Requests, REQUESTS), (Unit::Tokens, TOKENS)].map(|(unit, [limit, remaining, reset])| {
        tightest(unit).map(|balance| {
            [
                (limit, balance.limit.to_string()),
                (remaining, balance.remaining.to_string()),
                (reset, openai_duration(balance.reset)),
            ]
        })
    });
    told.into_iter().flatten().flatten().collect()
}

/// How it was decided: a list of rules with parameters (RFC 9651 §3.1), amounts in the rule's unit, dollars as strings.
/// `estimate` is what the call was taken to need.
pub fn explanation(rules: &[Rule], charges: &[Charge], need: &Need) -> String {
    let items = charges.iter().filter_map(|charge| {
        let (rule, balance) = (rules.get(charge.rule)?, charge.balance?);
        let mode = if rule.mode == Mode::Shadow { ";shadow" } else { "" };
        let amount = |amount| match rule.unit {
            Unit::Usd => format!("\"{}\"", NanoUsd(amount)),
            _ => amount.to_string(),
        };
        Some(format!(
            "\"{}\";unit={};limit={};used={};reserved={};estimate={}{mode}",
            rule.name,
            rule.unit.as_str(),
            amount(balance.limit),
            amount(balance.used),
            amount(balance.reserved),
            amount(need.amount(rule, charge.terms.limit)),
        ))
    });
    items.collect::<Vec<_>>().join(", ")
}

/// 429: the call does not fit into a rule, now or ever.
pub fn over_budget(dialect: Dialect, rule: &Rule, refused: &Refused) -> Reply {
    let wait = refused.wait.unwrap_or(refused.balance.reset.max(WORTH_WAITING)).min(LONGEST_WAIT);
    let is_quota = rule.window.is_quota();
    let is_futile = is_quota || refused.wait.is_none() || wait > WORTH_WAITING;
    let refusal = if is_quota { Refusal::InsufficientQuota } else { Refusal::RateLimitExceeded };
    let reply = refuse(dialect, refusal, &message(rule, refused, wait))
        .with_header("retry-after", whole_seconds(wait).max(1).to_string());
    if is_futile { reply.with_header("x-should-retry", "false") } else { reply }
}

fn message(rule: &Rule, refused: &Refused, wait: Duration) -> String {
    let Balance { limit, used, reserved, .. } = refused.balance;
    let (unit, noun) = (rule.unit, rule.unit.noun());
    let shown = |amount| amount_text(unit, amount);
    if limit == 0 {
        return format!(
            "The limit `{}` allows this caller nothing. Ask the gateway's operator for access.",
            rule.name
        );
    }
    let (limit, need) = (shown(limit), shown(refused.amount));
    let terms = format!("`{}` allows {limit} {noun} per {}", rule.name, rule.window);
    if refused.wait.is_none() {
        let remedy = if unit.grows_with_output() { "Ask for fewer output tokens or send" } else { "Send" };
        return format!(
            "The limit {terms}, and this call may need {need}, so it can never fit. {remedy} a shorter prompt."
        );
    }
    let kind = if rule.window.is_quota() { "Quota used up" } else { "Rate limit reached" };
    format!(
        "{kind}: {terms}; {} are used and {} reserved, and this call needs about {need}. Try again in {}.",
        shown(used),
        shown(reserved),
        openai_duration(wait)
    )
}

/// An amount as people write it: whole units, or dollars.
pub fn amount_text(unit: Unit, amount: u64) -> String {
    match unit {
        Unit::Usd => NanoUsd(amount).to_string(),
        _ => amount.to_string(),
    }
}

/// 503: the ledger could not decide.
pub fn undecided(dialect: Dialect) -> Reply {
    refuse(dialect, Refusal::Unavailable, "The budget cannot be read right now. Try again in a second.")
        .with_header("retry-after", "1")
}

/// 400: the body is compressed, so what it asks for cannot be read.
pub fn compressed(dialect: Dialect) -> Reply {
    let message = "The request body is compressed, which is not accepted. Send it plain, without `content-encoding`.";
    refuse(dialect, Refusal::InvalidRequest, message)
}

/// 400: the answer is masked, so it would not tell what it cost.
pub fn masked(dialect: Dialect) -> Reply {
    let message = "The answer must be whole: leave `fields`, `$fields` and any `alt` but `json` and `sse` out.";
    refuse(dialect, Refusal::InvalidRequest, message)
}

/// 400: the answer is fetched later, so nobody would be charged for it.
pub fn in_background(dialect: Dialect) -> Reply {
    let message = "Answers in the background cannot be charged to a budget. Leave `background` out.";
    refuse(dialect, Refusal::InvalidRequest, message)
}

/// 400: budgets go by the model, and none is named.
pub fn no_model(dialect: Dialect) -> Reply {
    refuse(dialect, Refusal::InvalidRequest, "The request names no model, and budgets here depend on it. Name one.")
}

/// 400: no model has a name of this length.
pub fn model_too_long(dialect: Dialect, most: usize) -> Reply {
    let message = format!("The name of the model is longer than {most} bytes, the most that is accepted.");
    refuse(dialect, Refusal::InvalidRequest, &message)
}

/// 413: the body is longer than the filter holds.
pub fn too_large(dialect: Dialect, most: usize) -> Reply {
    refuse(
        dialect,
        Refusal::BodyTooLarge,
        &format!("The body is larger than {most} bytes, the most that is accepted."),
    )
}

/// Rounded up, so that who comes back then is not early.
pub fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0))
}

/// As OpenAI writes `x-ratelimit-reset-*`: `0s`, `120ms`, `7s`, `6m0s`, `1h0m5s`; rounded up.
fn openai_duration(duration: Duration) -> String {
    let millis = duration.as_nanos().div_ceil(1_000_000);
    if (1..1_000).contains(&millis) {
        return format!("{millis}ms");
    }
    let seconds = whole_seconds(duration);
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m{s}s"),
        (h, m, s) => format!("{h}h{m}m{s}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_openai_writes_them_and_round_up() {
        for (nanos, text) in [
            (0, "0s"),
            (1, "1ms"),
            (999_000_000, "999ms"),
            (999_000_001, "1s"),
            (1_000_000_001, "2s"),
            (59_000_000_001, "1m0s"),
            (360_000_000_000, "6m0s"),
            (3_605_000_000_000, "1h0m5s"),
        ] {
            assert_eq!(openai_duration(Duration::from_nanos(nanos)), text);
        }
    }
}
