//! Everything that one filter leaves for another: the names, and how each value is written.
//!
//! Between modules a hand-off is Envoy filter state under `wasm.<name>`; access logs read it as
//! `%FILTER_STATE(wasm.<name>:PLAIN)%`. Values are JSON or one word, so a log line shows them as they are.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::ports::Handoff;
use crate::usage::{Usage, UsageRecord};

/// Where the call goes: JSON of [`Routing`]. Left by route once it knows the model.
pub const ROUTE: &str = "tollgate_route";
/// The pool that serves the call: one word, by which Envoy's routes find the cluster. Left by route.
pub const POOL: &str = "tollgate_pool";
/// Which endpoints of the pool may be tried, as bits in the pool's order; absent: all. Left by route.
pub const LANE: &str = "tollgate_lane";
/// What is hashed to send calls of one prompt prefix to one endpoint; absent: nothing. Left by route.
pub const STICKY: &str = "tollgate_sticky";
/// Who is asked now: JSON of [`Attempt`]. Left by adapt, anew with each attempt.
pub const ATTEMPT: &str = "tollgate_attempt";
/// How each attempt ended, for access logs: `openai=503 azure-eu=200`. Left by adapt.
pub const ATTEMPTS: &str = "tollgate_attempts";
/// Who calls: JSON of [`Identity`]. Left by auth at request headers.
pub const IDENTITY: &str = "tollgate_identity";
/// What the operator wrote down beside the caller's API key: a JSON object of strings. Left by auth, for access logs.
pub const METADATA: &str = "tollgate_metadata";
/// What the call used so far: JSON of [`UsageRecord`]. Left by budget from the answer's head on, rewritten as chunks pass.
pub const USAGE: &str = "tollgate_usage";
/// What the budget filter decided: `allowed`, or `denied` and the name of the rule that did. Left by budget on the request path.
pub const BUDGET: &str = "tollgate_budget";
/// What a cache hit saved: JSON of [`UsageRecord`]. Left by cache with the answer, and again by budget, which knows the price.
pub const SAVED: &str = "tollgate_saved";
/// What the cache did: one of [`CacheStatus::as_str`]. Left by cache on the request path.
pub const CACHE: &str = "tollgate_cache";
/// Which filter answered in the provider's stead: its [`crate::Filter::NAME`]. Left by the host with every
/// [`crate::Flow::Reply`] of the request path, so that a refusal of ours never counts as one of the provider's.
pub const REPLY: &str = "tollgate_reply";
/// How long a call took, in seconds (`0.253000`), for access loggers that make histograms of it; the two below likewise. Left by
/// metrics at the end of the call, if so configured and there is a value.
pub const DURATION_SECONDS: &str = "tollgate_duration_seconds";
/// How long the answer's first text took.
pub const FIRST_TOKEN_SECONDS: &str = "tollgate_ttft_seconds";
/// How long each further token took.
pub const OUTPUT_TOKEN_SECONDS: &str = "tollgate_tpot_seconds";
/// Where the labels of those histograms stand. Left with them.
pub const LABELS: [(&str, &str); 4] = [
    ("route", "tollgate_label_route"),
    ("model", "tollgate_label_model"),
    ("provider", "tollgate_label_provider"),
    ("status", "tollgate_label_status"),
];

/// The one identity of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Who pays: budgets, cache partitions and metrics go by it.
    pub tenant: String,
    /// Which credential of the tenant was used: the API key's `id` or the JWT's `sub`. Never the credential.
    pub credential_id: String,
    /// The tenant's service tier, if its credential names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
}

/// Where a call goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Routing {
    /// The model that the caller named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<String>,
    /// The model that was decided on, by the gateway's name for it: after overrides, aliases and splits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The pool that serves it.
    pub pool: String,
}

/// Who is asked, and for what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attempt {
    /// The provider, by its name in the configuration.
    pub provider: String,
    /// The model that it runs, by the gateway's name for it, however the provider calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Whether that is another model than the one that was decided on.
    #[serde(default)]
    pub stands_in: bool,
}

/// What the cache did with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheStatus {
    /// Not looked up: the caller or the policy said so.
    Bypass,
    /// Answered from the store.
    Hit,
    /// Looked up, not found; the answer may be stored.
    Miss,
    /// Not looked up, but the fresh answer replaces the stored one.
    Refresh,
}

impl CacheStatus {
    /// The word in `x-gateway-cache`, in the hand-off and in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Refresh => "refresh",
        }
    }
}

/// Reads the identity that auth left. `None`: no auth filter runs before.
pub fn identity(handoff: &dyn Handoff) -> Option<Identity> {
    read(handoff, IDENTITY)
}

/// A value as it is left. Nothing that is left here can fail to be written.
pub fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

/// Leaves the identity.
pub fn set_identity(handoff: &mut dyn Handoff, identity: &Identity) {
    handoff.set(IDENTITY, &json(identity));
}

/// Reads where route sent the call. `None`: no route filter runs before, or it has not decided yet.
pub fn routing(handoff: &dyn Handoff) -> Option<Routing> {
    read(handoff, ROUTE)
}

/// Leaves where the call goes, and the pool as the one word that Envoy matches.
pub fn set_routing(handoff: &mut dyn Handoff, routing: &Routing) {
    handoff.set(ROUTE, &json(routing));
    handoff.set(POOL, routing.pool.as_bytes());
}

/// Whether it could be a provider's name, or a pool's: one word that labels, headers and Envoy's names can hold.
pub fn is_provider_name(name: &str) -> bool {
    let is_byte = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=40).contains(&name.len()) && name.bytes().all(is_byte)
}

/// Reads who was asked last: from the answer's head on, who answered. `None`: nobody was asked, or no adapt filter runs.
pub fn attempt(handoff: &dyn Handoff) -> Option<Attempt> {
    read(handoff, ATTEMPT)
}

/// Leaves who is asked.
pub fn set_attempt(handoff: &mut dyn Handoff, attempt: &Attempt) {
    handoff.set(ATTEMPT, &json(attempt));
}

/// The provider that was asked first. `None`: no attempt has ended, or no adapt filter runs.
pub fn first_asked(handoff: &dyn Handoff) -> Option<String> {
    let trail = handoff.get(ATTEMPTS)?;
    let first = trail.split(|byte| matches!(byte, b'=' | b' ')).next().filter(|name| !name.is_empty())?;
    Some(String::from_utf8_lossy(first).into_owned())
}

/// Reads the tokens of the usage record.
pub fn usage(handoff: &dyn Handoff) -> Option<Usage> {
    read(handoff, USAGE)
}

/// Reads the usage record.
pub fn usage_record(handoff: &dyn Handoff) -> Option<UsageRecord<'static>> {
    read(handoff, USAGE)
}

/// Reads what a cache hit saved. `None`: it was none, or nobody knows.
pub fn saved(handoff: &dyn Handoff) -> Option<UsageRecord<'static>> {
    read(handoff, SAVED)
}

/// Leaves what a cache hit saved.
pub fn set_saved(handoff: &mut dyn Handoff, record: &UsageRecord<'_>) {
    handoff.set(SAVED, &json(record));
}

/// A value that was left as JSON. `None`: it was not, or it is none of that kind.
fn read<T: DeserializeOwned>(handoff: &dyn Handoff, name: &str) -> Option<T> {
    serde_json::from_slice(&handoff.get(name)?).ok()
}

/// Leaves the usage record as it stands now.
pub fn set_usage<'a>(handoff: &mut dyn Handoff, record: impl Into<UsageRecord<'a>>) {
    handoff.set(USAGE, &json(&record.into()));
}

/// Whether the cache answered this call, so that it cost no tokens.
pub fn is_cache_hit(handoff: &dyn Handoff) -> bool {
    handoff.get(CACHE).is_some_and(|status| status == CacheStatus::Hit.as_str().as_bytes())
}

/// Leaves the name of the filter that answered.
pub fn set_reply(handoff: &mut dyn Handoff, filter: &str) {
    handoff.set(REPLY, filter.as_bytes());
}

/// Whether a filter answered on the request path, so that no provider had a say in the answer.
pub fn is_local_reply(handoff: &dyn Handoff) -> bool {
    handoff.get(REPLY).is_some_and(|filter| !filter.is_empty())
}
