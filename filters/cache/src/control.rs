//! What the two ends say about caching: the caller in its request, the provider in its answer.
//!
//! Of the caller's `cache-control`, `no-store` and `no-cache` count; `x-gateway-cache` says `bypass` or `refresh`.
//! Words that are not known change nothing, as HTTP has it. The strictest word wins.
//!
//! Of the provider's, `no-store`, `private` and `max-age`/`s-maxage` count. `no-cache` does not: servers put it on every
//! event stream to keep browsers from replaying it, and an operator who switches this cache on wants just that. What
//! stands in a provider's answer about freshness can only shorten the configured time. An answer that depends on request
//! headers which are not part of the key (`vary`) would be wrong for another caller, so it is given to nobody else.

use std::time::Duration;

use tollgate_core::{HeaderList, header};

use crate::key::ANSWER_HEADERS;

/// Names in `vary` that harm nobody: the encoding is never asked for, who may share an answer is the partition's
/// business, and the others (of CORS, as Google sends them) change only headers, which are not stored.
const HARMLESS_IN_VARY: &[&str] = &[
    "accept-encoding",
    "access-control-request-headers",
    "access-control-request-method",
    "authorization",
    "origin",
    "referer",
    "x-origin",
];

/// What the caller asks of the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Look it up, and store what comes instead.
    Normal,
    /// Do not look it up, but store what comes.
    Refresh,
    /// Neither.
    Bypass,
}

/// Reads a request's head.
pub fn wish(headers: &HeaderList) -> Wish {
    let says = |name, word| header::has_token(headers, name, word);
    if says("cache-control", "no-store") || says(header::GATEWAY_CACHE, "bypass") {
        Wish::Bypass
    } else if says("cache-control", "no-cache") || says(header::GATEWAY_CACHE, "refresh") {
        Wish::Refresh
    } else {
        Wish::Normal
    }
}

/// How long an answer may be given again, going by its head: the configured time or less. `None`: not at all.
pub fn lifetime(headers: &HeaderList, configured: Duration) -> Option<Duration> {
    let mut lifetime = configured;
    for directive in headers.values("cache-control").flat_map(|value| value.split(|byte| *byte == b',')) {
        let mut parts = directive.splitn(2, |byte| *byte == b'=');
        let name = parts.next().unwrap_or_default().trim_ascii().to_ascii_lowercase();
        match name.as_slice() {
            b"no-store" | b"private" => return None,
            b"max-age" | b"s-maxage" => {
                // An age that cannot be read counts as over (RFC 9111 §4.2.1).
                let seconds = parts.next().and_then(seconds).unwrap_or(0);
                lifetime = lifetime.min(Duration::from_secs(seconds));
            }
            _ => {}
        }
    }
    (!lifetime.is_zero()).then_some(lifetime)
}

/// Whether the answer depends on request headers that the key does not hold; `*` is none that could be held.
pub fn varies(headers: &HeaderList) -> bool {
    let known = |name: &[u8]| {
        HARMLESS_IN_VARY.iter().chain(ANSWER_HEADERS).any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
    };
    headers
        .values("vary")
        .flat_map(|value| value.split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .any(|name| !name.is_empty() && !known(name))
}

fn seconds(value: &[u8]) -> Option<u64> {
    let digits = value.trim_ascii();
    let digits = digits.strip_prefix(b"\"").and_then(|inner| inner.strip_suffix(b"\"")).unwrap_or(digits);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // Digits alone can only fail by being too many: longer than any configured time.
    Some(std::str::from_utf8(digits).ok()?.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &[u8])]) -> HeaderList {
        pairs.iter().copied().collect()
    }

    #[test]
    fn the_callers_words_are_read_and_the_strictest_wins() {
        for (cache_control, gateway_cache, expected) in [
            ("", "", Wish::Normal),
            ("no-cache", "", Wish::Refresh),
            ("max-age=0, No-Store", "", Wish::Bypass),
            ("no-cache, no-store", "", Wish::Bypass),
            ("", "bypass", Wish::Bypass),
            ("", " Refresh ", Wish::Refresh),
            ("no-store", "refresh", Wish::Bypass),
            ("no-cache", "bypass", Wish::Bypass),
            ("no-cached", "hit", Wish::Normal),
        ] {
            let pairs = headers(&[
                ("cache-control", cache_control.as_bytes()),
                ("x-gateway-cache", gateway_cache.as_bytes()),
            ]);
            assert_eq!(wish(&pairs), expected, "{cache_control} {gateway_cache}");
        }
        let twice = headers(&[("cache-control", b"\xff\xfe"), ("cache-control", b"no-store")]);
        assert_eq!(wish(&twice), Wish::Bypass, "every value of a repeated header counts");
    }

    #[test]
    fn the_provider_shortens_the_lifetime_and_never_lengthens_it() {
        let cases: &[(&[&[u8]], Option<u64>)] = &[
            (&[], Some(60)),
            (&[b"public, max-age=3600"], Some(60)),
            (&[b"max-age=10"], Some(10)),
            (&[b"Max-Age=\"10\""], Some(10)),
            (&[b"max-age=10", b"s-maxage=5"], Some(5)),
            (&[b"max-age=99999999999999999999999"], Some(60)),
            (&[b"no-cache, must-revalidate"], Some(60)),
            (&[b"max-age=0"], None),
            (&[b"max-age"], None),
            (&[b"max-age=-1"], None),
            (&[b"max-age=soon"], None),
            (&[b"no-store"], None),
            (&[b"max-age=10, PRIVATE"], None),
            (&[b"private=\"set-cookie\""], None),
            (&[b"\xff\xfe,=,,"], Some(60)),
        ];
        for (values, expected) in cases {
            let pairs: Vec<_> = values.iter().map(|value| ("cache-control", *value)).collect();
            let lifetime = lifetime(&headers(&pairs), Duration::from_secs(60));
            assert_eq!(lifetime, expected.map(Duration::from_secs), "{pairs:?}");
        }
    }

    #[test]
    fn an_answer_may_vary_only_by_what_the_key_holds_or_the_entry_does_not() {
        for (values, expected) in [
            (&[][..], false),
            (&[&b""[..]], false),
            (&[b"Accept-Encoding", b"origin, X-Origin ,Referer"], false),
            (&[b"authorization, Anthropic-Version,openai-beta"], false),
            (&[b"*"], true),
            (&[b"accept-encoding, accept-language"], true),
            (&[b"accept-encoding", b"cookie"], true),
            (&[b"\xff\xfe"], true),
        ] {
            let pairs: Vec<_> = values.iter().map(|value| ("vary", *value)).collect();
            assert_eq!(varies(&headers(&pairs)), expected, "{pairs:?}");
        }
    }
}
