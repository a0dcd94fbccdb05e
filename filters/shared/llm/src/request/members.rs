//! The members of a JSON object that decide something, each once, as the bytes that were written.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::BadRequest;

/// Every spelling of every member that is read, and the one name it goes by here.
const NAMES: &[(&str, &str)] = &[
    ("background", "background"),
    ("best_of", "best_of"),
    ("candidateCount", "candidateCount"),
    ("candidate_count", "candidateCount"),
    ("contents", "contents"),
    ("functions", "functions"),
    ("generationConfig", "generationConfig"),
    ("generation_config", "generationConfig"),
    ("include_usage", "include_usage"),
    ("input", "input"),
    ("instructions", "instructions"),
    ("maxOutputTokens", "maxOutputTokens"),
    ("max_completion_tokens", "max_completion_tokens"),
    ("max_output_tokens", "max_output_tokens"),
    ("max_tokens", "max_tokens"),
    ("messages", "messages"),
    ("model", "model"),
    ("n", "n"),
    ("output_config", "output_config"),
    ("output_format", "output_format"),
    ("prompt", "prompt"),
    ("responseJsonSchema", "responseJsonSchema"),
    ("responseSchema", "responseSchema"),
    ("response_format", "response_format"),
    ("response_json_schema", "responseJsonSchema"),
    ("response_schema", "responseSchema"),
    ("stream", "stream"),
    ("stream_options", "stream_options"),
    ("suffix", "suffix"),
    ("system", "system"),
    ("systemInstruction", "systemInstruction"),
    ("system_instruction", "systemInstruction"),
    ("text", "text"),
    ("tools", "tools"),
];

/// The known members of one object. At most one a name, so its size is bounded.
#[derive(Debug, Default)]
pub(super) struct Members<'a> {
    found: Vec<(&'static str, &'a RawValue)>,
    problem: Option<BadRequest>,
}

impl<'a> Members<'a> {
    /// Reads a whole request body.
    pub(super) fn of_body(body: &'a [u8]) -> Result<Self, BadRequest> {
        if body.is_empty() {
            return Err(BadRequest::empty());
        }
        let members: Self = serde_json::from_slice(body).map_err(|error| BadRequest::unreadable(&error))?;
        members.checked()
    }

    /// The object under a name. `null` counts as absent.
    pub(super) fn object(&self, name: &'static str) -> Result<Option<Self>, BadRequest> {
        let Some(object) = self.value::<Self>(name, "an object")? else { return Ok(None) };
        object.checked().map(Some)
    }

    /// The string under a name.
    pub(super) fn text(&self, name: &'static str) -> Result<Option<String>, BadRequest> {
        self.value(name, "a string")
    }

    /// The truth value under a name; absent is `false`.
    pub(super) fn flag(&self, name: &'static str) -> Result<bool, BadRequest> {
        self.value(name, "true or false").map(Option::unwrap_or_default)
    }

    /// The whole number under a name. Gemini (Protobuf's JSON) also takes it as a string, and everybody takes `7.0`.
    pub(super) fn count(&self, name: &'static str) -> Result<Option<u64>, BadRequest> {
        let Some(raw) = self.raw(name) else { return Ok(None) };
        let written = raw.get().trim_matches('"');
        let whole = written.split_once('.').filter(|(_, fraction)| fraction.bytes().all(|digit| digit == b'0'));
        let count = whole.map_or(written, |(whole, _)| whole).parse();
        count.map(Some).map_err(|_| BadRequest::wrong_type(name, "a whole number that is not negative"))
    }

    /// The value under a name as it was written; `null` counts as absent.
    pub(super) fn raw(&self, name: &'static str) -> Option<&'a RawValue> {
        self.written(name).filter(|raw| raw.get() != "null")
    }

    /// The value under a name as it was written, also if it is `null`.
    pub(super) fn written(&self, name: &'static str) -> Option<&'a RawValue> {
        self.found.iter().find(|(found, _)| *found == name).map(|(_, raw)| *raw)
    }

    fn value<T: Deserialize<'a>>(&self, name: &'static str, expected: &str) -> Result<Option<T>, BadRequest> {
        let Some(raw) = self.raw(name) else { return Ok(None) };
        serde_json::from_str(raw.get()).map(Some).map_err(|_| BadRequest::wrong_type(name, expected))
    }

    fn checked(self) -> Result<Self, BadRequest> {
        match self.problem {
            Some(problem) => Err(problem),
            None => Ok(self),
        }
    }

    /// Keeps a known member, or notes what is wrong with it.
    fn add(&mut self, written: &str, raw: &'a RawValue) {
        // A body may be all members, millions of them: most names differ in their first letter from all that are read.
        let Some(first) = written.chars().next().and_then(|first| u8::try_from(folded(first)).ok()) else { return };
        let mut alike = NAMES.iter().filter(|(spelling, _)| spelling.as_bytes().first() == Some(&first));
        let Some((spelling, name)) = alike.find(|(spelling, _)| is_same_but_for_case(spelling, written)) else {
            return;
        };
        if *spelling != written {
            self.problem = Some(BadRequest::wrong_case(spelling));
        } else if self.written(name).is_some() {
            self.problem = Some(BadRequest::twice(name));
        } else {
            self.found.push((name, raw));
        }
    }
}

/// Whether `written` is `name` to a reader that folds case as Unicode does, as Go's does: two letters outside of ASCII
/// fold into it, the long s and the Kelvin sign.
pub(super) fn is_same_but_for_case(name: &str, written: &str) -> bool {
    written.chars().map(folded).eq(name.chars().map(|letter| letter.to_ascii_lowercase()))
}

fn folded(letter: char) -> char {
    match letter {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        _ => letter.to_ascii_lowercase(),
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Members::default();
        while let Some(name) = map.next_key::<String>()? {
            if members.problem.is_some() {
                map.next_value::<IgnoredAny>()?;
            } else {
                members.add(&name, map.next_value()?);
            }
        }
        Ok(members)
    }
}
