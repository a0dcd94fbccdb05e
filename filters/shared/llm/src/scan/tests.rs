use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// Writes down all that is told; pieces of text are summed up, since they depend on the cut.
#[derive(Debug, Default, PartialEq)]
struct Diary {
    lines: Vec<String>,
    text: BTreeMap<String, u64>,
}

impl Visitor for Diary {
    fn text(&mut self, path: &str, bytes: u64) {
        *self.text.entry(path.to_owned()).or_default() += bytes;
    }

    fn scalar(&mut self, path: &str, value: Scalar<'_>) {
        self.lines.push(format!("{path} = {value:?}"));
    }

    fn begin(&mut self, path: &str) {
        self.lines.push(format!("{path} begins"));
    }

    fn end(&mut self, path: &str) {
        self.lines.push(format!("{path} ends"));
    }
}

fn scan<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Diary, Scanner) {
    let (mut diary, mut scanner) = (Diary::default(), Scanner::new());
    pieces.into_iter().for_each(|piece| scanner.feed(piece, &mut diary));
    (diary, scanner)
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    let nested = leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(".{0,6}", inner, 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    });
    nested.prop_map(|value| json!({ "root": value }))
}

/// All text that a value holds.
fn text_length(value: &Value) -> u64 {
    match value {
        Value::String(text) => text.len() as u64,
        Value::Array(elements) => elements.iter().map(text_length).sum(),
        Value::Object(members) => members.values().map(text_length).sum(),
        _ => 0,
    }
}

/// Every character beyond ASCII as an escape, as Python's `json.dumps` writes it.
fn ascii(json: &str) -> String {
    json.chars()
        .flat_map(|c| {
            let mut units = [0; 2];
            let escape = |unit: &u16| format!("\\u{unit:04x}");
            if c.is_ascii() { vec![c.to_string()] } else { c.encode_utf16(&mut units).iter().map(escape).collect() }
        })
        .collect()
}

#[test]
fn paths_and_values_are_told_in_order() {
    let (diary, scanner) = scan([&br#" {"a":[1,{"b":"x\n\u00e9"}],"c":{},"d":null,"e":true} "#[..]]);
    let expected = [
        " begins",
        "a begins",
        "a[] = Number(Some(\"1\"))",
        "a[] begins",
        "a[].b = Text(Some(\"x\\né\"))",
        "a[] ends",
        "a ends",
        "c begins",
        "c ends",
        "d = Null",
        "e = Bool(true)",
        " ends",
    ];
    assert_eq!(diary.lines, expected);
    assert_eq!(diary.text, BTreeMap::from([("a[].b".to_owned(), 4)]));
    assert!(scanner.is_whole());
}

#[test]
fn a_name_cannot_pose_as_a_path_and_an_escaped_name_is_read() {
    let long = "n".repeat(MAX_NAME + 1);
    let (diary, _) = scan([format!(r#"{{"a.b":1,"a[]":2,"{long}":3,"mod\u0065l":4}}"#).as_bytes()]);
    assert_eq!(
        diary.lines[1..5],
        ["?", "?", "?", "model"]
            .map(|name| name.to_owned())
            .iter()
            .zip(1..)
            .map(|(name, value)| format!("{name} = Number(Some(\"{value}\"))"))
            .collect::<Vec<_>>()
    );
}

#[test]
fn long_values_are_measured_but_not_kept() {
    let text = "x".repeat(1_000_000);
    let (diary, scanner) = scan([format!(r#"{{"a":"{text}","b":{}}}"#, "1".repeat(10_000)).as_bytes()]);
    assert_eq!(diary.lines[1..3], ["a = Text(None)", "b = Number(None)"]);
    assert_eq!(diary.text["a"], 1_000_000);
    assert!(scanner.string.raw().is_none());
    assert!(scanner.is_whole());
}

#[test]
fn nesting_is_followed_to_the_cap_and_no_deeper() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(scan([nested(MAX_DEPTH).as_bytes()]).1.is_whole());
    assert!(scan([nested(MAX_DEPTH + 1).as_bytes()]).1.is_failed());
}

#[test]
fn what_is_no_json_ends_the_report() {
    for text in [
        "x",
        "{]",
        "[}",
        "{1:2}",
        "{\"a\" 1}",
        "{\"a\":1,}",
        "[1,]x",
        "[1 2]",
        "{}{}",
        "{\"a\":\"\\x\"}",
        "[\"\\u12g4\"]",
        "[truth]",
        "[nul]",
        "]",
        ",",
        "{,}",
        "[,]",
        "\u{feff}{}",
    ] {
        assert!(scan([text.as_bytes()]).1.is_failed(), "{text}");
    }
}

#[test]
fn the_model_is_found_in_any_place_and_only_at_the_top() {
    for (body, model) in [
        (r#"{"model":"gpt-4.1","x":1}"#, Some("gpt-4.1")),
        (r#"{"messages":[{"model":"no"}],"a":{"model":"no"},"model":"y\u0065s"}"#, Some("yes")),
        (r#"[{"model":"no"}]"#, None),
        (r#"{"model":7}"#, None),
        (r#"{"model":null}"#, None),
        (r#"{"model":"one","model":"two"}"#, Some("one")),
    ] {
        for piece in 1..=body.len() {
            let mut scanner = ModelScanner::new();
            body.as_bytes().chunks(piece).for_each(|piece| scanner.feed(piece));
            assert_eq!(scanner.model(), model, "{body}");
            assert!(scanner.is_done());
        }
    }
}

#[test]
fn a_model_over_the_cap_is_none() {
    let named = |length: usize| {
        let mut scanner = ModelScanner::new();
        scanner.feed(format!(r#"{{"model":"{}""#, "m".repeat(length)).as_bytes());
        (scanner.model().map(str::len), scanner.is_done())
    };
    assert_eq!(named(MAX_VALUE), (Some(MAX_VALUE), true));
    assert_eq!(named(MAX_VALUE + 1), (None, true));
}

proptest! {
    #[test]
    fn every_split_point_gives_the_same_report(value in any_json()) {
        let json = ascii(&value.to_string());
        let whole = scan([json.as_bytes()]).0;
        for at in 0..=json.len() {
            let (left, right) = json.as_bytes().split_at(at);
            prop_assert_eq!(&scan([left, right]).0, &whole);
        }
    }

    #[test]
    fn text_is_measured_as_serde_json_reads_it(value in any_json()) {
        for json in [value.to_string(), ascii(&value.to_string()), serde_json::to_string_pretty(&value).unwrap()] {
            let (diary, scanner) = scan(json.as_bytes().chunks(3));
            prop_assert!(scanner.is_whole());
            prop_assert_eq!(diary.text.values().sum::<u64>(), text_length(&value));
        }
    }

    #[test]
    fn a_part_of_a_value_is_never_whole(value in any_json(), at in any::<prop::sample::Index>()) {
        let json = value.to_string();
        let (_, scanner) = scan([&json.as_bytes()[..at.index(json.len())]]);
        prop_assert!(!scanner.is_whole() && !scanner.is_failed());
    }

    #[test]
    fn arbitrary_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300), piece in 1_usize..9) {
        prop_assert_eq!(scan(bytes.chunks(piece)).0, scan([&bytes[..]]).0);
    }

    #[test]
    fn almost_json_is_survived(text in r#"[\[\]{}",:\\u0-9a-f tn\-.]{0,60}"#, piece in 1_usize..9) {
        let (diary, scanner) = scan(text.as_bytes().chunks(piece));
        prop_assert_eq!(diary, scan([text.as_bytes()]).0);
        prop_assert!(!(scanner.is_whole() && scanner.is_failed()));
    }
}
