//! The accounts that gauges tell of, as one value in the store that all workers share.
//!
//! A gauge stands as it was set until it is set again, and nothing can take it away. A worker that forgot which there are, as after
//! a push or when its VM died, would leave those of idle tenants as they stood for ever. So what is told is written down, and each
//! account with the time when a policy last knew it: one that no policy knows any more is told as nothing, and forgotten.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tollgate_core::Timestamp;
use tollgate_core::ports::{Expect, SharedStore};

const KEY: &str = "tollgate.budget.gauges";
/// Accounts that are told of: each is read and set anew with every tick.
const MOST: usize = 1_024;

/// What tells the gauges of one account from others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Series {
    /// The rule's name.
    pub rule: String,
    /// The tenant. `None`: all callers share the account.
    pub tenant: Option<String>,
    /// The unit as a label.
    pub unit: String,
}

/// What else is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The tier that the tenant called with, where the limit depends on it.
    pub tier: String,
    /// When the policy that tells of it came into use.
    pub policy_of: Timestamp,
    /// When that was last said to know it, some seconds more or less.
    pub known_at: Timestamp,
}

/// All accounts that are told of, as they were read.
#[derive(Debug)]
pub struct Census {
    /// They themselves.
    pub accounts: BTreeMap<Series, Note>,
    read: Vec<(Series, Note)>,
    expect: Expect,
}

impl Census {
    /// Reads what is written down; what cannot be read counts as nothing.
    pub fn read(store: &dyn SharedStore) -> Self {
        let found = store.get(KEY);
        let expect = found.as_ref().map_or(Expect::Absent, |found| Expect::Version(found.version));
        let read: Vec<(Series, Note)> =
            found.and_then(|found| serde_json::from_slice(&found.value).ok()).unwrap_or_default();
        Self { accounts: read.iter().take(MOST).cloned().collect(), read, expect }
    }

    /// Adds an account; of one that stands there already, the tier. `false`: there is no room.
    pub fn add(&mut self, series: Series, new: Note) -> bool {
        if let Some(note) = self.accounts.get_mut(&series) {
            note.tier = new.tier;
            return true;
        }
        let has_room = self.accounts.len() < MOST;
        if has_room {
            self.accounts.insert(series, new);
        }
        has_room
    }

    /// Writes down what changed. `false`: another worker wrote meanwhile, so begin anew.
    pub fn write(self, store: &dyn SharedStore) -> bool {
        let accounts: Vec<_> = self.accounts.into_iter().collect();
        if accounts == self.read {
            return true;
        }
        // Strings and numbers always serialize.
        store.put(KEY, &serde_json::to_vec(&accounts).unwrap_or_default(), self.expect)
    }
}

#[cfg(test)]
mod tests {
    use tollgate_fakehost::FakeStore;

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

    fn series(tenant: &str) -> Series {
        Series { rule: "r".into(), tenant: Some(tenant.into()), unit: "tokens".into() }
    }

    fn note(tier: &str) -> Note {
        Note { tier: tier.into(), policy_of: NOW, known_at: NOW }
    }

    fn added(store: &FakeStore, tenant: &str, tier: &str) -> bool {
        let mut census = Census::read(store);
        census.add(series(tenant), note(tier)) && census.write(store)
    }

    #[test]
    fn what_is_written_is_read_and_what_is_not_new_is_not_written() {
        let store = FakeStore::default();
        assert!(added(&store, "a\n\"b\"", "gold") && added(&store, "a\n\"b\"", "gold"));
        assert_eq!(store.writes(), 1);
        assert_eq!(Census::read(&store).accounts.get(&series("a\n\"b\"")), Some(&note("gold")));
        assert!(added(&store, "a\n\"b\"", "silver"));
        assert_eq!(Census::read(&store).accounts.len(), 1);
    }

    #[test]
    fn of_two_workers_that_write_at_once_the_second_begins_anew() {
        let store = FakeStore::default();
        let (mut first, mut second) = (Census::read(&store), Census::read(&store));
        assert!(first.add(series("a"), note("")) && second.add(series("b"), note("")));
        assert!(first.write(&store) && !second.write(&store));
        assert!(added(&store, "b", ""));
        assert_eq!(Census::read(&store).accounts.len(), 2);
    }

    #[test]
    fn what_cannot_be_read_is_nothing_and_is_written_over() {
        let store = FakeStore::default();
        for bytes in [&b"\xff"[..], b"[[1,2]]", b"{}", b""] {
            store.put(KEY, bytes, Expect::Anything);
            assert!(Census::read(&store).accounts.is_empty());
            assert!(added(&store, "a", ""));
        }
    }

    #[test]
    fn there_is_room_for_so_many_and_the_rest_is_not_told() {
        let store = FakeStore::default();
        let mut census = Census::read(&store);
        let added = (0..2 * MOST).filter(|n| census.add(series(&n.to_string()), note(""))).count();
        assert!(census.write(&store));
        assert_eq!((added, Census::read(&store).accounts.len()), (MOST, MOST));
    }
}
