//! The tenants that have a label value of their own in metrics.
//!
//! A series once made is never freed, and tenants come from keys and tokens that the gateway does not write. So the
//! first so many are named, in the order they come, and all later ones are [`OTHER`]. The list is one value in the store that
//! all workers and filters share, so they name the same ones, also after a new configuration. Names can only be added.

use std::cell::RefCell;
use std::collections::HashSet;

use crate::metric::label_value;
use crate::ports::{Expect, SharedStore};

/// The label value of a tenant that is not named.
pub const OTHER: &str = "other";
/// The label value of a call that no tenant made.
pub const NONE: &str = "none";
/// Tenants that are named unless the configuration says otherwise.
pub const DEFAULT_MOST: usize = 64;

const KEY: &str = "tollgate.tenants";
/// A longer name is `other`: it would make the list too long to read at once.
const MAX_NAME_BYTES: usize = 128;
/// Workers that add names at once; one that loses this often says `other` for this call.
const TRIES: usize = 4;
const SEPARATOR: char = '\n';

/// The tenants that have a name, as one worker knows them.
#[derive(Debug)]
pub struct Roster {
    most: usize,
    /// Names given by the configuration, and those that were seen on the list.
    known: RefCell<Known>,
}

#[derive(Debug, Default)]
struct Known {
    names: HashSet<String>,
    /// Nobody can be added any more.
    is_full: bool,
}

impl Roster {
    /// A roster on which `listed` stand anyway, and `most` others at most.
    pub fn new(most: usize, listed: impl IntoIterator<Item = String>) -> Self {
        let names = listed.into_iter().collect();
        Self { most, known: RefCell::new(Known { names, is_full: false }) }
    }

    /// The label value of a tenant; who is new takes a place if there is one.
    pub fn label<'a>(&self, store: &dyn SharedStore, tenant: &'a str) -> &'a str {
        if self.has(store, tenant) { tenant } else { OTHER }
    }

    /// Whether a tenant has a label value of its own.
    pub fn has(&self, store: &dyn SharedStore, tenant: &str) -> bool {
        let mut known = self.known.borrow_mut();
        if known.names.contains(tenant) {
            return true;
        }
        if known.is_full || !is_name(tenant) {
            return false;
        }
        self.join(store, tenant, &mut known)
    }

    fn join(&self, store: &dyn SharedStore, tenant: &str, known: &mut Known) -> bool {
        for _ in 0..TRIES {
            let found = store.get(KEY);
            let list = found.as_ref().map(|found| String::from_utf8_lossy(&found.value)).unwrap_or_default();
            let names = || list.split(SEPARATOR).filter(|name| !name.is_empty()).take(self.most);
            known.names.extend(names().map(str::to_owned));
            if known.names.contains(tenant) {
                return true;
            }
            if names().count() >= self.most {
                known.is_full = true;
                return false;
            }
            let longer = if list.is_empty() { tenant.to_owned() } else { format!("{list}{SEPARATOR}{tenant}") };
            let expect = found.as_ref().map_or(Expect::Absent, |found| Expect::Version(found.version));
            if store.put(KEY, longer.as_bytes(), expect) {
                known.names.insert(tenant.to_owned());
                return true;
            }
        }
        false
    }
}

/// What could pass for one of our own words, or for two names, or would be written otherwise than it is, is no name.
fn is_name(tenant: &str) -> bool {
    (1..=MAX_NAME_BYTES).contains(&tenant.len()) && tenant != OTHER && tenant != NONE && label_value(tenant) == tenant
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::ports::Versioned;

    /// One value, and how many writes are lost to others before one succeeds.
    #[derive(Default)]
    struct Store(RefCell<Option<Versioned>>, Cell<usize>);

    impl SharedStore for Store {
        fn get(&self, _key: &str) -> Option<Versioned> {
            self.0.borrow().clone()
        }

        fn put(&self, _key: &str, value: &[u8], expect: Expect) -> bool {
            let version = self.0.borrow().as_ref().map(|found| found.version);
            let expected = match expect {
                Expect::Version(version) => Some(version),
                Expect::Absent | Expect::Anything => None,
            };
            let is_lost = self.1.get() > 0;
            self.1.set(self.1.get().saturating_sub(1));
            if is_lost || version != expected {
                return false;
            }
            *self.0.borrow_mut() = Some(Versioned { value: value.to_vec(), version: version.unwrap_or(0) + 1 });
            true
        }
    }

    #[test]
    fn the_first_are_named_and_later_ones_are_other_in_all_workers() {
        let store = Store::default();
        let workers = [Roster::new(3, []), Roster::new(3, [])];
        for (n, tenant) in ["a", "b", "c"].into_iter().enumerate() {
            assert_eq!(workers[n % 2].label(&store, tenant), tenant);
        }
        for worker in &workers {
            let labels = ["a", "b", "c", "d", "e"].map(|tenant| worker.label(&store, tenant));
            assert_eq!(labels, ["a", "b", "c", "other", "other"]);
        }
        let reloaded = Roster::new(3, []);
        assert_eq!([reloaded.label(&store, "d"), reloaded.label(&store, "a")], ["other", "a"]);
    }

    #[test]
    fn who_is_listed_is_named_however_late_it_comes() {
        let store = Store::default();
        let roster = Roster::new(1, ["late".to_owned()]);
        assert_eq!(["a", "b", "late"].map(|tenant| roster.label(&store, tenant)), ["a", "other", "late"]);
        let nobody = Roster::new(0, ["late".to_owned()]);
        assert_eq!(["a", "late"].map(|tenant| nobody.label(&store, tenant)), ["other", "late"]);
    }

    #[test]
    fn a_hundred_thousand_tenants_keep_neither_names_nor_time() {
        let store = Store::default();
        let roster = Roster::new(64, []);
        (0..100_000).for_each(|n| assert_ne!(roster.label(&store, &format!("tenant-{n}")), NONE));
        assert_eq!(roster.known.borrow().names.len(), 64);
        assert_eq!(store.get(KEY).unwrap().version, 64);
    }

    #[test]
    fn what_cannot_be_a_name_takes_no_place() {
        let store = Store::default();
        let roster = Roster::new(1, []);
        for tenant in ["", "other", "none", "a\nb", "a;b", "status=.=200", &"t".repeat(129)] {
            assert_eq!(roster.label(&store, tenant), OTHER, "{tenant:?}");
        }
        assert_eq!(store.get(KEY), None);
    }

    #[test]
    fn a_lost_write_is_tried_again_and_many_are_given_up_for_this_call() {
        let store = Store::default();
        let roster = Roster::new(9, []);
        store.1.set(TRIES - 1);
        assert_eq!(roster.label(&store, "a"), "a");
        store.1.set(TRIES);
        assert_eq!([roster.label(&store, "b"), roster.label(&store, "b")], ["other", "b"]);
    }
}
