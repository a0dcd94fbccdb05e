//! What is remembered of a call while it passes.
//!
//! Every phase answers Continue. Bodies are read only as far as needed: the request's until its model is known, the
//! answer's only where nobody else counts tokens.

use std::rc::Rc;

use tollgate_core::handoff;
use tollgate_core::ports::{Body, Headers};
use tollgate_core::{Cx, Flow, Stream, Timestamp, UsageRecord};
use tollgate_llm::{Api, Framing, ModelScanner, RequestFacts};

use crate::attributes::Attributes;
use crate::filter::Metrics;
use crate::outcome::{AnsweredBy, Outcome};
use crate::reading::Reading;

/// What is remembered of one call.
#[derive(Debug)]
pub struct Observation {
    metrics: Rc<Metrics>,
    /// `None`: the call never came here. Envoy runs the log phase all the same, for health probes that a filter in
    /// front answered and for requests that it refused itself; they are no calls of the gateway.
    started: Option<Timestamp>,
    api: Api,
    model: Model,
    /// Present only where this filter itself must read what the answer used.
    reading: Option<Reading>,
    attributes: Attributes,
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

impl Observation {
    /// Of a call that is about to come.
    pub(crate) fn of(metrics: &Rc<Metrics>) -> Self {
        Self {
            metrics: Rc::clone(metrics),
            started: None,
            api: Api::Other,
            model: Model::Unknown,
            reading: None,
            attributes: Attributes::new(metrics.leaves_attributes),
        }
    }

    /// The model that the call names.
    pub(crate) fn model(&self) -> Option<&str> {
        self.model.name()
    }

    /// What the answer used, as far as it was read here.
    pub(crate) fn record(&self) -> Option<UsageRecord<'static>> {
        self.reading.as_ref().map(Reading::record)
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
        self.attributes.on_request_head(cx, self.api);
        Flow::Continue
    }

    fn on_request_body(&mut self, cx: &mut Cx<'_>, body: &mut dyn Body, last: bool) -> Flow {
        if let Model::Sought(scanner) = &mut self.model
            && !scanner.is_done()
            && !body.is_empty()
        {
            scanner.feed(&body.read());
        }
        if last {
            self.attributes.on_request_end(cx, self.model.name());
        }
        Flow::Continue
    }

    fn on_response_headers(&mut self, cx: &mut Cx<'_>, headers: &mut dyn Headers, last: bool) -> Flow {
        // Whoever left a record reads the answer, too.
        if self.api.is_inference()
            && cx.handoff.get(handoff::USAGE).is_none()
            && AnsweredBy::of(cx.handoff) == AnsweredBy::Provider
        {
            self.reading = Framing::of_head(&headers.all()).map(|framing| Reading::new(self.api, framing));
        }
        self.attributes.on_answer(cx);
        if last {
            self.attributes.on_answer_end(cx, self.started.unwrap_or(cx.now), || None);
        }
        Flow::Continue
    }

    fn on_response_body(&mut self, cx: &mut Cx<'_>, body: &mut dyn Body, last: bool) -> Flow {
        if let Some(reading) = &mut self.reading {
            if !body.is_empty() {
                reading.feed(&body.read(), cx.now);
            }
            if last {
                reading.finish();
            }
        }
        if last {
            let counted = || self.reading.as_ref().map(Reading::record);
            self.attributes.on_answer_end(cx, self.started.unwrap_or(cx.now), counted);
        }
        Flow::Continue
    }

    fn on_log(&mut self, cx: &mut Cx<'_>) {
        let Some(started) = self.started else { return };
        self.attributes.on_log(cx, started, || self.reading.as_ref().map(Reading::record));
        let outcome = Outcome::of(&self.metrics, self, started, cx);
        self.metrics.record(cx.handoff, cx.meter, &outcome);
    }
}

/// Gemini names the model in the path, so the facts of such a request stand without its body.
fn model_of_path(path: &[u8]) -> Model {
    RequestFacts::parse(path, b"{}").ok().and_then(|facts| facts.model).map_or(Model::Unknown, Model::Known)
}

#[cfg(test)]
mod tests;
