//! A stored answer and its bytes in a slot.
//!
//! Layout, integers big-endian: version (1), key (32), stored at (8, ns since the epoch), expires at (8, likewise),
//! length of the content type (2), length of the body (4), content type, body. Whatever does not fit this to the byte
//! is no entry: another layout's, cut off, or not ours at all. Only answers of status 200 are stored, so it holds none.

use std::time::Duration;

use tollgate_core::Timestamp;

use crate::key::Key;

const VERSION: u8 = 1;

/// Bytes of an entry beside content type and body.
pub const OVERHEAD: usize = 1 + 32 + 8 + 8 + 2 + 4;

/// A stored answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it answers.
    pub key: Key,
    /// When its last byte came.
    pub stored_at: Timestamp,
    /// From when on it is not given again.
    pub expires_at: Timestamp,
    /// Its `content-type`, as the provider wrote it.
    pub content_type: Vec<u8>,
    /// Its body, as the provider wrote it.
    pub body: Vec<u8>,
}

impl Entry {
    /// Whether it answers this key now.
    pub fn answers(&self, key: &Key, now: Timestamp) -> bool {
        self.key == *key && now < self.expires_at
    }

    /// Time since it was stored.
    pub const fn age(&self, now: Timestamp) -> Duration {
        now.since(self.stored_at)
    }

    /// The bytes for a slot. `None`: content type or body are longer than the layout can say.
    pub fn encode(&self) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(OVERHEAD + self.content_type.len() + self.body.len());
        bytes.push(VERSION);
        bytes.extend_from_slice(self.key.as_bytes());
        bytes.extend_from_slice(&self.stored_at.as_nanos().to_be_bytes());
        bytes.extend_from_slice(&self.expires_at.as_nanos().to_be_bytes());
        bytes.extend_from_slice(&u16::try_from(self.content_type.len()).ok()?.to_be_bytes());
        bytes.extend_from_slice(&u32::try_from(self.body.len()).ok()?.to_be_bytes());
        bytes.extend_from_slice(&self.content_type);
        bytes.extend_from_slice(&self.body);
        Some(bytes)
    }

    /// Reads the bytes of a slot.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let ([VERSION], rest) = take(bytes)? else { return None };
        let (key, rest) = take(rest)?;
        let (stored_at, rest) = take(rest)?;
        let (expires_at, rest) = take(rest)?;
        let (content_type_len, rest) = take(rest)?;
        let (body_len, rest) = take(rest)?;
        let (content_type, body) = rest.split_at_checked(usize::from(u16::from_be_bytes(*content_type_len)))?;
        if u32::try_from(body.len()).ok()? != u32::from_be_bytes(*body_len) {
            return None;
        }
        Some(Self {
            key: Key::from_bytes(*key),
            stored_at: Timestamp::from_nanos(u64::from_be_bytes(*stored_at)),
            expires_at: Timestamp::from_nanos(u64::from_be_bytes(*expires_at)),
            content_type: content_type.to_vec(),
            body: body.to_vec(),
        })
    }
}

fn take<const N: usize>(bytes: &[u8]) -> Option<(&[u8; N], &[u8])> {
    bytes.split_first_chunk()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(content_type: Vec<u8>, body: Vec<u8>) -> Entry {
        Entry {
            key: Key::from_bytes([7; 32]),
            stored_at: Timestamp::from_secs(100),
            expires_at: Timestamp::from_secs(160),
            content_type,
            body,
        }
    }

    #[test]
    fn it_answers_its_own_key_until_it_expires() {
        let entry = entry(vec![], vec![]);
        assert!(entry.answers(&Key::from_bytes([7; 32]), Timestamp::from_nanos(160_000_000_000 - 1)));
        assert!(!entry.answers(&Key::from_bytes([7; 32]), Timestamp::from_secs(160)));
        assert!(!entry.answers(&Key::from_bytes([8; 32]), Timestamp::from_secs(101)));
    }

    #[test]
    fn bytes_of_another_length_or_version_are_no_entry() {
        let good = entry(b"application/json".to_vec(), b"{}".to_vec()).encode().unwrap();
        assert!(Entry::decode(&good).is_some());
        for cut in 0..good.len() {
            assert_eq!(Entry::decode(&good[..cut]), None, "{cut}");
        }
        assert_eq!(Entry::decode(&[good.as_slice(), b"!"].concat()), None);
        let mut newer = good;
        newer[0] += 1;
        assert_eq!(Entry::decode(&newer), None);
    }

    #[test]
    fn a_content_type_beyond_the_layout_is_not_written() {
        assert_eq!(entry(vec![b'a'; 65_536], vec![]).encode(), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(content_type in prop::collection::vec(any::<u8>(), 0..64), body: Vec<u8>) {
            let entry = entry(content_type, body);
            let bytes = entry.encode().unwrap();
            prop_assert_eq!(bytes.len(), OVERHEAD + entry.content_type.len() + entry.body.len());
            prop_assert_eq!(Entry::decode(&bytes), Some(entry));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = Entry::decode(&bytes);
        }
    }
}
