//! Where answers lie: a fixed number of slots in the store that all workers share.
//!
//! The store cannot delete, expire or list, so its keys are the fixed names `tollgate.cache.<n>` and an entry says
//! itself when it ends. The map is direct: a key has exactly one slot. Two keys of one slot displace each other, the
//! newest wins, and the entry's full key tells them apart, so a collision costs a miss and never a wrong answer.
//!
//! A write goes by compare-and-swap, so that each answer that goes is counted by the one that displaced it and by nobody else. Of two
//! workers that store in one slot at once either result is right, so one that loses a few times leaves it at that.
//!
//! Memory: at most `slots × max_entry_bytes`, kept for the life of the process.

use tollgate_core::Timestamp;
use tollgate_core::ports::{Expect, SharedStore};

use crate::entry::Entry;
use crate::key::Key;
use crate::occupancy::Change;

/// Tries to store an answer.
const TRIES: u32 = 4;

/// The stored answer to a key, if one still holds. What cannot be read is a miss.
pub fn load(store: &dyn SharedStore, slots: u32, key: &Key, now: Timestamp) -> Option<Entry> {
    let bytes = store.get(&slot_name(key, slots))?.value;
    Entry::decode(&bytes).filter(|entry| entry.answers(key, now))
}

/// What storing an answer did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    /// To the slots.
    pub change: Change,
    /// Whether an answer went that could still have been given.
    pub evicted: bool,
}

/// Puts an answer in its slot, whatever stood there. `None`: it is too large for the layout.
pub fn save(store: &dyn SharedStore, slots: u32, entry: &Entry, now: Timestamp) -> Option<Saved> {
    let (name, bytes) = (slot_name(&entry.key, slots), entry.encode()?);
    for _ in 0..TRIES {
        let found = store.get(&name);
        let expect = found.as_ref().map_or(Expect::Absent, |found| Expect::Version(found.version));
        if store.put(&name, &bytes, expect) {
            let gone = found.as_ref().and_then(|found| Some((Entry::decode_head(&found.value)?, found.value.len())));
            return Some(Saved {
                change: Change::put(bytes.len())
                    .and(gone.as_ref().map_or(Change::default(), |(_, len)| Change::took(*len))),
                evicted: gone.is_some_and(|(gone, _)| gone.key != entry.key && now < gone.expires_at),
            });
        }
    }
    // The others' answers stand. It is as if ours had come first and been displaced at once.
    Some(Saved::default())
}

fn slot_name(key: &Key, slots: u32) -> String {
    format!("tollgate.cache.{}", key.slot(slots))
}

#[cfg(test)]
mod tests {
    use tollgate_core::Usage;
    use tollgate_fakehost::FakeStore;

    use super::*;

    fn entry(key: u8, body: &str) -> Entry {
        Entry {
            key: Key::from_bytes([key; 32]),
            stored_at: Timestamp::from_secs(1),
            expires_at: Timestamp::from_secs(9),
            usage: Usage::default(),
            content_type: b"application/json".to_vec(),
            body: body.into(),
        }
    }

    const NOW: Timestamp = Timestamp::from_secs(2);

    #[test]
    fn two_keys_of_one_slot_displace_each_other_and_never_mix() {
        let store = FakeStore::default();
        let (old, new) = (entry(1, "old"), entry(2, "new"));
        assert!(save(&store, 1, &old, NOW).is_some_and(|saved| !saved.evicted));
        assert_eq!(load(&store, 1, &old.key, NOW), Some(old.clone()));
        assert_eq!(load(&store, 1, &new.key, NOW), None);
        assert!(save(&store, 1, &new, NOW).is_some_and(|saved| saved.evicted));
        assert_eq!(load(&store, 1, &new.key, NOW), Some(new));
        assert_eq!(load(&store, 1, &old.key, NOW), None);
        assert_eq!(store.keys(), 1);
    }

    #[test]
    fn foreign_bytes_in_a_slot_are_a_miss_and_are_overwritten() {
        let store = FakeStore::default();
        let entry = entry(1, "{}");
        for bytes in [b"".as_slice(), b"\x01", &[0xff; 300]] {
            store.put("tollgate.cache.0", bytes, Expect::Anything);
            assert_eq!(load(&store, 1, &entry.key, NOW), None);
        }
        assert_eq!(save(&store, 1, &entry, NOW).map(|saved| saved.evicted), Some(false));
        assert_eq!(load(&store, 1, &entry.key, NOW), Some(entry));
    }

    #[test]
    fn slots_are_the_only_names_ever_written() {
        let store = FakeStore::default();
        for key in 0..=255 {
            save(&store, 8, &entry(key, "{}"), NOW);
        }
        assert!(store.keys() <= 8);
    }

    #[test]
    fn only_another_answer_that_could_still_be_given_is_evicted() {
        let evicted = |old: &Entry, new: &Entry, at| {
            let store = FakeStore::default();
            save(&store, 1, old, NOW);
            save(&store, 1, new, Timestamp::from_secs(at)).unwrap().evicted
        };
        assert!(evicted(&entry(1, "old"), &entry(2, "new"), 8));
        assert!(!evicted(&entry(1, "old"), &entry(2, "new"), 9), "it had expired");
        assert!(!evicted(&entry(1, "old"), &entry(1, "new"), 8), "the same question was answered anew");
    }

    #[test]
    fn who_loses_to_others_leaves_their_answers_and_counts_nothing() {
        let store = FakeStore::default();
        store.refuse_next(TRIES);
        assert_eq!(save(&store, 1, &entry(1, "{}"), NOW), Some(Saved::default()));
        store.refuse_next(TRIES - 1);
        assert_ne!(save(&store, 1, &entry(1, "{}"), NOW), Some(Saved::default()));
    }
}
