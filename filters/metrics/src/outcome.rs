//! How a call ended: every hand-off and attribute that matters, read once.
//!
//! The model of a call is the one that ran, as far as anybody knows: adapt says which answered, route which was decided on,
//! and without both it is the one that the call names.

use std::borrow::Cow;
use std::time::Duration;

use tollgate_core::handoff::{self, Attempt};
use tollgate_core::ports::Handoff;
use tollgate_core::{Cx, Timestamp, Usage, UsageSource};
use tollgate_llm::UsageMeter;

use crate::filter::Metrics;
use crate::label::{self, NONE};
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
    /// Whether another provider was asked than the first.
    pub is_fallback: bool,
    /// From the call's first byte to its end.
    pub duration: Duration,
    /// The tokens that a provider is paid for.
    pub usage: Option<Usage>,
}

impl<'a> Outcome<'a> {
    /// Reads what a call came to, in the log phase.
    pub(crate) fn of(metrics: &'a Metrics, seen: &Observation, started: Timestamp, cx: &Cx<'_>) -> Self {
        let answered_here = is_answered_here(cx.handoff);
        let code = cx.attributes.response_code();
        let attempt = if answered_here { None } else { handoff::attempt(cx.handoff) };
        let provider = match &attempt {
            // The route names a cluster even for calls that were refused: that provider was never asked.
            _ if answered_here => NONE.into(),
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
            is_fallback,
            duration: cx.attributes.duration().unwrap_or_else(|| cx.now.since(started)),
            usage: if answered_here { None } else { usage(cx.handoff, seen, code) },
        }
    }
}

/// The one usage record of the call: the budget filter's if there is one, else what was read here. A failed call
/// costs what its provider says, so an estimate does not count for it.
fn usage(handoff: &dyn Handoff, seen: &Observation, code: Option<u16>) -> Option<Usage> {
    let usage = handoff::usage(handoff).or_else(|| seen.meter.as_ref().map(UsageMeter::usage))?;
    let failed = code.is_some_and(|code| code >= 400);
    (!failed || usage.source == UsageSource::Reported).then_some(usage)
}

/// Whether no provider had a say in the answer: a refusal, an answer of the gateway's own, or a cache hit.
pub(crate) fn is_answered_here(handoff: &dyn Handoff) -> bool {
    handoff::is_local_reply(handoff) || handoff::is_cache_hit(handoff)
}

/// The model that the provider filter decided on, whatever the call names.
fn decided(handoff: &dyn Handoff) -> Option<String> {
    handoff::routing(handoff)?.model
}

/// Whether the last attempt was at another provider than the first. Asking one again is no fallback.
fn is_fallback(handoff: &dyn Handoff, last: &Attempt) -> bool {
    handoff::first_asked(handoff).is_some_and(|first| first != last.provider)
}
