//! Shared data as the model needs it: fast, with writes that can be made to lose, and it tells whose slots changed hands.

use std::cell::{Cell, RefCell};

use tollgate_core::ports::{Expect, SharedStore, Versioned};

/// The first bytes of a slot are its version and its owner.
const OWNER: std::ops::Range<usize> = 1..17;

/// All slots.
pub(crate) struct Slots {
    slots: RefCell<Vec<Option<Versioned>>>,
    version: Cell<u32>,
    /// Writes that will lose.
    losing: Cell<u32>,
    /// Owners whose slot was given to another since this was last taken.
    forgotten: RefCell<Vec<[u8; 16]>>,
}

impl Slots {
    pub(crate) fn new(count: u32) -> Self {
        let slots = RefCell::new(vec![None; count as usize]);
        Self { slots, version: Cell::new(0), losing: Cell::new(0), forgotten: RefCell::default() }
    }

    /// The next so many writes come too late.
    pub(crate) fn lose(&self, writes: u32) {
        self.losing.set(writes);
    }

    pub(crate) fn take_forgotten(&self) -> Vec<[u8; 16]> {
        self.forgotten.take()
    }

    /// Whose a slot is.
    pub(crate) fn owner(&self, slot: u64) -> Option<[u8; 16]> {
        self.slots.borrow()[slot as usize].as_ref().map(owner)
    }
}

fn owner(slot: &Versioned) -> [u8; 16] {
    slot.value[OWNER].try_into().unwrap()
}

fn place(key: &str) -> usize {
    key.rsplit('.').next().unwrap().parse().unwrap()
}

impl SharedStore for Slots {
    fn get(&self, key: &str) -> Option<Versioned> {
        self.slots.borrow()[place(key)].clone()
    }

    fn put(&self, key: &str, value: &[u8], expect: Expect) -> bool {
        let slot = &mut self.slots.borrow_mut()[place(key)];
        let holds = match expect {
            Expect::Anything => true,
            Expect::Absent => slot.is_none(),
            Expect::Version(version) => slot.as_ref().is_none_or(|slot| slot.version == version),
        };
        assert!(holds, "nobody else writes between a read and its write");
        if self.losing.get() > 0 {
            self.losing.set(self.losing.get() - 1);
            return false;
        }
        self.version.set(self.version.get() + 1);
        let new = Versioned { value: value.to_vec(), version: self.version.get() };
        let is_new_owner = |old: &&Versioned| owner(old) != owner(&new);
        self.forgotten.borrow_mut().extend(slot.as_ref().filter(is_new_owner).map(owner));
        *slot = Some(new);
        true
    }
}
