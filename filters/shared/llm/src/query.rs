//! The query of a path, as any server behind may read it: `;` divides as `&` does, names may be percent-encoded, and their
//! case does not matter.
//!
//! Whoever asks for a name gets every pair that could pass for it, since it is not known which of them a server takes.

use std::borrow::Cow;

use percent_encoding::percent_decode;

/// The path in front of its query.
pub fn bare(path: &[u8]) -> &[u8] {
    path.split(|byte| *byte == b'?').next().unwrap_or(path)
}

/// The decoded values of all pairs of these names, in order; empty for a name without `=`.
pub fn values<'p>(path: &'p [u8], names: &[&[u8]]) -> impl Iterator<Item = Cow<'p, [u8]>> {
    pairs(path)
        .map(|(_, pair)| split(pair))
        .filter(|(name, _)| is_one_of(name, names))
        .map(|(_, value)| decoded(value))
}

/// The path without the pairs of these names; `None` if it has none of them.
pub fn without(path: &[u8], names: &[&[u8]]) -> Option<Vec<u8>> {
    let is_named = |pair: &[u8]| is_one_of(split(pair).0, names);
    if !pairs(path).any(|(_, pair)| is_named(pair)) {
        return None;
    }
    let mut kept = bare(path).to_vec();
    let mut before_first = Some(b'?');
    for (divider, pair) in pairs(path).filter(|(_, pair)| !is_named(pair)) {
        kept.push(before_first.take().unwrap_or(divider));
        kept.extend_from_slice(pair);
    }
    Some(kept)
}

/// Every pair with the byte in front of it.
fn pairs(path: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = path.get(bare(path).len()..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (divider, behind) = rest.split_first()?;
        let end = behind.iter().position(|byte| matches!(byte, b'&' | b';')).unwrap_or(behind.len());
        let (pair, after) = behind.split_at_checked(end)?;
        rest = after;
        Some((*divider, pair))
    })
}

fn split(pair: &[u8]) -> (&[u8], &[u8]) {
    let mut parts = pair.splitn(2, |byte| *byte == b'=');
    (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
}

fn is_one_of(encoded: &[u8], names: &[&[u8]]) -> bool {
    let name = decoded(encoded);
    names.iter().any(|wanted| name.eq_ignore_ascii_case(wanted))
}

fn decoded(encoded: &[u8]) -> Cow<'_, [u8]> {
    percent_decode(encoded).into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &[&[u8]] = &[b"key"];

    fn found(path: &str) -> Vec<String> {
        values(path.as_bytes(), KEY).map(|value| String::from_utf8_lossy(&value).into_owned()).collect()
    }

    fn left(path: &str) -> Option<String> {
        without(path.as_bytes(), KEY).map(|path| String::from_utf8(path).unwrap())
    }

    #[test]
    fn a_name_is_found_and_taken_out_however_it_is_spelled() {
        for (path, values, rest) in [
            ("/p?key=k", &["k"][..], "/p"),
            ("/p?a=b&key=k", &["k"], "/p?a=b"),
            ("/p?key=k&a=b", &["k"], "/p?a=b"),
            ("/p?a=b;key=k;c=d&e", &["k"], "/p?a=b;c=d&e"),
            ("/p?%6bey=%6b%3D", &["k="], "/p"),
            ("/p?%6Be%79=a=b&x=%zz", &["a=b"], "/p?x=%zz"),
            ("/p?KEY=k&%4Bey=l", &["k", "l"], "/p"),
            ("/p?key&key=", &["", ""], "/p"),
            ("/p?key=a&b=c&key=d", &["a", "d"], "/p?b=c"),
            ("/p?a=b?key=x&key=y", &["y"], "/p?a=b?key=x"),
        ] {
            assert_eq!((found(path), left(path)), (values.iter().map(|v| (*v).into()).collect(), Some(rest.into())));
        }
        for path in ["/p", "/key=1", "/p?", "/p?monkey=1&keys=1&a=key", "/p?%6be=1", "/p?%6key=1", "/p?%256bey=k", ""]
        {
            assert_eq!((found(path), left(path)), (vec![], None), "{path}");
        }
    }

    proptest! {
        #[test]
        fn what_was_taken_out_is_gone_and_the_rest_is_there(path in "/[a-c]{0,3}(\\?([&;]|key|%6b|ey|=|[a-z?%]){0,24})?") {
            let rest = left(&path).unwrap_or_else(|| path.clone());
            prop_assert_eq!(found(&rest), Vec::<String>::new());
            prop_assert_eq!(left(&rest), None);
            let count = |text: &str| text.matches('c').count();
            prop_assert!(rest.len() <= path.len() && count(&rest) <= count(&path));
        }

        #[test]
        fn no_bytes_break_it(path: Vec<u8>) {
            let _ = (values(&path, KEY).count(), without(&path, KEY));
        }
    }
}
