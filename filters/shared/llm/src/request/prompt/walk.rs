//! The one pass over a prompt's JSON. serde_json bounds its depth to 128 levels.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::Sum;
use super::part::{Member, Part};

/// Members whose JSON a model is shown as it is: what a tool was called with (Anthropic's `input`, Gemini's `args`) and
/// what it gave (Gemini's `response`). The names in them cost tokens too, and nothing in them is a payload.
const VERBATIM: &[&str] = &["input", "args", "arguments", "response"];

/// Measures the value of the member called `name`, elements of its arrays included.
pub(super) struct Walk<'a> {
    pub(super) name: &'a str,
    pub(super) place: Place,
    pub(super) sum: &'a mut Sum,
}

/// Where a value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It is a member of the request itself.
    Top,
    /// It is an element of a list there: a message.
    Element,
    /// Anywhere deeper.
    Inside,
}

/// What the object around has to know of a value.
pub(super) enum Found<'de> {
    /// Nothing: it is counted.
    Counted,
    /// A string that says something about its neighbours; it is counted.
    Word(Cow<'de, str>),
    /// A string that may be no text; it is not counted yet.
    Waiting(Member, Cow<'de, str>),
    /// An object that names something that stands elsewhere.
    Elsewhere,
}

impl Walk<'_> {
    /// `kept` gives the string once more, to outlive this call.
    fn string<'de>(self, text: &str, kept: impl FnOnce() -> Cow<'de, str>) -> Found<'de> {
        match Member::of(self.name) {
            Some(member) if self.place == Place::Inside => return Found::Waiting(member, kept()),
            _ => {}
        }
        if self.place != Place::Inside {
            self.sum.message();
        }
        self.sum.text(Some(self.name), text);
        if Part::is_word(self.name, text) { Found::Word(kept()) } else { Found::Counted }
    }

    fn token_id<'de>(self) -> Found<'de> {
        self.sum.token_id();
        Found::Counted
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = Found<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Found<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = Found<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Found<'de>, E> {
        Ok(self.string(text, || Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Found<'de>, E> {
        Ok(self.string(text, || Cow::Owned(text.to_owned())))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Found<'de>, E> {
        Ok(Found::Counted)
    }

    fn visit_unit<E>(self) -> Result<Found<'de>, E> {
        Ok(Found::Counted)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Found<'de>, E> {
        Ok(self.token_id())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Found<'de>, E> {
        Ok(self.token_id())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Found<'de>, E> {
        Ok(self.token_id())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Found<'de>, A::Error> {
        let place = if self.place == Place::Top { Place::Element } else { Place::Inside };
        while let Some(found) = elements.next_element_seed(Walk { name: self.name, place, sum: &mut *self.sum })? {
            match found {
                // No provider lists payloads under one name.
                Found::Waiting(_, text) => self.sum.text(None, &text),
                Found::Counted | Found::Word(_) | Found::Elsewhere => {}
            }
        }
        Ok(Found::Counted)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Found<'de>, A::Error> {
        let is_message = self.place != Place::Inside;
        if is_message {
            self.sum.message();
        }
        let mut part = Part::default();
        while let Some(name) = members.next_key::<String>()? {
            if VERBATIM.contains(&name.as_str()) {
                self.sum.verbatim(members.next_value::<&'de RawValue>()?);
                continue;
            }
            let walk = Walk { name: &name, place: Place::Inside, sum: &mut *self.sum };
            match members.next_value_seed(walk)? {
                Found::Counted => {}
                Found::Word(word) => {
                    part.note(&name, &word);
                    if is_message && name == "name" {
                        self.sum.name();
                    }
                }
                Found::Waiting(member, text) => {
                    if let Some(text) = part.hold(member, text) {
                        self.sum.text(None, &text);
                    }
                }
                Found::Elsewhere => part.note_source_elsewhere(),
            }
        }
        Ok(if part.close(self.name, self.sum) { Found::Elsewhere } else { Found::Counted })
    }
}
