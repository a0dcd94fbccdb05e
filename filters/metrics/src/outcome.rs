//! How a call ended: every hand-off and attribute that matters, read once.
//!
//! The model of a call is the one that ran, as far as anybody knows: adapt says which answered, route which was decided on,
//! and without both it is the one that the call names.

use std::borrow::Cow;
use std::time::Duration;

use tollgate_core::handoff::{self, Attempt};
use tollgate_core::ports::Handoff;
use tollgate_core::{Cx, Timestamp, UsageRecord, UsageSource};

use crate::filter::Metrics;
use crate::label::{self, NONE, OTHER};
use crate::observation::Observation;

/// A call that is over, in label values and figures.
#[derive(Debug)]
pub struct Outcome<'a> {
    /// Label `route`.
    pub route: Cow<'static, str>,
    /// Label `model`.
    pub model: &'a str,
    /// Label `provider`.
    pub provider: Cow<'static, str>,
    /// Label `status`.
    pub status: Cow<'static, str>,
    /// Label `tenant`.
    pub tenant: Cow<'static, str>,
    /// Whether its status says so: 400 or above.
    pub has_failed: bool,
    /// Whether another provider was asked than the first.
    pub is_fallback: bool,
    /// When its head came.
    pub started: Timestamp,
    /// From the call's first byte to its end.
    pub duration: Duration,
    /// What a provider's answer used. `None`: no provider answered, or nobody reads such answers.
    pub used: Option<Used>,
    /// What a cache hit saved.
    pub saved: Option<UsageRecord<'static>>,
}

/// The one usage record of a call.
#[derive(Debug)]
pub struct Used {
    /// The record.
    pub record: UsageRecord<'static>,
    /// Whether it is the budget filter's, which knows prices. Else it was read here.
    pub is_handed_off: bool,
}

/// Who had the say in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnsweredBy {
    /// A provider, or nobody yet.
    Provider,
    /// The cache.
    Cache,
    /// Another filter of the gateway: a refusal, or an answer of its own.
    Gateway,
}

impl AnsweredBy {
    /// As far as it is known now.
    pub(crate) fn of(handoff: &dyn Handoff) -> Self {
        if handoff::is_cache_hit(handoff) {
            Self::Cache
        } else if handoff::is_local_reply(handoff) {
            Self::Gateway
        } else {
            Self::Provider
        }
    }
}

impl<'a> Outcome<'a> {
    /// Reads what a call came to, in the log phase.
    pub(crate) fn of(metrics: &'a Metrics, seen: &Observation, started: Timestamp, cx: &Cx<'_>) -> Self {
        let by = AnsweredBy::of(cx.handoff);
        let code = cx.attributes.response_code();
        let attempt = if by == AnsweredBy::Provider { handoff::attempt(cx.handoff) } else { None };
        let provider = match &attempt {
            // The route names a cluster even for calls that were refused: that provider was never asked.
            _ if by != AnsweredBy::Provider => NONE.into(),
            Some(attempt) => label::configured(Some(attempt.provider.clone())),
            None => label::configured(cx.attributes.cluster_name()),
        };
        let is_fallback = attempt.as_ref().is_some_and(|attempt| is_fallback(cx.handoff, attempt));
        let ran = attempt.and_then(|attempt| attempt.model).or_else(|| decided(cx.handoff));
        Self {
            route: label::configured(cx.attributes.route_name()),
            model: metrics.models.of(ran.as_deref().or_else(|| seen.model())),
            provider,
            status: label::status(code),
            tenant: tenant(metrics, cx),
            has_failed: code.is_some_and(|code| code >= 400),
            is_fallback,
            started,
            duration: cx.attributes.duration().unwrap_or_else(|| cx.now.since(started)),
            used: if by == AnsweredBy::Provider { used(cx.handoff, seen) } else { None },
            saved: if by == AnsweredBy::Cache { handoff::saved(cx.handoff) } else { None },
        }
    }

    /// What a provider is paid for. A failed call costs what its provider says, so an estimate does not count for it.
    pub(crate) fn paid(&self) -> Option<&Used> {
        self.used.as_ref().filter(|used| !self.has_failed || used.record.usage.source == UsageSource::Reported)
    }
}

/// The budget filter's record if there is one, else what was read here.
fn used(handoff: &dyn Handoff, seen: &Observation) -> Option<Used> {
    let handed_off = handoff::usage_record(handoff);
    let is_handed_off = handed_off.is_some();
    handed_off.or_else(|| seen.record()).map(|record| Used { record, is_handed_off })
}

fn tenant(metrics: &Metrics, cx: &Cx<'_>) -> Cow<'static, str> {
    match handoff::identity(cx.handoff) {
        None => NONE.into(),
        Some(identity) if metrics.tenants.has(cx.store, &identity.tenant) => identity.tenant.into(),
        Some(_) => OTHER.into(),
    }
}

/// The model that the provider filter decided on, whatever the call names.
fn decided(handoff: &dyn Handoff) -> Option<String> {
    handoff::routing(handoff)?.model
}

/// Whether the last attempt was at another provider than the first. Asking one again is no fallback.
fn is_fallback(handoff: &dyn Handoff, last: &Attempt) -> bool {
    handoff::first_asked(handoff).is_some_and(|first| first != last.provider)
}
