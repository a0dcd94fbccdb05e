use proptest::prelude::*;

use super::*;

fn headers(pairs: &[(&str, &[u8])]) -> HeaderList {
    pairs.iter().copied().collect()
}

fn taken(pairs: &[(&str, &[u8])]) -> Result<String, Denial> {
    take(&headers(pairs), b"/v1/chat/completions", false).map(Cow::into_owned)
}

#[test]
fn each_of_the_four_headers_carries_a_credential() {
    for name in ["api-key", "x-api-key", "x-goog-api-key"] {
        assert_eq!(taken(&[(name, b"k-1")]), Ok("k-1".into()), "{name}");
    }
    for value in ["Bearer k-1", "bearer k-1", "BEARER   k-1 ", " Bearer k-1"] {
        assert_eq!(taken(&[("authorization", value.as_bytes())]), Ok("k-1".into()), "{value}");
    }
}

#[test]
fn the_same_credential_may_come_twice_but_two_may_not() {
    assert_eq!(taken(&[("authorization", b"Bearer k"), ("x-api-key", b"k")]), Ok("k".into()));
    assert_eq!(taken(&[("authorization", b"Bearer k"), ("x-api-key", b"l")]), Err(Denial::Ambiguous));
    assert_eq!(taken(&[("x-api-key", b"k"), ("x-api-key", b"k")]), Ok("k".into()));
    assert_eq!(taken(&[("x-api-key", b"k"), ("x-api-key", b"l")]), Err(Denial::Ambiguous));
    assert_eq!(taken(&[("x-api-key", b"k"), ("x-api-key", b"k"), ("api-key", b"l")]), Err(Denial::Ambiguous));
}

#[test]
fn empty_headers_count_as_absent() {
    assert_eq!(taken(&[]), Err(Denial::Missing));
    assert_eq!(taken(&[("authorization", b""), ("x-api-key", b"  ")]), Err(Denial::Missing));
    assert_eq!(taken(&[("authorization", b"Bearer")]), Err(Denial::Missing));
    assert_eq!(taken(&[("authorization", b"Bearer "), ("api-key", b"k")]), Ok("k".into()));
}

#[test]
fn other_schemes_are_refused_even_beside_a_key() {
    for value in ["Basic Zm9v", "k-1", "Bearerk-1"] {
        assert_eq!(
            taken(&[("authorization", value.as_bytes()), ("x-api-key", b"k")]),
            Err(Denial::NotBearer),
            "{value}"
        );
    }
}

#[test]
fn odd_bytes_are_refused() {
    for value in [&b"\xff\xfe"[..], b"k\0", b"k 1", b"k\xc3\xa4", b"k\x7f", b"k\n1"] {
        assert_eq!(taken(&[("x-api-key", value)]), Err(Denial::Malformed), "{value:?}");
    }
    assert_eq!(taken(&[("authorization", b"Bearer \xff\xfe")]), Err(Denial::Malformed));
    assert_eq!(taken(&[("authorization", b"\xff\xfe")]), Err(Denial::NotBearer));
    assert_eq!(taken(&[("authorization", b"Bearer a, Bearer b")]), Err(Denial::Malformed));
}

#[test]
fn length_is_bounded() {
    assert_eq!(taken(&[("x-api-key", &[b'k'; MAX_LEN])]).map(|key| key.len()), Ok(MAX_LEN));
    assert_eq!(taken(&[("x-api-key", &[b'k'; MAX_LEN + 1])]), Err(Denial::TooLong));
}

#[test]
fn a_key_in_the_url_is_refused_however_it_is_spelled() {
    let with_key = headers(&[("x-api-key", b"k")]);
    for query in ["key=k", "a=b&key=k", "a=b;key=k", "key", "%6bey=k", "%6Be%79=k", "access_token=t"] {
        let path = format!("/v1beta/models/m:generateContent?{query}");
        assert_eq!(take(&HeaderList::default(), path.as_bytes(), false), Err(Denial::InQuery), "{query}");
        assert_eq!(take(&with_key, path.as_bytes(), false), Err(Denial::InQuery), "{query}");
    }
    for query in ["alt=sse", "monkey=1", "keys=1", "a=key", "%6be=1", "%6key=1", "%", ""] {
        let path = format!("/v1beta/models/m:generateContent?{query}");
        assert_eq!(take(&with_key, path.as_bytes(), false), Ok("k".into()), "{query}");
    }
    assert_eq!(take(&with_key, b"/key=1", false), Ok("k".into()), "only the query counts");
}

#[test]
fn where_it_may_stand_in_the_url_it_counts_like_a_header() {
    for (header, query, expected) in [
        ("", "?key=k", Ok("k")),
        ("", "?access_token=%6b", Ok("k")),
        ("k", "?alt=sse&key=k", Ok("k")),
        ("l", "?key=k", Err(Denial::Ambiguous)),
        ("", "?key=k&key=l", Err(Denial::Ambiguous)),
        ("", "?key=k;access_token=l", Err(Denial::Ambiguous)),
        ("k", "?key=", Ok("k")),
        ("", "?key", Err(Denial::Missing)),
        ("", "?key=%ff", Err(Denial::Malformed)),
        ("", "?key=a%20b", Err(Denial::Malformed)),
        ("", "?key=a%0d%0ab", Err(Denial::Malformed)),
    ] {
        let (list, path) = (headers(&[("x-api-key", header.as_bytes())]), format!("/v1beta/models{query}"));
        assert_eq!(take(&list, path.as_bytes(), true).as_deref(), expected.as_deref(), "{header} {query}");
    }
    assert_eq!(without(b"/v1beta/models?alt=sse&key=k&access_token=t"), Some(b"/v1beta/models?alt=sse".to_vec()));
}

#[test]
fn only_the_documented_control_may_come_from_a_client() {
    for name in [&b"x-gateway-tenant"[..], b"x-gateway-cache-similarity", b"x-gateway-"] {
        assert!(is_forgery(name), "{name:?}");
    }
    for name in [&b"x-gateway-cache"[..], b"x-gateway", b"content-type"] {
        assert!(!is_forgery(name), "{name:?}");
    }
}

proptest! {
    #[test]
    fn no_bytes_break_it_and_what_it_takes_is_visible_ascii(
        list in prop::collection::vec((0..HEADERS.len(), prop::collection::vec(any::<u8>(), 0..24)), 0..4),
        path in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let list = list.into_iter().map(|(name, value)| (HEADERS[name], value)).collect();
        if let Ok(credential) = take(&list, &path, true) {
            prop_assert!(!credential.is_empty() && credential.bytes().all(|byte| byte.is_ascii_graphic()));
        }
    }

    #[test]
    fn any_visible_key_survives_the_way_in(key in "[!-~]{1,80}", name in 0..HEADERS.len()) {
        let value = if HEADERS[name] == "authorization" { format!("Bearer {key}") } else { key.clone() };
        let list = [(HEADERS[name], value)].into_iter().collect();
        prop_assert_eq!(take(&list, b"/", false), Ok(Cow::Borrowed(key.as_str())));
    }
}
