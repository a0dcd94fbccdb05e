use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::request::RequestFacts;

const CHAT: &str = "/v1/chat/completions";
const COMPLETIONS: &str = "/v1/completions";
const RESPONSES: &str = "/v1/responses";
const MESSAGES: &str = "/v1/messages";
const GEMINI: &str = "/v1beta/models/m:generateContent";
const GEMINI_STREAM: &str = "/v1beta/models/m:streamGenerateContent?alt=sse";
const PATHS: &[&str] = &[CHAT, COMPLETIONS, RESPONSES, MESSAGES, GEMINI, GEMINI_STREAM];

fn limited(path: &str, body: &str) -> Option<String> {
    limit_output(path.as_bytes(), body.as_bytes(), 7).map(|bytes| String::from_utf8(bytes).unwrap())
}

#[test]
fn a_larger_maximum_is_lowered_and_every_other_byte_stays() {
    for (path, body, wanted) in [
        (CHAT, "{ \"max_tokens\" : 8,\n\t\"n\":2}", "{ \"max_tokens\" : 7,\n\t\"n\":2}"),
        (CHAT, r#"{"max\u005ftokens":8}"#, r#"{"max\u005ftokens":7}"#),
        (
            CHAT,
            r#"{"max_tokens":9000,"x":"é😀","max_completion_tokens":3}"#,
            r#"{"max_tokens":7,"x":"é😀","max_completion_tokens":3}"#,
        ),
        (
            CHAT,
            r#"{"max_completion_tokens":9000,"max_tokens":8000}"#,
            r#"{"max_completion_tokens":7,"max_tokens":7}"#,
        ),
        (RESPONSES, r#"{"max_output_tokens":8.0}"#, r#"{"max_output_tokens":7}"#),
        (
            GEMINI,
            r#"{"generationConfig":{"maxOutputTokens":"900","topK":1}}"#,
            r#"{"generationConfig":{"maxOutputTokens":7,"topK":1}}"#,
        ),
        (
            GEMINI,
            r#"{"generation_config":{"max_output_tokens":"900","maxOutputTokens":901}}"#,
            r#"{"generation_config":{"max_output_tokens":7,"maxOutputTokens":7}}"#,
        ),
        (
            GEMINI,
            r#"{"max_output_tokens":900,"generationConfig":{"maxOutputTokens":1}}"#,
            r#"{"max_output_tokens":7,"generationConfig":{"maxOutputTokens":1}}"#,
        ),
    ] {
        assert_eq!(limited(path, body).as_deref(), Some(wanted), "{body}");
    }
}

#[test]
fn each_api_gets_its_own_maximum_if_it_has_none() {
    for (path, member) in [
        (CHAT, r#""max_completion_tokens":7"#),
        (COMPLETIONS, r#""max_tokens":7"#),
        (RESPONSES, r#""max_output_tokens":7"#),
        (MESSAGES, r#""max_tokens":7"#),
        (GEMINI, r#""generationConfig":{"maxOutputTokens":7}"#),
        (GEMINI_STREAM, r#""generationConfig":{"maxOutputTokens":7}"#),
    ] {
        assert_eq!(limited(path, "{}").unwrap(), format!("{{{member}}}"));
        assert_eq!(limited(path, " {\n}\n").unwrap(), format!(" {{{member}\n}}\n"));
        assert_eq!(limited(path, r#"{ "n":1}"#).unwrap(), format!(r#"{{{member}, "n":1}}"#));
    }
}

/// A name of another API would otherwise be a way around the limit.
#[test]
fn a_maximum_that_the_api_does_not_know_is_none() {
    for (path, body, wanted) in [
        (CHAT, r#"{"max_output_tokens":5}"#, r#"{"max_completion_tokens":7,"max_output_tokens":5}"#),
        (MESSAGES, r#"{"max_completion_tokens":99}"#, r#"{"max_tokens":7,"max_completion_tokens":7}"#),
        (
            RESPONSES,
            r#"{"generationConfig":{"maxOutputTokens":5}}"#,
            r#"{"max_output_tokens":7,"generationConfig":{"maxOutputTokens":5}}"#,
        ),
        (GEMINI, r#"{"max_tokens":5}"#, r#"{"generationConfig":{"maxOutputTokens":7},"max_tokens":5}"#),
    ] {
        assert_eq!(limited(path, body).as_deref(), Some(wanted));
    }
}

#[test]
fn null_counts_as_absent_and_is_never_given_twice() {
    for (path, body, wanted) in [
        (CHAT, r#"{"max_completion_tokens":null}"#, r#"{"max_completion_tokens":7}"#),
        (CHAT, r#"{"max_tokens":null}"#, r#"{"max_completion_tokens":7,"max_tokens":null}"#),
        (MESSAGES, r#"{"max_tokens": null }"#, r#"{"max_tokens": 7 }"#),
        (GEMINI, r#"{"generation_config":null}"#, r#"{"generation_config":{"maxOutputTokens":7}}"#),
        (
            GEMINI,
            r#"{"generationConfig":{"max_output_tokens":null}}"#,
            r#"{"generationConfig":{"max_output_tokens":7}}"#,
        ),
        (GEMINI, r#"{"generationConfig": { } }"#, r#"{"generationConfig": {"maxOutputTokens":7 } }"#),
        (GEMINI, r#"{"generationConfig":{"topK":1}}"#, r#"{"generationConfig":{"maxOutputTokens":7,"topK":1}}"#),
    ] {
        assert_eq!(limited(path, body).as_deref(), Some(wanted));
    }
    assert_eq!(limited(CHAT, r#"{"max_tokens":null,"max_completion_tokens":5}"#), None);
}

#[test]
fn nothing_changes_where_there_is_nothing_to_limit() {
    for (path, body) in [
        (CHAT, r#"{"max_tokens":7}"#),
        (CHAT, r#"{"max_completion_tokens":7.00}"#),
        (GEMINI, r#"{"generationConfig":{"maxOutputTokens":"7"}}"#),
        ("/v1/embeddings", r#"{"input":"x","max_tokens":99}"#),
        ("/v1/models", "{}"),
        // RequestFacts refuses these.
        (CHAT, ""),
        (CHAT, "[]"),
        (CHAT, r#"{"max_tokens":9"#),
        (CHAT, r#"{"max_tokens":-1}"#),
        (CHAT, r#"{"max_tokens":9e9}"#),
        (CHAT, r#"{"max_tokens":9,"max_tokens":9}"#),
        (CHAT, r#"{"MAX_TOKENS":9}"#),
        (CHAT, r#"{"max_tokens":9,"max_completion_tokens":"many"}"#),
        (GEMINI, r#"{"generationConfig":[]}"#),
    ] {
        assert_eq!(limited(path, body), None, "{body}");
    }
}

fn any_maximum() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        (0_u64..40).prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<u32>().prop_map(|count| Value::from(count.to_string())),
        (0_u8..40).prop_map(|count| Value::from(f64::from(count))),
    ]
}

fn object(pattern: &'static str) -> impl Strategy<Value = Map<String, Value>> {
    let member = prop_oneof![
        3 => any_maximum(),
        1 => ".{0,9}".prop_map(Value::from),
    ];
    prop::collection::btree_map(pattern, member, 0..6).prop_map(|members| members.into_iter().collect())
}

const OF_BODY: &str = "max_tokens|max_completion_tokens|max_output_tokens|x|[{}\"\\\\\u{e9}]{1,3}";
const OF_CONFIG: &str = "maxOutputTokens|max_output_tokens|[{}\"\\\\\u{e9}]{1,3}";

/// All members that are a maximum, emptied: what is left must not differ.
fn without_maxima(body: &Value) -> Value {
    let mut body = body.clone();
    let members = body.as_object_mut().unwrap();
    IN_BODY.iter().for_each(|name| drop(members.shift_remove(*name)));
    for name in ["generationConfig", "generation_config"] {
        if let Some(config) = members.get_mut(name).and_then(Value::as_object_mut) {
            IN_CONFIG.iter().for_each(|name| drop(config.shift_remove(*name)));
        }
        if members.get(name).is_some_and(|config| config.is_null() || config.as_object().is_some_and(Map::is_empty)) {
            members.shift_remove(name);
        }
    }
    body
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn only_the_maxima_differ_and_none_is_above_the_limit(
        path in prop::sample::select(PATHS),
        members in object(OF_BODY),
        config in prop_oneof![
            Just(None),
            Just(Some(Value::Null)),
            object(OF_CONFIG).prop_map(|config| Some(Value::Object(config))),
        ],
        config_name in prop::sample::select(&["generationConfig", "generation_config"][..]),
        most in prop_oneof![1_u64..50, any::<u64>()],
        pretty: bool,
    ) {
        let mut body = members;
        if let Some(config) = config {
            body.insert(config_name.into(), config);
        }
        let body = Value::Object(body);
        let written = if pretty { serde_json::to_vec_pretty(&body) } else { serde_json::to_vec(&body) }.unwrap();
        let limited = limit_output(path.as_bytes(), &written, most);
        let Ok(before) = RequestFacts::parse(path.as_bytes(), &written) else {
            prop_assert_eq!(limited, None);
            return Ok(());
        };
        let limited = limited.unwrap_or_else(|| written.clone());
        let after = RequestFacts::parse(path.as_bytes(), &limited).unwrap();
        // A 0 stays: it is the caller's word for no output, though no limit to some servers.
        let most_given = after.max_output.unwrap_or(0);
        prop_assert!(most_given <= most);
        if before.max_output.is_some_and(|before| before > most) {
            prop_assert_eq!(most_given, most);
        }
        prop_assert_eq!(limit_output(path.as_bytes(), &limited, most), None);
        prop_assert_eq!(limit_output(path.as_bytes(), &limited, most.saturating_add(1)), None);
        let after: Value = serde_json::from_slice(&limited).unwrap();
        prop_assert_eq!(without_maxima(&after), without_maxima(&body));
        let holder = if path.contains("/models/") {
            after.get("generationConfig").or(after.get("generation_config")).unwrap()
        } else {
            &after
        };
        let known = known_to(Api::of(path.as_bytes())).unwrap();
        prop_assert!(known.iter().any(|name| !holder[*name].is_null()));
    }

    #[test]
    fn arbitrary_bodies_are_survived(
        body in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            r#"(\{|\}|"max_tokens"|"generationConfig"|"maxOutputTokens"|:|,|9|"9"|null|\[|\]| ){0,30}"#
                .prop_map(String::into_bytes),
        ],
        path in prop::sample::select(PATHS),
        most: u64,
    ) {
        if let Some(limited) = limit_output(path.as_bytes(), &body, most) {
            let facts = RequestFacts::parse(path.as_bytes(), &limited).unwrap();
            prop_assert!(facts.max_output.unwrap_or(0) <= most);
        }
    }
}

#[test]
fn json_of_before_is_json_after() {
    let body = json!({"generationConfig": {"maxOutputTokens": "900"}, "max_tokens": 900});
    let after = limited(GEMINI, &serde_json::to_string_pretty(&body).unwrap()).unwrap();
    let wanted = json!({"generationConfig": {"maxOutputTokens": 7}, "max_tokens": 7});
    assert_eq!(after, serde_json::to_string_pretty(&wanted).unwrap());
}
