//! A stored answer and its bytes in a slot.
//!
//! Layout, integers big-endian: version (1), key (32), stored at (8, ns since the epoch), expires at (8, likewise),
//! usage (41: five figures of 8, and 1 if the provider told them), length of the content type (2), length of the body (4), content
//! type, body. Whatever does not fit this to the byte is no entry: another layout's, cut off, or not ours at all. Only
//! answers of status 200 are stored, so it holds none.

use std::time::Duration;

use tollgate_core::{Timestamp, Usage, UsageSource};

use crate::key::Key;

const VERSION: u8 = 2;
/// Figures of a usage.
const FIGURES: usize = 5;

/// Bytes of an entry beside content type and body.
pub const OVERHEAD: usize = 1 + 32 + 8 + 8 + (FIGURES * 8 + 1) + 2 + 4;

/// A stored answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it answers.
    pub key: Key,
    /// When its last byte came.
    pub stored_at: Timestamp,
    /// From when on it is not given again.
    pub expires_at: Timestamp,
    /// What it cost, so what each hit saves.
    pub usage: Usage,
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
        figures(&self.usage).iter().for_each(|figure| bytes.extend_from_slice(&figure.to_be_bytes()));
        bytes.push(u8::from(self.usage.source == UsageSource::Reported));
        bytes.extend_from_slice(&u16::try_from(self.content_type.len()).ok()?.to_be_bytes());
        bytes.extend_from_slice(&u32::try_from(self.body.len()).ok()?.to_be_bytes());
        bytes.extend_from_slice(&self.content_type);
        bytes.extend_from_slice(&self.body);
        Some(bytes)
    }

    /// Reads the bytes of a slot.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (head, content_type, body) = parse(bytes)?;
        Some(Self { content_type: content_type.to_vec(), body: body.to_vec(), ..head })
    }

    /// The same without content type and body, which are long.
    pub fn decode_head(bytes: &[u8]) -> Option<Self> {
        parse(bytes).map(|(head, ..)| head)
    }
}

/// An entry without content type and body, and those.
fn parse(bytes: &[u8]) -> Option<(Entry, &[u8], &[u8])> {
    let ([VERSION], rest) = take(bytes)? else { return None };
    let (key, rest) = take(rest)?;
    let (stored_at, rest) = take(rest)?;
    let (expires_at, rest) = take(rest)?;
    let (usage, rest) = usage(rest)?;
    let (content_type_len, rest) = take(rest)?;
    let (body_len, rest) = take(rest)?;
    let (content_type, body) = rest.split_at_checked(usize::from(u16::from_be_bytes(*content_type_len)))?;
    if u32::try_from(body.len()).ok()? != u32::from_be_bytes(*body_len) {
        return None;
    }
    let head = Entry {
        key: Key::from_bytes(*key),
        stored_at: Timestamp::from_nanos(u64::from_be_bytes(*stored_at)),
        expires_at: Timestamp::from_nanos(u64::from_be_bytes(*expires_at)),
        usage,
        content_type: Vec::new(),
        body: Vec::new(),
    };
    Some((head, content_type, body))
}

fn figures(usage: &Usage) -> [u64; FIGURES] {
    [usage.input, usage.output, usage.cached_input, usage.cache_write, usage.reasoning]
}

fn usage(bytes: &[u8]) -> Option<(Usage, &[u8])> {
    let mut rest = bytes;
    let mut figures = [0; FIGURES];
    for figure in &mut figures {
        let (bytes, after) = take(rest)?;
        (*figure, rest) = (u64::from_be_bytes(*bytes), after);
    }
    let ([is_reported], rest) = take(rest)?;
    let [input, output, cached_input, cache_write, reasoning] = figures;
    let source = if *is_reported == 1 { UsageSource::Reported } else { UsageSource::Estimated };
    Some((Usage { input, output, cached_input, cache_write, reasoning, source }, rest))
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
            usage: Usage { input: 9, output: 2, ..Usage::default() },
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
        for version in [VERSION - 1, VERSION + 1] {
            let mut other = good.clone();
            other[0] = version;
            assert_eq!(Entry::decode(&other), None, "what an older module stored is a miss");
        }
    }

    #[test]
    fn a_content_type_beyond_the_layout_is_not_written() {
        assert_eq!(entry(vec![b'a'; 65_536], vec![]).encode(), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            content_type in prop::collection::vec(any::<u8>(), 0..64), body: Vec<u8>, told: [u64; 5], is_reported: bool,
        ) {
            let [input, output, cached_input, cache_write, reasoning] = told;
            let source = if is_reported { UsageSource::Reported } else { UsageSource::Estimated };
            let usage = Usage { input, output, cached_input, cache_write, reasoning, source };
            let entry = Entry { usage, ..entry(content_type, body) };
            let bytes = entry.encode().unwrap();
            prop_assert_eq!(bytes.len(), OVERHEAD + entry.content_type.len() + entry.body.len());
            let head = Entry { content_type: vec![], body: vec![], ..entry.clone() };
            prop_assert_eq!(Entry::decode_head(&bytes), Some(head));
            prop_assert_eq!(Entry::decode(&bytes), Some(entry));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = Entry::decode(&bytes);
        }
    }
}
