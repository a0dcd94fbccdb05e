//! Header names that cross the gateway's border, and how a header list is searched.

use std::ops::Range;

/// What the cache did; as a request header: `bypass` or `refresh`.
pub const GATEWAY_CACHE: &str = "x-gateway-cache";
/// Every header of ours begins so. Those that a client or a provider sends are removed, except documented controls.
pub const GATEWAY_PREFIX: &str = "x-gateway-";

/// A header list as it came: names in lower case, repeated ones included, values as bytes since clients send what they like.
///
/// It is one piece of memory and a list of where things stand in it, whatever the number of headers: a list is read in every
/// call by every filter, and a `String` and a `Vec` for each header would cost more than all that is done with them.
#[derive(Clone, Debug, Default)]
pub struct HeaderList {
    bytes: Vec<u8>,
    fields: Vec<Field>,
}

/// Where a header stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: Range<usize>,
    /// Its value.
    pub value: Range<usize>,
}

impl HeaderList {
    /// Headers that stand in these bytes. A field outside of them reads as empty.
    pub const fn new(bytes: Vec<u8>, fields: Vec<Field>) -> Self {
        Self { bytes, fields }
    }

    /// All headers in order, pseudo headers (`:path`) included.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let part = |range: &Range<usize>| self.bytes.get(range.clone()).unwrap_or_default();
        self.fields.iter().map(move |field| (part(&field.name), part(&field.value)))
    }

    /// The first value of a header.
    pub fn first(&self, name: &str) -> Option<&[u8]> {
        self.values(name).next()
    }

    /// All values of a header, in order.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.iter().filter(move |(found, _)| *found == name.as_bytes()).map(|(_, value)| value)
    }

    /// How many headers there are.
    pub const fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }
}

impl<N: AsRef<str>, V: AsRef<[u8]>> FromIterator<(N, V)> for HeaderList {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut list = Self::default();
        let mut put = |bytes: &[u8]| {
            let begin = list.bytes.len();
            list.bytes.extend_from_slice(bytes);
            begin..list.bytes.len()
        };
        for (name, value) in pairs {
            list.fields.push(Field { name: put(name.as_ref().as_bytes()), value: put(value.as_ref()) });
        }
        list
    }
}

/// Whether a body is compressed or otherwise encoded, so that its bytes say nothing to who only passes it on.
pub fn is_encoded(headers: &HeaderList) -> bool {
    headers.values("content-encoding").any(|value| !value.trim_ascii().eq_ignore_ascii_case(b"identity"))
}

/// How long the body is to be, where that is told beforehand.
pub fn declared_length(headers: &HeaderList) -> Option<u64> {
    str::from_utf8(headers.first("content-length")?).ok()?.trim().parse().ok()
}

/// Whether a comma-separated header names a token in any of its values, as `cache-control: no-store` does.
pub fn has_token(headers: &HeaderList, name: &str, token: &str) -> bool {
    headers
        .values(name)
        .flat_map(|value| value.split(|byte| *byte == b','))
        .any(|part| part.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_as_it_was_made_and_never_beyond_its_bytes() {
        let pairs = [("a", &b"1"[..]), ("b", b"\xff"), ("a", b"")];
        let list: HeaderList = pairs.into_iter().collect();
        assert_eq!(list.iter().collect::<Vec<_>>(), pairs.map(|(name, value)| (name.as_bytes(), value)));
        assert_eq!((list.first("a"), list.first("c"), list.values("a").count()), (Some(&b"1"[..]), None, 2));
        let odd = HeaderList::new(b"\xffx".to_vec(), vec![Field { name: 0..1, value: 1..9 }]);
        assert_eq!(odd.iter().collect::<Vec<_>>(), [(&b"\xff"[..], &b""[..])]);
    }

    #[test]
    fn a_body_is_plain_only_if_every_encoding_is_identity() {
        let head =
            |values: &[&str]| -> HeaderList { values.iter().map(|value| ("content-encoding", value)).collect() };
        for plain in [&[][..], &["identity"], &[" Identity "], &["identity", "identity"]] {
            assert!(!is_encoded(&head(plain)), "{plain:?}");
        }
        for encoded in [&["gzip"][..], &["identity", "br"], &["identity, gzip"], &[""]] {
            assert!(is_encoded(&head(encoded)), "{encoded:?}");
        }
    }
}
