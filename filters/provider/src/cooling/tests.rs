//! What is noted is found, by every worker, until its time; and the table never grows.

use tollgate_fakehost::FakeStore;

use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_000_000);

fn after(secs: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(secs))
}

fn until(store: &FakeStore, model: &str, now: Timestamp) -> Option<Timestamp> {
    Cooling::load(store).until("a", model, now)
}

#[test]
fn one_model_of_one_provider_cools_until_its_time() {
    let store = FakeStore::default();
    assert!(cool(&store, "a", "m", after(10), NOW));
    assert_eq!(until(&store, "m", NOW), Some(after(10)));
    assert_eq!(until(&store, "m", after(9)), Some(after(10)));
    assert_eq!(until(&store, "m", after(10)), None);
    let cooling = Cooling::load(&store);
    for (provider, model) in [("a", "n"), ("a", ""), ("b", "m"), ("", "a\0m"), ("a\0m", "")] {
        assert_eq!(cooling.until(provider, model, NOW), None, "{provider:?} {model:?}");
    }
}

#[test]
fn what_is_over_already_is_not_noted() {
    let store = FakeStore::default();
    assert!(cool(&store, "a", "m", NOW, NOW));
    assert_eq!((store.writes(), until(&store, "m", NOW)), (0, None));
}

#[test]
fn the_longest_wish_stands_and_what_is_known_is_not_written_again() {
    let store = FakeStore::default();
    for (secs, writes) in [(10, 1), (5, 1), (10, 1), (11, 2)] {
        assert!(cool(&store, "a", "m", after(secs), NOW));
        assert_eq!(store.writes(), writes, "{secs}");
    }
    assert_eq!(until(&store, "m", NOW), Some(after(11)));
}

#[test]
fn what_has_passed_makes_room() {
    let store = FakeStore::default();
    for round in 0..10 {
        for model in 0..ENTRIES {
            assert!(cool(&store, "a", &format!("{round} {model}"), after(round * 10 + 10), after(round * 10)));
        }
        let value = store.get(KEY).unwrap().value;
        assert_eq!(value.len(), 1 + ENTRIES * ENTRY);
        for model in 0..ENTRIES {
            assert!(until(&store, &format!("{round} {model}"), after(round * 10)).is_some());
        }
    }
    assert_eq!(store.keys(), 1);
}

#[test]
fn a_full_table_loses_what_would_pass_first() {
    let store = FakeStore::default();
    for model in 0..ENTRIES as u64 {
        assert!(cool(&store, "a", &model.to_string(), after(100 + model), NOW));
    }
    assert!(cool(&store, "a", "new", after(1_000), NOW));
    assert_eq!((until(&store, "0", NOW), until(&store, "1", NOW)), (None, Some(after(101))));
    assert_eq!(until(&store, "new", NOW), Some(after(1_000)));
    // Also if that is the newest itself.
    assert!(cool(&store, "a", "short", after(1), NOW));
    assert_eq!((until(&store, "short", NOW), until(&store, "1", NOW)), (None, Some(after(101))));
}

#[test]
fn lost_writes_are_tried_again_and_the_tries_are_bounded() {
    let store = FakeStore::default();
    store.refuse_next(TRIES - 1);
    assert!(cool(&store, "a", "m", after(10), NOW));
    store.refuse_next(TRIES);
    assert!(!cool(&store, "a", "n", after(10), NOW));
    assert_eq!((until(&store, "m", NOW), until(&store, "n", NOW)), (Some(after(10)), None));
}

/// A store whose value another worker changes between a read and the write after it.
struct Rival<'a> {
    store: &'a FakeStore,
    left: std::cell::Cell<u32>,
}

impl SharedStore for Rival<'_> {
    fn get(&self, key: &str) -> Option<tollgate_core::ports::Versioned> {
        let read = self.store.get(key);
        if let Some(left) = self.left.get().checked_sub(1) {
            self.left.set(left);
            assert!(cool(self.store, "rival", &left.to_string(), after(50), NOW));
        }
        read
    }

    fn put(&self, key: &str, value: &[u8], expect: Expect) -> bool {
        self.store.put(key, value, expect)
    }
}

#[test]
fn no_worker_undoes_what_another_noted() {
    let store = FakeStore::default();
    let rival = Rival { store: &store, left: 5.into() };
    assert!(cool(&rival, "a", "m", after(10), NOW));
    let cooling = Cooling::load(&store);
    for model in 0..5 {
        assert_eq!(cooling.until("rival", &model.to_string(), NOW), Some(after(50)));
    }
    assert_eq!(cooling.until("a", "m", NOW), Some(after(10)));
}

#[test]
fn a_clock_that_is_set_back_leaves_nothing_cool_for_long() {
    let store = FakeStore::default();
    assert!(cool(&store, "a", "m", after(10), NOW));
    assert_eq!(until(&store, "m", Timestamp::from_secs(0)), None);
    assert!(cool(&store, "a", "m", Timestamp::from_nanos(u64::MAX), NOW));
    assert_eq!(until(&store, "m", NOW), Some(NOW.plus(LONGEST)));
}

#[test]
fn other_bytes_are_an_empty_table() {
    for bytes in [&b"x"[..], &[VERSION], &[VERSION, 0], &[VERSION + 1; 1 + ENTRY], &[0; 17]] {
        let store = FakeStore::default();
        assert!(store.put(KEY, bytes, Expect::Anything));
        assert_eq!(until(&store, "m", NOW), None);
        assert!(cool(&store, "a", "m", after(10), NOW));
        assert_eq!(until(&store, "m", NOW), Some(after(10)));
    }
    // A table that is too long is read as far as a table goes.
    let store = FakeStore::default();
    assert!(store.put(KEY, &[VERSION; 1 + ENTRY * (ENTRIES + 5)], Expect::Anything));
    assert!(cool(&store, "a", "m", after(10), NOW));
    assert!(store.get(KEY).unwrap().value.len() <= 1 + ENTRY * ENTRIES);
}
