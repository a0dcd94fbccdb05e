//! One slot of shared data as bytes: whose account it is, and the account.
//!
//! Fixed length, little endian, led by a version byte. Anything else that stands in a slot (another version of this
//! filter, a stray writer) is read as no account at all, and the slot is free.

use sha2::{Digest as _, Sha256};
use tollgate_core::Timestamp;

use crate::account::{Account, HOLDS, Hold, MOST_SPENT};

/// Changes whenever the layout or a unit does.
const VERSION: u8 = 1;
/// version, tenant, limit, at, spent, holds
const LENGTH: usize = 1 + 16 + 8 + 8 + 16 + HOLDS * 16;

/// A tenant in shared data: 128 bits of the SHA-256 of its name. Two tenants never share one, and a dump of the slots
/// names nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TenantId {
    digest: [u8; 16],
    home: u64,
}

impl TenantId {
    /// Of a tenant's name.
    pub fn of(tenant: &str) -> Self {
        let hash: [u8; 32] = Sha256::digest(tenant.as_bytes()).into();
        let mut digest = [0; 16];
        let mut home = [0; 8];
        digest.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
        home.iter_mut().zip(hash.into_iter().skip(16)).for_each(|(to, from)| *to = from);
        Self { digest, home: u64::from_le_bytes(home) }
    }

    /// Where the tenant's slot is looked for first: spread evenly over all `u64`.
    pub const fn home(&self) -> u64 {
        self.home
    }

    /// Whether a slot is this tenant's.
    pub fn owns(&self, slot: &Slot) -> bool {
        self.digest == slot.owner
    }
}

/// What a slot says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    owner: [u8; 16],
    /// The owner's account.
    pub account: Account,
}

/// Writes a slot.
pub fn encode(tenant: &TenantId, account: &Account) -> Vec<u8> {
    let mut out = Vec::with_capacity(LENGTH);
    out.push(VERSION);
    out.extend_from_slice(&tenant.digest);
    out.extend_from_slice(&account.limit.to_le_bytes());
    out.extend_from_slice(&account.at.as_nanos().to_le_bytes());
    out.extend_from_slice(&account.spent.to_le_bytes());
    for hold in account.holds {
        out.extend_from_slice(&hold.deadline.as_nanos().to_le_bytes());
        out.extend_from_slice(&hold.tokens.to_le_bytes());
    }
    out
}

/// Reads a slot. `None`: these bytes are not an account.
pub fn decode(mut bytes: &[u8]) -> Option<Slot> {
    if bytes.len() != LENGTH || take::<1>(&mut bytes)? != [VERSION] {
        return None;
    }
    let owner = take::<16>(&mut bytes)?;
    let limit = u64::from_le_bytes(take(&mut bytes)?);
    let at = Timestamp::from_nanos(u64::from_le_bytes(take(&mut bytes)?));
    let spent = Some(u128::from_le_bytes(take(&mut bytes)?)).filter(|spent| *spent <= MOST_SPENT)?;
    let mut holds = [Hold::default(); HOLDS];
    for hold in &mut holds {
        hold.deadline = Timestamp::from_nanos(u64::from_le_bytes(take(&mut bytes)?));
        hold.tokens = u64::from_le_bytes(take(&mut bytes)?);
    }
    Some(Slot { owner, account: Account { limit, at, spent, holds } })
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

    proptest! {
        #[test]
        fn what_is_written_is_read(
            name in ".*", limit: u64, at: u64, spent in 0..=MOST_SPENT, holds in any::<[(u64, u64); HOLDS]>(),
        ) {
            let holds = holds.map(|(at, tokens)| Hold { deadline: Timestamp::from_nanos(at), tokens });
            let account = Account { limit, at: Timestamp::from_nanos(at), spent, holds };
            let tenant = TenantId::of(&name);
            let slot = decode(&encode(&tenant, &account)).unwrap();
            prop_assert!(tenant.owns(&slot));
            let other = TenantId::of(&(name + "\0"));
            prop_assert!(!other.owns(&slot));
            prop_assert_eq!(slot.account, account);
        }

        #[test]
        fn other_lengths_are_no_account(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            prop_assume!(bytes.len() != LENGTH);
            prop_assert_eq!(decode(&bytes), None);
        }
    }

    #[test]
    fn an_impossible_sum_is_no_account() {
        let account = Account { spent: MOST_SPENT + 1, ..Account::default() };
        assert_eq!(decode(&encode(&TenantId::of("acme"), &account)), None);
    }

    #[test]
    fn another_version_is_no_account() {
        let mut bytes = encode(&TenantId::of("acme"), &Account::default());
        bytes[0] = VERSION + 1;
        assert_eq!(decode(&bytes), None);
    }
}
