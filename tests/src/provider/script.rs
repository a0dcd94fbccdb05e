//! What a request tells the provider to do, by headers of its own.
//!
//! | header | effect |
//! |---|---|
//! | `x-provider-delay-ms: N` | waits before the head of the answer |
//! | `x-provider-chunk-delay-ms: N` | waits before each event of a stream |
//! | `x-provider-think-ms: N` | waits once after the first event of a stream, which says the role where an API has one |
//! | `x-provider-status: CODE` | answers with this status and an error body of the dialect |
//! | `x-provider-retry-after: SECONDS` | adds `retry-after` to that error |
//! | `x-provider-cut-after: N` | breaks the connection after N events of a stream or N bytes of a body |
//! | `x-provider-reset: 1` | resets the connection instead of answering |
//! | `x-provider-words: N` | answers with N words |
//! | `x-provider-no-limit: 1` | goes on past the maximum that the caller allows |
//! | `x-provider-no-usage: 1` | leaves the token counts out |
//! | `x-provider-trailers: 1` | ends the answer with a trailer, if asked in HTTP/2 |
//! | `x-provider-gzip: 1` | packs a JSON answer, whatever the caller accepts |
//! | `x-provider-prompt-cache: 1` | tells how much of the system prompt this provider saw before |
//! | `x-provider-at: NAMES` | means all of these for the providers of these names only (`a,b`) |
//! | `x-provider-STATUS.NAME: ...` | means one of these for the provider of that name only |
//!
//! Values that are no number are ignored, and numbers are capped: nothing told here can hang a test for long.

use std::time::Duration;

use axum::http::{HeaderMap, StatusCode};

/// Longest wait: 60 s.
const MAX_DELAY_MS: u64 = 60_000;
/// Longest answer, in words.
const MAX_WORDS: u64 = 20_000;

/// The instructions of one request.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// Wait before the head.
    pub delay: Duration,
    /// Wait before each event.
    pub chunk_delay: Duration,
    /// Wait after the first event.
    pub think: Duration,
    /// Error to answer with.
    pub status: Option<StatusCode>,
    /// Seconds for `retry-after`, with `status` only.
    pub retry_after: Option<u64>,
    /// Events or bytes until the connection breaks.
    pub cut_after: Option<usize>,
    /// Reset the connection before the head.
    pub reset: bool,
    /// Length of the answer.
    pub words: Option<usize>,
    /// Generate past the caller's maximum.
    pub no_limit: bool,
    /// Leave the token counts out.
    pub no_usage: bool,
    /// Send a trailer.
    pub trailers: bool,
    /// Pack a JSON body.
    pub gzip: bool,
    /// Tell what the prompt cache had.
    pub prompt_cache: bool,
    /// What it had, in tokens.
    pub(super) cached: u64,
}

impl Script {
    /// Reads the instructions for the provider called `site`.
    pub fn of(headers: &HeaderMap, site: &str) -> Self {
        let text = |name: &str| headers.get(name)?.to_str().ok();
        let is_meant = text("x-provider-at").is_none_or(|names| names.split(',').any(|name| name.trim() == site));
        let number = |name: &str| {
            let told = text(&format!("{name}.{site}")).or_else(|| text(name).filter(|_| is_meant));
            told?.trim().parse::<u64>().ok()
        };
        let millis = |name| Duration::from_millis(number(name).unwrap_or(0).min(MAX_DELAY_MS));
        let size = |name, most: u64| number(name).map(|n| usize::try_from(n.min(most)).unwrap_or(usize::MAX));
        Self {
            delay: millis("x-provider-delay-ms"),
            chunk_delay: millis("x-provider-chunk-delay-ms"),
            think: millis("x-provider-think-ms"),
            status: number("x-provider-status")
                .and_then(|code| StatusCode::from_u16(u16::try_from(code).ok()?).ok())
                .filter(|status| status.as_u16() >= 400),
            retry_after: number("x-provider-retry-after"),
            cut_after: size("x-provider-cut-after", u64::MAX),
            reset: number("x-provider-reset") == Some(1),
            words: size("x-provider-words", MAX_WORDS),
            no_limit: number("x-provider-no-limit") == Some(1),
            no_usage: number("x-provider-no-usage") == Some(1),
            trailers: number("x-provider-trailers") == Some(1),
            gzip: number("x-provider-gzip") == Some(1),
            prompt_cache: number("x-provider-prompt-cache") == Some(1),
            cached: 0,
        }
    }
}
