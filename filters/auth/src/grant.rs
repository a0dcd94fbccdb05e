//! What a caller may use: endpoints and models.
//!
//! The endpoint is in the path, so it is judged at the request's head. The model is where the API carries it: in Gemini's
//! path, else in the body, which then is held until it is whole. Where a path names a deployment (Azure), that is a model
//! as well, and every model that is named must be allowed.
//!
//! A caller who is limited to models may not use endpoints that name none here (files, images, batches), unless its
//! `endpoints` say `other`: such a call could run any model. What the gateway itself answers is always open.
//!
//! A refusal names the model that was asked for, since the caller wrote it, and never the list.

use tollgate_core::{Refusal, Reply};
use tollgate_llm::{Api, Dialect, RequestFacts, refuse};

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

/// One model, or all that begin alike (`gpt-4.1*`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelPattern {
    /// This name, compared exactly.
    Exact(String),
    /// Every name that begins so.
    Prefix(String),
}

impl ModelPattern {
    /// Reads 1 to 256 bytes; an asterisk may stand at the end alone.
    pub fn parse(text: &str) -> Option<Self> {
        let (prefix, is_prefix) = text.strip_suffix('*').map_or((text, false), |prefix| (prefix, true));
        let is_good =
            (1..=256).contains(&text.len()) && !prefix.contains('*') && !prefix.chars().any(char::is_control);
        is_good.then(|| if is_prefix { Self::Prefix(prefix.to_owned()) } else { Self::Exact(text.to_owned()) })
    }

    fn allows(&self, model: &str) -> bool {
        match self {
            Self::Exact(name) => name == model,
            Self::Prefix(prefix) => model.starts_with(prefix.as_str()),
        }
    }
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
        let without_query = path.split(|byte| *byte == b'?').next().unwrap_or(path);
        if OWN_PATHS.contains(&without_query) {
            return Permit::Given;
        }
        let api = Api::of(path);
        if self.endpoints.as_ref().is_some_and(|endpoints| !endpoints.contains(&api)) {
            return Permit::Refused(Refused::Endpoint);
        }
        if self.models.is_none() {
            return Permit::Given;
        }
        match api {
            Api::Other if self.endpoints.is_some() => Permit::Given,
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
        let Some(models) = &self.models else { return Ok(()) };
        let facts = RequestFacts::parse(path, body).map_err(|problem| Refused::BadRequest(problem.to_string()))?;
        let named = [facts.model, deployment(path)];
        if named.iter().all(Option::is_none) {
            return Err(Refused::NoModel);
        }
        match named.into_iter().flatten().find(|model| !models.iter().any(|pattern| pattern.allows(model))) {
            Some(model) => Err(Refused::Model(model)),
            None => Ok(()),
        }
    }
}

/// The name behind `deployments` or `engines` in a path. An escaped name stays as it is, and so matches no pattern but
/// one that spells it so.
fn deployment(path: &[u8]) -> Option<String> {
    let path = path.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or(path);
    let mut segments = path.split(|byte| *byte == b'/').filter(|segment| !segment.is_empty());
    segments.find(|segment| matches!(*segment, b"deployments" | b"engines"))?;
    segments.next().map(|name| String::from_utf8_lossy(name).into_owned())
}

#[cfg(test)]
mod tests;
