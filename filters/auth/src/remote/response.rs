//! What the answer to a fetch says.

use std::time::Duration;

use tollgate_core::{Answer, HeaderList, header};

/// Longest tag that is kept.
const MOST_TAG: usize = 256;

/// An answer that can be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fetched {
    /// The document's bytes; `None` if it is the one that we have.
    pub(super) document: Option<Vec<u8>>,
    /// Its tag.
    pub(super) etag: Option<String>,
    /// For how long its server calls it fresh.
    pub(super) max_age: Option<Duration>,
}

/// An attempt that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    /// How the metric calls it.
    pub(super) result: &'static str,
    /// How the log does.
    pub(super) problem: String,
}

impl Trouble {
    pub(super) fn unsent(cluster: &str) -> Self {
        Self {
            result: "unreachable",
            problem: format!("the proxy has no cluster {cluster:?}, or no endpoint in it: configure it"),
        }
    }

    pub(super) fn status(status: u16) -> Self {
        Self { result: "status", problem: format!("their server answered {status}") }
    }

    pub(super) fn unreadable(problem: String) -> Self {
        Self { result: "unreadable", problem }
    }
}

/// Reads an answer of at most `most` bytes.
pub(super) fn read(answer: &Answer<'_>, most: usize) -> Result<Fetched, Trouble> {
    let unreachable = |problem: &str| Trouble { result: "unreachable", problem: problem.to_owned() };
    let headers = &answer.headers;
    let document = match answer.status {
        None => {
            return Err(unreachable(
                "their server broke the connection off, or its answer is too long for the proxy",
            ));
        }
        // The proxy's own words, or the server's: either way there is nobody to give the document.
        Some(503) => return Err(unreachable("their server cannot be reached, or answered 503")),
        Some(504) => return Err(unreachable("their server was too slow, or answered 504")),
        Some(200) if answer.body.len() > most => {
            let problem = format!("they take {} bytes, more than {most}", answer.body.len());
            return Err(Trouble { result: "too_large", problem });
        }
        Some(200) if header::is_encoded(headers) => {
            return Err(Trouble::unreadable("their server compressed them, though it was not asked to".to_owned()));
        }
        Some(200) => Some(answer.body.read()),
        Some(304) => None,
        Some(status) => return Err(Trouble::status(status)),
    };
    let etag = headers.first("etag").and_then(|tag| str::from_utf8(tag).ok());
    let is_tag = |tag: &&str| tag.len() <= MOST_TAG && tag.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    Ok(Fetched { document, etag: etag.filter(is_tag).map(str::to_owned), max_age: max_age(headers) })
}

/// `max-age` of `cache-control` (RFC 9111 §5.2.2.1).
fn max_age(headers: &HeaderList) -> Option<Duration> {
    let directives = headers.values("cache-control").flat_map(|value| value.split(|byte| *byte == b','));
    let mut ages = directives.filter_map(|directive| {
        let (name, seconds) = str::from_utf8(directive).ok()?.split_once('=')?;
        name.trim().eq_ignore_ascii_case("max-age").then(|| seconds.trim().trim_matches('"').parse().ok())?
    });
    ages.next().map(Duration::from_secs)
}
