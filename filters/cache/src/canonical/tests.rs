//! Examples by hand, then the law: any respelling keeps the digest, any change of a value or name changes it.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::{MAX_MEMBERS, digest};

fn of(json: &str) -> [u8; 32] {
    digest(json.as_bytes()).unwrap_or_else(|| panic!("no digest: {json}"))
}

#[test]
fn order_whitespace_and_escapes_do_not_matter() {
    let plain = of(r#"{"model":"m","messages":[{"role":"user","content":"é/"}],"n":1}"#);
    for same in [
        r#"{"n":1,"messages":[{"content":"é/","role":"user"}],"model":"m"}"#,
        "\t{ \"model\" : \"m\",\r\n \"messages\" : [ { \"role\":\"user\", \"content\":\"é/\" } ], \"n\": 1 }\n ",
        r#"{"mod\u0065l":"m","messages":[{"role":"user","content":"\u00e9\/"}],"n":1}"#,
    ] {
        assert_eq!(of(same), plain, "{same}");
    }
}

#[test]
fn documents_that_only_look_alike_differ() {
    let documents = [
        "0",
        "0.0",
        "-0.0",
        "1",
        "-1",
        "\"1\"",
        "true",
        "false",
        "null",
        "\"\"",
        "\"null\"",
        "[]",
        "{}",
        "[[]]",
        "[{}]",
        "[1,2]",
        "[2,1]",
        "[12]",
        "[[1],2]",
        "[[1,2]]",
        "[\"a\",\"b\"]",
        "[\"ab\"]",
        "[\"a\",\"b\",\"\"]",
        "{\"a\":1}",
        "{\"a\":[1]}",
        "{\"a\":{\"b\":1}}",
        "{\"a\":1,\"b\":1}",
        "{\"ab\":1}",
        "{\"\":\"a\"}",
        "{\"a\":\"\"}",
        "{\"a\":null}",
        "9007199254740993",
        "9007199254740992",
        "0.1",
        "0.2",
        "\"a\\u0000\"",
        "\"a\"",
        "\"A\"",
        "\"a \"",
    ];
    for (i, one) in documents.iter().enumerate() {
        for other in &documents[i + 1..] {
            assert_ne!(of(one), of(other), "{one} {other}");
        }
    }
}

#[test]
fn what_parsers_disagree_on_has_no_digest() {
    for json in [
        r#"{"model":"a","model":"b"}"#,
        r#"{"a":{"x":1,"x":1}}"#,
        r#"{"x":1,"\u0078":1}"#,
        "18446744073709551616",
        "-1e300",
        "1e999",
        "NaN",
        "",
        " ",
        "{",
        "[1,]",
        "{} {}",
        r#""\ud800""#,
        "hello",
    ] {
        assert_eq!(digest(json.as_bytes()), None, "{json}");
    }
    assert_eq!(digest(b"\"\xff\xfe\""), None);
}

#[test]
fn depth_and_members_are_bounded() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(digest(nested(127).as_bytes()).is_some());
    assert!(digest(nested(128).as_bytes()).is_none());
    assert!(digest(nested(1_000_000).as_bytes()).is_none());
    let members = |count: u32| format!("[{}]", vec!["{\"a\":0}"; count as usize].join(","));
    assert!(digest(members(MAX_MEMBERS).as_bytes()).is_some());
    assert!(digest(members(MAX_MEMBERS + 1).as_bytes()).is_none());
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        (-1e6f64..1e6).prop_map(Json::from),
        "\\PC{0,12}".prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Json::from),
            prop::collection::btree_map("\\PC{0,6}", inner, 0..6)
                .prop_map(|map| Json::Object(map.into_iter().collect())),
        ]
    })
}

/// The same document written with other member orders and whitespace, as the seed says.
fn respelled(value: &Json, seed: u64, out: &mut String) {
    let space = ["", " ", "\n", "\t \r\n"][(seed % 4) as usize];
    let next = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    out.push_str(space);
    match value {
        Json::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i > 0 { "," } else { "" });
                respelled(item, next >> (i % 7), out);
            }
            out.push(']');
        }
        Json::Object(map) => {
            let mut members: Vec<_> = map.iter().collect();
            if !members.is_empty() {
                let turn = (next >> 33) as usize % members.len();
                members.rotate_left(turn);
            }
            if seed.is_multiple_of(3) {
                members.reverse();
            }
            out.push('{');
            for (i, (name, item)) in members.into_iter().enumerate() {
                out.push_str(if i > 0 { "," } else { "" });
                out.push_str(&Json::from(name.as_str()).to_string());
                out.push_str(space);
                out.push(':');
                respelled(item, next >> (i % 5), out);
            }
            out.push('}');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
    out.push_str(space);
}

/// Changes the value (or name) that stands at a position of a walk over the document.
fn change(value: &mut Json, at: &mut usize) -> bool {
    if *at == 0 {
        *value = match value.take() {
            Json::Null => json!(false),
            Json::Bool(b) => json!(!b),
            Json::Number(n) => json!([n]),
            Json::String(s) => json!(s + "."),
            Json::Array(mut items) => {
                items.push(Json::Null);
                Json::Array(items)
            }
            Json::Object(mut map) => {
                map.insert("a name longer than any other".into(), Json::Null);
                Json::Object(map)
            }
        };
        return true;
    }
    *at -= 1;
    match value {
        Json::Array(items) => items.iter_mut().any(|item| change(item, at)),
        Json::Object(map) => map.values_mut().any(|item| change(item, at)),
        _ => false,
    }
}

fn size(value: &Json) -> usize {
    1 + match value {
        Json::Array(items) => items.iter().map(size).sum(),
        Json::Object(map) => map.values().map(size).sum(),
        _ => 0,
    }
}

proptest! {
    #[test]
    fn a_respelling_keeps_the_digest(value in any_json(), seed: u64) {
        let mut text = String::new();
        respelled(&value, seed, &mut text);
        prop_assert_eq!(of(&text), of(&value.to_string()), "{}", text);
    }

    #[test]
    fn any_change_changes_the_digest(value in any_json(), position: prop::sample::Index) {
        let mut changed = value.clone();
        let mut at = position.index(size(&value));
        prop_assert!(change(&mut changed, &mut at));
        prop_assert_ne!(of(&value.to_string()), of(&changed.to_string()), "{} {}", value, changed);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>) {
        let _ = digest(&bytes);
    }
}
