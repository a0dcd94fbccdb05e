//! Who asked to be left alone, and for how long: one small table in shared data.
//!
//! An entry is a provider and its name of a model, as a hash, and the time until which it cools. The table is one value, so
//! that a call reads all of it at once, and it holds 64 entries: what has passed makes room, and if nothing has, that
//! which would have passed first. Losing an entry costs a request that is refused once more, nothing else.

use std::hash::Hasher as _;
use std::time::Duration;

use siphasher::sip::SipHasher13;
use tollgate_core::Timestamp;
use tollgate_core::ports::{Expect, SharedStore};

const KEY: &str = "tollgate.provider.cooling";
/// Changes whenever the layout or the hash does.
const VERSION: u8 = 1;
const ENTRIES: usize = 64;
/// Hash and time.
const ENTRY: usize = 16;
/// Longer than any configuration allows. What lies further ahead was noted by a clock that has been set back since.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// Tries to note something. Each lost one means that another worker noted something.
const TRIES: u32 = 8;

/// The table as it was read.
#[derive(Debug, Default)]
pub struct Cooling(Vec<u8>);

impl Cooling {
    /// Reads it.
    pub fn load(store: &dyn SharedStore) -> Self {
        store.get(KEY).map(|versioned| Self::checked(versioned.value)).unwrap_or_default()
    }

    /// Until when a provider wants no request for a model, by its own name for it (empty: for no model). `None`: it takes
    /// them now.
    pub fn until(&self, provider: &str, model_name: &str, now: Timestamp) -> Option<Timestamp> {
        if self.0.is_empty() {
            return None;
        }
        let hash = hash(provider, model_name);
        let until = self.entries().find(|entry| entry.hash == hash)?.until;
        is_ahead(until, now).then_some(until)
    }

    /// Any other bytes (another version of this filter, a stray writer) are an empty table.
    fn checked(bytes: Vec<u8>) -> Self {
        match bytes.split_first() {
            Some((&VERSION, entries)) if entries.len().is_multiple_of(ENTRY) => Self(bytes),
            _ => Self::default(),
        }
    }

    fn entries(&self) -> impl Iterator<Item = Entry> {
        self.0.get(1..).unwrap_or_default().as_chunks::<ENTRY>().0.iter().take(ENTRIES).filter_map(Entry::read)
    }
}

/// Notes that a provider wants to be left alone. A longer wish stands. `false`: other workers were faster at every try.
pub fn cool(store: &dyn SharedStore, provider: &str, model_name: &str, until: Timestamp, now: Timestamp) -> bool {
    let entry = Entry { hash: hash(provider, model_name), until: until.min(now.plus(LONGEST)) };
    if !is_ahead(entry.until, now) {
        return true;
    }
    for _ in 0..TRIES {
        let read = store.get(KEY);
        let expect = read.as_ref().map_or(Expect::Absent, |versioned| Expect::Version(versioned.version));
        let table = read.map(|versioned| Cooling::checked(versioned.value)).unwrap_or_default();
        let Some(changed) = with(&table, entry, now) else { return true };
        if store.put(KEY, &changed, expect) {
            return true;
        }
    }
    false
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    hash: u64,
    until: Timestamp,
}

impl Entry {
    fn read(bytes: &[u8; ENTRY]) -> Option<Self> {
        let (hash, until) = bytes.split_at_checked(8)?;
        let number = |bytes: &[u8]| bytes.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
        Some(Self { hash: number(hash)?, until: Timestamp::from_nanos(number(until)?) })
    }
}

/// The table with an entry, and without those that have passed. `None`: it says so already.
fn with(table: &Cooling, entry: Entry, now: Timestamp) -> Option<Vec<u8>> {
    let mut entries: Vec<Entry> = table.entries().filter(|entry| is_ahead(entry.until, now)).collect();
    match entries.iter_mut().find(|other| other.hash == entry.hash) {
        Some(own) if own.until >= entry.until => return None,
        Some(own) => *own = entry,
        None => entries.push(entry),
    }
    if entries.len() > ENTRIES {
        let first = entries.iter().enumerate().min_by_key(|(_, entry)| entry.until).map(|(index, _)| index);
        entries.swap_remove(first?);
    }
    let mut bytes = Vec::with_capacity(1 + entries.len() * ENTRY);
    bytes.push(VERSION);
    for entry in entries {
        bytes.extend_from_slice(&entry.hash.to_le_bytes());
        bytes.extend_from_slice(&entry.until.as_nanos().to_le_bytes());
    }
    Some(bytes)
}

fn is_ahead(until: Timestamp, now: Timestamp) -> bool {
    until > now && until <= now.plus(LONGEST)
}

/// The same in every worker, so it has no secret key. Who finds two models of one hash gains nothing: an entry is made by a
/// provider's answer alone.
fn hash(provider: &str, model_name: &str) -> u64 {
    let mut hasher = SipHasher13::new();
    hasher.write(provider.as_bytes());
    hasher.write_u8(0);
    // Names have no case where the configuration does not write them.
    hasher.write(model_name.to_lowercase().as_bytes());
    hasher.finish()
}

#[cfg(test)]
mod tests;
