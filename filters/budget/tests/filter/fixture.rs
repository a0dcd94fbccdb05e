//! The recorded answers of `filters/shared/llm/tests/data`, and requests that they answer.

use std::fs;
use std::path::Path;

use serde::Deserialize;
use tollgate_core::Usage;
use tollgate_llm::Api;

/// What stands beside a recording.
#[derive(Debug, Deserialize)]
struct Expected {
    api: String,
    framing: String,
    usage: Usage,
    is_reported: bool,
}

/// One recorded answer.
#[derive(Debug)]
pub(crate) struct Recording {
    pub(crate) name: String,
    pub(crate) api: Api,
    pub(crate) is_sse: bool,
    pub(crate) body: Vec<u8>,
    /// What a client sees that did not ask for usage.
    pub(crate) without_usage: Vec<u8>,
    /// What is to be charged; of an input of 0 what was estimated.
    pub(crate) usage: Usage,
    pub(crate) is_reported: bool,
}

pub(crate) fn recordings() -> Vec<Recording> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/llm/tests/data");
    let names = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter_map(|name| Some(name.strip_suffix(".expected.json")?.to_owned())).collect();
    names.sort();
    let read = |name: String| {
        let expected: Expected =
            serde_json::from_slice(&fs::read(folder.join(format!("{name}.expected.json"))).unwrap()).unwrap();
        let body = fs::read(folder.join(format!("{name}.{}", expected.framing))).unwrap();
        Recording {
            api: Api::parse(&expected.api).unwrap(),
            is_sse: expected.framing == "sse",
            without_usage: if expected.framing == "sse" { without_usage_chunk(&body) } else { body.clone() },
            body,
            usage: expected.usage,
            is_reported: expected.is_reported,
            name,
        }
    };
    names.into_iter().map(read).collect()
}

impl Recording {
    pub(crate) fn path(&self, model: &str) -> String {
        match self.api {
            Api::ChatCompletions => "/v1/chat/completions".to_owned(),
            Api::Completions => "/v1/completions".to_owned(),
            Api::Responses => "/v1/responses".to_owned(),
            Api::Embeddings => "/v1/embeddings".to_owned(),
            Api::Messages => "/v1/messages".to_owned(),
            Api::GenerateContent => format!("/v1beta/models/{model}:generateContent"),
            Api::StreamGenerateContent => format!("/v1beta/models/{model}:streamGenerateContent"),
            Api::Other => unimplemented!("no recording"),
        }
    }

    /// A request of this API; `shows_usage`: it asks for the usage chunk of OpenAI's streams itself.
    pub(crate) fn request(&self, model: &str, shows_usage: bool) -> Vec<u8> {
        let prompt = match self.api {
            Api::ChatCompletions => r#""messages":[{"role":"user","content":"What do you see here?"}]"#,
            Api::Messages => r#""max_tokens":500,"messages":[{"role":"user","content":"What do you see here?"}]"#,
            Api::Completions => r#""prompt":"What do you see here?""#,
            Api::Responses | Api::Embeddings => r#""input":"What do you see here?""#,
            _ => return br#"{"contents":[{"role":"user","parts":[{"text":"What do you see here?"}]}]}"#.to_vec(),
        };
        let stream = match (self.is_sse, shows_usage && self.tells_usage_in_a_chunk()) {
            (true, true) => r#","stream":true,"stream_options":{"include_usage":true}"#,
            (true, false) => r#","stream":true"#,
            (false, _) => "",
        };
        format!(r#"{{"model":"{model}"{stream},{prompt}}}"#).into_bytes()
    }

    pub(crate) fn head(&self) -> &'static [(&'static str, &'static str)] {
        if self.is_sse {
            &[(":status", "200"), ("content-type", "text/event-stream; charset=utf-8")]
        } else {
            &[(":status", "200"), ("content-type", "application/json")]
        }
    }

    /// OpenAI's streams tell it in a chunk that is sent only if asked for.
    pub(crate) fn tells_usage_in_a_chunk(&self) -> bool {
        self.is_sse && matches!(self.api, Api::ChatCompletions | Api::Completions)
    }
}

/// All events but the usage chunk, told apart in the plainest way there is.
fn without_usage_chunk(body: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(body).unwrap();
    let is_usage_chunk = |event: &&str| {
        let data: String = event.lines().filter_map(|line| line.strip_prefix("data:")).collect();
        serde_json::from_str::<serde_json::Value>(&data)
            .is_ok_and(|chunk| chunk["choices"] == serde_json::json!([]) && chunk["usage"].is_object())
    };
    let gap = if text.contains("\r\n\r\n") { "\r\n\r\n" } else { "\n\n" };
    text.split_inclusive(gap).filter(|event| !is_usage_chunk(event)).collect::<String>().into_bytes()
}
