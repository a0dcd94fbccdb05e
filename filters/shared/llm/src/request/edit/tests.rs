//! Only what was asked for changes, and everything else stays byte for byte.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

fn edits(set: &[(&str, &str)], drop: &[&str]) -> BodyEdits {
    BodyEdits {
        set: set.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
        drop: drop.iter().map(|name| (*name).into()).collect(),
    }
}

fn edited(body: &str, model: Option<&str>, edits: &BodyEdits) -> Option<String> {
    let edited = edit_body(body.as_bytes(), model, edits).unwrap_or_else(|error| panic!("{body}: {error}"));
    edited.body.map(|body| String::from_utf8(body).unwrap())
}

#[test]
fn the_model_is_replaced_where_it_stands() {
    for (body, expected) in [
        (r#"{"model":"m"}"#, r#"{"model":"N"}"#),
        (" { \"model\" :\t\"m\" , \"x\":1 }\r\n", " { \"model\" :\t\"N\" , \"x\":1 }\r\n"),
        (r#"{"mod\u0065l":"m\u00e9"}"#, r#"{"mod\u0065l":"N"}"#),
        (r#"{"x":{"model":"m"},"y":["model"],"model":"m"}"#, r#"{"x":{"model":"m"},"y":["model"],"model":"N"}"#),
        (
            r#"{"é":"\ud83d\ude00","n":1e400,"model":"","n":-0.0}"#,
            r#"{"é":"\ud83d\ude00","n":1e400,"model":"N","n":-0.0}"#,
        ),
    ] {
        assert_eq!(edited(body, Some("N"), &BodyEdits::default()).as_deref(), Some(expected));
    }
    let body = r#"{"model":"m"}"#;
    assert_eq!(
        edited(body, Some("a\"b\\\n\u{e9}"), &BodyEdits::default()).unwrap(),
        "{\"model\":\"a\\\"b\\\\\\n\u{e9}\"}"
    );
}

#[test]
fn nothing_to_change_is_told_and_so_is_whether_a_model_is_named() {
    let edits = edits(&[("store", "false")], &["user"]);
    for (body, model, names_model) in [
        (r#"{"model":"N","store":false}"#, Some("N"), true),
        (r#"{"store":false}"#, Some("N"), false),
        (r#"{"model":"m","store":false}"#, None, true),
        (r#"{"model":7,"Model":"m","store":false}"#, None, true),
    ] {
        let expected = Edited { body: None, names_model };
        assert_eq!(edit_body(body.as_bytes(), model, &edits), Ok(expected), "{body}");
    }
}

#[test]
fn members_are_set_where_they_stand_or_in_front() {
    let edits = edits(&[("store", "false"), ("a b", "[1]")], &[]);
    for (body, expected) in [
        ("{}", r#"{"store":false,"a b":[1]}"#),
        (" { } ", r#" {"store":false,"a b":[1] } "#),
        (r#"{"x":1}"#, r#"{"store":false,"a b":[1],"x":1}"#),
        (r#"{"a b":{},"store":true}"#, r#"{"a b":[1],"store":false}"#),
        (r#"{"store":1,"store":2,"a b":0}"#, r#"{"store":false,"store":false,"a b":[1]}"#),
        (r#"{"\u0073tore":1,"a\u0020b":0}"#, r#"{"\u0073tore":false,"a\u0020b":[1]}"#),
        (r#"{"Store":1,"x":2,"A B":1}"#, r#"{"store":false,"a b":[1],"x":2}"#),
        (r#"{"STORE":1,"store":2,"a b":0}"#, r#"{"store":false,"a b":[1]}"#),
    ] {
        assert_eq!(edited(body, None, &edits).unwrap(), expected, "{body}");
    }
}

#[test]
fn dropped_members_take_one_comma_with_them() {
    let edits = edits(&[], &["a", "b"]);
    for (body, expected) in [
        (r#"{"a":1}"#, "{}"),
        (r#"{ "a":1 }"#, "{  }"),
        (r#"{"a":1,"b":2}"#, "{}"),
        (r#"{"a":1,"x":2}"#, r#"{"x":2}"#),
        (r#"{"x":2,"a":1}"#, r#"{"x":2}"#),
        (r#"{"x":2 , "a":1 , "B":3 }"#, r#"{"x":2 }"#),
        (r#"{"x":1,"a":1,"y":2,"b":1,"a":3,"z":3}"#, r#"{"x":1,"y":2,"z":3}"#),
        (r#"{"a":{"x":[1,2]},"x":"a,\"b\":","\u0061":1}"#, r#"{"x":"a,\"b\":"}"#),
    ] {
        assert_eq!(edited(body, None, &edits).unwrap(), expected, "{body}");
    }
}

#[test]
fn all_at_once() {
    let edits = edits(&[("s", "0"), ("t", "1")], &["d"]);
    let body = r#"{"d":1,"model":"m","s":5,"d":2,"D":3}"#;
    assert_eq!(edited(body, Some("N"), &edits).unwrap(), r#"{"t":1,"model":"N","s":0}"#);
    assert_eq!(edited(r#"{"d":1,"D":2}"#, Some("N"), &edits).unwrap(), r#"{"s":0,"t":1}"#);
}

#[test]
fn a_body_that_is_no_object_or_names_a_model_in_doubt_is_refused() {
    let none = BodyEdits::default();
    for (body, told) in [
        ("", "the request body is empty: send one JSON object"),
        ("[]", "the request body must be one JSON object"),
        ("null", "the request body must be one JSON object"),
        ("\"{}\"", "the request body must be one JSON object"),
        (r#"{"model":"m""#, "the request body is not valid JSON (line 1, column 12)"),
        ("{}{}", "the request body is not valid JSON (line 1, column 3)"),
        ("--b\r\n", "the request body is not valid JSON (line 1, column 2)"),
        (r#"{"model":7}"#, "`model` must be a string"),
        (r#"{"model":null}"#, "`model` must be a string"),
        (r#"{"model":"N","model":"m"}"#, "`model` is given twice: give it once"),
        (r#"{"Model":"m"}"#, "write `model` exactly so: its case differs in the request"),
        (r#"{"model":"N","mOdel":1}"#, "write `model` exactly so: its case differs in the request"),
    ] {
        assert_eq!(edit_body(body.as_bytes(), Some("N"), &none).unwrap_err().to_string(), told, "{body}");
    }
    assert!(edit_body(b"{\"a\":\"\xff\"}", Some("N"), &none).is_err());
}

fn any_value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        ".{0,4}".prop_map(Value::from)
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec(("[a-e]", inner), 0..3)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
    .prop_map(|value| value.to_string())
}

/// A member's name as JSON may write it.
fn any_name() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[a-e]".prop_map(|name| format!("{name:?}")),
        1 => "[a-c]".prop_map(|name| format!("\"\\u00{:02x}\"", name.as_bytes()[0])),
        1 => Just("\"model\"".to_owned()),
    ]
}

proptest! {
    #[test]
    fn parsed_before_and_after_a_body_differs_in_the_edits_alone(
        members in prop::collection::vec((any_name(), any_value(), "[ \n\t]{0,2}"), 0..8),
        blank in "[ \r\n]{0,2}",
        model in prop::option::of(".{0,6}"),
        set in prop::collection::btree_map("[a-c]", any_value(), 0..3),
        drop in prop::collection::btree_set("[d-e]", 0..2),
    ) {
        let models = members.iter().filter(|(name, ..)| name == "\"model\"").count();
        prop_assume!(models < 2);
        let members: Vec<_> = members
            .into_iter()
            .map(|(name, value, blank)| {
                let value = if name == "\"model\"" { "\"m\"".to_owned() } else { value };
                format!("{blank}{name}{blank}:{blank}{value}{blank}")
            })
            .collect();
        let body = format!("{blank}{{{blank}{}}}{blank}", members.join(","));
        let edits = BodyEdits { set: set.clone().into_iter().collect(), drop: drop.iter().cloned().collect() };
        let after = edit_body(body.as_bytes(), model.as_deref(), &edits).unwrap();
        prop_assert_eq!(after.names_model, models == 1);
        let text = after.body.clone().map_or(body.clone(), |body| String::from_utf8(body).unwrap());

        let mut expected: Map<String, Value> = serde_json::from_str(&body).unwrap();
        for (name, value) in &set {
            expected.insert(name.clone(), serde_json::from_str(value).unwrap());
        }
        expected.retain(|name, _| !drop.contains(name));
        if let (Some(model), 1) = (&model, models) {
            expected.insert("model".into(), model.as_str().into());
        }
        let found: Map<String, Value> = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(found, expected, "{}", text);

        // Bytes of members that no edit names are there, in their order.
        let mut rest = text.as_str();
        for kept in members.iter().filter(|member| {
            let name: String = serde_json::from_str(member.trim_start().split(':').next().unwrap().trim_end()).unwrap();
            !set.contains_key(&name) && !drop.contains(&name) && (name != "model" || model.is_none())
        }) {
            let at = rest.find(kept.trim()).unwrap_or_else(|| panic!("{kept} of {body} is not in {text}"));
            rest = rest.split_at(at + kept.trim().len()).1;
        }
        // And what was edited once stays as it is.
        prop_assert_eq!(edit_body(text.as_bytes(), model.as_deref(), &edits).unwrap().body, None);
    }

    #[test]
    fn no_bytes_break_it(body: Vec<u8>, model: Option<String>) {
        let edits = edits(&[("a", "1")], &["b"]);
        let _ = edit_body(&body, model.as_deref(), &edits);
    }
}
