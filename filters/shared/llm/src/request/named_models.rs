//! Which model a request runs, and which others it names.
//!
//! Three places may name one. Gemini's path does, and its body then has no say. Azure OpenAI's path names a deployment
//! (`/openai/deployments/{name}/chat/completions`), OpenAI's own older paths an engine (`/v1/engines/{name}/completions`):
//! there the path decides and a `model` in the body is read past. Everywhere else the body decides.
//!
//! A name that decides nothing is kept all the same. Whoever judges or charges by name can then see that a request says
//! two things, so that a cheap name is no way around an expensive one, whichever of the two a server goes by.
//!
//! What a query names (`?model=`) is left out: none of these endpoints reads it.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::BadRequest;
use super::members::{Members, is_same_but_for_case};
use crate::api::{Api, decoded, gemini_model, segments, without_parameters};

/// The segments in front of the name of what runs; Azure does not mind their case.
pub(super) const MARKERS: &[&[u8]] = &[b"deployments", b"engines"];

/// The models that a request names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct NamedModels {
    /// What runs.
    pub(super) runs: Option<String>,
    /// Other names, each once.
    pub(super) others: Vec<String>,
}

impl NamedModels {
    /// Reads path and body. An error: the body's `model` counts here and is no string.
    pub(super) fn of(api: Api, path: &[u8], members: &Members<'_>) -> Result<Self, BadRequest> {
        if matches!(api, Api::GenerateContent | Api::StreamGenerateContent) {
            return Ok(Self { runs: gemini_model(path), others: Vec::new() });
        }
        // The name nearest to the endpoint is the one that a router would take.
        let mut named = deployments(path).into_iter().rev().chain(members.text("model")?);
        let runs = named.next();
        let mut others = Vec::new();
        for name in named {
            if runs.as_ref() != Some(&name) && !others.contains(&name) {
                others.push(name);
            }
        }
        Ok(Self { runs, others })
    }
}

/// The model that a path names, whatever endpoint it is of: Gemini's `models/{model}:{method}`, a deployment, an engine. What it
/// names runs, whatever the body says; but see [`is_plain_path`].
pub fn model_in_path(path: &[u8]) -> Option<String> {
    if is_method_of_a_model(path) { gemini_model(path) } else { deployments(path).pop() }
}

/// Whether every reader finds the same segments in a path. With an encoded `/`, a backslash or a way up in it, a server could find
/// another model there.
pub fn is_plain_path(path: &[u8]) -> bool {
    let count = |path: &[u8]| path.iter().filter(|byte| **byte == b'/').count();
    let end = path.iter().position(|byte| matches!(byte, b'?' | b'#')).unwrap_or(path.len());
    let plain = decoded(path);
    let goes_up = segments(&plain).any(|segment| matches!(without_parameters(segment), b"." | b".."));
    !goes_up && !plain.contains(&b'\\') && count(&plain) == count(path.get(..end).unwrap_or(path))
}

/// Also of the methods that no [`Api`] is for, such as `:countTokens` and `:embedContent`.
pub(super) fn is_method_of_a_model(path: &[u8]) -> bool {
    if matches!(Api::of(path), Api::GenerateContent | Api::StreamGenerateContent) {
        return true;
    }
    let path = decoded(path);
    segments(&path).rev().nth(1).is_some_and(|parent| parent.eq_ignore_ascii_case(b"models"))
}

/// The model that a whole body names, by the rules of [`super::RequestFacts::parse`] and for a part of its price: nothing else of
/// the body is looked at. An error: no JSON object, or a `model` that is no string, stands twice or is written in another case.
pub fn model_in_body(body: &[u8]) -> Result<Option<String>, BadRequest> {
    if body.is_empty() {
        return Err(BadRequest::empty());
    }
    let model: ModelOnly<'_> = serde_json::from_slice(body).map_err(|error| BadRequest::unreadable(&error))?;
    match model {
        ModelOnly { problem: Some(problem), .. } => Err(problem),
        ModelOnly { written: None, .. } => Ok(None),
        ModelOnly { written: Some(raw), .. } => {
            serde_json::from_str(raw.get()).map_err(|_| BadRequest::wrong_type("model", "a string"))
        }
    }
}

/// The one member that is read here.
#[derive(Default)]
struct ModelOnly<'a> {
    written: Option<&'a RawValue>,
    problem: Option<BadRequest>,
}

/// The name of a member: a piece of the body itself unless it holds an escape.
#[derive(serde::Deserialize)]
struct Name<'n>(#[serde(borrow)] Cow<'n, str>);

impl<'de> Deserialize<'de> for ModelOnly<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ModelVisitor)
    }
}

struct ModelVisitor;

impl<'de> Visitor<'de> for ModelVisitor {
    type Value = ModelOnly<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut model = ModelOnly::default();
        while let Some(Name(name)) = map.next_key()? {
            if !is_same_but_for_case("model", &name) {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let written = map.next_value()?;
            if name != "model" {
                model.problem = model.problem.or_else(|| Some(BadRequest::wrong_case("model")));
            } else if model.written.is_some() {
                model.problem = model.problem.or_else(|| Some(BadRequest::twice("model")));
            } else {
                model.written = Some(written);
            }
        }
        Ok(model)
    }
}

/// The names behind the markers, in the order of the path.
fn deployments(path: &[u8]) -> Vec<String> {
    let path = decoded(path);
    let names = || segments(&path).map(without_parameters).filter(|segment| !segment.is_empty());
    let is_marker = |segment: &[u8]| MARKERS.iter().any(|marker| segment.eq_ignore_ascii_case(marker));
    let behind = names().zip(names().skip(1)).filter(|(before, _)| is_marker(before));
    behind.map(|(_, name)| String::from_utf8_lossy(name).into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::RequestFacts;

    fn named(path: &str, body: &str) -> (Option<String>, Vec<String>) {
        let members = Members::of_body(body.as_bytes()).unwrap();
        let named = NamedModels::of(Api::of(path.as_bytes()), path.as_bytes(), &members).unwrap();
        (named.runs, named.others)
    }

    #[test]
    fn a_deployment_in_the_path_runs_whatever_the_body_says() {
        for path in [
            "/openai/deployments/dear/chat/completions?api-version=1",
            "/openai/Deployments/dear/chat/completions",
            "/openai/deployments/d%65ar/chat/completions",
            "/openai/deployments/dear;v=1/chat/completions",
            "//openai//deployments//dear//embeddings/",
            "/v1/engines/dear/completions",
        ] {
            assert_eq!(named(path, r#"{"model":"cheap"}"#), (Some("dear".into()), vec!["cheap".into()]), "{path}");
            assert_eq!(named(path, r#"{"model":"dear"}"#), (Some("dear".into()), vec![]), "{path}");
            assert_eq!(named(path, "{}"), (Some("dear".into()), vec![]), "{path}");
        }
    }

    #[test]
    fn of_several_deployments_none_is_lost() {
        let path = "/deployments/a/deployments/b/engines/c/deployments/a/chat/completions";
        assert_eq!(named(path, r#"{"model":"d"}"#), (Some("a".into()), vec!["c".into(), "b".into(), "d".into()]));
    }

    #[test]
    fn where_the_path_names_none_the_body_decides() {
        for path in ["/v1/chat/completions", "/deployments", "/v1/chat/completions?x=/deployments/dear/y"] {
            assert_eq!(named(path, r#"{"model":"m"}"#), (Some("m".into()), vec![]), "{path}");
        }
    }

    #[test]
    fn a_path_names_its_model_whatever_endpoint_it_is_of() {
        for (path, model) in [
            ("/v1beta/models/m:generateContent?x=/deployments/y/z", Some("m")),
            ("/v1beta/models/m:countTokens", Some("m")),
            ("/v1beta/Models/m%3AbatchEmbedContents/", Some("m")),
            ("/v1/projects/p/locations/l/publishers/google/models/m:rawPredict", Some("m")),
            ("/v1beta/models/m", None),
            ("/v1beta/files/f:download", None),
            ("/openai/deployments/m/images/generations?api-version=1", Some("m")),
            ("/deployments/a/deployments/b/chat/completions", Some("b")),
            ("/v1/chat/completions", None),
            ("/v1/models", None),
            ("", None),
        ] {
            assert_eq!(model_in_path(path.as_bytes()).as_deref(), model, "{path}");
            assert!(is_plain_path(path.as_bytes()), "{path}");
        }
        for path in [
            "/v1beta/models/dear%2Fcheap:generateContent",
            "/v1beta/models/dear%5Ccheap:generateContent",
            "/deployments/dear/..%2fcheap/chat/completions",
            "/deployments/dear/deployments/cheap/%2E%2e/%2e./chat/completions",
            "/deployments/cheap/..;x/chat/completions",
        ] {
            assert!(!is_plain_path(path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn a_body_that_names_its_model_in_doubt_is_refused() {
        for (body, told) in [
            ("", "the request body is empty: send one JSON object"),
            (r#"["m"]"#, "the request body must be one JSON object"),
            (r#"{"model":"m""#, "the request body is not valid JSON (line 1, column 12)"),
            (r#"{"model":"m"}{}"#, "the request body is not valid JSON (line 1, column 14)"),
            (r#"{"model":7}"#, "`model` must be a string"),
            (r#"{"model":["m"]}"#, "`model` must be a string"),
            (r#"{"model":"m","model":"n"}"#, "`model` is given twice: give it once"),
            (r#"{"model":null,"model":"n"}"#, "`model` is given twice: give it once"),
            (r#"{"model":"m","mod\u0065l":"n"}"#, "`model` is given twice: give it once"),
            (r#"{"MODEL":"m"}"#, "write `model` exactly so: its case differs in the request"),
            (r#"{"model":"m","Model":1}"#, "write `model` exactly so: its case differs in the request"),
        ] {
            assert_eq!(model_in_body(body.as_bytes()).unwrap_err().to_string(), told, "{body}");
        }
        for (body, model) in [
            (r#"{"model":"m\u00e9","messages":[{"model":"n"}]}"#, Some("mé")),
            (r#"{"a":{"model":"n"},"mode":1,"models":["n"]}"#, None),
            (r#"{"model":null}"#, None),
            (r#" {"x":[[[]]],"model":"" } "#, Some("")),
        ] {
            assert_eq!(model_in_body(body.as_bytes()).unwrap().as_deref(), model, "{body}");
        }
    }

    proptest! {
        /// Whoever reads a body whole finds the same model in it, or refuses it as well.
        #[test]
        fn the_cheap_reader_agrees_with_the_whole_one(
            members in prop::collection::vec((r#""(model|Model|mod\\u0065l|mode|n|x)""#, r#"("[a-c]"|7|null|\[\]|\{"model":1\})"#), 0..4),
            tail in "[ x}]?",
        ) {
            let members: Vec<_> = members.iter().map(|(name, value)| format!("{name}:{value}")).collect();
            let body = format!("{{{}}}{tail}", members.join(","));
            let whole = RequestFacts::parse(b"/v1/chat/completions", body.as_bytes());
            match (model_in_body(body.as_bytes()), whole) {
                (Ok(model), Ok(facts)) => prop_assert_eq!(model, facts.model),
                (Err(_), whole) => prop_assert!(whole.is_err(), "{}", body),
                // The other refuses more: `n` that is no number.
                (Ok(_), Err(problem)) => prop_assert!(problem.to_string().contains("`n`"), "{}: {}", body, problem),
            }
        }

        #[test]
        fn no_bytes_break_it(path: Vec<u8>, body: Vec<u8>) {
            let _ = (model_in_path(&path), is_plain_path(&path), model_in_body(&body));
        }
    }

    #[test]
    fn geminis_body_has_no_say() {
        assert_eq!(named("/v1beta/models/m:generateContent", r#"{"model":"models/m"}"#), (Some("m".into()), vec![]));
    }
}
