//! What is remembered of a call while it passes, and what is recorded when it ends.
//!
//! Every phase answers Continue. Bodies are read only as far as needed: the request's until its model is known, the
//! answer's only where nobody else counts tokens. All recording happens in the log phase, once.
//!
//! The model of a call is the one that ran, as far as anybody knows: adapt says which answered, route which was decided on,
//! and without both it is the one that the call names.

use std::cell::RefCell;
use std::rc::Rc;

use tollgate_core::handoff::{self, Attempt};
use tollgate_core::ports::{Body, Handoff, Headers};
use tollgate_core::{ConfigError, Cx, Filter, Flow, Setup, Stream, Timestamp, Usage, UsageSource, metric};
use tollgate_llm::{Api, Framing, ModelScanner, RequestFacts, UsageMeter};

use crate::config::Policy;
use crate::histogram::Histogram;
use crate::label::{self, Models, NONE};
use crate::tokens;

/// The metrics filter of one worker.
#[derive(Debug)]
pub struct Metrics {
    models: Models,
    duration: RefCell<Histogram>,
}

impl Filter for Metrics {
    const NAME: &'static str = "metrics";
    type Stream = Observation;

    fn configure(setup: &mut Setup<'_>) -> Result<Self, ConfigError> {
        let Policy { models, duration_buckets } = Policy::parse(setup.config)?;
        let duration = RefCell::new(Histogram::new(metric::REQUEST_DURATION, duration_buckets));
        Ok(Self { models, duration })
    }

    fn open(self: &Rc<Self>) -> Observation {
        Observation { metrics: Rc::clone(self), started: None, api: Api::Other, model: Model::Unknown, meter: None }
    }
}

/// What is remembered of one call.
#[derive(Debug)]
pub struct Observation {
    metrics: Rc<Metrics>,
    /// `None`: the call never came here. Envoy runs the log phase all the same, for health probes that a filter in
    /// front answered and for requests that it refused itself; they are no calls of the gateway.
    started: Option<Timestamp>,
    api: Api,
    model: Model,
    /// Present only where this filter itself must read what the answer cost.
    meter: Option<UsageMeter>,
}

/// How the model of a call becomes known.
#[derive(Debug)]
enum Model {
    /// The call names none.
    Unknown,
    /// It stood in the path.
    Known(String),
    /// It is looked for in the body.
    Sought(ModelScanner),
}

impl Model {
    fn name(&self) -> Option<&str> {
        match self {
            Self::Unknown => None,
            Self::Known(model) => Some(model),
            Self::Sought(scanner) => scanner.model(),
        }
    }
}

impl Stream for Observation {
    fn on_request_headers(&mut self, cx: &mut Cx<'_>, headers: &mut dyn Headers, _last: bool) -> Flow {
        self.started = Some(cx.now);
        let headers = headers.all();
        let path = headers.first(":path").unwrap_or_default();
        self.api = Api::of(path);
        self.model = match self.api {
            Api::Other => Model::Unknown,
            Api::GenerateContent | Api::StreamGenerateContent => model_of_path(path),
            _ => Model::Sought(ModelScanner::new()),
        };
        Flow::Continue
    }

    fn on_request_body(&mut self, _cx: &mut Cx<'_>, body: &mut dyn Body, _last: bool) -> Flow {
        if let Model::Sought(scanner) = &mut self.model
            && !scanner.is_done()
            && !body.is_empty()
        {
            scanner.feed(&body.read());
        }
        Flow::Continue
    }

    fn on_response_headers(&mut self, cx: &mut Cx<'_>, headers: &mut dyn Headers, _last: bool) -> Flow {
        if self.api.is_inference() && handoff::usage(cx.handoff).is_none() && !is_answered_here(cx.handoff) {
            self.meter = Framing::of_head(&headers.all()).map(|framing| UsageMeter::new(self.api, framing));
        }
        Flow::Continue
    }

    fn on_response_body(&mut self, _cx: &mut Cx<'_>, body: &mut dyn Body, last: bool) -> Flow {
        if let Some(meter) = &mut self.meter {
            if !body.is_empty() {
                meter.feed(&body.read());
            }
            if last {
                meter.finish();
            }
        }
        Flow::Continue
    }

    fn on_log(&mut self, cx: &mut Cx<'_>) {
        let Some(started) = self.started else { return };
        let answered_here = is_answered_here(cx.handoff);
        let code = cx.attributes.response_code();
        let status = label::status(code);
        let route = label::configured(cx.attributes.route_name());
        let attempt = handoff::attempt(cx.handoff).filter(|_| !answered_here);
        let provider = match &attempt {
            // The route names a cluster even for calls that were refused: that provider was never asked.
            _ if answered_here => NONE.into(),
            Some(attempt) => label::configured(Some(attempt.provider.clone())),
            None => label::configured(cx.attributes.cluster_name()),
        };
        let ran = attempt.as_ref().and_then(|attempt| attempt.model.clone()).or_else(|| decided(cx.handoff));
        let model = self.metrics.models.of(ran.as_deref().or_else(|| self.model.name()));

        let labels = [("route", &*route), ("model", model), ("provider", &*provider), ("status", &*status)];
        cx.meter.add(metric::REQUESTS, &labels, 1);
        if attempt.is_some_and(|attempt| is_fallback(cx.handoff, &attempt)) {
            let labels = [("model", model), ("provider", &*provider), ("status", &*status)];
            cx.meter.add(metric::FALLBACKS, &labels, 1);
        }

        let duration = cx.attributes.duration().unwrap_or_else(|| cx.now.since(started));
        self.metrics.duration.borrow_mut().observe(cx.meter, &route, &status, duration);
        if !answered_here && let Some(usage) = self.usage(cx.handoff, code) {
            for part in tokens::parts(&usage) {
                let labels = [("type", part.token_type), ("part", part.part), ("model", model)];
                cx.meter.add(metric::TOKENS, &labels, part.tokens);
            }
        }
    }
}

impl Observation {
    /// The one usage record of the call: the budget filter's if there is one, else what was read here. A failed call
    /// costs what its provider says, so an estimate does not count for it.
    fn usage(&self, handoff: &dyn Handoff, code: Option<u16>) -> Option<Usage> {
        let usage = handoff::usage(handoff).or_else(|| self.meter.as_ref().map(UsageMeter::usage))?;
        let failed = code.is_some_and(|code| code >= 400);
        (!failed || usage.source == UsageSource::Reported).then_some(usage)
    }
}

/// Whether no provider had a say in the answer: a refusal, an answer of the gateway's own, or a cache hit.
fn is_answered_here(handoff: &dyn Handoff) -> bool {
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

/// Gemini names the model in the path, so the facts of such a request stand without its body.
fn model_of_path(path: &[u8]) -> Model {
    RequestFacts::parse(path, b"{}").ok().and_then(|facts| facts.model).map_or(Model::Unknown, Model::Known)
}

#[cfg(test)]
mod tests;
