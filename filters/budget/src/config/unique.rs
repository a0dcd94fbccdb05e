//! Values by name, each name once.

use std::collections::BTreeMap;

use serde::de::{Deserialize, Deserializer};
use tollgate_core::config;

/// A map that refuses the same name twice.
#[derive(Debug)]
pub(super) struct UniqueMap<V>(pub(super) BTreeMap<String, V>);

impl<V> Default for UniqueMap<V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for UniqueMap<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        config::unique(deserializer).map(Self)
    }
}
