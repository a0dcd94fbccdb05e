//! What the caller sees of who answered: nobody's name unless the operator wants it, and one clear refusal where nobody did.
//!
//! By the time an answer comes here, Envoy has tried whom it could. One of the statuses that it retries then says that all of
//! them failed, and the last one's own words are of no use to the caller: they are those of one provider of several. Where
//! there is only one to ask, its words are the answer. A 429 passes, as it tells the caller when to come again. What has
//! begun to stream never comes here.

use tollgate_core::handoff::{self, Attempt};
use tollgate_core::ports::Headers;
use tollgate_core::{Cx, HeaderList, Reply};
use tollgate_llm::Dialect;

use super::answer;

/// Who answered.
pub(super) const PROVIDER: &str = "x-gateway-provider";
/// Envoy's word for an answer that a provider gave.
const VIA_UPSTREAM: &str = "via_upstream";
/// What Envoy tries again elsewhere, but for 429.
const FAILURES: &[&[u8]] = &[b"500", b"502", b"503", b"504", b"529"];
/// What is kept of a failed answer: when to come again, and what the filters further in had to say.
const KEPT: &[&str] = &["retry-after", "retry-after-ms", "x-should-retry"];
const KEPT_PREFIXES: &[&[u8]] = &[b"x-ratelimit-", b"x-gateway-"];
/// Most of the trail that a line shows, in characters.
const MOST_TRAIL: usize = 512;

/// What a caller gets to see.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sees {
    /// Who answered.
    pub(super) provider: bool,
    /// How a provider failed: the only one that there is.
    pub(super) failure_of_one: bool,
}

/// An answer's head comes by. The refusal that takes its place, if one does.
pub(super) fn of_head(cx: &mut Cx<'_>, headers: &mut dyn Headers, dialect: Dialect, sees: Sees) -> Option<Reply> {
    let all = headers.all();
    if all.first(PROVIDER).is_some() {
        headers.remove(PROVIDER);
    }
    let status = all.first(":status").unwrap_or_default();
    // The key that a provider does not take is the gateway's: the caller's was good, and is not shown anybody's.
    let is_our_key = status == b"401";
    let has_failed = FAILURES.contains(&status) || is_our_key;
    // Where a filter answered, adapt included, no provider did, and none failed.
    if !(has_failed || sees.provider) || handoff::is_local_reply(cx.handoff) {
        return None;
    }
    let attempt = handoff::attempt(cx.handoff);
    // Envoy itself answers errors only.
    let is_providers = !status.starts_with(b"4") && !status.starts_with(b"5")
        || cx.attributes.code_details().is_some_and(|details| details == VIA_UPSTREAM);
    // With neither attempt nor cluster it is a route of Envoy's that answers by itself.
    let was_sent = || attempt.is_some() || cx.attributes.cluster_name().is_some_and(|name| !name.is_empty());
    let is_the_answer = is_providers && sees.failure_of_one && !is_our_key;
    if has_failed && !is_the_answer && was_sent() {
        tell(cx, &all, attempt.as_ref());
        return Some(with_kept(answer::nobody_answered(dialect), &all));
    }
    if let Some(attempt) = attempt.filter(|_| sees.provider && is_providers) {
        headers.set(PROVIDER, attempt.provider.as_bytes());
    }
    None
}

fn with_kept(reply: Reply, all: &HeaderList) -> Reply {
    let is_kept = |name: &[u8]| {
        let is_listed = KEPT.iter().any(|kept| kept.as_bytes() == name);
        name != PROVIDER.as_bytes() && (is_listed || KEPT_PREFIXES.iter().any(|prefix| name.starts_with(prefix)))
    };
    let kept = all.iter().filter(|(name, _)| is_kept(name));
    kept.fold(reply, |reply, (name, value)| reply.with_header(&String::from_utf8_lossy(name), value))
}

/// One line for the operator: who was tried, and how each of them ended. The last attempt ends behind its answer, so it is told apart.
fn tell(cx: &mut Cx<'_>, all: &HeaderList, attempt: Option<&Attempt>) {
    let routing = handoff::routing(cx.handoff).unwrap_or_default();
    let (pool, model) = (routing.pool, answer::shown(routing.model.as_deref().unwrap_or("none")));
    let last = attempt.map_or("nobody", |attempt| attempt.provider.as_str());
    let status = String::from_utf8_lossy(all.first(":status").unwrap_or_default());
    let trail = cx.handoff.get(handoff::ATTEMPTS).unwrap_or_default();
    let trail = String::from_utf8_lossy(&trail);
    let trail: String = trail.chars().filter(|c| !c.is_control()).take(MOST_TRAIL).collect();
    cx.log.warn(&format!(
        "no provider had an answer: pool {pool}, model {model:?}, last asked {last}, status {status}, ended attempts: {trail}"
    ));
}
