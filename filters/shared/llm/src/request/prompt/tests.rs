use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{PromptSize, RequestFacts};

fn size(body: &str) -> PromptSize {
    RequestFacts::parse(b"/v1/chat/completions", body.as_bytes()).unwrap().prompt
}

/// Lengths of all these texts.
fn sum(texts: &[&str]) -> u64 {
    texts.iter().map(|text| text.len() as u64).sum()
}

#[test]
fn openais_chat_is_measured() {
    let text = sum(&[
        "developer",
        "Answer in one sentence.",
        "user",
        "ann",
        "text",
        "What is in these?",
        "image_url",
        "high",
        "image_url",
        "low",
        "input_audio",
        "wav",
        "file",
        "a.pdf",
        "file",
        "assistant",
        "call_1",
        "function",
        "look",
        "{\"image_url\":\"x\"}",
        "tool",
        "call_1",
        "a cat",
        r#"[{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]"#,
    ]);
    let expected = PromptSize {
        text_bytes: text,
        messages: 4,
        names: 1,
        tools: 1,
        images: 1,
        low_detail_images: 1,
        pcm_bytes: 12,
        files: 1,
        file_bytes: 9,
        unseen_files: 1,
        ..PromptSize::default()
    };
    assert_eq!(size(include_str!("../../../tests/data/requests/chat_completions.json")), expected);
}

#[test]
fn openais_responses_are_measured() {
    let text = sum(&[
        "Be brief.",
        "user",
        "input_text",
        "Compare them.",
        "input_image",
        "input_image",
        "low",
        "input_image",
        "auto",
        "input_file",
        "b.pdf",
        "input_file",
        "input_file",
        "assistant",
        "output_text",
        "See [1].",
        "url_citation",
        "https://example.com/",
        "E",
        "file_citation",
        "file-def456",
    ]);
    let expected = PromptSize {
        text_bytes: text,
        messages: 3,
        images: 2,
        low_detail_images: 1,
        files: 1,
        file_bytes: 9,
        unseen_files: 2,
        ..PromptSize::default()
    };
    assert_eq!(size(include_str!("../../../tests/data/requests/responses.json")), expected);
}

#[test]
fn anthropics_messages_are_measured() {
    let text = sum(&[
        "text",
        "Be brief.",
        "ephemeral",
        "user",
        "image",
        "base64",
        "image/png",
        "image",
        "url",
        "image",
        "file",
        "document",
        "base64",
        "application/pdf",
        "url",
        "document",
        "document",
        "file",
        "D",
        "document",
        "text",
        "text/plain",
        "plain words",
        "text",
        "Compare them.",
        "assistant",
        "tool_use",
        "toolu_1",
        "look",
        r#"{"file_data": "no payload"}"#,
        "user",
        "tool_result",
        "toolu_1",
        "image",
        "base64",
        "image/jpeg",
        r#"[{"name": "look", "input_schema": {"type": "object"}}]"#,
    ]);
    let expected = PromptSize {
        text_bytes: text,
        messages: 4,
        tools: 1,
        images: 4,
        files: 1,
        file_bytes: 9,
        unseen_files: 2,
        ..PromptSize::default()
    };
    assert_eq!(size(include_str!("../../../tests/data/requests/messages.json")), expected);
}

#[test]
fn geminis_contents_are_measured() {
    let text = sum(&[
        "Be brief.",
        "user",
        "image/png",
        "audio/mp3",
        "audio/wav",
        "video/mp4",
        "application/pdf",
        "text/plain",
        "image/jpeg",
        "application/pdf",
        "Compare them.",
        "model",
        "look",
        r#"{"inlineData": {"data": "no"}}"#,
        "user",
        "look",
        r#"{"a": [true, 1]}"#,
        r#"[{"functionDeclarations": [{"name": "look"}]}, {"googleSearch": {}}]"#,
    ]);
    let expected = PromptSize {
        text_bytes: text,
        messages: 4,
        tools: 2,
        images: 2,
        pcm_bytes: 6,
        audio_bytes: 6,
        video_bytes: 6,
        files: 1,
        file_bytes: 6,
        encoded_text_bytes: 5,
        unseen_files: 2,
        ..PromptSize::default()
    };
    assert_eq!(size(include_str!("../../../tests/data/requests/generate_content.json")), expected);
}

#[test]
fn schemas_of_the_answer_are_text() {
    let schema = json!({"type": "object", "properties": {"name": {"type": "string"}}});
    let length = schema.to_string().len() as u64;
    for (body, around) in [
        (json!({"response_format": {"type": "json_schema", "json_schema": schema}}), 37),
        (json!({"text": {"format": schema}}), 11),
        (json!({"output_format": {"schema": schema}}), 11),
        (json!({"output_config": {"format": schema}}), 11),
        (json!({"generationConfig": {"responseSchema": schema}}), 0),
        (json!({"generation_config": {"response_json_schema": schema}}), 0),
    ] {
        assert_eq!(
            size(&body.to_string()),
            PromptSize { text_bytes: length + around, ..PromptSize::default() },
            "{body}"
        );
    }
}

#[test]
fn text_cannot_pose_as_a_payload() {
    let text = "x".repeat(5000);
    let content = |part: Value| json!({"messages": [{"content": [part]}]}).to_string();
    for body in [
        // What a tool was called with, or gave, is shown to the model as JSON.
        content(json!({"type": "tool_use", "input": {"image_url": {"url": format!("data:{text}")}}})),
        content(json!({"type": "tool_use", "input": {"source": {"type": "base64", "data": text}}})),
        content(json!({"type": "tool_use", "input": {text.clone(): 1}})),
        content(json!({"type": "tool_use", "input": text})),
        json!({"contents": [{"parts": [{"functionCall": {"args": {"inlineData": {"data": text}}}}]}]}).to_string(),
        json!({"contents": [{"parts": [{"functionResponse": {"response": {"data": text}}}]}]}).to_string(),
        // Only one of two readers would take it for a payload.
        format!(r#"{{"messages":[{{"content":[{{"source":{{"type":"base64","type":"text","data":"{text}"}}}}]}}]}}"#),
        content(json!({"type": "text", "text": format!("data:image/png;base64,{text}")})),
        content(json!({"type": "text", "data": text})),
        content(json!({"type": "text", "url": text})),
        content(json!({"type": "text", "file_id": text})),
        content(json!({"type": "text", "data": [text]})),
        content(json!({"type": "text", "data": {"data": {"url": text}}})),
        json!({"messages": format!("data:{text}"), "input": "a"}).to_string(),
        json!({"tools": [{"image_url": {"url": format!("data:{text}")}}]}).to_string(),
    ] {
        let size = size(&body);
        assert!(size.text_bytes >= 5000, "{} in {}", size.text_bytes, body.replace(&text, "x…"));
        assert_eq!((size.images, size.files), (0, 0), "{}", body.replace(&text, "x…"));
    }
}

#[test]
fn more_payloads_than_an_object_can_have_are_text() {
    let members = r#""file_id":"12345678","#.repeat(10);
    let size = size(&format!(r#"{{"input":[{{"content":[{{{members}"type":"input_file"}}]}}]}}"#));
    assert_eq!((size.text_bytes, size.unseen_files), (10 + 6 * 8, 4));
}

#[test]
fn messages_are_elements_of_lists_or_single_prompts() {
    for (body, messages) in [
        (json!({"input": "a", "instructions": "b"}), 2),
        (json!({"input": ["a", "b", "c"]}), 3),
        (json!({"input": [1, 2, 3]}), 0),
        (json!({"system": "a", "messages": [{"content": [{"text": "b"}, {"text": "c"}]}]}), 2),
        (json!({"messages": [{"content": "a", "tool_calls": [{"function": {"name": "f"}}]}]}), 1),
    ] {
        let size = size(&body.to_string());
        assert_eq!((size.messages, size.names), (messages, 0), "{body}");
    }
}

/// A part with some payload, and the part without it.
fn any_payload() -> impl Strategy<Value = (Value, Value)> {
    let base64 = "[A-Za-z0-9+/\\\\\"\u{e9}]{0,200}={0,2}";
    (base64, 0..10).prop_map(|(data, shape)| {
        let part = |data: &str| match shape {
            0 => json!({"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{data}")}}),
            1 => json!({"image_url": format!("data:image/png;base64,{data}"), "type": "input_image"}),
            2 => json!({"type": "input_audio", "input_audio": {"data": data, "format": "mp3"}}),
            3 => json!({"type": "file", "file": {"file_data": data, "filename": "a"}}),
            4 => json!({"type": "input_file", "file_data": format!("data:application/pdf;base64,{data}")}),
            5 => json!({"source": {"data": data, "media_type": "image/png", "type": "base64"}, "type": "image"}),
            6 => json!({"inlineData": {"data": data, "mimeType": "application/pdf"}}),
            7 => json!({"inline_data": {"mime_type": "video/mp4", "data": data}}),
            8 => json!({"inlineData": {"mimeType": "text/plain", "data": data}}),
            _ => json!({"video_url": {"url": format!("data:video/mp4;base64,{data}")}}),
        };
        (part(&data), part(""))
    })
}

proptest! {
    #[test]
    fn base64_never_counts_as_text(parts in prop::collection::vec(any_payload(), 0..6), text in ".{0,40}", escaped: bool) {
        let body = |parts: Vec<&Value>| {
            let body = json!({"messages": [{"role": "user", "content": parts}, {"content": text}]}).to_string();
            if escaped { body.replace('/', "\\/").replace("AA", "\\u0041A") } else { body }
        };
        let with = size(&body(parts.iter().map(|(with, _)| with).collect()));
        let without = size(&body(parts.iter().map(|(_, without)| without).collect()));
        prop_assert_eq!(with.text_bytes, without.text_bytes);
        prop_assert_eq!((with.images, with.files), (without.images, without.files));
    }

    #[test]
    fn no_string_of_a_prompt_is_lost(text in "[a-z]{1,30}", member in "[a-z_]{1,9}", depth in 0_usize..5) {
        prop_assume!(!["file_data", "file_url", "file_uri", "image_url"].contains(&member.as_str()));
        let mut value = json!(text);
        for _ in 0..depth {
            value = json!({member.clone(): [value]});
        }
        let size = size(&json!({"messages": [value]}).to_string());
        prop_assert!(size.text_bytes >= text.len() as u64);
    }
}
