//! One slot of shared data as bytes: whose account it is, the account, and the owner in words.
//!
//! Little endian, led by a version byte; all but the words has a fixed length. Anything else that stands in a slot (another
//! version of this filter, a stray writer) is read as no account at all, and the slot is free.

use std::time::Duration;

use tollgate_core::Timestamp;

use crate::account::{Account, HOLDS, Hold, most_spent};
use crate::owner::Owner;
use crate::window::{Period, Window};

/// Changes whenever the layout or a unit does.
const VERSION: u8 = 2;
/// version, owner, window, limit, at, spent, holds
const LENGTH: usize = 1 + 16 + 9 + 8 + 8 + 16 + HOLDS * 16;
/// More than any owner has to say.
const MAX_WORDS: usize = 1024;

/// What a slot says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot<'a> {
    owner: [u8; 16],
    /// The owner's account.
    pub account: Account,
    /// The owner in words.
    pub words: &'a str,
}

impl Slot<'_> {
    /// Whether it is this owner's.
    pub fn belongs_to(&self, owner: &Owner) -> bool {
        self.owner == owner.digest
    }
}

/// Writes a slot.
pub fn encode(owner: &Owner, account: &Account) -> Vec<u8> {
    let mut out = Vec::with_capacity(LENGTH + owner.words.len());
    out.push(VERSION);
    out.extend_from_slice(&owner.digest);
    let (kind, length) = match account.window {
        Window::Rolling(length) => (u8::MAX, u64::try_from(length.as_nanos()).unwrap_or(u64::MAX)),
        Window::Calendar(period) => (period as u8, 0),
    };
    out.push(kind);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&account.limit.to_le_bytes());
    out.extend_from_slice(&account.at.as_nanos().to_le_bytes());
    out.extend_from_slice(&account.spent.to_le_bytes());
    for hold in account.holds {
        out.extend_from_slice(&hold.deadline.as_nanos().to_le_bytes());
        out.extend_from_slice(&hold.amount.to_le_bytes());
    }
    out.extend_from_slice(owner.words.as_bytes());
    out
}

/// Reads a slot. `None`: these bytes are not an account.
pub fn decode(mut bytes: &[u8]) -> Option<Slot<'_>> {
    if !(LENGTH..=LENGTH + MAX_WORDS).contains(&bytes.len()) || take::<1>(&mut bytes)? != [VERSION] {
        return None;
    }
    let owner = take::<16>(&mut bytes)?;
    let window = window(take(&mut bytes)?, u64::from_le_bytes(take(&mut bytes)?))?;
    let limit = u64::from_le_bytes(take(&mut bytes)?);
    let at = Timestamp::from_nanos(u64::from_le_bytes(take(&mut bytes)?));
    let spent = Some(u128::from_le_bytes(take(&mut bytes)?)).filter(|spent| *spent <= most_spent(window))?;
    let mut holds = [Hold::default(); HOLDS];
    for hold in &mut holds {
        hold.deadline = Timestamp::from_nanos(u64::from_le_bytes(take(&mut bytes)?));
        hold.amount = u64::from_le_bytes(take(&mut bytes)?);
    }
    let words = std::str::from_utf8(bytes).ok()?;
    Some(Slot { owner, account: Account { window, limit, at, spent, holds }, words })
}

fn window([kind]: [u8; 1], length: u64) -> Option<Window> {
    match kind {
        u8::MAX if length > 0 => Some(Window::Rolling(Duration::from_nanos(length))),
        _ => Period::ALL.into_iter().find(|period| *period as u8 == kind).map(Window::Calendar),
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*head)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::owner::{Dimension, OwnerSeed};
    use crate::rule::Mode;
    use crate::unit::Unit;

    fn owner(tenant: &str) -> Owner {
        let seed = OwnerSeed::new("r", Unit::Tokens, Window::Calendar(Period::Day), Mode::Enforce);
        seed.owner([(Dimension::Tenant, tenant)].into_iter())
    }

    fn any_window() -> impl Strategy<Value = Window> {
        prop_oneof![
            (1_u64..=31 * 86_400_000_000_000).prop_map(|nanos| Window::Rolling(Duration::from_nanos(nanos))),
            prop::sample::select(&Period::ALL[..]).prop_map(Window::Calendar),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            name in ".*", window in any_window(), limit: u64, at: u64, spent: u64, holds in any::<[(u64, u64); HOLDS]>(),
        ) {
            let holds = holds.map(|(at, amount)| Hold { deadline: Timestamp::from_nanos(at), amount });
            let spent = u128::from(spent) * window.ticks_per_unit();
            let account = Account { window, limit, at: Timestamp::from_nanos(at), spent, holds };
            let (owner, other) = (owner(&name), owner(&(name + "\0")));
            let bytes = encode(&owner, &account);
            let slot = decode(&bytes).unwrap();
            prop_assert!(slot.belongs_to(&owner) && !slot.belongs_to(&other));
            prop_assert_eq!((slot.account, slot.words), (account, &*owner.words));
        }

        #[test]
        fn other_bytes_are_no_account(bytes in prop::collection::vec(any::<u8>(), 0..400), version in any::<bool>()) {
            let mut bytes = bytes;
            if let Some(first) = bytes.first_mut().filter(|_| version) {
                *first = VERSION;
            }
            prop_assume!(bytes.len() < LENGTH || bytes[0] != VERSION);
            prop_assert_eq!(decode(&bytes), None);
        }
    }

    #[test]
    fn an_impossible_sum_a_window_of_no_time_and_another_version_are_no_account() {
        let window = Window::Calendar(Period::Day);
        let good = Account::new(window);
        let bytes = encode(&owner("acme"), &good);
        assert!(decode(&bytes).is_some());
        let impossible = Account { spent: most_spent(window) + 1, ..good };
        assert_eq!(decode(&encode(&owner("acme"), &impossible)), None);
        for (at, byte) in [(0, VERSION + 1), (17, u8::MAX), (17, 6)] {
            let mut changed = bytes.clone();
            changed[at] = byte;
            assert_eq!(decode(&changed), None, "byte {at}");
        }
    }
}
