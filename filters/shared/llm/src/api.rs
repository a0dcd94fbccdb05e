//! Which model API a path names, and which dialect its errors speak.
//!
//! Paths are matched by their last segments, so a prefix such as `/openai` changes nothing. What a provider may read
//! as the same path is the same here (doubled and trailing slashes, percent-encoded letters, letters of the other case,
//! and the `;parameters` that servlet containers take off a segment): otherwise a caller could reach the model under a
//! spelling that nobody meters. Only endpoints that run a model are known: `/v1/messages/count_tokens` and `/v1/models`
//! are [`Api::Other`].

use std::borrow::Cow;

/// An inference endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Api {
    /// OpenAI `/v1/chat/completions`
    ChatCompletions,
    /// OpenAI `/v1/completions`, the older one
    Completions,
    /// OpenAI `/v1/responses`
    Responses,
    /// OpenAI `/v1/embeddings`
    Embeddings,
    /// Anthropic `/v1/messages`
    Messages,
    /// Gemini `/v1beta/models/{model}:generateContent`
    GenerateContent,
    /// Gemini `/v1beta/models/{model}:streamGenerateContent`
    StreamGenerateContent,
    /// Anything else.
    Other,
}

impl Api {
    /// Every endpoint there is a word for.
    pub const ALL: &[Self] = &[
        Self::ChatCompletions,
        Self::Completions,
        Self::Responses,
        Self::Embeddings,
        Self::Messages,
        Self::GenerateContent,
        Self::StreamGenerateContent,
        Self::Other,
    ];

    /// Reads the request path; a query is ignored.
    pub fn of(path: &[u8]) -> Self {
        let path = decoded(path).to_ascii_lowercase();
        match Self::named_by(segments(&path).map(without_parameters)) {
            Self::Other => Self::named_by(segments(&path)),
            api => api,
        }
    }

    /// Matches the last segments of a path in lower case.
    fn named_by<'p>(segments: impl DoubleEndedIterator<Item = &'p [u8]>) -> Self {
        let mut segments = segments.rev().filter(|segment| !segment.is_empty());
        let (last, parent) = (segments.next().unwrap_or_default(), segments.next().unwrap_or_default());
        match (parent, last) {
            (b"chat", b"completions") => Self::ChatCompletions,
            (_, b"completions") => Self::Completions,
            (_, b"responses") => Self::Responses,
            (_, b"embeddings") => Self::Embeddings,
            // OpenAI's threads have messages too, so the version belongs to it.
            (b"v1", b"messages") => Self::Messages,
            _ => match model_and_method(last) {
                Some((_, b"generatecontent")) => Self::GenerateContent,
                Some((_, b"streamgeneratecontent")) => Self::StreamGenerateContent,
                _ => Self::Other,
            },
        }
    }

    /// Whether the endpoint runs a model, so that the call costs tokens.
    pub fn is_inference(self) -> bool {
        self != Self::Other
    }

    /// Reads [`Self::as_str`].
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|api| api.as_str() == word)
    }

    /// The endpoint as one word, for labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ChatCompletions => "chat_completions",
            Self::Completions => "completions",
            Self::Responses => "responses",
            Self::Embeddings => "embeddings",
            Self::Messages => "messages",
            Self::GenerateContent => "generate_content",
            Self::StreamGenerateContent => "stream_generate_content",
            Self::Other => "other",
        }
    }
}

/// Whose error bodies a caller understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// `{"error": {"message", "type", "param", "code"}}`
    OpenAi,
    /// `{"type": "error", "error": {"type", "message"}}`
    Anthropic,
    /// `{"error": {"code", "message", "status", "details"}}`
    Gemini,
}

impl Dialect {
    /// Reads the request path, also of endpoints that run no model; what is unknown speaks OpenAI, as most clients do.
    pub fn of(path: &[u8]) -> Self {
        match Api::of(path) {
            Api::Messages => Self::Anthropic,
            Api::GenerateContent | Api::StreamGenerateContent => Self::Gemini,
            Api::Other => Self::of_unmetered(&decoded(path)),
            Api::ChatCompletions | Api::Completions | Api::Responses | Api::Embeddings => Self::OpenAi,
        }
    }

    /// Such as `/v1/messages/batches` and `/v1beta/models`. Gemini's OpenAI-compatible paths begin `/v1beta/openai`.
    fn of_unmetered(path: &[u8]) -> Self {
        let mut parent: &[u8] = b"";
        let mut found = Self::OpenAi;
        for segment in segments(path) {
            match (parent, segment) {
                (b"v1", b"messages") => found = Self::Anthropic,
                (_, b"v1beta" | b"v1alpha") => found = Self::Gemini,
                (b"v1beta" | b"v1alpha", b"openai") => found = Self::OpenAi,
                _ => {}
            }
            parent = segment;
        }
        found
    }
}

/// The model of a Gemini path, `…/models/{model}:generateContent`.
pub(crate) fn gemini_model(path: &[u8]) -> Option<String> {
    let path = decoded(path);
    let (model, _) = model_and_method(segments(&path).next_back()?)?;
    Some(String::from_utf8_lossy(model).into_owned())
}

fn model_and_method(segment: &[u8]) -> Option<(&[u8], &[u8])> {
    let (model, rest) = segment.split_at_checked(memchr::memrchr(b':', segment)?)?;
    (!model.is_empty()).then_some((model, rest.get(1..)?))
}

/// The segments of a path that are not empty.
pub(crate) fn segments(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|segment| !segment.is_empty())
}

/// A segment as a servlet container reads it, without `;v=1`.
pub(crate) fn without_parameters(segment: &[u8]) -> &[u8] {
    segment.split(|byte| *byte == b';').next().unwrap_or(segment)
}

/// The path without its query, percent-encoding undone.
pub(crate) fn decoded(path: &[u8]) -> Cow<'_, [u8]> {
    let path = path.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or(path);
    if memchr::memchr(b'%', path).is_none() {
        return Cow::Borrowed(path);
    }
    let mut plain = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&byte, after)) = rest.split_first() {
        let escaped = if byte == b'%' { after.split_at_checked(2) } else { None };
        let code = escaped.and_then(|(digits, _)| hex(digits));
        plain.push(code.unwrap_or(byte));
        rest = match (code, escaped) {
            (Some(_), Some((_, after_escape))) => after_escape,
            _ => after,
        };
    }
    Cow::Owned(plain)
}

/// The value of hexadecimal digits, and of nothing else.
fn hex(digits: &[u8]) -> Option<u8> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|value| u8::try_from(value).ok());
    digits.iter().try_fold(0_u8, |value, byte| Some(value << 4 | digit(byte)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_of_the_contract_are_known_under_any_prefix() {
        for (path, api) in [
            ("/v1/chat/completions", Api::ChatCompletions),
            ("/openai/v1/chat/completions?api-version=1", Api::ChatCompletions),
            ("/openai/deployments/x/chat/completions", Api::ChatCompletions),
            ("/v1/completions", Api::Completions),
            ("/v1/responses", Api::Responses),
            ("/v1/embeddings", Api::Embeddings),
            ("/anthropic/v1/messages?beta=true", Api::Messages),
            ("/v1beta/models/gemini-2.5-pro:generateContent?key=x", Api::GenerateContent),
            ("/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse", Api::StreamGenerateContent),
        ] {
            assert_eq!(Api::of(path.as_bytes()), api, "{path}");
            assert!(api.is_inference());
        }
    }

    #[test]
    fn what_runs_no_model_is_other() {
        for path in [
            "/",
            "",
            "/v1/models",
            "/v1/messages/count_tokens",
            "/v1/responses/resp_1",
            "/v1/threads/t/messages",
            "/v1beta/models/m:countTokens",
            "/v1beta/models/:generateContent",
            "/v1/files?next=/v1/chat/completions",
        ] {
            assert_eq!(Api::of(path.as_bytes()), Api::Other, "{path}");
        }
    }

    #[test]
    fn another_spelling_of_a_path_is_no_way_around_the_meter() {
        for path in [
            "/v1/chat/completions/",
            "//v1//chat//completions",
            "/v1/chat/%63ompletions",
            "/v1%2Fchat/completions",
            "/v1/Chat/COMPLETIONS",
            "/v1/chat/%43ompletions",
            "/v1/chat/completions;v=1",
            "/v1/chat;a/completions;b=c;d/",
            "/v1/chat/completions%3Bv=1",
        ] {
            assert_eq!(Api::of(path.as_bytes()), Api::ChatCompletions, "{path}");
        }
        assert_eq!(Api::of(b"/v1beta/models/m%3AgenerateContent"), Api::GenerateContent);
        for path in ["/v1beta/models/m:GenerateContent;x", "/v1beta/models/m;x:generateContent"] {
            assert_eq!(Api::of(path.as_bytes()), Api::GenerateContent, "{path}");
        }
        assert_eq!(Api::of(b"/V1/Messages"), Api::Messages);
    }

    #[test]
    fn broken_percent_encoding_stays_as_it_is() {
        for path in [&b"/a%"[..], b"/a%2", b"/a%zz", b"/%+1", b"/%\xff\xfe"] {
            assert_eq!(decoded(path), path);
        }
    }

    #[test]
    fn dialects_cover_endpoints_that_run_no_model() {
        for (path, dialect) in [
            ("/v1/chat/completions", Dialect::OpenAi),
            ("/v1/messages", Dialect::Anthropic),
            ("/v1/messages/batches", Dialect::Anthropic),
            ("/v1beta/models/m:generateContent", Dialect::Gemini),
            ("/v1beta/models", Dialect::Gemini),
            ("/v1beta/openai/models", Dialect::OpenAi),
            ("/v1beta/openai/chat/completions", Dialect::OpenAi),
            ("/gateway/budget", Dialect::OpenAi),
        ] {
            assert_eq!(Dialect::of(path.as_bytes()), dialect, "{path}");
        }
    }

    #[test]
    fn geminis_model_is_in_the_path() {
        assert_eq!(gemini_model(b"/v1beta/models/gemini-2%2E5:generateContent?x=:y").as_deref(), Some("gemini-2.5"));
        assert_eq!(gemini_model(b"/v1beta/models"), None);
    }
}
