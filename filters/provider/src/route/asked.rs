//! Which model a request asks for, as far as its head tells.
//!
//! A path that names one decides (Gemini's, Azure's, OpenAI's engines), or the query of the Realtime API; else the body has to be
//! read. What could be read in two ways is refused and never guessed at: at endpoints of inference any body but plain JSON,
//! at all others one that says it is JSON and is compressed. Bodies of other kinds name no model and are not held.

use tollgate_core::{HeaderList, header};
use tollgate_llm::{Api, BadRequest, MODEL_PARAMETERS, is_plain_path, model_in_path, query};

/// What the head tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// This model.
    Model(String),
    /// No model is named.
    Nothing,
    /// The body tells.
    InBody,
    /// Nothing that could be gone by.
    Unclear(Unclear),
}

/// Why a request is not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unclear {
    /// The path could be read in two ways.
    Path,
    /// The body does not say it plainly.
    Body(BadRequest),
    /// The query names several models.
    Several,
    /// There is no body.
    Empty,
    /// A socket would name its models where nobody looks.
    Socket,
    /// The body is compressed.
    Compressed,
    /// The body is no JSON.
    NotJson,
    /// The name is no model's.
    NoName,
    /// No model is named where there must be one.
    Nameless,
}

/// Reads a request's head. `last`: no body follows.
pub(super) fn at_head(headers: &HeaderList, path: &[u8], last: bool) -> Asked {
    // What is read about a model (`GET /v1/models/ft:NAME`) has no method behind its colon, and runs none.
    let runs = !matches!(headers.first(":method"), Some(b"GET" | b"HEAD" | b"DELETE"));
    if let Some(model) = model_in_path(path).filter(|_| runs || !is_models_own(path)) {
        return if is_plain_path(path) { Asked::Model(model) } else { Asked::Unclear(Unclear::Path) };
    }
    let is_inference = Api::of(path).is_inference();
    if !is_inference && is_realtime(path) {
        return in_query(path);
    }
    let nothing_or = |unclear| if is_inference { Asked::Unclear(unclear) } else { Asked::Nothing };
    if last {
        let is_post = headers.first(":method") == Some(b"POST");
        return if is_post { nothing_or(Unclear::Empty) } else { Asked::Nothing };
    }
    if headers.first("upgrade").is_some() {
        return nothing_or(Unclear::Socket);
    }
    match body_kind(headers) {
        Kind::Other => nothing_or(Unclear::NotJson),
        Kind::Strange if is_inference => Asked::Unclear(Unclear::NotJson),
        Kind::Json if header::is_encoded(headers) => Asked::Unclear(Unclear::Compressed),
        Kind::Unsaid | Kind::Strange if header::is_encoded(headers) => nothing_or(Unclear::Compressed),
        Kind::Json | Kind::Unsaid | Kind::Strange => Asked::InBody,
    }
}

/// Whether a path names a model as Gemini's do, behind `models`.
fn is_models_own(path: &[u8]) -> bool {
    let mut segments = query::bare(path).split(|byte| *byte == b'/').filter(|segment| !segment.is_empty()).rev();
    segments.next().is_some_and(|last| last.contains(&b':')) && segments.next() == Some(b"models")
}

/// Whether a body ends, and may be JSON that can be read.
pub(super) fn may_be_json(headers: &HeaderList) -> bool {
    let is_read = matches!(body_kind(headers), Kind::Json | Kind::Unsaid);
    headers.first("upgrade").is_none() && is_read && !header::is_encoded(headers)
}

/// A session of the Realtime API keeps the model of its query; what it says later is not seen.
fn is_realtime(path: &[u8]) -> bool {
    let mut segments = query::bare(path).split(|byte| *byte == b'/').filter(|segment| !segment.is_empty());
    segments.next_back().is_some_and(|last| last.eq_ignore_ascii_case(b"realtime"))
}

fn in_query(path: &[u8]) -> Asked {
    let mut named = query::values(path, MODEL_PARAMETERS);
    let Some(model) = named.next() else { return Asked::Nothing };
    if named.any(|other| other != model) {
        return Asked::Unclear(Unclear::Several);
    }
    Asked::Model(String::from_utf8_lossy(&model).into_owned())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Json,
    Unsaid,
    /// What a server that does not mind may read as JSON.
    Strange,
    /// Something that is never one JSON object, as forms and audio are.
    Other,
}

/// Types of which no server makes one JSON object. A form can be written so that it is JSON as well, of another model: so it is
/// not read as JSON here.
const NEVER_JSON: &[&[u8]] = &[
    b"application/jsonl",
    b"application/octet-stream",
    b"application/pdf",
    b"application/x-ndjson",
    b"application/x-www-form-urlencoded",
    b"application/zip",
    b"audio/",
    b"image/",
    b"multipart/",
    b"video/",
];

fn body_kind(headers: &HeaderList) -> Kind {
    let mut found = Kind::Unsaid;
    for value in headers.values("content-type") {
        let kind = value.split(|byte| *byte == b';').next().unwrap_or(value).trim_ascii().to_ascii_lowercase();
        if NEVER_JSON.iter().any(|never| kind.starts_with(never)) {
            return Kind::Other;
        }
        let is_json = kind.ends_with(b"json") && !kind.contains(&b',') && found != Kind::Strange;
        found = if is_json { Kind::Json } else { Kind::Strange };
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: &str, path: &str, more: &[(&str, &str)], last: bool) -> Asked {
        let head = [(":method", method), (":path", path)].into_iter().chain(more.iter().copied());
        at_head(&head.collect(), path.as_bytes(), last)
    }

    #[test]
    fn path_and_query_decide_before_any_body() {
        for (path, model) in [
            ("/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse", "gemini-2.5-flash"),
            ("/v1beta/models/m:countTokens", "m"),
            ("/openai/deployments/d%2D1/chat/completions?api-version=1&model=x", "d-1"),
            ("/v1/engines/davinci/completions", "davinci"),
            ("/v1/realtime?model=gpt-realtime", "gpt-realtime"),
            ("/openai/realtime/?api-version=1&deployment=my%2dmodel", "my-model"),
            ("/v1/Realtime?MODEL=m&model=m", "m"),
        ] {
            for last in [false, true] {
                assert_eq!(asked("POST", path, &[], last), Asked::Model(model.into()), "{path}");
            }
        }
        assert_eq!(asked("GET", "/v1/realtime?model=a&model=b", &[], true), Asked::Unclear(Unclear::Several));
        assert_eq!(asked("GET", "/v1/realtime?model=a&deployment=b", &[], true), Asked::Unclear(Unclear::Several));
        for method in ["GET", "HEAD", "DELETE"] {
            assert_eq!(asked(method, "/v1/models/ft:gpt-4.1:acme::abc123", &[], true), Asked::Nothing, "{method}");
            let deployment = Asked::Model("d".into());
            assert_eq!(asked(method, "/openai/deployments/d/chat/completions", &[], true), deployment, "{method}");
        }
        assert_eq!(asked("GET", "/v1/realtime", &[("upgrade", "websocket")], false), Asked::Nothing);
    }

    #[test]
    fn a_body_is_read_where_it_may_name_the_model() {
        const JSON: &[(&str, &str)] = &[("content-type", "application/json")];
        for kind in ["application/json", "Application/JSON; charset=utf-8", "application/vnd.api+json", " text/json "]
        {
            for path in ["/v1/chat/completions", "/v1/images/generations", "/v1/rerank"] {
                assert_eq!(asked("POST", path, &[("content-type", kind)], false), Asked::InBody, "{kind}");
            }
        }
        for path in ["/v1/chat/completions?model=x", "/v1/messages", "/v1/audio/speech"] {
            assert_eq!(asked("POST", path, &[], false), Asked::InBody, "{path}");
            assert_eq!(asked("GET", path, JSON, false), Asked::InBody, "{path}");
            assert_eq!(asked("GET", path, JSON, true), Asked::Nothing, "{path}");
            assert_eq!(asked("DELETE", path, &[], true), Asked::Nothing, "{path}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused_at_inference_and_names_nothing_elsewhere() {
        let form = ("content-type", "application/x-www-form-urlencoded");
        for (more, last, unclear) in [
            (&[("content-type", "multipart/form-data; boundary=x")][..], false, Unclear::NotJson),
            (&[("content-type", "application/octet-stream")], false, Unclear::NotJson),
            (&[form], false, Unclear::NotJson),
            (&[("content-type", "application/json"), form], false, Unclear::NotJson),
            (&[form, ("content-type", "application/json")], false, Unclear::NotJson),
            (&[("content-type", "Audio/mpeg")], false, Unclear::NotJson),
            (&[("content-type", "application/jsonl")], false, Unclear::NotJson),
            (&[("content-encoding", "gzip")], false, Unclear::Compressed),
            (&[("upgrade", "websocket")], false, Unclear::Socket),
            (&[], true, Unclear::Empty),
        ] {
            assert_eq!(asked("POST", "/v1/responses", more, last), Asked::Unclear(unclear), "{more:?}");
            assert_eq!(asked("POST", "/v1/audio/transcriptions", more, last), Asked::Nothing, "{more:?}");
        }
        // A server that does not mind what a body is said to be finds a model in it.
        let json = ("content-type", "application/json");
        for strange in ["application/json, text/plain", "text/plain, application/json", "what/ever", "\u{e9}", ""] {
            for more in [&[("content-type", strange)][..], &[("content-type", strange), json]] {
                assert_eq!(
                    asked("POST", "/v1/responses", more, false),
                    Asked::Unclear(Unclear::NotJson),
                    "{strange}"
                );
                assert_eq!(asked("POST", "/v1/images/generations", more, false), Asked::InBody, "{strange}");
            }
        }
        // It says that it is JSON, so a model may be in it.
        let zipped = [("content-type", "application/json"), ("content-encoding", "gzip")];
        assert_eq!(asked("POST", "/v1/images/generations", &zipped, false), Asked::Unclear(Unclear::Compressed));
    }
}
