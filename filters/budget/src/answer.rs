//! What the caller is told: `x-ratelimit-*` headers, refusals in its own dialect, and `GET /gateway/budget`.

use std::time::Duration;

use serde::Serialize;
use tollgate_core::{Refusal, Reply};
use tollgate_llm::{Dialect, refuse};

use crate::account::Balance;

/// Where a caller reads its own budget.
pub const OWN_BUDGET: &[u8] = b"/gateway/budget";
/// A retry is called futile when it would have to wait longer.
const WORTH_WAITING: Duration = Duration::from_secs(60);

/// The token limit as OpenAI tells it. `reset` is the time until the whole limit is free.
pub fn rate_limit_headers(balance: &Balance) -> [(&'static str, String); 3] {
    [
        ("x-ratelimit-limit-tokens", balance.limit.to_string()),
        ("x-ratelimit-remaining-tokens", balance.remaining.to_string()),
        ("x-ratelimit-reset-tokens", openai_duration(balance.reset)),
    ]
}

/// What a call would need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// Estimated prompt tokens.
    pub input: u64,
    /// Tokens reserved for the output.
    pub output: u64,
}

impl Need {
    /// What is reserved. At least one token, so that debt stops every call.
    pub const fn tokens(&self) -> u64 {
        let sum = self.input.saturating_add(self.output);
        if sum == 0 { 1 } else { sum }
    }
}

/// 429: the call does not fit, now or (`wait` is `None`) ever.
pub fn over_budget(dialect: Dialect, need: Need, wait: Option<Duration>, balance: &Balance) -> Reply {
    let (limit, tokens) = (balance.limit, need.tokens());
    let (wait, futile, message) = match wait {
        Some(wait) => (
            wait,
            wait > WORTH_WAITING,
            format!(
                "Rate limit reached: {limit} tokens per minute, {} used and {} reserved, and this call needs about \
                 {tokens}. Try again in {}.",
                balance.used,
                balance.reserved,
                openai_duration(wait)
            ),
        ),
        // It never fits. Clients that read nothing but `retry-after` should not come back at once.
        None => (
            balance.reset.max(WORTH_WAITING),
            true,
            format!(
                "This call needs about {tokens} tokens ({} input, {} output), more than the whole limit of {limit} \
                 tokens per minute, so it can never fit. Ask for fewer output tokens or send a shorter prompt.",
                need.input, need.output
            ),
        ),
    };
    let mut reply = refuse(dialect, Refusal::RateLimitExceeded, &message)
        .with_header("retry-after", whole_seconds(wait).max(1).to_string());
    for (name, value) in rate_limit_headers(balance) {
        reply = reply.with_header(name, value);
    }
    if futile { reply.with_header("x-should-retry", "false") } else { reply }
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

/// 413: the body is longer than the filter holds.
pub fn too_large(dialect: Dialect, most: usize) -> Reply {
    refuse(
        dialect,
        Refusal::BodyTooLarge,
        &format!("The body is larger than {most} bytes, the most that is accepted."),
    )
}

#[derive(Serialize)]
struct OwnBudget<'a> {
    tenant: &'a str,
    limit_tokens: u64,
    used_tokens: u64,
    reserved_tokens: u64,
    remaining_tokens: u64,
    reset_seconds: u64,
}

/// 200: the caller's own budget. Tokens per rolling minute; `reset_seconds` rounded up.
pub fn own_budget(tenant: &str, balance: &Balance) -> Reply {
    let body = OwnBudget {
        tenant,
        limit_tokens: balance.limit,
        used_tokens: balance.used,
        reserved_tokens: balance.reserved,
        remaining_tokens: balance.remaining,
        reset_seconds: whole_seconds(balance.reset),
    };
    // A string and five numbers always serialize.
    let body = serde_json::to_vec(&body).unwrap_or_default();
    Reply::json(200, body).with_header("cache-control", "no-store")
}

/// Rounded up, so that who comes back then is not early.
fn whole_seconds(duration: Duration) -> u64 {
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
