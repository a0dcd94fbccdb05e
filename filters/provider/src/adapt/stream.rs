//! One attempt, phase by phase.

use std::rc::Rc;

use tollgate_core::handoff::{self, Attempt, Routing};
use tollgate_core::ports::{Body, Headers};
use tollgate_core::{Cx, Flow, HeaderList, Refusal, Stream, header, metric};
use tollgate_llm::{Dialect, refuse};

use super::body::{self, BodyPlan, Refused, Renamed};
use super::head::Head;
use super::original::{Lost, Original};
use super::plan::Plan;
use super::{Adapt, patience, target, trail};
use crate::config::Served;
use crate::config::providers::Secret;
use crate::cooling;

const CANNOT_SEND: &str = "The gateway cannot send this request to a provider now. Try again later.";

/// One attempt.
#[derive(Debug)]
pub struct AdaptStream {
    policy: Rc<Adapt>,
    /// Once it is on its way; `None` again when it was answered here.
    running: Option<Running>,
    body: BodyPlan,
    /// The caller's path: its dialect is that of answers from here.
    path: Vec<u8>,
}

/// An attempt that is on its way.
#[derive(Debug)]
struct Running {
    provider: String,
    /// The provider's name of the model; empty: none is named.
    model_name: String,
    /// The gateway's name of it.
    model: Option<String>,
    is_first: bool,
    /// Once an answer began.
    status: Option<u16>,
}

impl AdaptStream {
    /// Opens it.
    pub fn open(policy: &Rc<Adapt>) -> Self {
        Self { policy: Rc::clone(policy), running: None, body: BodyPlan::Untouched, path: Vec::new() }
    }
}

impl Stream for AdaptStream {
    fn on_request_headers(&mut self, cx: &mut Cx<'_>, headers: &mut dyn Headers, last: bool) -> Flow {
        let found = headers.all();
        let policy = Rc::clone(&self.policy);
        match self.start(&policy, cx, headers, &found, last) {
            Ok(()) => Flow::Continue,
            Err(refused) => self.answer(refused),
        }
    }

    fn reads_request_body(&self) -> bool {
        self.body.is_edited()
    }

    fn on_request_body(&mut self, cx: &mut Cx<'_>, body: &mut dyn Body, last: bool) -> Flow {
        let Some(running) = self.running.as_ref().filter(|_| self.body.is_edited()) else { return Flow::Continue };
        let most = self.policy.max_body_bytes;
        if body.len() > most && !self.body.must_be_edited() {
            self.body = BodyPlan::Untouched;
            return Flow::Continue;
        }
        if body.len() > most {
            let problem = format!("The request body is longer than {most} bytes.");
            return self.answer((Refusal::BodyTooLarge, problem));
        }
        if !last {
            return Flow::Wait;
        }
        let Some(plan) = self.policy.plans.get(&running.provider) else { return Flow::Continue };
        match self.body.apply(&body.read(), &plan.edits) {
            Ok(None) => Flow::Continue,
            Ok(Some(edited)) if body.replace(&edited) => Flow::Continue,
            Ok(Some(_)) => {
                cx.log.warn(&format!("the proxy did not take the body for provider {}", running.provider));
                self.answer((Refusal::Unavailable, CANNOT_SEND.into()))
            }
            Err(refused) => self.answer(refused),
        }
    }

    fn on_response_headers(&mut self, cx: &mut Cx<'_>, headers: &mut dyn Headers, _last: bool) -> Flow {
        let Some(running) = &mut self.running else { return Flow::Continue };
        let head = headers.all();
        for (name, _) in head.iter() {
            // What stands there speaks for the gateway, so the provider may not write it.
            if let Some(name) = str::from_utf8(name).ok().filter(|name| name.starts_with(header::GATEWAY_PREFIX)) {
                headers.remove(name);
            }
        }
        let status = head.first(":status").and_then(|status| str::from_utf8(status).ok()?.parse().ok());
        running.status = status;
        if status.is_some_and(patience::may_be_asked_for)
            && let Some(asked) = patience::asked_for(&head, cx.now)
        {
            let until = cx.now.plus(asked.min(self.policy.max_cooldown));
            // Should it not be noted, the provider is asked once more, and says so once more.
            cooling::cool(cx.store, &running.provider, &running.model_name, until, cx.now);
        }
        Flow::Continue
    }

    fn on_log(&mut self, cx: &mut Cx<'_>) {
        let Some(running) = self.running.take() else { return };
        let ending = trail::ending(running.status, || cx.attributes.transport_failure());
        trail::add(cx.handoff, running.is_first, &running.provider, &ending);
        let status = match running.status {
            None => "no_answer".to_owned(),
            Some(status @ 100..=599) => status.to_string(),
            Some(_) => super::OTHER.to_owned(),
        };
        let model = self.policy.label(running.model.as_deref());
        let labels = [("provider", running.provider.as_str()), ("model", model), ("status", status.as_str())];
        cx.meter.add(metric::UPSTREAM_ATTEMPTS, &labels, 1);
    }
}

impl AdaptStream {
    /// Fits the head, and plans for the body.
    fn start(
        &mut self,
        policy: &Adapt,
        cx: &mut Cx<'_>,
        headers: &mut dyn Headers,
        found: &HeaderList,
        last: bool,
    ) -> Result<(), Refused> {
        let is_first = cx.handoff.get(handoff::ATTEMPT).is_none();
        let earlier = if is_first { None } else { Original::load(cx.handoff).map_err(|lost| not_kept(cx, &lost))? };
        self.path = match &earlier {
            Some(original) => original.path.clone(),
            None => without_credentials(found),
        };
        let path = self.path.as_slice();
        if !target::is_plain(path) {
            let problem = "The path of this request is not plain: send it without dot segments and `#`.";
            return Err((Refusal::InvalidRequest, problem.into()));
        }
        let (plan, routing) = chosen(policy, cx)?;

        let asked = routing.asked.filter(|asked| !asked.is_empty());
        let decided = routing.model.or_else(|| asked.clone()).filter(|model| !model.is_empty());
        let served = decided.as_deref().map(|model| plan.provider.serves(model));
        let names = asked.as_deref().zip(served.map(|served| served.name));
        let Renamed { path: renamed, body } = body::plan(found, last, path, names, &plan.edits)?;
        let new_path = plan.target.of(renamed.as_deref().unwrap_or(path), served.map(|served| served.name));
        let credential = plan.credential(|name| handed_over(found, name)).map_err(|missing| {
            let name = &plan.provider.name;
            cx.log.warn(&format!("no credential for provider {name} in {}: the request was not sent", missing.place));
            (Refusal::Unavailable, CANNOT_SEND.into())
        })?;

        let is_changed = new_path != path || body.is_edited() || !plan.provider.headers.is_empty();
        if earlier.is_none() && is_changed {
            let original = Original::of(found, path.to_vec(), policy.set_by_some.iter());
            original.store(cx.handoff).map_err(|lost| not_kept(cx, &lost))?;
        }
        let loses_length = !last && (body.is_edited() || earlier.is_some());
        let original = earlier.as_ref();
        Head { plan, found, original, path: &new_path, credential, loses_length }.write(policy, headers);
        self.body = body;
        self.running = Some(running(cx, plan, served, is_first));
        Ok(())
    }

    /// Answers in the provider's stead. The attempt is none then.
    fn answer(&mut self, (refusal, problem): Refused) -> Flow {
        self.running = None;
        self.body = BodyPlan::Untouched;
        Flow::Reply(refuse(Dialect::of(&self.path), refusal, &problem))
    }
}

/// The provider that Envoy chose, and what route decided. Without either nothing is known of where the request goes.
fn chosen<'p>(policy: &'p Adapt, cx: &mut Cx<'_>) -> Result<(&'p Plan, Routing), Refused> {
    let name = cx.attributes.endpoint_metadata("provider");
    let Some(plan) = name.as_ref().and_then(|name| policy.plans.get(name)) else {
        cx.log.warn(match name {
            Some(_) => "the endpoint names a provider that is not configured: the request was not sent",
            None => "the endpoint has no `provider` in its metadata `tollgate`: the request was not sent",
        });
        return Err((Refusal::Unavailable, CANNOT_SEND.into()));
    };
    let Some(routing) = handoff::routing(cx.handoff) else {
        cx.log.warn("no route filter decided over this request: it was not sent");
        return Err((Refusal::Unavailable, CANNOT_SEND.into()));
    };
    Ok((plan, routing))
}

fn not_kept(cx: &mut Cx<'_>, lost: &Lost) -> Refused {
    match lost {
        Lost::TooLong => (Refusal::InvalidRequest, "The path and the headers of this request are too long.".into()),
        Lost::Unreadable => {
            cx.log.warn("what an earlier attempt kept of this request cannot be read: it was not sent again");
            (Refusal::Unavailable, CANNOT_SEND.into())
        }
    }
}

/// The caller's path without a credential in it.
fn without_credentials(found: &HeaderList) -> Vec<u8> {
    let path = found.first(":path").unwrap_or_default();
    target::without_credentials(path).unwrap_or_else(|| path.to_vec())
}

/// The one secret that Envoy put there.
fn handed_over(found: &HeaderList, name: &str) -> Option<String> {
    let mut values = found.values(name);
    let secret = Secret::read(values.next()?)?;
    values.next().is_none().then(|| secret.to_owned())
}

/// Says who is asked for what.
fn running(cx: &mut Cx<'_>, plan: &Plan, served: Option<Served<'_>>, is_first: bool) -> Running {
    let attempt = Attempt {
        provider: plan.provider.name.clone(),
        model: served.map(|served| served.model.to_owned()),
        stands_in: served.is_some_and(|served| served.stands_in),
    };
    handoff::set_attempt(cx.handoff, &attempt);
    let model_name = served.map(|served| served.name.to_owned()).unwrap_or_default();
    Running { provider: attempt.provider, model_name, model: attempt.model, is_first, status: None }
}
