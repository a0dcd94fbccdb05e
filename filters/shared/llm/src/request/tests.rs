use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const CHAT: &[u8] = b"/v1/chat/completions";

fn facts(path: &str, body: &Value) -> RequestFacts {
    RequestFacts::parse(path.as_bytes(), body.to_string().as_bytes()).unwrap()
}

fn refused(body: &str) -> String {
    RequestFacts::parse(CHAT, body.as_bytes()).expect_err(body).to_string()
}

#[test]
fn a_chat_request_is_read() {
    let body = json!({
        "model": "gpt-4.1", "stream": true, "stream_options": {"include_usage": true}, "n": 2, "max_tokens": 100,
        "messages": [{"role": "user", "content": "Hi there"}],
    });
    let expected = RequestFacts {
        api: Api::ChatCompletions,
        model: Some("gpt-4.1".into()),
        other_models: vec![],
        stream: true,
        usage_asked: true,
        background: false,
        max_output: Some(100),
        choices: 2,
        prompt: PromptSize { text_bytes: 12, messages: 1, ..PromptSize::default() },
    };
    assert_eq!(facts("/v1/chat/completions", &body), expected);
}

#[test]
fn what_is_absent_or_null_has_its_default() {
    for body in
        [json!({}), json!({"model": null, "stream": null, "stream_options": null, "n": null, "max_tokens": null})]
    {
        let facts = facts("/v1/chat/completions", &body);
        assert_eq!((facts.model, facts.stream, facts.usage_asked), (None, false, false));
        assert_eq!((facts.max_output, facts.choices, facts.prompt.text_bytes), (None, 1, 0));
    }
}

#[test]
fn a_limit_that_binds_nobody_is_none() {
    let (config, gemini) = (json!({"generationConfig": {"maxOutputTokens": 1}}), "/v1beta/models/m:generateContent");
    for (path, body) in [
        ("/v1/chat/completions", json!({"max_output_tokens": 1})),
        ("/v1/chat/completions", json!({"max_tokens": 0})),
        ("/v1/chat/completions", config.clone()),
        ("/v1/completions", json!({"max_completion_tokens": 1})),
        ("/v1/messages", json!({"max_output_tokens": 1})),
        ("/v1/responses", json!({"max_tokens": 1, "max_completion_tokens": 1})),
        ("/v1/responses", config),
        (gemini, json!({"max_tokens": 1})),
        (gemini, json!({"max_tokens": 1, "generationConfig": {"candidateCount": 1}})),
        (gemini, json!({"generationConfig": {"maxOutputTokens": 0}})),
    ] {
        assert_eq!(facts(path, &body).max_output, None, "{path} {body}");
    }
}

#[test]
fn the_larger_limit_counts_under_whatever_names() {
    let body = json!({"max_tokens": 1, "max_completion_tokens": 9000});
    assert_eq!(facts("/v1/chat/completions", &body).max_output, Some(9000));
    let body = json!({"max_tokens": 0, "max_completion_tokens": 5, "max_output_tokens": 60});
    assert_eq!(facts("/v1/chat/completions", &body).max_output, Some(60));
    assert_eq!(facts("/v1/responses", &json!({"max_output_tokens": 7.0})).max_output, Some(7));
    for config in [
        json!({"generationConfig": {"maxOutputTokens": 50, "candidateCount": 3}}),
        json!({"generation_config": {"max_output_tokens": "50", "candidate_count": 3}}),
    ] {
        let facts = facts("/v1beta/models/m:generateContent", &config);
        assert_eq!((facts.choices, facts.model.as_deref()), (3, Some("m")));
        assert_eq!(facts.max_output, Some(50));
    }
}

#[test]
fn geminis_stream_and_model_are_in_the_path() {
    let facts = facts("/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse", &json!({"model": "cheap"}));
    assert_eq!((facts.model.as_deref(), facts.stream), (Some("gemini-2.5-pro"), true));
    let body = br#"{"stream":true}"#;
    assert!(!RequestFacts::parse(b"/v1beta/models/m:generateContent", body).unwrap().stream);
}

#[test]
fn azures_deployment_runs_and_the_body_is_kept_beside_it() {
    let facts = facts("/openai/deployments/dear/chat/completions", &json!({"model": "cheap"}));
    assert_eq!((facts.model.as_deref(), facts.other_models), (Some("dear"), vec!["cheap".to_owned()]));
}

#[test]
fn every_prompt_and_try_of_a_completion_is_a_choice() {
    for (body, choices) in [
        (json!({"prompt": "a"}), 1),
        (json!({"prompt": ["a", "b", "c"], "n": 2}), 6),
        (json!({"prompt": ["a"], "n": 2, "best_of": 5}), 5),
        (json!({"prompt": [1, 2, 3]}), 1),
        (json!({"prompt": [[1, 2], [3]]}), 2),
        (json!({"prompt": [], "n": 0}), 1),
    ] {
        assert_eq!(facts("/v1/completions", &body).choices, choices, "{body}");
    }
}

#[test]
fn no_json_object_no_request() {
    assert_eq!(refused(""), "the request body is empty: send one JSON object");
    assert!(refused("{\"model\":").contains("not valid JSON"));
    assert!(refused("{} {}").contains("not valid JSON"));
    for body in ["[]", "\"text\"", "7", "null"] {
        assert_eq!(refused(body), "the request body must be one JSON object");
    }
    assert!(RequestFacts::parse(CHAT, b"{\"model\":\"\xff\"}").is_err());
}

#[test]
fn a_deciding_member_given_twice_is_refused() {
    for name in ["model", "stream", "stream_options", "max_tokens", "max_completion_tokens", "n", "messages"] {
        assert_eq!(
            refused(&format!(r#"{{"{name}":null,"{name}":null}}"#)),
            format!("`{name}` is given twice: give it once")
        );
    }
    assert!(refused(r#"{"model":"a","x":0,"mod\u0065l":"b"}"#).contains("given twice"));
    assert!(refused(r#"{"stream_options":{"include_usage":true,"include_usage":false}}"#).contains("given twice"));
    assert!(refused(r#"{"generationConfig":{},"generation_config":{}}"#).contains("given twice"));
    assert!(RequestFacts::parse(CHAT, br#"{"user":"a","user":"b"}"#).is_ok());
}

#[test]
fn a_deciding_member_in_another_case_is_refused() {
    assert!(refused(r#"{"model":"a","Model":"b"}"#).starts_with("write `model` exactly so"));
    assert!(refused(r#"{"STREAM":true}"#).starts_with("write `stream` exactly so"));
    // The long s and the Kelvin sign, plain and escaped.
    assert!(refused("{\"\u{17f}tream\":true}").starts_with("write `stream` exactly so"));
    assert!(refused("{\"max_to\u{212a}ens\":9}").starts_with("write `max_tokens` exactly so"));
    assert!(refused(r#"{"max_to\u212aens":9}"#).starts_with("write `max_tokens` exactly so"));
}

#[test]
fn wrong_types_are_refused_without_an_echo() {
    for (body, problem) in [
        (r#"{"model":["secret"]}"#, "`model` must be a string"),
        (r#"{"stream":"secret"}"#, "`stream` must be true or false"),
        (r#"{"stream_options":"secret"}"#, "`stream_options` must be an object"),
        (r#"{"stream_options":{"include_usage":1}}"#, "`include_usage` must be true or false"),
        (r#"{"max_tokens":"secret"}"#, "`max_tokens` must be a whole number that is not negative"),
        (r#"{"max_tokens":1.5}"#, "`max_tokens` must be a whole number that is not negative"),
        (r#"{"n":-1}"#, "`n` must be a whole number that is not negative"),
    ] {
        assert_eq!(refused(body), problem);
    }
}

#[test]
fn prompt_text_is_counted_wherever_it_stands_and_payloads_are_not() {
    let long = "A".repeat(5000);
    let data_url = format!("data:image/png;base64,{long}");
    let parts = |parts: Value| json!({"contents": [{"parts": [parts]}]});
    for (body, bytes) in [
        (json!({"system": "abc", "instructions": "de", "temperature": 1, "user": "nobody"}), 5),
        (json!({"systemInstruction": {"parts": [{"text": "abc"}]}}), 3),
        (json!({"input": ["abc", "de"]}), 5),
        (json!({"input": [1, 2, 3]}), 12),
        (json!({"messages": [{"content": [{"type": "image_url", "image_url": {"url": data_url}}]}]}), 9),
        (json!({"input": [{"content": [{"type": "input_image", "image_url": data_url}]}]}), 11),
        (json!({"messages": [{"content": [{"input_audio": {"data": long, "format": "wav"}}]}]}), 3),
        (json!({"messages": [{"content": [{"source": {"data": long, "type": "base64"}}]}]}), 6),
        (json!({"messages": [{"content": [{"source": {"data": long, "type": "text"}}]}]}), 5004),
        (json!({"messages": [{"content": [{"file": {"file_data": long, "filename": "a"}}]}]}), 1),
        (json!({"messages": [{"content": data_url}]}), 5022),
        (parts(json!({"inlineData": {"mimeType": "a/b", "data": long}})), 3),
        (parts(json!({"inline_data": {"mime_type": "a/b", "data": long}})), 3),
        (json!({"tools": [{"name": "f"}]}), 14),
    ] {
        let facts = RequestFacts::parse(CHAT, body.to_string().as_bytes()).unwrap();
        assert_eq!(facts.prompt.text_bytes, bytes, "{}", body.to_string().replace(&long, "A…"));
    }
}

#[test]
fn deep_nesting_is_refused_and_not_followed() {
    let nest = |name: &str| format!("{{\"{name}\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(refused(&nest("messages")).contains("nested more than 128 levels deep"));
    assert!(RequestFacts::parse(CHAT, nest("x").as_bytes()).is_ok());
    assert!(refused(&nest("stream_options")).contains("must be an object"));
    assert_eq!(force_stream_usage(nest("x").as_bytes()), None);
}

#[test]
fn usage_is_forced_and_every_other_byte_stays() {
    for (body, forced) in [
        (r#" { "stream" : true }"#, r#" {"stream_options":{"include_usage":true}, "stream" : true }"#),
        (r#"{"stream":true,"stream_options":null}"#, r#"{"stream":true,"stream_options":{"include_usage":true}}"#),
        (r#"{"stream_options":{ },"stream":true}"#, r#"{"stream_options":{"include_usage":true },"stream":true}"#),
        (
            r#"{"stream_options":{ "include_obfuscation" : false },"stream":true}"#,
            r#"{"stream_options":{"include_usage":true, "include_obfuscation" : false },"stream":true}"#,
        ),
        (
            r#"{"stream_options":{"a":1, "include_usage" : false},"stream":true}"#,
            r#"{"stream_options":{"a":1, "include_usage" : true},"stream":true}"#,
        ),
        (
            r#"{"stream":true,"stream_options":{"include\u005fusage":null}}"#,
            r#"{"stream":true,"stream_options":{"include\u005fusage":true}}"#,
        ),
    ] {
        let changed = force_stream_usage(body.as_bytes()).map(|bytes| String::from_utf8(bytes).unwrap());
        assert_eq!(changed.as_deref(), Some(forced));
    }
}

#[test]
fn nothing_is_forced_where_nothing_is_to_change() {
    for body in [
        r#"{"stream":true,"stream_options":{"include_usage":true}}"#,
        r#"{"stream":false}"#,
        r#"{}"#,
        r#"{"messages":[{"stream":true}]}"#,
        r#"{"stream":true"#,
        r#"{"stream":"true"}"#,
        r#"{"stream":true,"stream_options":7}"#,
        "",
    ] {
        assert_eq!(force_stream_usage(body.as_bytes()), None, "{body}");
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u32>().prop_map(Value::from),
        ".{0,9}".prop_map(Value::from),
        Just(json!({"stream_options": {"include_usage": false}, "stream": true})),
    ]
}

proptest! {
    #[test]
    fn forcing_changes_the_stream_options_and_nothing_else(
        members in prop::collection::btree_map("[a-f{}\"\\\\\u{e9}]{0,4}", any_value(), 0..4),
        options in prop_oneof![
            Just(None),
            Just(Some(Value::Null)),
            prop::collection::btree_map("(include_usage|x|y)", any::<Option<bool>>(), 0..3).prop_map(|map| Some(json!(map))),
        ],
        stream_first: bool,
        pretty: bool,
    ) {
        let mut body = serde_json::Map::new();
        if stream_first {
            body.insert("stream".into(), true.into());
        }
        options.iter().for_each(|options| { body.insert("stream_options".into(), options.clone()); });
        body.extend(members);
        body.insert("stream".into(), true.into());
        let mut wanted = Value::Object(body.clone());
        if !wanted["stream_options"].is_object() {
            wanted["stream_options"] = json!({});
        }
        wanted["stream_options"]["include_usage"] = true.into();

        let json = if pretty { serde_json::to_vec_pretty(&body) } else { serde_json::to_vec(&body) }.unwrap();
        let forced = force_stream_usage(&json).unwrap_or_else(|| json.clone());
        prop_assert_eq!(serde_json::from_slice::<Value>(&forced).unwrap(), wanted);
        prop_assert_eq!(force_stream_usage(&forced), None);
        let facts = RequestFacts::parse(CHAT, &forced).unwrap();
        prop_assert!(facts.usage_asked);
    }

    #[test]
    fn arbitrary_bodies_are_survived(
        body in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            r#"(\{|\}|"stream"|"model"|"n"|:|,|true|1|"x"|\[|\]| ){0,30}"#.prop_map(String::into_bytes),
        ],
        path in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let is_object = serde_json::from_slice::<serde_json::Map<String, Value>>(&body).is_ok();
        prop_assert!(is_object || RequestFacts::parse(&path, &body).is_err());
        prop_assert!(is_object || force_stream_usage(&body).is_none());
    }
}
