//! Takes the caller's credential out of header bytes.
//!
//! The same credential may arrive in any of four headers, since every SDK has its own, and even in several at once.
//! Two *different* ones are refused: whichever the gateway picked, something behind it might pick the other. Values
//! are bytes, because clients send what they like; only visible ASCII is a credential.
//!
//! A credential in the URL is not accepted unless the operator says so, since URLs are logged by everything on the way: a
//! call that carries one is refused even if a header holds another. Where they are accepted they count like a header, and
//! are taken out of the path either way.

use std::borrow::Cow;
use std::str;

use tollgate_core::{HeaderList, header};
use tollgate_llm::query;

use crate::denial::Denial;

/// The headers that may carry a credential. All of them are removed from every call.
pub const HEADERS: &[&str] = &[AUTHORIZATION, "api-key", "x-api-key", "x-goog-api-key"];

/// Longest credential in bytes.
pub const MAX_LEN: usize = 8 * 1024;

const AUTHORIZATION: &str = "authorization";
/// Gemini's `key`, and `access_token` of RFC 6750 §2.3.
const QUERY_PARAMETERS: &[&[u8]] = &[b"access_token", b"key"];

/// The one credential of a call. `may_be_in_query` lets it stand in the URL.
pub fn take<'h>(headers: &'h HeaderList, path: &'h [u8], may_be_in_query: bool) -> Result<Cow<'h, str>, Denial> {
    let mut found: Option<Cow<'h, str>> = None;
    let mut in_query = query::values(path, QUERY_PARAMETERS).peekable();
    if in_query.peek().is_some() && !may_be_in_query {
        return Err(Denial::InQuery);
    }
    let in_headers = headers.iter().filter(|(name, _)| is_one(name)).map(|(name, value)| of_header(name, value));
    let in_query = in_query.map(|value| match value {
        Cow::Borrowed(value) => read(value).map(|read| read.map(Cow::Borrowed)),
        Cow::Owned(value) => read(&value).map(|read| read.map(|text| Cow::Owned(text.to_owned()))),
    });
    for credential in in_headers.chain(in_query) {
        let Some(credential) = credential? else { continue };
        if found.as_ref().is_some_and(|earlier| *earlier != credential) {
            return Err(Denial::Ambiguous);
        }
        found = Some(credential);
    }
    found.ok_or(Denial::Missing)
}

/// The path without any credential; `None` if it has none.
pub fn without(path: &[u8]) -> Option<Vec<u8>> {
    query::without(path, QUERY_PARAMETERS)
}

fn of_header<'h>(name: &[u8], value: &'h [u8]) -> Result<Option<Cow<'h, str>>, Denial> {
    let value = if name == AUTHORIZATION.as_bytes() { bearer(value)? } else { value.trim_ascii() };
    Ok(read(value)?.map(Cow::Borrowed))
}

/// An empty one counts as absent, as SDKs send it for an unset key.
fn read(value: &[u8]) -> Result<Option<&str>, Denial> {
    match value {
        [] => Ok(None),
        _ if value.len() > MAX_LEN => Err(Denial::TooLong),
        _ if !value.iter().all(u8::is_ascii_graphic) => Err(Denial::Malformed),
        _ => str::from_utf8(value).map(Some).map_err(|_| Denial::Malformed),
    }
}

/// What stands behind `Bearer`; the scheme's case is free (RFC 9110 §11.1).
fn bearer(value: &[u8]) -> Result<&[u8], Denial> {
    let value = value.trim_ascii();
    if value.is_empty() {
        return Ok(value);
    }
    let end = value.iter().position(|byte| *byte == b' ').unwrap_or(value.len());
    let (scheme, rest) = value.split_at_checked(end).ok_or(Denial::Malformed)?;
    if !scheme.eq_ignore_ascii_case(b"Bearer") {
        return Err(Denial::NotBearer);
    }
    Ok(rest.trim_ascii())
}

/// Whether a name is one of ours that no client may set: everything of the gateway's, except the documented control.
pub fn is_forgery(name: &[u8]) -> bool {
    name.starts_with(header::GATEWAY_PREFIX.as_bytes()) && name != header::GATEWAY_CACHE.as_bytes()
}

/// Whether a header of this name may carry a credential.
pub fn is_one(name: &[u8]) -> bool {
    HEADERS.iter().any(|known| known.as_bytes() == name)
}

#[cfg(test)]
mod tests;
