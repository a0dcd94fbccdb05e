//! A caller once known: who it is, what it may use, and what its credential carries along.

use std::collections::BTreeMap;

use tollgate_core::Identity;

use crate::grant::Grant;

/// A caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Who pays.
    pub identity: Identity,
    /// What it may use.
    pub grant: Grant,
    /// What the operator wrote down beside an API key; handed on as it is.
    pub metadata: BTreeMap<String, String>,
}

impl Caller {
    /// A caller without limits.
    pub const fn unlimited(identity: Identity) -> Self {
        Self { identity, grant: Grant { endpoints: None, models: None }, metadata: BTreeMap::new() }
    }
}
