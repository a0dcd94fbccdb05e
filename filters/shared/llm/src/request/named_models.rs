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

use super::BadRequest;
use super::members::Members;
use crate::api::{Api, decoded, gemini_model, segments, without_parameters};

/// The segments in front of the name of what runs; Azure does not mind their case.
const MARKERS: &[&[u8]] = &[b"deployments", b"engines"];

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
    use super::*;

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
    fn geminis_body_has_no_say() {
        assert_eq!(named("/v1beta/models/m:generateContent", r#"{"model":"models/m"}"#), (Some("m".into()), vec![]));
    }
}
