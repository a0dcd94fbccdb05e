//! What a provider can keep of a prompt from one call to the next: its beginning.
//!
//! Providers cache prompts by their beginnings, so who sends calls of one beginning to one place makes that cache work. The
//! beginning is taken to be what callers of one application share: the tools, then the system prompt, however the API
//! writes it (`system`, `instructions`, `systemInstruction`, or leading messages of the roles `system` and `developer`).
//! What a user says is no part of it. A call that has neither begins with its first message instead, which the later turns of
//! that conversation repeat; a prompt that is one text, with the first [`TEXT`] bytes of it.
//!
//! It is compared as it was written: another order of members is another beginning.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer as _, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::members::Members;

/// Members that are the same in all calls of an application, in the order in which a model sees them.
const SHARED: &[&str] = &["tools", "functions", "system", "systemInstruction", "instructions"];
/// Members that hold what is said, of which a call has one.
const SAID: &[&str] = &["messages", "input", "contents", "prompt"];
/// Most bytes taken of a prompt that is one text.
const TEXT: usize = 1024;
/// Most leading messages that are looked at.
const LEADING: usize = 16;

/// Gives the beginning of a request's prompt, piece by piece and `most` bytes of it at most. Nothing is given of a body that
/// cannot be read.
pub fn prompt_prefix(body: &[u8], most: usize, mut take: impl FnMut(&[u8])) {
    let Ok(members) = Members::of_body(body) else { return };
    let mut left = most;
    for piece in pieces(&members) {
        let piece = piece.get(..left).unwrap_or(piece);
        left = left.saturating_sub(piece.len());
        if !piece.is_empty() {
            take(piece);
        }
    }
}

fn pieces<'a>(members: &Members<'a>) -> Vec<&'a [u8]> {
    let shared = SHARED.iter().filter_map(|name| members.raw(name)).filter(|raw| !is_blank(raw));
    let mut pieces: Vec<_> = shared.map(|raw| raw.get().as_bytes()).collect();
    let Some(said) = SAID.iter().find_map(|name| members.raw(name)) else { return pieces };
    let mut leading = Leading::default();
    // It stops where the system prompt ends, which the parser takes for an error.
    let _ = serde_json::Deserializer::from_str(said.get()).deserialize_seq(&mut leading);
    pieces.extend(leading.system.iter().map(|message| message.get().as_bytes()));
    if pieces.is_empty() {
        let text = said.get().as_bytes();
        let text = text.get(..TEXT).unwrap_or(text);
        pieces.push(leading.first.map_or(text, |message| message.get().as_bytes()));
    }
    pieces
}

fn is_blank(raw: &RawValue) -> bool {
    matches!(raw.get(), "\"\"" | "[]" | "{}")
}

/// The messages that a list begins with.
#[derive(Default)]
struct Leading<'a> {
    system: Vec<&'a RawValue>,
    /// The first message, if the list is none of plain texts or numbers.
    first: Option<&'a RawValue>,
}

#[derive(serde::Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    role: Option<Cow<'a, str>>,
}

impl<'de> Visitor<'de> for &mut Leading<'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of messages")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        for _ in 0..LEADING {
            let Some(message) = list.next_element::<&RawValue>()? else { break };
            let Ok(Message { role }) = serde_json::from_str(message.get()) else { break };
            self.first.get_or_insert(message);
            if !matches!(role.as_deref(), Some("system" | "developer")) {
                break;
            }
            self.system.push(message);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn prefix(body: &Value) -> Vec<String> {
        let mut pieces = Vec::new();
        prompt_prefix(body.to_string().as_bytes(), 1 << 20, |piece| {
            pieces.push(String::from_utf8_lossy(piece).into_owned());
        });
        pieces
    }

    #[test]
    fn tools_and_system_prompt_are_the_beginning_in_every_api() {
        let tools = json!([{"name": "f"}]);
        let system = json!({"role": "system", "content": "Be brief."});
        let (developer, user) =
            (json!({"role": "developer", "content": "x"}), json!({"role": "user", "content": "Hi"}));
        for (body, expected) in [
            (
                json!({"messages": [system, developer, user, system], "tools": tools}),
                vec![&tools, &system, &developer],
            ),
            (json!({"input": [developer, user], "instructions": "Be"}), vec![&json!("Be"), &developer]),
            (json!({"input": "Hi", "instructions": "Be"}), vec![&json!("Be")]),
            (json!({"messages": [user], "system": [{"text": "t"}]}), vec![&json!([{"text": "t"}])]),
            (
                json!({"contents": [{"parts": []}], "system_instruction": {"parts": [1]}}),
                vec![&json!({"parts": [1]})],
            ),
        ] {
            assert_eq!(prefix(&body), expected.iter().map(|value| value.to_string()).collect::<Vec<_>>(), "{body}");
        }
    }

    #[test]
    fn without_either_a_conversation_begins_with_its_first_message() {
        let (user, more) = (json!({"role": "user", "content": "Hi"}), json!({"role": "assistant", "content": "Ho"}));
        let first = vec![user.to_string()];
        for messages in [json!([user]), json!([user, more, user])] {
            for name in ["messages", "input", "contents"] {
                assert_eq!(prefix(&json!({name: messages, "system": "", "tools": []})), first, "{name}");
            }
        }
        assert_eq!(prefix(&json!({"prompt": "x".repeat(5000)})), [format!("\"{}", "x".repeat(TEXT - 1))]);
        assert_eq!(prefix(&json!({"input": ["a", "b"]})), [r#"["a","b"]"#]);
        for none in [json!({}), json!([]), json!({"messages": null}), json!({"model": "m"})] {
            assert_eq!(prefix(&none), Vec::<String>::new(), "{none}");
        }
    }

    proptest! {
        #[test]
        fn no_more_is_given_than_asked_for(body in r#"\{"(messages|tools|prompt)":(\[\{"role":"system"\}?,?"?\]?|"[a-zé]{0,40}"?)\}?"#, most in 0_usize..20) {
            let mut given = 0;
            prompt_prefix(body.as_bytes(), most, |piece| given += piece.len());
            prop_assert!(given <= most);
        }

        #[test]
        fn no_bytes_break_it(body: Vec<u8>) {
            prompt_prefix(&body, 99, |_| {});
        }
    }
}
