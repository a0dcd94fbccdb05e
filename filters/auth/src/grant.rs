//! What a caller may use: endpoints and models.
//!
//! The endpoint is in the path, so it is judged at the request's head. The model is where the API carries it: in Gemini's
//! path, in the query of the Realtime API (`/v1/realtime?model=…`; what a session then says is not seen), else in the body, which then is held until it is
//! whole. Where a path or a query names a deployment (Azure), or any query a `model`, that is a model as well, and every model that is
//! named must be allowed.
//!
//! A caller who is limited to models may not use endpoints that name none here (files, images, batches), unless its
//! `endpoints` say `other`: such a call could run any model. What the gateway itself answers is always open.
//!
//! A refusal names the model that was asked for, since the caller wrote it, and never the list.

use tollgate_core::{Refusal, Reply};
use tollgate_llm::{Api, Dialect, MODEL_PARAMETERS, ModelPattern, RequestFacts, query, refuse};

/// The caller's own budget, answered by the gateway.
const OWN_PATHS: &[&[u8]] = &[b"/gateway/budget"];
/// Longest model name that a refusal repeats, in characters.
const MAX_SHOWN: usize = 128;

/// What a caller may use. The default is everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// Endpoints, if they are limited.
    pub endpoints: Option<Vec<Api>>,
    /// Models, if they are limited.
    pub models: Option<Vec<ModelPattern>>,
}

/// What the head of a call says about its permission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Permit {
    /// The call may go on.
    Given,
    /// The body tells.
    InBody,
    /// The call may not go on.
    Refused(Refused),
}

/// Why a call may not go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The body cannot be read; what is wrong with it.
    BadRequest(String),
    /// The endpoint is not the caller's.
    Endpoint,
    /// The model is not the caller's.
    Model(String),
    /// No model is named.
    NoModel,
}

impl Refused {
    /// The code that clients branch on and metrics count.
    pub const fn refusal(&self) -> Refusal {
        match self {
            Self::BadRequest(_) => Refusal::InvalidRequest,
            Self::Endpoint => Refusal::EndpointNotAllowed,
            Self::Model(_) | Self::NoModel => Refusal::ModelNotAllowed,
        }
    }

    /// The answer in the dialect of the path.
    pub fn reply(&self, path: &[u8]) -> Reply {
        let message = match self {
            Self::BadRequest(problem) => problem.clone(),
            Self::Endpoint => {
                "This credential may not use this endpoint. Ask the gateway's operator for access.".into()
            }
            Self::Model(model) => {
                let shown: String = model.chars().filter(|c| !c.is_control()).take(MAX_SHOWN).collect();
                format!("This credential may not use the model `{shown}`. Ask the gateway's operator for access.")
            }
            Self::NoModel => "The request names no model, and this credential is limited to some. Name one.".into(),
        };
        refuse(Dialect::of(path), self.refusal(), &message)
    }
}

impl Grant {
    /// Judges what the path says.
    pub fn at_head(&self, path: &[u8]) -> Permit {
        let without_query = query::bare(path);
        if OWN_PATHS.contains(&without_query) {
            return Permit::Given;
        }
        if *self == Self::default() {
            return Permit::Given;
        }
        if !is_plain(without_query) {
            return Permit::Refused(Refused::Endpoint);
        }
        let api = Api::of(path);
        if self.endpoints.as_ref().is_some_and(|endpoints| !endpoints.contains(&api)) {
            return Permit::Refused(Refused::Endpoint);
        }
        if self.models.is_none() {
            return Permit::Given;
        }
        let named: Vec<String> = in_path(path).collect();
        let is_realtime = api == Api::Other && !named.is_empty() && is_realtime(without_query);
        if let Some(model) = named.into_iter().find(|model| !self.allows(model)) {
            return Permit::Refused(Refused::Model(model));
        }
        match api {
            Api::Other if self.endpoints.is_some() || is_realtime => Permit::Given,
            Api::Other => Permit::Refused(Refused::Endpoint),
            Api::GenerateContent | Api::StreamGenerateContent => match self.at_body(path, b"{}") {
                Ok(()) => Permit::Given,
                Err(refused) => Permit::Refused(refused),
            },
            _ => Permit::InBody,
        }
    }

    /// Judges the model that path and whole body name.
    pub fn at_body(&self, path: &[u8], body: &[u8]) -> Result<(), Refused> {
        if self.models.is_none() {
            return Ok(());
        }
        let facts = RequestFacts::parse(path, body).map_err(|problem| Refused::BadRequest(problem.to_string()))?;
        let named: Vec<String> = facts.model.into_iter().chain(facts.other_models).chain(in_path(path)).collect();
        if named.is_empty() {
            return Err(Refused::NoModel);
        }
        match named.into_iter().find(|model| !self.allows(model)) {
            Some(model) => Err(Refused::Model(model)),
            None => Ok(()),
        }
    }

    fn allows(&self, model: &str) -> bool {
        self.models.as_ref().is_none_or(|models| models.iter().any(|pattern| pattern.matches(model)))
    }
}

/// Whether every reader finds the same segments in a path: nothing escaped, no way up. A provider that undoes either
/// would run what another path names, so a caller with limits has to spell its path plainly.
fn is_plain(path: &[u8]) -> bool {
    let goes_up = path.split(|byte| *byte == b'/').any(|segment| matches!(segment, b"." | b".."));
    !goes_up && !path.iter().any(|byte| matches!(byte, b'%' | b'\\' | b'#' | b';'))
}

/// Whether a path is that of the Realtime API, whose session keeps the model of its query.
fn is_realtime(path: &[u8]) -> bool {
    path.split(|byte| *byte == b'/').rfind(|segment| !segment.is_empty()) == Some(b"realtime")
}

/// Every model that a path names, its query included.
fn in_path(path: &[u8]) -> impl Iterator<Item = String> {
    let in_query = query::values(path, MODEL_PARAMETERS).map(|name| String::from_utf8_lossy(&name).into_owned());
    deployments(path).chain(in_query)
}

/// The names behind `deployments` and `engines` in a path; Azure does not mind their case.
fn deployments(path: &[u8]) -> impl Iterator<Item = String> {
    let path = query::bare(path);
    let segments = || path.split(|byte| *byte == b'/').filter(|segment| !segment.is_empty());
    let is_marker =
        |segment: &[u8]| [&b"deployments"[..], b"engines"].iter().any(|word| segment.eq_ignore_ascii_case(word));
    let behind = segments().zip(segments().skip(1)).filter(move |(before, _)| is_marker(before));
    behind.map(|(_, name)| String::from_utf8_lossy(name).into_owned())
}

#[cfg(test)]
mod tests;
