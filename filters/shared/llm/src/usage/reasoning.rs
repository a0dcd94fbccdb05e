//! Whether reasoning passes as text. Most providers count it and keep it to themselves, and then it takes no time between
//! pieces of text.
//!
//! Two APIs tell in another member than the text itself that it is reasoning, before it or after: what is known of such a part is kept until the
//! part ends.

use crate::api::Api;
use crate::scan::Scalar;

/// What was seen of reasoning.
#[derive(Debug, Default)]
pub(super) struct Reasoning {
    /// Some passed as text.
    pub(super) is_shown: bool,
    part: Part,
}

/// The part under way.
#[derive(Debug, Default)]
struct Part {
    has_text: bool,
    is_reasoning: bool,
}

impl Reasoning {
    /// An object begins.
    pub(super) fn begin(&mut self, api: Api, path: &str) {
        if is_part(api, path) {
            self.part = Part::default();
        }
    }

    /// The model wrote something here.
    pub(super) fn content(&mut self, api: Api, path: &str) {
        self.part.has_text = true;
        self.is_shown |= match api {
            Api::Messages => path.ends_with(".thinking"),
            Api::Responses => path == "output[].summary[].text",
            Api::ChatCompletions | Api::Completions => {
                path.ends_with(".reasoning")
                    || path.ends_with(".reasoning_content")
                    || path.ends_with(".content[].thinking[].text")
            }
            _ => false,
        };
    }

    /// A scalar ended.
    pub(super) fn scalar(&mut self, api: Api, path: &str, value: Scalar<'_>) {
        self.part.is_reasoning |= match (api, path, value) {
            (Api::Responses, "type", Scalar::Text(Some(kind))) => kind.starts_with("response.reasoning_"),
            (Api::Responses, "output[].content[].type", Scalar::Text(Some(kind))) => kind == "reasoning_text",
            (Api::GenerateContent | Api::StreamGenerateContent, "candidates[].content.parts[].thought", value) => {
                value == Scalar::Bool(true)
            }
            _ => false,
        };
    }

    /// An object ended.
    pub(super) fn end(&mut self, api: Api, path: &str) {
        if is_part(api, path) {
            let part = std::mem::take(&mut self.part);
            self.is_shown |= part.has_text && part.is_reasoning;
        }
    }
}

/// Whether the object says as a whole what its text is: a part of the answer, or an event.
fn is_part(api: Api, path: &str) -> bool {
    match api {
        Api::Responses => matches!(path, "" | "output[].content[]"),
        Api::GenerateContent | Api::StreamGenerateContent => path == "candidates[].content.parts[]",
        _ => false,
    }
}
