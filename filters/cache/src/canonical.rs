//! One digest for all spellings of a JSON document: member order, whitespace and escapes do not matter, all else does.
//!
//! The document is never built in memory. Values go straight from the parser into SHA-256, each with its type and
//! length before it, so that no two documents write the same bytes. Only the members of an object wait, as name and
//! digest of the value, until they can be sorted. So memory goes by the largest object, not by the length of the
//! prompt, and nothing of the prompt is copied.
//!
//! What cannot be told apart safely has no digest, and the caller does not cache it:
//! - a name that stands twice in an object: parsers disagree on which one counts;
//! - an integer beyond 64 bits: it would be rounded, and two seeds would look alike;
//! - nesting deeper than 127 levels (the parser's own bound) and more than [`MAX_MEMBERS`] members.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use sha2::{Digest, Sha256};

/// Members of all objects of a document together. Each costs one digest, so this bounds the time of a lookup: a hundred
/// thousand chat messages stay below it.
pub const MAX_MEMBERS: u32 = 262_144;

/// The largest magnitude up to which doubles tell all integers apart (2⁵³).
const EXACT_INTEGERS: f64 = 9_007_199_254_740_992.0;

/// The digest of a JSON document, or `None` where there is none (see above).
pub fn digest(json: &[u8]) -> Option<[u8; 32]> {
    let mut hasher = Sha256::new();
    let mut members_left = MAX_MEMBERS;
    let mut parser = serde_json::Deserializer::from_slice(json);
    Value { hasher: &mut hasher, members_left: &mut members_left }.deserialize(&mut parser).ok()?;
    parser.end().ok()?;
    Some(hasher.finalize().into())
}

/// Writes the value that comes next into a hasher.
struct Value<'h> {
    hasher: &'h mut Sha256,
    members_left: &'h mut u32,
}

impl Value<'_> {
    fn scalar(self, kind: u8, bytes: [u8; 8]) {
        self.hasher.update([kind]);
        self.hasher.update(bytes);
    }
}

/// The name of a member: a piece of the document itself unless it holds an escape.
#[derive(Deserialize)]
struct Name<'n>(#[serde(borrow)] Cow<'n, str>);

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.hasher.update(b"n");
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.hasher.update(if value { b"t" } else { b"f" });
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.scalar(b'u', value.to_be_bytes());
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.scalar(b'i', value.to_be_bytes());
        Ok(())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        if value.abs() >= EXACT_INTEGERS {
            return Err(E::custom("a number too large to be exact"));
        }
        self.scalar(b'd', value.to_bits().to_be_bytes());
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        self.hasher.update(b"s");
        write_text(self.hasher, value);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.hasher.update(b"[");
        while items
            .next_element_seed(Value { hasher: &mut *self.hasher, members_left: &mut *self.members_left })?
            .is_some()
        {}
        self.hasher.update(b"]");
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut members: Vec<(Cow<'de, str>, [u8; 32])> = Vec::new();
        while let Some(Name(name)) = map.next_key()? {
            *self.members_left =
                self.members_left.checked_sub(1).ok_or_else(|| A::Error::custom("too many members"))?;
            let mut hasher = Sha256::new();
            map.next_value_seed(Value { hasher: &mut hasher, members_left: &mut *self.members_left })?;
            members.push((name, hasher.finalize().into()));
        }
        members.sort_unstable();
        self.hasher.update(b"{");
        self.hasher.update((members.len() as u64).to_be_bytes());
        let mut before: Option<&str> = None;
        for (name, value) in &members {
            if before == Some(name) {
                return Err(A::Error::custom("a name stands twice"));
            }
            before = Some(name);
            write_text(self.hasher, name);
            self.hasher.update(value);
        }
        Ok(())
    }
}

/// The length goes first, so that the text's end is certain.
fn write_text(hasher: &mut Sha256, text: &str) {
    hasher.update((text.len() as u64).to_be_bytes());
    hasher.update(text);
}

#[cfg(test)]
mod tests;
