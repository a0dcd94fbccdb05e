//! What the caller is told where no provider is asked, or none has an answer, in the dialect of the API that was called.
//!
//! A refusal repeats the model that was asked for, since the caller wrote it, and names no provider, pool or other model.

use std::time::Duration;

use tollgate_core::{Refusal, Reply};
use tollgate_llm::{Dialect, refuse};

use super::asked::Unclear;

/// Longest name that is repeated, in characters.
const MOST_SHOWN: usize = 100;

/// 400: it is open what is asked for.
pub(super) fn unclear(dialect: Dialect, unclear: &Unclear) -> Reply {
    let message = match unclear {
        Unclear::Body(bad) => &bad.to_string(),
        Unclear::Path => "The path could name two models. Write it without `%2F`, backslashes, `.` and `..`.",
        Unclear::Several => "The query names several models. Name one.",
        Unclear::Empty => "The request body is empty: send one JSON object.",
        Unclear::Socket => "The models of a socket to this path cannot be seen. Send each request by itself.",
        Unclear::Compressed => {
            "The request body is compressed, which is not accepted. Send it plain, without `content-encoding`."
        }
        Unclear::NotJson => "The request body must be JSON. Send it with `content-type: application/json`.",
        Unclear::NoName => "The name of the model must be 1 to 256 bytes without control characters.",
        Unclear::Nameless => "The request names no model. Name one in `model`.",
    };
    refuse(dialect, Refusal::InvalidRequest, message)
}

/// 413: the body is longer than the filter holds.
pub(super) fn too_large(dialect: Dialect, most: usize) -> Reply {
    let message = format!("The body is larger than {most} bytes, the most that is accepted.");
    refuse(dialect, Refusal::BodyTooLarge, &message)
}

/// 404: nobody serves the model.
pub(super) fn model_not_found(dialect: Dialect, asked: &str) -> Reply {
    let asked = shown(asked);
    let message =
        format!("The gateway serves no model `{asked}`. Check its name, or ask the gateway's operator for it.");
    refuse(dialect, Refusal::ModelNotFound, &message)
}

/// 404: nobody serves requests that name no model.
pub(super) fn not_found(dialect: Dialect) -> Reply {
    refuse(dialect, Refusal::NotFound, "The gateway serves no request here that names no model. Check the path.")
}

/// 429: everybody who serves it asked to be left alone.
pub(super) fn cooling(dialect: Dialect, wait: Duration) -> Reply {
    let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1);
    let message = format!("Everybody who serves this model is at their own rate limit. Try again in {seconds}s.");
    refuse(dialect, Refusal::RateLimitExceeded, &message).with_header("retry-after", seconds.to_string())
}

/// 503: nobody had an answer.
pub(super) fn nobody_answered(dialect: Dialect) -> Reply {
    refuse(dialect, Refusal::UpstreamUnavailable, "No model provider could answer. Try again in a moment.")
}

/// A caller's text as it may stand in an answer or a log.
pub(super) fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MOST_SHOWN).collect()
}
