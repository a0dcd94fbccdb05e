//! What becomes of a request's body, and whether it must be read for that.

use tollgate_core::{HeaderList, Refusal};
use tollgate_llm::{
    Api, BodyEdits, Dialect, MODEL_PARAMETERS, edit_body, model_in_path, query, rename_in_path, rename_in_query,
};

/// A path in which the model has the provider's name, and what the body is then for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Renamed {
    /// `None`: the path names no model, or the right one.
    pub(super) path: Option<Vec<u8>>,
    pub(super) body: BodyPlan,
}

/// What the body is read for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum BodyPlan {
    /// Nothing: it passes as it comes.
    Untouched,
    /// It is held until it is whole, then changed.
    Edited {
        /// The model's name that is put where the body names one.
        model: Option<String>,
        /// Whether the body decides which model runs, so that it must name one.
        decides: bool,
        /// Whether it goes to an API that takes nothing but a JSON object.
        is_inference: bool,
    },
}

/// Why a request is not sent: what it is to the caller, and in words.
pub(super) type Refused = (Refusal, String);

const WRONG_MODEL: &str = "The model of this request is served under another name, which cannot be put into it: send a JSON \
                           object that names the model once, as `model`.";

/// Plans for a request whose path is the caller's. `asked` is the model that it names, `name` what the provider calls the
/// one that runs; the same, or `None`: no name changes.
pub(super) fn plan(
    head: &HeaderList,
    last: bool,
    path: &[u8],
    names: Option<(&str, &str)>,
    edits: &BodyEdits,
) -> Result<Renamed, Refused> {
    let is_inference = Api::of(path).is_inference();
    // An API that takes nothing but JSON may not mind what the body is said to be.
    let is_readable = !last && (is_inference || !is_multipart(head)) && head.first("upgrade").is_none();
    let edited = |model: Option<&str>, decides: bool| {
        let model = model.map(str::to_owned);
        if is_readable && (model.is_some() || !edits.is_empty()) {
            BodyPlan::Edited { model, decides, is_inference }
        } else {
            BodyPlan::Untouched
        }
    };
    let Some((asked, name)) = names.filter(|(asked, name)| asked != name) else {
        // A body beside a deployment of the right name may still name another model, and some servers go by the body.
        let is_beside = || Dialect::of(path) != Dialect::Gemini && model_in_path(path).is_some();
        let model = names.filter(|_| is_inference && is_beside()).map(|(_, name)| name);
        return Ok(Renamed { path: None, body: edited(model, false) });
    };
    if let Some(renamed) = rename_in_path(path, name) {
        // Gemini's body has no say, a deployment's may say the same once more.
        let model = (Dialect::of(path) != Dialect::Gemini).then_some(name);
        return Ok(Renamed { path: Some(renamed), body: edited(model, false) });
    }
    let is_in_query = !is_inference && query::values(path, MODEL_PARAMETERS).any(|value| *value == *asked.as_bytes());
    if is_in_query {
        return Ok(Renamed { path: rename_in_query(path, name), body: edited(None, false) });
    }
    if !is_readable {
        return Err((Refusal::InvalidRequest, WRONG_MODEL.into()));
    }
    Ok(Renamed { path: None, body: edited(Some(name), true) })
}

impl BodyPlan {
    /// Whether the body may get another length.
    pub(super) fn is_edited(&self) -> bool {
        *self != Self::Untouched
    }

    /// Whether it may not pass as it is: it would run another model, or is meant to be forbidden something.
    pub(super) fn must_be_edited(&self) -> bool {
        matches!(self, Self::Edited { decides, is_inference, .. } if *decides || *is_inference)
    }

    /// The whole body as the provider gets it; `None`: as it is.
    pub(super) fn apply(&self, body: &[u8], edits: &BodyEdits) -> Result<Option<Vec<u8>>, Refused> {
        let Self::Edited { model, decides, is_inference } = self else { return Ok(None) };
        match edit_body(body, model.as_deref(), edits) {
            Ok(edited) if *decides && !edited.names_model => Err((Refusal::InvalidRequest, WRONG_MODEL.into())),
            Ok(edited) => Ok(edited.body),
            Err(problem) if *decides => Err((Refusal::InvalidRequest, sentence(&problem.to_string()))),
            // A path that decides stands above a `model` that is in doubt, but the other edits hold.
            Err(problem) => match edit_body(body, None, edits) {
                Ok(edited) => Ok(edited.body),
                // Some servers read what is no JSON by the letter, and an edit may be there to forbid something.
                Err(_) if *is_inference => Err((Refusal::InvalidRequest, sentence(&problem.to_string()))),
                Err(_) => Ok(None),
            },
        }
    }
}

fn is_multipart(head: &HeaderList) -> bool {
    head.values("content-type").any(|value| {
        value.trim_ascii_start().get(..10).is_some_and(|start| start.eq_ignore_ascii_case(b"multipart/"))
    })
}

/// A problem as a sentence for the caller.
fn sentence(problem: &str) -> String {
    let mut letters = problem.chars();
    let first = letters.next().map(|first| first.to_uppercase().collect::<String>()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}
