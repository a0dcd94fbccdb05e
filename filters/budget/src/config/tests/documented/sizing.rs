//! How often an account finds no slot, which the README sizes `slots` by.

use std::time::Duration;

use tollgate_core::Timestamp;
use tollgate_fakehost::FakeStore;

use crate::codec;
use crate::ledger::{Fault, Ledger, Terms};
use crate::owner::{Dimension, OwnerSeed};
use crate::rule::Mode;
use crate::unit::Unit;
use crate::window::{Period, Window};

const NOW: Timestamp = Timestamp::from_secs(1_795_521_600);

fn terms(tenant: u32) -> Terms {
    let window = Window::Calendar(Period::Month);
    let seed = OwnerSeed::new("tenant-dollars", Unit::Usd, window, Mode::Enforce);
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
    let of_two_each = homeless(32_768, 65_536);
    assert!((32_768 / 4_000..32_768 / 1_500).contains(&of_two_each), "one in 2,000: {of_two_each}");
    assert_eq!(homeless(16_384, 65_536), 0);
}

#[test]
fn a_slot_takes_as_much_memory_as_is_said() {
    let terms = terms(1);
    let bytes = codec::encode(&terms.owner, &crate::account::Account::new(terms.window)).len();
    assert!((200..250).contains(&bytes), "{bytes}");
}
