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

/// Whether a comma-separated header names a token in any of its values, as `cache-control: no-store` does.
pub fn has_token(headers: &[(String, Vec<u8>)], name: &str, token: &str) -> bool {
    values(headers, name)
        .flat_map(|value| value.split(|byte| *byte == b','))
        .any(|part| part.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

/// Whether the first `content-type` is this media type, parameters aside.
pub fn is_media_type(headers: &[(String, Vec<u8>)], media_type: &str) -> bool {
    first(headers, "content-type")
        .and_then(|value| value.split(|byte| *byte == b';').next())
        .is_some_and(|value| value.trim_ascii().eq_ignore_ascii_case(media_type.as_bytes()))
}
