//! Names of all metrics, and how a labelled series is written into one Envoy stat name.
//!
//! Envoy stats have no labels; `stats_config.stats_tags` cuts them out of the name. The form is Istio's
//! (`label=.=value;.;…name`), so one binary serves Envoy and Istio.

use std::borrow::Cow;

/// Finished calls, by route, model, provider and status.
pub const REQUESTS: &str = "gateway_requests_total";
/// Finished calls that went on to another provider than the one asked first, by model, the provider asked last and status.
pub const FALLBACKS: &str = "gateway_fallbacks_total";
/// Finished calls, by tenant and status.
pub const TENANT_REQUESTS: &str = "gateway_tenant_requests_total";
/// Duration of calls in seconds.
pub const REQUEST_DURATION: &str = "gateway_request_duration_seconds";
/// From the first byte of a call to the first text of a streamed answer, in seconds.
pub const TIME_TO_FIRST_TOKEN: &str = "gateway_time_to_first_token_seconds";
/// Time that each further token of a streamed answer took, in seconds.
pub const TIME_PER_OUTPUT_TOKEN: &str = "gateway_time_per_output_token_seconds";
/// Tokens that the provider was paid for, by type.
pub const TOKENS: &str = "gateway_tokens_total";
/// What those tokens cost.
pub const COST: &str = "gateway_cost_microusd_total";
/// Calls whose tokens have no price.
pub const UNPRICED: &str = "gateway_unpriced_requests_total";
/// Time that a filter itself took for a call, of a sample of calls.
pub const FILTER_DURATION: &str = "gateway_filter_duration_microseconds";
/// Authentication verdicts, by result and reason.
pub const AUTH: &str = "gateway_auth_total";
/// Token signatures, by who judged them: `remembered`, or checked by the `proxy` or the `module`.
pub const AUTH_SIGNATURES: &str = "gateway_auth_signatures_total";
/// How long ago the keys in use were last found good at their source, in seconds, by source.
pub const AUTH_KEYS_AGE: &str = "gateway_auth_keys_age_seconds";
/// Attempts to fetch keys, by source and result.
pub const AUTH_KEY_FETCHES: &str = "gateway_auth_key_fetches_total";
/// Where calls were sent, by pool and by how that was decided.
pub const ROUTES: &str = "gateway_routes_total";
/// Budget decisions, by decision and, where one rule made it, by that rule.
pub const BUDGET: &str = "gateway_budget_total";
/// Tokens reserved for admitted calls.
pub const BUDGET_TOKENS_RESERVED: &str = "gateway_budget_tokens_reserved_total";
/// Tokens that finished calls were charged.
pub const BUDGET_TOKENS_SETTLED: &str = "gateway_budget_tokens_settled_total";
/// Tokens charged beyond what was reserved for the call.
pub const BUDGET_TOKENS_OVERRUN: &str = "gateway_budget_tokens_overrun_total";
/// Writes to the ledger that another worker was faster with, and that were tried again.
pub const BUDGET_CONFLICTS: &str = "gateway_budget_conflicts_total";
/// What an account may spend in a window, by rule, tenant and unit.
pub const BUDGET_LIMIT: &str = "gateway_budget_limit";
/// What an account spent and has not got back; above its limit it is debt.
pub const BUDGET_USED: &str = "gateway_budget_used";
/// What is held in an account for calls under way.
pub const BUDGET_RESERVED: &str = "gateway_budget_reserved";
/// Cache outcomes, by result.
pub const CACHE: &str = "gateway_cache_total";
/// What became of answers that could have been stored, by result.
pub const CACHE_STORES: &str = "gateway_cache_stores_total";
/// Stored answers that a later one displaced before they expired.
pub const CACHE_EVICTIONS: &str = "gateway_cache_evictions_total";
/// Slots that hold an answer, expired ones included.
pub const CACHE_ENTRIES: &str = "gateway_cache_entries";
/// Bytes of the answers in the slots.
pub const CACHE_BYTES: &str = "gateway_cache_bytes";
/// Tokens that hits did not cost, by type and model.
pub const CACHE_SAVED_TOKENS: &str = "gateway_cache_saved_tokens_total";
/// Money that hits did not cost, by model.
pub const CACHE_SAVED_COST: &str = "gateway_cache_saved_microusd_total";
/// Requests that were sent to providers, by provider, model and how each ended.
pub const UPSTREAM_ATTEMPTS: &str = "gateway_upstream_attempts_total";
/// Always 1; the labels carry filter and version.
pub const BUILD_INFO: &str = "gateway_build_info";

/// All label names but `le`, which is the proxy's. None may be the tail of another: Envoy's tag expressions are not anchored, so `status` would also
/// match inside `grpc_status`.
pub const LABELS: &[&str] = &[
    "decision",
    "filter",
    "model",
    "part",
    "pool",
    "provider",
    "reason",
    "result",
    "route",
    "rule_name",
    "source",
    "status",
    "tenant",
    "type",
    "unit",
    "version",
];

/// A label's value as it is written: characters that could end it early or begin another become `_`.
pub fn label_value(value: &str) -> Cow<'_, str> {
    if value.contains(is_syntax) { Cow::Owned(value.replace(is_syntax, "_")) } else { Cow::Borrowed(value) }
}

fn is_syntax(c: char) -> bool {
    matches!(c, ';' | '=') || c.is_control()
}

/// The stat name of a series, its values as [`label_value`] says.
pub fn stat_name(name: &str, labels: &[(&str, &str)]) -> String {
    let mut out =
        String::with_capacity(labels.iter().map(|(k, v)| k.len() + v.len() + 6).sum::<usize>() + name.len());
    for (label, value) in labels {
        out.push_str(label);
        out.push_str("=.=");
        out.push_str(&label_value(value));
        out.push_str(";.;");
    }
    out.push_str(name);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_stand_before_the_name() {
        assert_eq!(
            stat_name(REQUESTS, &[("status", "200"), ("model", "gpt-4.1")]),
            "status=.=200;.;model=.=gpt-4.1;.;gateway_requests_total"
        );
    }

    #[test]
    fn a_value_cannot_end_its_label_or_begin_another() {
        // The expressions that cut labels out again are not anchored: they would find one in a value.
        for (value, written) in [("a;.;status=.=b\n", "a_._status_._b_"), ("status=.=200", "status_._200")] {
            assert_eq!(stat_name("n", &[("tenant", value)]), format!("tenant=.={written};.;n"));
        }
    }

    #[test]
    fn no_label_is_the_tail_of_another() {
        for label in LABELS {
            for other in LABELS {
                assert!(label == other || !other.ends_with(label), "`{label}` matches inside `{other}`");
            }
        }
    }
}
