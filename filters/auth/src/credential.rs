//! Takes the caller's credential out of header bytes.
//!
//! The same credential may arrive in any of four headers, since every SDK has its own, and even in several at once.
//! Two *different* ones are refused: whichever the gateway picked, something behind it might pick the other. Values
//! are bytes, because clients send what they like; only visible ASCII is a credential.
//!
//! A credential in the URL is not accepted, and a call that carries one is refused even if a header holds another:
//! URLs are logged by everything on the way, and the provider would see it.

use std::str;

use tollgate_core::header;

use crate::denial::Denial;

/// The headers that may carry a credential. All of them are removed from every call.
pub const HEADERS: &[&str] = &[AUTHORIZATION, "api-key", "x-api-key", "x-goog-api-key"];

/// Longest credential in bytes.
pub const MAX_LEN: usize = 8 * 1024;

const AUTHORIZATION: &str = "authorization";
/// Gemini's `key`, and `access_token` of RFC 6750 §2.3.
const QUERY_PARAMETERS: &[&[u8]] = &[b"access_token", b"key"];

/// The one credential of a call.
pub fn take<'h>(headers: &'h [(String, Vec<u8>)], path: &[u8]) -> Result<&'h str, Denial> {
    if is_in_query(path) {
        return Err(Denial::InQuery);
    }
    let mut found = None;
    for (name, value) in headers.iter().filter(|(name, _)| HEADERS.contains(&name.as_str())) {
        let Some(credential) = of_header(name, value)? else { continue };
        if found.is_some_and(|earlier| earlier != credential) {
            return Err(Denial::Ambiguous);
        }
        found = Some(credential);
    }
    found.ok_or(Denial::Missing)
}

/// Reads one header; an empty one counts as absent, as SDKs send it for an unset key.
fn of_header<'h>(name: &str, value: &'h [u8]) -> Result<Option<&'h str>, Denial> {
    let value = if name == AUTHORIZATION { bearer(value)? } else { value.trim_ascii() };
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

fn is_in_query(path: &[u8]) -> bool {
    let Some(start) = path.iter().position(|byte| *byte == b'?') else { return false };
    let query = path.get(start + 1..).unwrap_or_default();
    query
        .split(|byte| matches!(byte, b'&' | b';'))
        .filter_map(|pair| pair.split(|byte| *byte == b'=').next())
        .any(|name| QUERY_PARAMETERS.iter().any(|parameter| is_spelled(name, parameter)))
}

/// Whether a percent-encoded name reads as `plain`: `%6bey` is `key` to a provider.
fn is_spelled(encoded: &[u8], plain: &[u8]) -> bool {
    let mut rest = encoded;
    for expected in plain {
        let (byte, behind) = match rest {
            [b'%', high, low, behind @ ..] => (hex_byte(*high, *low), behind),
            [byte, behind @ ..] => (Some(*byte), behind),
            [] => return false,
        };
        if byte != Some(*expected) {
            return false;
        }
        rest = behind;
    }
    rest.is_empty()
}

fn hex_byte(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? << 4 | digit(low)?).ok()
}

/// Whether a name is one of ours that no client may set: everything of the gateway's, except the documented control.
pub fn is_forgery(name: &str) -> bool {
    name.starts_with(header::GATEWAY_PREFIX) && name != header::GATEWAY_CACHE
}

#[cfg(test)]
mod tests;
