//! The path and the headers of a call: one credential comes out, whole, or none.

use std::borrow::Cow;

use super::{Promise, hold};
use crate::credential::{HEADERS, MAX_LEN, take, without};
use crate::denial::Denial;

/// Takes the first line for the path and each further one for a header, `name: value`.
pub fn credential(bytes: &[u8]) -> Promise {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let path = lines.next().unwrap_or_default();
    let headers: Vec<(String, Vec<u8>)> = lines.filter_map(header).collect();
    for may_be_in_query in [false, true] {
        taken_alike(&headers, path, may_be_in_query)?;
    }
    let plain = taken(&headers, path, false);
    hold((plain == Err(Denial::InQuery)) == is_in_query(path), || format!("{plain:?} for this query"))?;
    hold(without(path).is_some() == is_in_query(path), || "what is found is taken out".into())?;
    let rest = without(path).unwrap_or_else(|| path.to_vec());
    hold(!is_in_query(&rest), || "a credential goes on in the path".into())?;
    // Where the rest of the path is a credential's business no more, the headers say it all.
    let of_headers = taken(&headers, &rest, true);
    hold(of_headers == taken(&headers, &rest, false), || "a query without credentials matters".into())?;
    let Ok(credential) = of_headers else { return Ok(()) };
    for (name, value) in headers.iter().filter(|(name, _)| HEADERS.contains(&name.as_str())) {
        let value = value.trim_ascii();
        let is_empty = value.is_empty() || name == "authorization" && value.eq_ignore_ascii_case(b"bearer");
        hold(is_empty || value.ends_with(credential.as_bytes()), || format!("another credential in {name}"))?;
    }
    Ok(())
}

/// What is taken is one visible text, whatever stands beside it and in whatever order.
fn taken_alike(headers: &[(String, Vec<u8>)], path: &[u8], may_be_in_query: bool) -> Promise {
    let found = taken(headers, path, may_be_in_query);
    let ours: Vec<_> = headers.iter().filter(|(name, _)| HEADERS.contains(&name.as_str())).cloned().collect();
    hold(taken(&ours, path, may_be_in_query) == found, || "other headers matter".into())?;
    let backwards: Vec<_> = headers.iter().rev().cloned().collect();
    let is_alike = found.is_err() || taken(&backwards, path, may_be_in_query) == found;
    hold(is_alike, || "the order of headers matters".into())?;
    let Ok(credential) = found else { return Ok(()) };
    let is_visible = credential.bytes().all(|byte| byte.is_ascii_graphic());
    hold((1..=MAX_LEN).contains(&credential.len()) && is_visible, || "no credential, but taken".into())?;
    let again = [("x-api-key".to_owned(), credential.as_bytes().to_vec())];
    hold(taken(&again, b"/", false) == Ok(credential), || "what was taken is not taken again".into())
}

/// What `take` says of these headers.
fn taken(headers: &[(String, Vec<u8>)], path: &[u8], may_be_in_query: bool) -> Result<String, Denial> {
    take(&headers.iter().map(|(name, value)| (name, value)).collect(), path, may_be_in_query).map(Cow::into_owned)
}

fn header(line: &[u8]) -> Option<(String, Vec<u8>)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = line.split_at_checked(colon)?;
    Some((String::from_utf8_lossy(name).into_owned(), value.get(1..)?.to_vec()))
}

/// The same as the filter asks, by way of undoing all escapes first.
fn is_in_query(path: &[u8]) -> bool {
    let query = path.splitn(2, |byte| *byte == b'?').nth(1).unwrap_or_default();
    query.split(|byte| *byte == b'&' || *byte == b';').any(|pair| {
        let name = unescaped(pair.split(|byte| *byte == b'=').next().unwrap_or_default());
        name.eq_ignore_ascii_case(b"key") || name.eq_ignore_ascii_case(b"access_token")
    })
}

fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    let mut rest = text;
    while let [first, behind @ ..] = rest {
        let escaped = match rest {
            [b'%', high, low, behind @ ..] => str::from_utf8(&[*high, *low])
                .ok()
                .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
                .and_then(|digits| u8::from_str_radix(digits, 16).ok())
                .map(|byte| (byte, behind)),
            _ => None,
        };
        let (byte, behind) = escaped.unwrap_or((*first, behind));
        plain.push(byte);
        rest = behind;
    }
    plain
}
