//! Changes members at the top of a request body and keeps all other bytes.
//!
//! A reader that minds no case (Go's) would take `"Store"` for `"store"`. So a member that differs from an edited one in its
//! case alone goes as well, and a `model` that is in doubt is refused, as everywhere.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::BadRequest;
use super::members::is_same_but_for_case;
use super::splice::{Splice, apply, offset};

/// What every body of some provider gets and loses, but for its model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BodyEdits {
    /// Members that it gets: names, and values as JSON.
    pub set: Vec<(String, String)>,
    /// Members that it loses.
    pub drop: Vec<String>,
}

impl BodyEdits {
    /// Whether every body stays as it is.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.drop.is_empty()
    }
}

/// A body that was looked at whole.
#[derive(Debug, PartialEq, Eq)]
pub struct Edited {
    /// The body with the changes made. `None`: there was nothing to change.
    pub body: Option<Vec<u8>>,
    /// Whether the body names a model.
    pub names_model: bool,
}

/// Makes the changes; `model` is put where the body names one. An error: no JSON object, or a `model` is to be put where one is
/// that is in doubt, by the rules of [`super::model_in_body`].
pub fn edit_body(body: &[u8], model: Option<&str>, edits: &BodyEdits) -> Result<Edited, BadRequest> {
    if body.is_empty() {
        return Err(BadRequest::empty());
    }
    let mut editor = Editor::new(body, model, edits);
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let unreadable = |error: serde_json::Error| BadRequest::unreadable(&error);
    DeserializeSeed::deserialize(&mut editor, &mut deserializer).map_err(unreadable)?;
    deserializer.end().map_err(unreadable)?;
    editor.finish()
}

/// What becomes of one member.
enum Fate<'e> {
    Kept,
    Dropped,
    /// Its value is replaced by this JSON.
    Set(&'e str),
    Model,
}

/// The members as they pass.
struct Editor<'a> {
    body: &'a [u8],
    model: Option<&'a str>,
    edits: &'a BodyEdits,
    /// Which of `edits.set` the body has already.
    is_set: Vec<bool>,
    names_model: bool,
    problem: Option<BadRequest>,
    /// A member was read that stands nowhere.
    is_lost: bool,
    splices: Vec<Splice>,
    /// Members in a row that go: from the name of the first to the end of the last.
    going: Option<Range<usize>>,
    /// Where the last member that stays ends.
    kept_to: Option<usize>,
}

impl<'a> Editor<'a> {
    fn new(body: &'a [u8], model: Option<&'a str>, edits: &'a BodyEdits) -> Self {
        Self {
            body,
            model,
            edits,
            is_set: vec![false; edits.set.len()],
            names_model: false,
            problem: None,
            is_lost: false,
            splices: Vec::new(),
            going: None,
            kept_to: None,
        }
    }

    fn fate(&mut self, name: &str) -> Fate<'a> {
        if is_same_but_for_case("model", name) {
            if name != "model" {
                self.complain(BadRequest::wrong_case("model"));
            }
            return Fate::Model;
        }
        if self.edits.drop.iter().any(|dropped| is_same(dropped, name)) {
            return Fate::Dropped;
        }
        let edits = self.edits;
        let mut set = edits.set.iter().zip(&mut self.is_set).filter(|((edited, _), _)| is_same(edited, name));
        match set.next() {
            Some(((edited, value), is_set)) if edited == name => {
                *is_set = true;
                Fate::Set(value)
            }
            Some(_) => Fate::Dropped,
            None => Fate::Kept,
        }
    }

    /// `None`: the value does not stand in this body, which cannot be.
    fn pass(&mut self, name: &RawValue, value: &RawValue) -> Option<()> {
        let begin = offset(self.body, name)?;
        let end = offset(self.body, value)?.checked_add(value.get().len())?;
        match self.fate(&unquoted(name)?) {
            Fate::Dropped => {
                let from = self.going.take().map_or(begin, |going| going.start);
                self.going = Some(from..end);
                return Some(());
            }
            Fate::Set(json) if json != value.get() => self.splices.push(Splice::replace(self.body, value, json)?),
            Fate::Model => self.pass_model(value)?,
            Fate::Set(_) | Fate::Kept => {}
        }
        if let Some(going) = self.going.take() {
            self.splices.push(Splice::cut(going.start..begin));
        }
        self.kept_to = Some(end);
        Some(())
    }

    fn pass_model(&mut self, value: &RawValue) -> Option<()> {
        if std::mem::replace(&mut self.names_model, true) {
            self.complain(BadRequest::twice("model"));
        }
        let Some(model) = self.model else { return Some(()) };
        match serde_json::from_str::<Cow<'_, str>>(value.get()) {
            Ok(named) if named == model => {}
            Ok(_) => self.splices.push(Splice::replace(self.body, value, quoted(model))?),
            Err(_) => self.complain(BadRequest::wrong_type("model", "a string")),
        }
        Some(())
    }

    /// Of several problems the first is told.
    fn complain(&mut self, problem: BadRequest) {
        self.problem.get_or_insert(problem);
    }

    fn finish(mut self) -> Result<Edited, BadRequest> {
        if let Some(problem) = self.problem.take().filter(|_| self.model.is_some()) {
            return Err(problem);
        }
        if self.is_lost {
            return Err(unexpected());
        }
        if let Some(going) = self.going.take() {
            // The comma in front of them goes too.
            self.splices.push(Splice::cut(self.kept_to.unwrap_or(going.start)..going.end));
        }
        let missing = self.edits.set.iter().zip(&self.is_set).filter(|(_, is_set)| !**is_set);
        let mut missing: Vec<_> = missing.map(|((name, value), _)| member(name, value)).collect();
        if !missing.is_empty() {
            if self.kept_to.is_some() {
                missing.push(String::new());
            }
            // In front of what is cut at the same place.
            self.splices.insert(0, Splice::first(self.body, missing.join(",")).ok_or_else(unexpected)?);
        }
        let is_same = self.splices.is_empty();
        let body = (!is_same).then(|| apply(self.body, self.splices).ok_or_else(unexpected)).transpose()?;
        Ok(Edited { body, names_model: self.names_model })
    }
}

fn is_same(edited: &str, name: &str) -> bool {
    edited == name || edited.chars().flat_map(char::to_lowercase).eq(name.chars().flat_map(char::to_lowercase))
}

/// The name of a member: a piece of the body unless it holds an escape.
fn unquoted(name: &RawValue) -> Option<Cow<'_, str>> {
    let quoted = name.get();
    let plain = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).filter(|name| !name.contains('\\'));
    plain.map(|name| Some(Cow::Borrowed(name))).unwrap_or_else(|| serde_json::from_str(quoted).ok().map(Cow::Owned))
}

fn member(name: &str, value: &str) -> String {
    format!("{}:{value}", quoted(name))
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// What was read stands where it was read, so this never comes; but a body that was not changed must not pass for one that was.
fn unexpected() -> BadRequest {
    BadRequest("the request body cannot be changed as this provider needs it".into())
}

impl<'de> DeserializeSeed<'de> for &mut Editor<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Editor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((name, value)) = map.next_entry::<&RawValue, &RawValue>()? {
            self.is_lost |= self.pass(name, value).is_none();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
