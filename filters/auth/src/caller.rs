//! A caller once known: who it is, what it may use, and what its credential carries along.

use std::collections::BTreeMap;

use tollgate_core::ports::Handoff;
use tollgate_core::{Identity, handoff};

use crate::grant::Grant;

/// A caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Who pays.
    pub identity: Identity,
    /// What it may use.
    pub grant: Grant,
    /// Names and values of what each of its calls leaves, written once for all of them.
    left: Vec<(&'static str, Vec<u8>)>,
}

impl Caller {
    /// A caller, and what the operator wrote down beside its API key.
    pub fn new(identity: Identity, grant: Grant, metadata: &BTreeMap<String, String>) -> Self {
        let mut left = vec![(handoff::IDENTITY, handoff::json(&identity))];
        if !metadata.is_empty() {
            left.push((handoff::METADATA, handoff::json(metadata)));
        }
        Self { identity, grant, left }
    }

    /// Leaves identity and metadata for the filters behind and for access logs.
    pub fn hand_off(&self, handoff: &mut dyn Handoff) {
        for (name, value) in &self.left {
            handoff.set(name, value);
        }
    }
}
