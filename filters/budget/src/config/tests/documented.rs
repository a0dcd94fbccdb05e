//! The README shows what is accepted, what is taken where nothing is said, and what is answered.

mod answers;
mod sizing;

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::*;

const README: &str = include_str!("../../../README.md");

/// The blocks of the README in one language, in its order.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    README.split(fence.as_str()).skip(1).map(|rest| rest.split("\n```").next().unwrap()).collect()
}

/// The configuration that the README shows.
fn shown() -> &'static str {
    blocks("json")[0]
}

/// What stands between back quotes.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The table of fields: field, default, meaning.
fn fields() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    let table = README.split("| field | unless said otherwise | |\n").nth(1).unwrap();
    table.lines().skip(1).map_while(|line| {
        let cells: Vec<_> = line.strip_prefix("| ")?.strip_suffix(" |")?.splitn(3, " | ").collect();
        Some((quoted(cells[0])[0], quoted(cells[1]).first().copied().unwrap_or_default(), cells[2]))
    })
}

fn rule() -> Value {
    json!({"name": "r", "unit": "tokens", "window": {"rolling": "1m"}, "limit": 9999})
}

/// A policy of one rule in which a field, by its path in the README, has a value.
fn with_field(field: &str, value: Value) -> Value {
    let mut policy = json!({"rules": [rule()]});
    match field.split_once('.') {
        Some(("rules[]", field)) => policy["rules"][0][field] = value,
        Some((object, field)) => policy[object] = json!({field: value}),
        None => policy[field] = value,
    }
    policy
}

/// The words that may stand where this policy says `no-such`, as the error names them that refuses it.
fn allowed(policy: &Value) -> BTreeSet<String> {
    let error = refused(&policy.to_string());
    let (_, words) = error.split_once("expected ").unwrap_or_else(|| panic!("{error}"));
    quoted(words).into_iter().map(str::to_owned).collect()
}

/// The members that an object may have which stands somewhere in a policy.
fn members(policy: impl FnOnce(Value) -> Value) -> BTreeSet<String> {
    allowed(&policy(json!({"no-such": 1})))
}

fn member_names(value: &Value) -> impl Iterator<Item = String> {
    value.as_object().into_iter().flat_map(Map::keys).cloned()
}

#[test]
fn the_example_is_accepted_and_leaves_no_field_out() {
    assert_eq!(Policy::parse(shown().as_bytes()).unwrap().rules.len(), 5);
    let shown: Value = serde_json::from_str(shown()).unwrap();
    let rules = shown["rules"].as_array().unwrap();
    assert_eq!(member_names(&shown).collect::<BTreeSet<_>>(), members(|object| object));
    let in_rules: BTreeSet<_> = rules.iter().flat_map(member_names).collect();
    assert_eq!(in_rules, members(|object| json!({"rules": [object]})));
}

#[test]
fn the_table_has_a_row_for_every_field_and_no_other() {
    let under = |path: &str, names: BTreeSet<String>| -> Vec<String> {
        names.into_iter().map(|name| format!("{path}.{name}")).collect()
    };
    let mut expected = members(|object| object);
    assert!(expected.remove("output_estimate"));
    expected.extend(under("rules[]", members(|object| json!({"rules": [object]}))));
    expected.extend(under("output_estimate", members(|object| with_field("output_estimate", object))));
    let rows: BTreeSet<_> = fields().map(|(field, ..)| field.to_owned()).collect();
    assert_eq!(rows, expected);
}

#[test]
fn the_table_names_every_word_that_a_field_takes() {
    let (word, object) = (json!("no-such"), json!({"no-such": 1}));
    for (field, value) in [
        ("rules[].unit", word.clone()),
        ("rules[].window", object.clone()),
        ("rules[].window", json!({"calendar": word})),
        ("rules[].limits", object.clone()),
        ("rules[].per", json!([word])),
        ("rules[].match", object.clone()),
        ("rules[].mode", word.clone()),
        ("prices", json!({"m": object})),
        ("output_estimate.reserve", word.clone()),
        ("output_estimate.while_cold", word.clone()),
        ("on_contention", word.clone()),
        ("admins", object.clone()),
    ] {
        let (_, default, meaning) = fields().find(|(name, ..)| *name == field).unwrap();
        let words = quoted(meaning).into_iter().chain([default.trim_matches('"')]);
        let named: BTreeSet<_> = words.map(str::to_owned).collect();
        let missing: Vec<_> = allowed(&with_field(field, value)).difference(&named).cloned().collect();
        assert!(missing.is_empty(), "{field}: {missing:?}");
    }
}

#[test]
fn a_field_that_is_left_out_is_as_if_its_default_were_written() {
    let parsed = |policy: &Value| format!("{:?}", Policy::parse(policy.to_string().as_bytes()).unwrap());
    let left_out = parsed(&json!({"rules": [rule()]}));
    let required = ["rules", "rules[].name", "rules[].unit", "rules[].window", "rules[].limit"];
    for (field, default, _) in fields() {
        assert_eq!(default.is_empty(), required.contains(&field), "{field}");
        if !default.is_empty() {
            let written = with_field(field, serde_json::from_str(default).unwrap());
            assert_eq!(parsed(&written), left_out, "{field}");
        }
    }
}

/// The bounds in "from `1` to `100`".
fn range(meaning: &'static str) -> Option<[&'static str; 2]> {
    let (least, rest) = meaning.split_once("from `")?.1.split_once("` to `")?;
    Some([least, rest.split_once('`')?.0])
}

/// A number, or a string of a number and a unit, and the same with another number.
fn stepped(bound: &str, step: i128) -> [Value; 2] {
    let digits = bound.trim_matches(|c: char| !c.is_ascii_digit());
    let number: i128 = digits.parse().unwrap();
    let json = |number: i128| serde_json::from_str(&bound.replace(digits, &number.to_string())).unwrap();
    [json(number), json(number + step)]
}

#[test]
fn ranges_are_accepted_to_their_bounds_and_no_further() {
    let mut ranges = 0;
    for (field, _, meaning) in fields() {
        let Some(bounds) = range(meaning) else { continue };
        ranges += 1;
        for (bound, step) in bounds.into_iter().zip([-1, 1]) {
            let [within, beyond] = stepped(bound, step).map(|value| match field {
                "bytes_per_token" => with_field(field, json!({"m": value})).to_string(),
                "rules[].window" => with_field(field, json!({"rolling": value})).to_string(),
                _ => with_field(field, value).to_string(),
            });
            Policy::parse(within.as_bytes()).unwrap();
            refused(&beyond);
        }
    }
    assert_eq!(ranges, 9);
}

#[test]
fn every_decision_that_is_counted_is_explained() {
    let table = README.split("| `gateway_budget_total{decision}` | means |\n").nth(1).unwrap();
    let cells = table.lines().skip(1).map_while(|line| line.strip_prefix("| ")?.split(" | ").next());
    let explained: BTreeSet<_> = cells.flat_map(quoted).map(|word| word.trim_end_matches("{rule_name}")).collect();
    // Only here are counters made.
    let meters = include_str!("../../meters.rs");
    let made = ["decision(\"", "by_rule(\""].into_iter().flat_map(|call| meters.split(call).skip(1));
    let counted: BTreeSet<_> = made.map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(explained, counted);
}
