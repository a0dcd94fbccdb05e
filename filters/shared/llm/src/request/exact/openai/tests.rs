use serde_json::{Value, json};

use super::*;
use crate::{BytesPerToken, RequestFacts};

fn tokens(path: &str, body: &Value) -> u64 {
    let facts = RequestFacts::parse_and_count(path.as_bytes(), body.to_string().as_bytes()).unwrap();
    // A ratio that would be seen at once.
    facts.input_tokens(BytesPerToken::new(1, 1000).unwrap())
}

#[test]
fn strings_have_the_counts_of_the_cookbook() {
    // https://cookbook.openai.com/examples/how_to_count_tokens_with_tiktoken
    for (model, text, count) in [
        ("gpt-4", "tiktoken is great!", 6),
        ("gpt-4", "antidisestablishmentarianism", 6),
        ("gpt-4o", "antidisestablishmentarianism", 6),
        ("gpt-4", "2 + 2 = 4", 7),
        ("gpt-4o", "2 + 2 = 4", 7),
        ("gpt-4", "お誕生日おめでとう", 9),
        ("gpt-4o", "お誕生日おめでとう", 8),
    ] {
        assert_eq!(tokenizer_of(model).unwrap()(text), count, "{model} {text}");
    }
}

#[test]
fn messages_have_the_counts_that_the_api_reports() {
    let said = |name: &str, content: &str| json!({"role": "system", "name": name, "content": content});
    let plain = "You are a helpful, pattern-following assistant that translates corporate jargon into plain English.";
    let pivot = "This late pivot means we don't have time to boil the ocean for the client deliverable.";
    let circle =
        "Let's circle back when we have more bandwidth to touch base on opportunities for increased leverage.";
    let messages = json!([
        {"role": "system", "content": plain},
        said("example_user", "New synergies will help drive top-line growth."),
        said("example_assistant", "Things working well together will increase revenue."),
        said("example_user", circle),
        said("example_assistant", "Let's talk later when we're less busy about how to do better."),
        {"role": "user", "content": pivot},
    ]);
    for (model, count) in [("gpt-4-0613", 129), ("gpt-3.5-turbo", 129), ("gpt-4o", 124)] {
        assert_eq!(tokens("/v1/chat/completions", &json!({"model": model, "messages": messages})), count, "{model}");
        let path = format!("/openai/deployments/{model}/chat/completions");
        assert_eq!(tokens(&path, &json!({"model": "x", "messages": messages})), count, "{path}");
    }
}

#[test]
fn parts_cost_what_their_text_costs() {
    let whole =
        tokens("/v1/chat/completions", &json!({"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}));
    let parts = json!([{"type": "text", "text": "Hi"}]);
    let parted =
        tokens("/v1/chat/completions", &json!({"model": "gpt-4o", "messages": [{"role": "user", "content": parts}]}));
    assert_eq!((whole, parted), (8, 8));
}

#[test]
fn embeddings_cost_their_text_alone() {
    let body = |input: Value| json!({"model": "text-embedding-3-small", "input": input});
    assert_eq!(tokens("/v1/embeddings", &body(json!("tiktoken is great!"))), 6);
    assert_eq!(tokens("/v1/embeddings", &body(json!(["tiktoken is great!", "2 + 2 = 4"]))), 13);
    assert_eq!(tokens("/v1/embeddings", &body(json!([83, 1609, 5963, 374]))), 4);
}

#[test]
fn tools_cost_no_less_than_the_api_reports() {
    // The cookbook's tool; the API reports 101 tokens for gpt-4o.
    let properties = json!({
        "location": {"type": "string", "description": "The city and state, e.g. San Francisco, CA"},
        "unit": {"type": "string", "description": "The unit of temperature to return", "enum": ["celsius", "fahrenheit"]},
    });
    let body = json!({
        "model": "gpt-4o",
        "messages": [
            {"role": "system", "content": "You are a helpful assistant that can answer to questions about the weather."},
            {"role": "user", "content": "What's the weather like in San Francisco?"},
        ],
        "tools": [{"type": "function", "function": {
            "name": "get_current_weather",
            "description": "Get the current weather in a given location",
            "parameters": {"type": "object", "properties": properties, "required": ["location"]},
        }}],
    });
    let counted = tokens("/v1/chat/completions", &body);
    assert!((101..=151).contains(&counted), "{counted}");
}

#[test]
fn only_known_models_are_counted() {
    let is_known = |model: &str| tokenizer_of(model).is_some();
    for model in [
        "gpt-4o-mini",
        "gpt-4.1",
        "gpt-5",
        "gpt-5.4-mini",
        "o1",
        "o3-mini",
        "o4-mini",
        "gpt-4",
        "gpt-4-turbo",
        "gpt-3.5-turbo",
        "gpt-35-turbo",
        "text-embedding-3-large",
        "openai/gpt-4o",
        "ft:gpt-4o:org::id",
        "gpt-oss-120b",
    ] {
        assert!(is_known(model), "{model}");
    }
    for model in ["", "claude-opus-4-7", "gemini-2.5-pro", "gpt-6", "gpt-50", "o10", "my-gpt-4o", "davinci-002"] {
        assert!(!is_known(model), "{model}");
    }
}

#[test]
fn text_behind_the_cap_is_no_cheaper_for_a_cheap_beginning() {
    let body = json!({"model": "gpt-4o", "messages": [{"role": "user", "content": [
        {"type": "text", "text": " ".repeat(super::super::MAX_COUNTED)}, {"type": "text", "text": "a1".repeat(100_000)},
    ]}]});
    let facts = RequestFacts::parse_and_count(b"/v1/chat/completions", body.to_string().as_bytes()).unwrap();
    let counted = facts.prompt.exact;
    assert!(counted.bytes < super::super::MAX_COUNTED as u64 + 100 && counted.tokens < 3_000);
    assert!(facts.input_tokens(BytesPerToken::ENGLISH) > 50_000);
}
