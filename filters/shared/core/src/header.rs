//! Header names that cross the gateway's border, and how a header list is searched.

/// What the cache did; as a request header: `bypass` or `refresh`.
pub const GATEWAY_CACHE: &str = "x-gateway-cache";
/// Every header of ours begins so. Those that a client or a provider sends are removed, except documented controls.
pub const GATEWAY_PREFIX: &str = "x-gateway-";

/// The first value of a header.
pub fn first<'h>(headers: &'h [(String, Vec<u8>)], name: &str) -> Option<&'h [u8]> {
    values(headers, name).next()
}

/// All values of a header, in order.
pub fn values<'h>(headers: &'h [(String, Vec<u8>)], name: &str) -> impl Iterator<Item = &'h [u8]> {
    headers.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_slice())
}

/// Whether a body is compressed or otherwise encoded, so that its bytes say nothing to who only passes it on.
pub fn is_encoded(headers: &[(String, Vec<u8>)]) -> bool {
    values(headers, "content-encoding").any(|value| !value.trim_ascii().eq_ignore_ascii_case(b"identity"))
}

/// Whether a comma-separated header names a token in any of its values, as `cache-control: no-store` does.
pub fn has_token(headers: &[(String, Vec<u8>)], name: &str, token: &str) -> bool {
    values(headers, name)
        .flat_map(|value| value.split(|byte| *byte == b','))
        .any(|part| part.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_plain_only_if_every_encoding_is_identity() {
        let head = |values: &[&str]| -> Vec<(String, Vec<u8>)> {
            values.iter().map(|value| ("content-encoding".into(), value.as_bytes().to_vec())).collect()
        };
        for plain in [&[][..], &["identity"], &[" Identity "], &["identity", "identity"]] {
            assert!(!is_encoded(&head(plain)), "{plain:?}");
        }
        for encoded in [&["gzip"][..], &["identity", "br"], &["identity, gzip"], &[""]] {
            assert!(is_encoded(&head(encoded)), "{encoded:?}");
        }
    }
}
