//! How often an account finds no slot, which the README sizes `slots` by.

use std::time::Duration;

use tollgate_core::Timestamp;
use tollgate_fakehost::FakeStore;

use crate::codec;
use crate::ledger::{Fault, Ledger, Terms};
use crate::owner::{Dimension, OwnerSeed};
use crate::unit::Unit;
use crate::window::{Period, Window};

const NOW: Timestamp = Timestamp::from_secs(1_795_521_600);

fn terms(tenant: u32) -> Terms {
    let window = Window::Calendar(Period::Month);
    let seed = OwnerSeed::new("tenant-dollars", Unit::Usd, window);
    let owner = seed.owner([(Dimension::Tenant, &*format!("tenant-{tenant}"))].into_iter());
    Terms { owner, window, limit: 1_000 }
}

/// How many of so many accounts find no slot.
fn homeless(accounts: u32, slots: u32) -> usize {
    let store = FakeStore::default();
    let ledger = Ledger::new(&store, slots);
    let reserve = |tenant| ledger.reserve(&terms(tenant), NOW, 1, Duration::from_secs(600));
    (0..accounts).filter(|tenant| matches!(reserve(*tenant), Err(Fault::Exhausted))).count()
}

#[test]
fn accounts_without_a_slot_are_as_many_as_is_said() {
    let of_16_384 = |slots_each: u32| homeless(65_536 / slots_each, 65_536) * slots_each as usize / 4;
    assert!((16_384 / 300..16_384 / 150).contains(&of_16_384(2)), "one in 200: {}", of_16_384(2));
    assert!((0..=4).contains(&of_16_384(4)), "one in 10,000: {}", of_16_384(4));
    assert_eq!(of_16_384(8), 0);
}

#[test]
fn a_slot_takes_as_much_memory_as_is_said() {
    let terms = terms(1);
    let bytes = codec::encode(&terms.owner, &crate::account::Account::new(terms.window)).len();
    assert!((200..250).contains(&bytes), "{bytes}");
}
