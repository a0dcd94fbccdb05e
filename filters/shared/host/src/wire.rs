//! Header maps as the ABI writes them: a count, the sizes of all names and values, then the bytes, each closed by NUL.
//! All numbers are little-endian u32 (proxy-wasm ABI 0.2.1, "serialized map").

use tollgate_core::header::{Field, HeaderList};

/// Reads a header map. Reading stops where the bytes end too early.
pub(crate) fn decode_pairs(bytes: Vec<u8>) -> HeaderList {
    let mut fields = Vec::new();
    let size_at = |at: usize| bytes.get(at..)?.first_chunk().map(|size| u32::from_le_bytes(*size) as usize);
    let count = size_at(0).unwrap_or_default();
    let sizes_end = 4_usize.saturating_add(count.saturating_mul(8));
    if bytes.len() >= sizes_end {
        fields.reserve(count);
        let mut at = sizes_end;
        let mut take = |size: Option<usize>| {
            let end = at.checked_add(size?).filter(|end| bytes.get(*end) == Some(&0))?;
            let field = at..end;
            at = end + 1;
            Some(field)
        };
        for sizes in (4..sizes_end).step_by(8) {
            let (Some(name), Some(value)) = (take(size_at(sizes)), take(size_at(sizes + 4))) else { break };
            fields.push(Field { name, value });
        }
    }
    HeaderList::new(bytes, fields)
}

/// Writes a header map. Sizes beyond u32 do not exist in a 32-bit module.
pub(crate) fn encode_pairs(pairs: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = (pairs.len() as u32).to_le_bytes().to_vec();
    for (name, value) in pairs {
        bytes.extend((name.len() as u32).to_le_bytes());
        bytes.extend((value.len() as u32).to_le_bytes());
    }
    for (name, value) in pairs {
        bytes.extend(name.as_bytes());
        bytes.push(0);
        bytes.extend(value);
        bytes.push(0);
    }
    bytes
}

/// A header value without the bytes that would end it early. Envoy writes what a filter sets as it is, so a line break
/// out of a request's body would start a header of the caller's own.
pub(crate) fn header_value(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().copied().filter(|byte| !matches!(byte, b'\0' | b'\r' | b'\n')).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header_maps() -> impl Strategy<Value = Vec<(String, Vec<u8>)>> {
        prop::collection::vec(("[a-z:-]{0,12}", prop::collection::vec(any::<u8>(), 0..40)), 0..8)
    }

    fn read(bytes: Vec<u8>) -> Vec<(String, Vec<u8>)> {
        let text = |name: &[u8]| String::from_utf8(name.to_vec()).unwrap_or_default();
        decode_pairs(bytes).iter().map(|(name, value)| (text(name), value.into())).collect()
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(pairs in header_maps()) {
            prop_assert_eq!(read(encode_pairs(&pairs)), pairs);
        }

        #[test]
        fn cut_or_odd_bytes_end_the_list_quietly(pairs in header_maps(), cut: prop::sample::Index, odd: Vec<u8>) {
            let bytes = encode_pairs(&pairs);
            let found = read(bytes[..cut.index(bytes.len())].to_vec());
            prop_assert_eq!(&found[..], &pairs[..found.len()]);
            let _ = read(odd);
        }
    }

    #[test]
    fn a_value_cannot_start_a_header_of_its_own() {
        assert_eq!(header_value(b"gpt\r\nx-admin: 1\0"), b"gptx-admin: 1");
        assert_eq!(header_value(b"\xff\xfe ok"), b"\xff\xfe ok");
    }
}
