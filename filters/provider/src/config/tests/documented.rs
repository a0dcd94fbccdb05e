//! The README shows what is accepted, what is taken where nothing is said, and what is answered.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use tollgate_core::{Flow, Refusal};
use tollgate_fakehost::{Call, Proxy};

use super::{parse, policy};
use crate::ProviderFilter;

const README: &str = include_str!("../../../README.md");

/// The blocks of the README in JSON, in its order.
fn blocks() -> Vec<Value> {
    let blocks = README.split("```json\n").skip(1).map(|rest| rest.split("\n```").next().unwrap());
    blocks.map(|block| serde_json::from_str(block).unwrap()).collect()
}

/// What stands between back quotes.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The rows of a table of the README, without its head.
fn rows(head: &str) -> Vec<Vec<&'static str>> {
    let table = README.split(head).nth(1).unwrap();
    let rows = table.lines().skip(1).map_while(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    rows.map(|row| row.split(" | ").collect()).collect()
}

/// The table of fields: field, default, meaning.
fn fields() -> Vec<(&'static str, &'static str, &'static str)> {
    let rows = rows("| field | unless said otherwise | |\n");
    let row = |cells: Vec<&'static str>| {
        (quoted(cells[0])[0], quoted(cells[1]).first().copied().unwrap_or_default(), cells[2])
    };
    rows.into_iter().map(row).collect()
}

/// A configuration in which a field, by its path in the README, has a value.
fn with_field(field: &str, value: Value) -> String {
    let mut config = json!({
        "providers": {"a": {"url": "https://example.com"}},
        "pools": {"p": {"priorities": [["a"]]}},
    });
    match field.split_once(".*.") {
        Some(("providers", field)) => config["providers"]["a"][field] = value,
        Some((_, field)) => config["pools"]["p"][field] = value,
        None => config[field] = value,
    }
    config.to_string()
}

/// The members that an object may have which stands in the place of a field.
fn members(field: &str, inside: impl FnOnce(Value) -> Value) -> BTreeSet<String> {
    let config = with_field(field, inside(json!({"no-such": 1})));
    let error = parse(config.as_bytes()).map(|_| ()).unwrap_err().to_string();
    let (_, names) = error.split_once("expected ").unwrap_or_else(|| panic!("{error}"));
    quoted(names).into_iter().map(str::to_owned).collect()
}

fn member_names<'v>(values: impl IntoIterator<Item = &'v Value>) -> BTreeSet<String> {
    values.into_iter().flat_map(|value| value.as_object().into_iter().flat_map(Map::keys).cloned()).collect()
}

fn values(object: &Value) -> Vec<&Value> {
    object.as_object().unwrap().values().collect()
}

fn top() -> BTreeSet<String> {
    let error = parse(br#"{"no-such":1}"#).map(|_| ()).unwrap_err().to_string();
    quoted(error.split_once("expected ").unwrap().1).into_iter().map(str::to_owned).collect()
}

fn of_providers() -> BTreeSet<String> {
    members("providers", |object| json!({"a": object}))
}

fn of_pools() -> BTreeSet<String> {
    members("pools", |object| json!({"p": object}))
}

#[test]
fn the_example_is_accepted_and_leaves_no_field_out() {
    let shown = &blocks()[0];
    policy(&shown.to_string()).unwrap();
    assert_eq!(member_names([shown]), top());
    assert_eq!(member_names(values(&shown["providers"])), of_providers());
    assert_eq!(member_names(values(&shown["pools"])), of_pools());
    let in_overrides = members("overrides", |object| json!([object]));
    assert_eq!(member_names(shown["overrides"].as_array().unwrap()), in_overrides);
}

#[test]
fn the_table_has_a_row_for_every_field_and_no_other() {
    let under = |path: &str, names: BTreeSet<String>| -> Vec<String> {
        names.into_iter().map(|name| format!("{path}.*.{name}")).collect()
    };
    let expected = top().into_iter().chain(under("providers", of_providers())).chain(under("pools", of_pools()));
    let named: BTreeSet<_> = fields().into_iter().map(|(field, ..)| field.to_owned()).collect();
    assert_eq!(named, expected.collect());
}

#[test]
fn the_table_names_every_member_and_word_that_a_field_takes() {
    for (field, inside) in [
        ("providers.*.credential", (|object| object) as fn(Value) -> Value),
        ("providers.*.body", |object| object),
        ("pools.*.priorities", |object| json!([[object]])),
        ("pools.*.sticky", |_| json!("no-such")),
        ("overrides", |object| json!([object])),
        ("unknown_model", |object| object),
        ("no_model", |object| object),
    ] {
        let (_, _, meaning) = fields().into_iter().find(|(name, ..)| *name == field).unwrap();
        let named: BTreeSet<_> = quoted(meaning).into_iter().map(str::to_owned).collect();
        let missing: Vec<_> = members(field, inside).difference(&named).cloned().collect();
        assert!(missing.is_empty(), "{field}: {missing:?}");
    }
}

#[test]
fn a_field_that_is_left_out_is_as_if_its_default_were_written() {
    let parsed = |config: &str| format!("{:?}", policy(config).unwrap());
    let left_out = parsed(&with_field("models", json!({})));
    let required = ["providers", "providers.*.url", "pools", "pools.*.priorities"];
    for (field, default, _) in fields() {
        assert_eq!(default.is_empty(), required.contains(&field), "{field}");
        if !default.is_empty() {
            let written = with_field(field, serde_json::from_str(default).unwrap());
            assert_eq!(parsed(&written), left_out, "{field}");
        }
    }
}

#[test]
fn ranges_are_accepted_to_their_bounds_and_no_further() {
    for (field, within, beyond) in [
        ("max_body_bytes", [json!(1), json!(67_108_864)], [json!(0), json!(67_108_865)]),
        ("max_cooldown", [json!("0s"), json!("1d")], [json!("86401s"), json!("86401s")]),
        ("pools.*.timeout", [json!("1ms"), json!("1d")], [json!("0ms"), json!("86401s")]),
        ("pools.*.per_try_timeout", [json!("1ms"), json!("1d")], [json!("0ms"), json!("86401s")]),
    ] {
        let (_, _, meaning) = fields().into_iter().find(|(name, ..)| *name == field).unwrap();
        assert!(meaning.contains(&format!("from `{}` to `{}`", within[0], within[1])), "{meaning}");
        for (within, beyond) in within.into_iter().zip(beyond) {
            assert!(policy(&with_field(field, within)).is_ok(), "{field}");
            assert!(policy(&with_field(field, beyond)).is_err(), "{field}");
        }
    }
}

#[test]
fn the_refusal_that_is_shown_is_the_one_that_is_given() {
    let mut proxy = Proxy::default();
    let mut config = blocks()[0].clone();
    config.as_object_mut().unwrap().remove("unknown_model");
    let filter = proxy.configure_root::<ProviderFilter>("route", &config.to_string()).unwrap();
    let mut call = Call::open(&filter, &proxy);
    let head = [(":method", "POST"), (":path", "/v1/chat/completions")];
    assert_eq!(call.request_headers(&head, false), Flow::Continue);
    let reply = call.request_body(&[br#"{"model":"gpt-9"}"#]).unwrap_err();
    assert_eq!(serde_json::from_slice::<Value>(&reply.body).unwrap(), blocks()[1]);
}

#[test]
fn every_code_that_either_part_answers_stands_in_the_table() {
    let table = rows("| status | codes |\n");
    let told: BTreeSet<_> = table.iter().flat_map(|cells| quoted(cells[1])).collect();
    let sources = [
        include_str!("../../route/answer.rs"),
        include_str!("../../adapt/stream.rs"),
        include_str!("../../adapt/body.rs"),
    ];
    for refusal in Refusal::ALL {
        let is_given = sources.iter().any(|source| source.contains(&format!("Refusal::{refusal:?}")));
        assert_eq!(is_given, told.contains(refusal.code()), "{refusal:?}");
        if is_given {
            let row = table.iter().find(|cells| quoted(cells[1]).contains(&refusal.code())).unwrap();
            assert_eq!(row[0], refusal.status().to_string());
        }
    }
}

#[test]
fn every_result_that_is_counted_is_explained() {
    let table = rows("| `gateway_routes_total{result}` | means |\n");
    let explained: BTreeSet<_> = table.iter().flat_map(|cells| quoted(cells[0])).collect();
    let meters = include_str!("../../route/meters.rs");
    let made = ["counter(pool, \"", "counter(NO_POOL, \""].into_iter().flat_map(|call| meters.split(call).skip(1));
    let counted: BTreeSet<_> = made.map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(explained, counted);
}
