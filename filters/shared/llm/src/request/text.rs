//! How much prompt text a request brings, for an estimate of its tokens before it ran.
//!
//! All strings under the members that hold the prompt count, roles and the like included (they cost tokens too). Left
//! out are payloads in base64, whose tokens have nothing to do with their length.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::BadRequest;
use super::members::Members;

/// Members whose strings are prompt.
const PROMPT: &[&str] =
    &["messages", "system", "prompt", "suffix", "input", "instructions", "contents", "systemInstruction"];
/// Members that are shown to the model as they are, names and all.
const SCHEMAS: &[&str] = &["tools", "functions"];
/// A token id (embeddings, completions) counts as much as an average token's text.
const TOKEN_ID_BYTES: u64 = 4;

/// Bytes of prompt text of a whole request.
pub(super) fn bytes(members: &Members<'_>) -> Result<u64, BadRequest> {
    let mut sum: u64 = 0;
    for name in PROMPT {
        if let Some(raw) = members.raw(name) {
            let mut json = serde_json::Deserializer::from_str(raw.get());
            let counted = Count { name: "" }.deserialize(&mut json).map_err(|_| {
                BadRequest(format!("`{name}` is not valid JSON text, or is nested more than 128 levels deep"))
            })?;
            sum = sum.saturating_add(counted.bytes);
        }
    }
    let schemas = SCHEMAS.iter().filter_map(|name| members.raw(name)).map(|raw| raw.get().len() as u64);
    Ok(schemas.fold(sum, u64::saturating_add))
}

/// Counts the value of the member called `name`, elements of its arrays included.
#[derive(Clone, Copy)]
struct Count<'n> {
    name: &'n str,
}

#[derive(Clone, Copy, Default)]
struct Counted {
    bytes: u64,
    /// The value is the string `base64`.
    is_base64: bool,
}

impl<'de> DeserializeSeed<'de> for Count<'_> {
    type Value = Counted;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Counted, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Count<'_> {
    type Value = Counted;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_str<E>(self, text: &str) -> Result<Counted, E> {
        let is_payload = self.name == "file_data" || (self.name.ends_with("url") && is_data_url(text));
        Ok(Counted { bytes: if is_payload { 0 } else { text.len() as u64 }, is_base64: text == "base64" })
    }

    fn visit_bool<E>(self, _: bool) -> Result<Counted, E> {
        Ok(Counted::default())
    }

    fn visit_unit<E>(self) -> Result<Counted, E> {
        Ok(Counted::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Counted, E> {
        Ok(Counted { bytes: TOKEN_ID_BYTES, is_base64: false })
    }

    fn visit_i64<E>(self, _: i64) -> Result<Counted, E> {
        Ok(Counted { bytes: TOKEN_ID_BYTES, is_base64: false })
    }

    fn visit_f64<E>(self, _: f64) -> Result<Counted, E> {
        Ok(Counted { bytes: TOKEN_ID_BYTES, is_base64: false })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Counted, A::Error> {
        let mut sum = Counted::default();
        while let Some(element) = elements.next_element_seed(self)? {
            sum.bytes = sum.bytes.saturating_add(element.bytes);
        }
        Ok(sum)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Counted, A::Error> {
        let (mut bytes, mut data_bytes, mut is_base64): (u64, u64, bool) = (0, 0, false);
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(Count { name: &name })?;
            match name.as_str() {
                "data" => data_bytes = data_bytes.saturating_add(value.bytes),
                _ => bytes = bytes.saturating_add(value.bytes),
            }
            is_base64 |= name == "type" && value.is_base64;
        }
        let is_payload = match self.name {
            "inlineData" | "inline_data" | "input_audio" => true,
            // Anthropic's documents may also be plain text.
            "source" => is_base64,
            _ => false,
        };
        Ok(Counted { bytes: if is_payload { bytes } else { bytes.saturating_add(data_bytes) }, is_base64: false })
    }
}

/// `data:image/png;base64,…`; the scheme's case does not matter.
fn is_data_url(text: &str) -> bool {
    text.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"))
}
