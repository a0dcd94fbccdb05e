//! Answers that several workers store at once, interleaved in any way: before any write of one another may get on, whole stores of it.
//!
//! The promise: what was counted, with what workers still carry, is what lies in the slots; and once they have ticked it is that alone.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail loudly, helpers included")]

use std::cell::RefCell;

use proptest::prelude::*;
use tollgate_cache::entry::Entry;
use tollgate_cache::key::Key;
use tollgate_cache::occupancy::{Change, Occupancy, Tally};
use tollgate_cache::store;
use tollgate_core::ports::{Expect, SharedStore, Versioned};
use tollgate_core::{Timestamp, Usage};
use tollgate_fakehost::FakeStore;

const SLOTS: u32 = 3;
const WORKERS: usize = 3;

/// One worker stores an answer, maybe of a policy with fewer slots.
#[derive(Clone, Debug)]
struct Act {
    worker: usize,
    key: u8,
    bytes: usize,
    slots: u32,
    /// Writes that are lost to nobody in sight, to the slot and to the count.
    lost: (u32, u32),
}

struct World {
    store: FakeStore,
    tallies: Vec<Tally>,
    /// What others do before each write; empty: nobody gets a turn there.
    turns: RefCell<Vec<Vec<Act>>>,
    /// Workers in the middle of something: they do nothing else meanwhile.
    busy: RefCell<[bool; WORKERS]>,
}

/// The store as a worker sees it that others interrupt.
struct Racing<'w>(&'w World);

impl SharedStore for Racing<'_> {
    fn get(&self, key: &str) -> Option<Versioned> {
        self.0.store.get(key)
    }

    fn put(&self, key: &str, value: &[u8], expect: Expect) -> bool {
        let turn = self.0.turns.borrow_mut().pop().unwrap_or_default();
        turn.iter().for_each(|act| self.0.act(act));
        self.0.store.put(key, value, expect)
    }
}

impl World {
    fn act(&self, act: &Act) {
        if std::mem::replace(&mut self.busy.borrow_mut()[act.worker], true) {
            return;
        }
        let store = Racing(self);
        let entry = Entry {
            key: Key::from_bytes([act.key; 32]),
            stored_at: Timestamp::from_secs(1),
            expires_at: Timestamp::from_secs(9),
            usage: Usage::default(),
            content_type: b"application/json".to_vec(),
            body: vec![b'x'; act.bytes],
        };
        self.store.refuse_next(act.lost.0);
        let saved = store::save(&store, act.slots, &entry, Timestamp::from_secs(2)).unwrap();
        self.store.refuse_next(act.lost.1);
        self.tallies[act.worker].add(&store, saved.change);
        self.busy.borrow_mut()[act.worker] = false;
    }

    /// What lies in the slots.
    fn truth(&self) -> Occupancy {
        let mut truth = Occupancy::default();
        for slot in 0..SLOTS {
            if let Some(found) = self.store.get(&format!("tollgate.cache.{slot}")) {
                truth.entries += 1;
                truth.bytes += found.value.len() as u64;
            }
        }
        truth
    }
}

fn lost(most: u32) -> impl Strategy<Value = u32> {
    prop_oneof![3 => Just(0_u32), 1 => 0..=most]
}

fn act() -> impl Strategy<Value = Act> {
    let lost = (lost(5), lost(20));
    (0..WORKERS, 0_u8..9, 0_usize..200, 1..=SLOTS, lost).prop_map(|(worker, key, bytes, slots, lost)| Act {
        worker,
        key,
        bytes,
        slots,
        lost,
    })
}

proptest! {
    #[test]
    fn what_is_counted_is_what_lies_in_the_slots(
        acts in prop::collection::vec(act(), 1..60),
        turns in prop::collection::vec(prop::collection::vec(act(), 0..3), 0..120),
    ) {
        let world = World {
            store: FakeStore::default(),
            tallies: (0..WORKERS).map(|_| Tally::default()).collect(),
            turns: RefCell::new(turns),
            busy: RefCell::default(),
        };
        acts.iter().for_each(|act| world.act(act));
        world.store.refuse_next(0);
        world.turns.borrow_mut().clear();
        for tally in &world.tallies {
            tally.add(&world.store, Change::default());
        }
        prop_assert_eq!(Occupancy::read(&world.store), world.truth());
    }
}
