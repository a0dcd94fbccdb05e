//! How full the store is: how many slots hold an answer, and how many bytes those take.
//!
//! Nobody can list the store, and to read all slots would be to copy all answers. So each write to a slot counts what it put there
//! and what it took away, in one value that all workers and configurations share. That value goes by compare-and-swap with bounded tries;
//! what a worker cannot add it carries and adds the next time. So sums of several workers may pass below zero, and are kept so.
//!
//! It is off by what workers carry at the moment, until their next tick. It stays off only where a worker's VM dies between a slot
//! and its count, or with what it carries: by those answers, until the process ends. A VM that begins anew and a new configuration
//! go on with the same value. Fewer slots than before: the answers beyond lie there as before, and are counted, though never given
//! again.

use std::cell::Cell;

use tollgate_core::ports::{Expect, SharedStore};

const KEY: &str = "tollgate.cache.occupancy";
/// Each lost try means that another worker got on.
const TRIES: u32 = 16;

/// What is added to the slots, or taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    entries: i64,
    bytes: i64,
}

impl Change {
    /// An entry of so many bytes was put in a slot.
    pub fn put(bytes: usize) -> Self {
        Self { entries: 1, bytes: i64::try_from(bytes).unwrap_or(i64::MAX) }
    }

    /// An entry of so many bytes stands there no more.
    pub fn took(bytes: usize) -> Self {
        let Self { entries, bytes } = Self::put(bytes);
        Self { entries: -entries, bytes: -bytes }
    }

    /// Both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self { entries: self.entries.saturating_add(other.entries), bytes: self.bytes.saturating_add(other.bytes) }
    }

    fn read(value: &[u8]) -> Option<Self> {
        let (entries, rest) = value.split_first_chunk()?;
        let bytes = rest.try_into().ok()?;
        Some(Self { entries: i64::from_be_bytes(*entries), bytes: i64::from_be_bytes(bytes) })
    }
}

/// What lies in the slots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Occupancy {
    /// Slots that hold an entry.
    pub entries: u64,
    /// What those take.
    pub bytes: u64,
}

impl Occupancy {
    /// Reads what all workers counted.
    pub fn read(store: &dyn SharedStore) -> Self {
        let sum = store.get(KEY).and_then(|found| Change::read(&found.value)).unwrap_or_default();
        let whole = |sum: i64| u64::try_from(sum).unwrap_or(0);
        Self { entries: whole(sum.entries), bytes: whole(sum.bytes) }
    }
}

/// One worker's part in the counting.
#[derive(Debug, Default)]
pub struct Tally {
    carried: Cell<Change>,
}

impl Tally {
    /// Counts a change, with what is carried.
    pub fn add(&self, store: &dyn SharedStore, change: Change) {
        let change = self.carried.get().and(change);
        let is_counted = change == Change::default() || add(store, change);
        self.carried.set(if is_counted { Change::default() } else { change });
    }
}

fn add(store: &dyn SharedStore, change: Change) -> bool {
    (0..TRIES).any(|_| {
        let found = store.get(KEY);
        let expect = found.as_ref().map_or(Expect::Absent, |found| Expect::Version(found.version));
        let sum = found.and_then(|found| Change::read(&found.value)).unwrap_or_default().and(change);
        store.put(KEY, &[sum.entries.to_be_bytes(), sum.bytes.to_be_bytes()].concat(), expect)
    })
}

#[cfg(test)]
mod tests {
    use tollgate_fakehost::FakeStore;

    use super::*;

    #[test]
    fn what_cannot_be_counted_now_is_carried_and_counted_with_the_next() {
        let (store, tally) = (FakeStore::default(), Tally::default());
        tally.add(&store, Change::put(100));
        store.refuse_next(TRIES);
        tally.add(&store, Change::put(20).and(Change::took(100)));
        assert_eq!(Occupancy::read(&store), Occupancy { entries: 1, bytes: 100 });
        store.refuse_next(TRIES - 1);
        tally.add(&store, Change::default());
        assert_eq!(Occupancy::read(&store), Occupancy { entries: 1, bytes: 20 });
        let writes = store.writes();
        tally.add(&store, Change::default());
        assert_eq!(store.writes(), writes, "nothing is carried any more");
    }

    #[test]
    fn who_counts_the_taking_before_the_putting_comes_out_right() {
        let store = FakeStore::default();
        let (first, second) = (Tally::default(), Tally::default());
        second.add(&store, Change::put(50).and(Change::took(100)));
        assert_eq!(Occupancy::read(&store), Occupancy { entries: 0, bytes: 0 });
        first.add(&store, Change::put(100));
        assert_eq!(Occupancy::read(&store), Occupancy { entries: 1, bytes: 50 });
    }

    #[test]
    fn what_cannot_be_read_counts_as_nothing() {
        let store = FakeStore::default();
        for bytes in [&b"\xff"[..], &[1; 15], &[1; 17]] {
            store.put(KEY, bytes, Expect::Anything);
            assert_eq!(Occupancy::read(&store), Occupancy::default());
        }
        Tally::default().add(&store, Change::put(7));
        assert_eq!(Occupancy::read(&store), Occupancy { entries: 1, bytes: 7 });
    }
}
