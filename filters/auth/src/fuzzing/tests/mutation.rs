//! Changes to good inputs: of bytes, of the parts of a token, of the nodes of a JSON document.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Map, Value, json};

/// One change to a JSON document: what comes to stand at the picked node, or nothing.
pub(super) type Edit = (Index, Option<Value>);

/// Values that some reader or other takes amiss.
fn value() -> impl Strategy<Value = Value> {
    let texts = [
        "",
        " ",
        "AQAB",
        "AA",
        "P-256",
        "P-521",
        "Ed25519",
        "RS256",
        "HS512",
        "ES512",
        "none",
        "enc",
        "sig",
        "tollgate",
        "models",
        "10s",
        "99999999999999999999d",
        "/x",
        "2026-01-31T00:00:00Z",
        "jwt:x",
        "a\nb",
        "\u{202e}",
        "=",
        "sk-live-\"1\"",
    ];
    prop_oneof![
        select(texts.map(Value::from).to_vec()),
        select(vec![
            json!(null),
            json!(true),
            json!(0),
            json!(-1),
            json!(1e300),
            json!(u64::MAX),
            json!(1_800_000_600)
        ]),
        select(vec![
            json!([]),
            json!({}),
            json!([[]]),
            json!([7]),
            json!({"keys": []}),
            json!({"d": "x"}),
            json!({"id": 1})
        ]),
        vec(any::<u8>(), 0..70).prop_map(|bytes| URL_SAFE_NO_PAD.encode(bytes).into()),
        "\\PC{0,200}".prop_map(Value::from),
    ]
}

pub(super) fn edits() -> impl Strategy<Value = Vec<Edit>> {
    vec((any::<Index>(), proptest::option::weighted(0.8, value())), 0..4)
}

/// The document with all edits made, one after the other.
pub(super) fn edited(document: &Value, edits: &[Edit]) -> Value {
    edits.iter().fold(document.clone(), |document, (place, value)| {
        let mut left = place.index(nodes(&document));
        edit(&document, &mut left, value.as_ref()).unwrap_or_default()
    })
}

fn nodes(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(nodes).sum(),
        Value::Object(members) => members.values().map(nodes).sum::<usize>(),
        _ => 0,
    }
}

fn edit(value: &Value, left: &mut usize, new: Option<&Value>) -> Option<Value> {
    let is_here = *left == 0;
    *left = left.wrapping_sub(1);
    if is_here {
        return new.cloned();
    }
    Some(match value {
        Value::Array(items) => items.iter().filter_map(|item| edit(item, left, new)).collect(),
        Value::Object(members) => {
            let mut edited = Map::new();
            for (name, value) in members {
                edited.extend(edit(value, left, new).map(|value| (name.clone(), value)));
            }
            Value::Object(edited)
        }
        _ => value.clone(),
    })
}

/// A change to bytes that knows nothing of their form.
#[derive(Clone, Debug)]
pub(super) enum Scratch {
    Nothing,
    Put(Index, u8),
    Insert(Index, u8),
    Cut(Index),
    Double(Index),
}

pub(super) fn scratch() -> impl Strategy<Value = Scratch> {
    let byte = || prop_oneof![any::<u8>(), select(b".={}[]\",:\n A_\xff".to_vec())];
    prop_oneof![
        2 => Just(Scratch::Nothing),
        1 => (any::<Index>(), byte()).prop_map(|(place, byte)| Scratch::Put(place, byte)),
        1 => (any::<Index>(), byte()).prop_map(|(place, byte)| Scratch::Insert(place, byte)),
        1 => any::<Index>().prop_map(Scratch::Cut),
        1 => any::<Index>().prop_map(Scratch::Double),
    ]
}

pub(super) fn scratched(text: &str, scratch: &Scratch) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    match scratch {
        _ if bytes.is_empty() => {}
        Scratch::Nothing => {}
        Scratch::Put(place, byte) => *place.get_mut(&mut bytes) = *byte,
        Scratch::Insert(place, byte) => bytes.insert(place.index(bytes.len()), *byte),
        Scratch::Cut(place) => bytes.truncate(place.index(bytes.len())),
        Scratch::Double(place) => bytes.extend_from_within(place.index(bytes.len())..),
    }
    bytes
}

/// Three parts from three tokens, each perhaps changed below its base64url.
#[derive(Clone, Debug)]
pub(super) struct Splice {
    parts: [Index; 3],
    header: Vec<Edit>,
    payload: Scratch,
    signature: Scratch,
}

/// Mostly all parts are of one token.
pub(super) fn splice() -> impl Strategy<Value = Splice> {
    let parts = prop_oneof![
        3 => any::<Index>().prop_map(|one| [one; 3]),
        1 => any::<[Index; 3]>(),
    ];
    (parts, edits(), scratch(), scratch()).prop_map(|(parts, header, payload, signature)| Splice {
        parts,
        header,
        payload,
        signature,
    })
}

pub(super) fn spliced(tokens: &[String], splice: &Splice) -> String {
    let part = |place: usize| {
        let token = splice.parts[place].get(tokens);
        token.split('.').nth(place).unwrap_or_default().to_owned()
    };
    let below = |text: String, scratch: &Scratch| match scratch {
        Scratch::Nothing => text,
        change => {
            let bytes = URL_SAFE_NO_PAD.decode(&text).unwrap_or_default();
            // Latin-1 keeps each byte one character until it is changed.
            let chars: String = bytes.iter().map(|byte| char::from(*byte)).collect();
            let changed = String::from_utf8_lossy(&scratched(&chars, change)).into_owned();
            URL_SAFE_NO_PAD.encode(changed.chars().map(|c| c as u8).collect::<Vec<_>>())
        }
    };
    let header = match URL_SAFE_NO_PAD.decode(part(0)).ok().and_then(|json| serde_json::from_slice(&json).ok()) {
        Some(header) if !splice.header.is_empty() => {
            URL_SAFE_NO_PAD.encode(edited(&header, &splice.header).to_string())
        }
        _ => part(0),
    };
    format!("{header}.{}.{}", below(part(1), &splice.payload), below(part(2), &splice.signature))
}
