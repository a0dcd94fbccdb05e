//! Where answers lie: a fixed number of slots in the store that all workers share.
//!
//! The store cannot delete, expire or list, so its keys are the fixed names `tollgate.cache.<n>` and an entry says
//! itself when it ends. The map is direct: a key has exactly one slot. Two keys of one slot displace each other, the
//! newest wins, and the entry's full key tells them apart, so a collision costs a miss and never a wrong answer. For
//! the same reason a write needs no compare-and-swap: of two workers that store at once, either result is right.
//!
//! Memory: at most `slots × max_entry_bytes`, kept for the life of the process.

use tollgate_core::Timestamp;
use tollgate_core::ports::{Expect, SharedStore};

use crate::entry::Entry;
use crate::key::Key;

/// The stored answer to a key, if one still holds. What cannot be read is a miss.
pub fn load(store: &dyn SharedStore, slots: u32, key: &Key, now: Timestamp) -> Option<Entry> {
    let bytes = store.get(&slot_name(key, slots))?.value;
    Entry::decode(&bytes).filter(|entry| entry.answers(key, now))
}

/// Puts an answer in its slot, whatever stood there.
pub fn save(store: &dyn SharedStore, slots: u32, entry: &Entry) -> bool {
    entry.encode().is_some_and(|bytes| store.put(&slot_name(&entry.key, slots), &bytes, Expect::Anything))
}

fn slot_name(key: &Key, slots: u32) -> String {
    format!("tollgate.cache.{}", key.slot(slots))
}

#[cfg(test)]
mod tests {
    use tollgate_fakehost::FakeStore;

    use super::*;

    fn entry(key: u8, body: &str) -> Entry {
        Entry {
            key: Key::from_bytes([key; 32]),
            stored_at: Timestamp::from_secs(1),
            expires_at: Timestamp::from_secs(9),
            content_type: b"application/json".to_vec(),
            body: body.into(),
        }
    }

    const NOW: Timestamp = Timestamp::from_secs(2);

    #[test]
    fn two_keys_of_one_slot_displace_each_other_and_never_mix() {
        let store = FakeStore::default();
        let (old, new) = (entry(1, "old"), entry(2, "new"));
        assert!(save(&store, 1, &old));
        assert_eq!(load(&store, 1, &old.key, NOW), Some(old.clone()));
        assert_eq!(load(&store, 1, &new.key, NOW), None);
        assert!(save(&store, 1, &new));
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
        assert!(save(&store, 1, &entry));
        assert_eq!(load(&store, 1, &entry.key, NOW), Some(entry));
    }

    #[test]
    fn slots_are_the_only_names_ever_written() {
        let store = FakeStore::default();
        for key in 0..=255 {
            save(&store, 8, &entry(key, "{}"));
        }
        assert!(store.keys() <= 8);
    }
}
