//! Header maps as the ABI writes them: a count, the sizes of all names and values, then the bytes, each closed by NUL.
//! All numbers are little-endian u32 (proxy-wasm ABI 0.2.1, "serialized map").

/// Reads a header map. Reading stops where the bytes end too early; names that are not UTF-8 are mended.
pub(crate) fn decode_pairs(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut pairs = Vec::new();
    let Some((count, rest)) = bytes.split_first_chunk::<4>() else { return pairs };
    let sizes_len = (u32::from_le_bytes(*count) as usize).saturating_mul(8);
    let Some((sizes, mut text)) = rest.split_at_checked(sizes_len) else { return pairs };
    let mut take = |size: &[u8; 4]| -> Option<Vec<u8>> {
        let (field, after) = text.split_at_checked(u32::from_le_bytes(*size) as usize)?;
        text = after.strip_prefix(&[0])?;
        Some(field.to_vec())
    };
    for size in sizes.chunks_exact(8) {
        let Some((name_size, value_size)) = size.split_first_chunk::<4>() else { return pairs };
        let Some(value_size) = value_size.first_chunk::<4>() else { return pairs };
        let (Some(name), Some(value)) = (take(name_size), take(value_size)) else { return pairs };
        pairs.push((String::from_utf8_lossy(&name).into_owned(), value));
    }
    pairs
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

    proptest! {
        #[test]
        fn what_is_written_is_read_back(pairs in header_maps()) {
            prop_assert_eq!(decode_pairs(&encode_pairs(&pairs)), pairs);
        }

        #[test]
        fn cut_or_odd_bytes_end_the_list_quietly(pairs in header_maps(), cut: prop::sample::Index, odd: Vec<u8>) {
            let bytes = encode_pairs(&pairs);
            let read = decode_pairs(&bytes[..cut.index(bytes.len())]);
            prop_assert_eq!(&read[..], &pairs[..read.len()]);
            let _ = decode_pairs(&odd);
        }
    }

    #[test]
    fn a_value_cannot_start_a_header_of_its_own() {
        assert_eq!(header_value(b"gpt\r\nx-admin: 1\0"), b"gptx-admin: 1");
        assert_eq!(header_value(b"\xff\xfe ok"), b"\xff\xfe ok");
    }
}
