//! A map that refuses the same name twice: JSON readers would silently keep the last.

use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};

/// Values by name, each name once.
#[derive(Debug)]
pub(super) struct UniqueMap<V>(pub(super) HashMap<String, V>);

impl<V> Default for UniqueMap<V> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for UniqueMap<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Names(PhantomData))
    }
}

struct Names<V>(PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for Names<V> {
    type Value = UniqueMap<V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of names")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut names = HashMap::new();
        while let Some((name, value)) = map.next_entry::<String, V>()? {
            if names.insert(name, value).is_some() {
                return Err(A::Error::custom("the same name stands here twice"));
            }
        }
        Ok(UniqueMap(names))
    }
}
