use proptest::prelude::*;

use super::*;
use crate::request::CountedText;

const NOTHING: PromptSize = PromptSize {
    text_bytes: 0,
    messages: 0,
    names: 0,
    tools: 0,
    images: 0,
    low_detail_images: 0,
    pcm_bytes: 0,
    audio_bytes: 0,
    video_bytes: 0,
    files: 0,
    file_bytes: 0,
    encoded_text_bytes: 0,
    unseen_files: 0,
    exact: CountedText { bytes: 0, tokens: 0 },
};

/// Of a text API, which writes nothing around messages.
fn fixed(model: &str, size: PromptSize) -> u64 {
    size.fixed_tokens(Api::Completions, Some(model))
}

#[test]
fn a_ratio_rounds_up_and_never_overflows() {
    let ratio = BytesPerToken::new(7, 2).unwrap();
    assert_eq!([0, 1, 3, 4, 7, 8].map(|bytes| ratio.tokens_of(bytes)), [0, 1, 1, 2, 2, 3]);
    assert_eq!(BytesPerToken::ENGLISH.tokens_of(9), 3);
    assert_eq!(BytesPerToken::new(1, u64::MAX).unwrap().tokens_of(u64::MAX), u64::MAX);
    assert_eq!(BytesPerToken::new(u64::MAX, u64::MAX).unwrap().tokens_of(u64::MAX), u64::MAX);
    assert_eq!((BytesPerToken::new(0, 1), BytesPerToken::new(1, 0)), (None, None));
}

#[test]
fn counted_text_is_taken_as_it_is_and_the_rest_by_the_denser_ratio() {
    let exact = CountedText { bytes: 100, tokens: 20 };
    let size = PromptSize { text_bytes: 150, encoded_text_bytes: 50, exact, ..NOTHING };
    let text_tokens = |bytes, tokens| size.text_tokens(BytesPerToken::new(bytes, tokens).unwrap());
    assert_eq!(text_tokens(1, 1), 20 + 100);
    assert_eq!(text_tokens(10, 1), 20 + 20);
    let none_yet = PromptSize { exact: CountedText { bytes: 100, tokens: 0 }, ..size };
    assert_eq!(none_yet.text_tokens(BytesPerToken::ENGLISH), 25);
}

#[test]
fn images_cost_what_their_models_rules_say() {
    for (model, image, low) in [
        ("gpt-4o", 1_445, 85),
        ("gpt-4o-2024-08-06", 1_445, 85),
        ("openai/gpt-4.1", 1_445, 85),
        ("ft:gpt-4o-2024-08-06:org::id", 1_445, 85),
        ("gpt-5-2025-08-07", 1_445, 85),
        ("gpt-4o-mini", 48_169, 2_833),
        ("ft:gpt-4o-mini-2024-07-18:org::id", 48_169, 2_833),
        ("gpt-4.1-mini", 2_642, 2_642),
        ("o4-mini", 2_642, 2_642),
        ("gpt-4.1-nano", 3_779, 3_779),
        ("gpt-5.4", 2_642, 2_642),
        ("my-deployment", 2_642, 2_642),
        ("claude-3-5-sonnet-20241022", 1_600, 1_600),
        ("claude-sonnet-4-20250514", 1_600, 1_600),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", 1_600, 1_600),
        ("claude-opus-4-7", 4_784, 4_784),
        ("gemini-2.5-pro", 1_548, 1_548),
    ] {
        assert_eq!(fixed(model, PromptSize { images: 2, ..NOTHING }), 2 * image, "{model}");
        assert_eq!(fixed(model, PromptSize { low_detail_images: 1, ..NOTHING }), low, "{model} low");
    }
}

#[test]
fn the_endpoint_decides_where_the_name_tells_no_family() {
    let image = PromptSize { images: 1, ..NOTHING };
    let of = |api: Api| image.fixed_tokens(api, None);
    assert_eq!(of(Api::Messages), 4_784 + 5);
    assert_eq!(of(Api::GenerateContent), 1_548 + 3);
    assert_eq!(of(Api::ChatCompletions), 2_642 + 3);
}

#[test]
fn audio_and_video_cost_by_the_second() {
    let minute_of_pcm = PromptSize { pcm_bytes: 60 * 16_000, ..NOTHING };
    let minute_of_mp3 = PromptSize { audio_bytes: 60 * 4_000, ..NOTHING };
    let minute_of_video = PromptSize { video_bytes: 60 * 25_000, ..NOTHING };
    assert_eq!([minute_of_pcm, minute_of_mp3].map(|size| fixed("gpt-4o", size)), [600, 600]);
    assert_eq!([minute_of_pcm, minute_of_mp3].map(|size| fixed("gemini-2.5-pro", size)), [1_920, 1_920]);
    assert_eq!(fixed("gemini-2.5-pro", minute_of_video), 18_000);
    assert_eq!(fixed("gpt-4o", PromptSize { audio_bytes: 1, ..NOTHING }), 10);
}

#[test]
fn files_cost_by_the_page_within_bounds() {
    let pages =
        |files: u64, file_bytes: u64| fixed("claude-opus-4-7", PromptSize { files, file_bytes, ..NOTHING }) / 3_000;
    assert_eq!(pages(1, 0), 1);
    assert_eq!(pages(3, 100), 3);
    assert_eq!(pages(1, 500_000), 50);
    assert_eq!(pages(2, u64::MAX), 200);
    assert_eq!(fixed("gpt-4o", PromptSize { unseen_files: 1, ..NOTHING }), 25_000);
}

#[test]
fn an_api_adds_to_messages_and_tools() {
    let size = PromptSize { messages: 6, names: 4, tools: 3, ..NOTHING };
    assert_eq!(size.fixed_tokens(Api::ChatCompletions, Some("gpt-4")), 6 * 3 + 4 + 3);
    assert_eq!(size.fixed_tokens(Api::Messages, Some("claude-opus-4-7")), 6 * 3 + 4 + 5 + 530);
    assert_eq!(size.fixed_tokens(Api::Embeddings, Some("text-embedding-3-small")), 0);
}

#[test]
fn a_whole_request_costs_its_text_and_all_else() {
    let body = br#"{"model":"gpt-4o","messages":[{"role":"user","content":[{"type":"text","text":"12345"},
        {"type":"image_url","image_url":{"url":"https://example.com/a.png"}}]}]}"#;
    let facts = RequestFacts::parse(b"/v1/chat/completions", body).unwrap();
    let text = (4 + 4 + 5 + 9_u64).div_ceil(4);
    assert_eq!(facts.fixed_input_tokens(), 1_445 + 3 + 3);
    assert_eq!(facts.input_tokens(BytesPerToken::ENGLISH), text + 1_445 + 3 + 3);
    let encoded = PromptSize { encoded_text_bytes: 40, text_bytes: 1, ..NOTHING };
    assert_eq!(encoded.text_tokens(BytesPerToken::ENGLISH), 11);
}

proptest! {
    #[test]
    fn more_of_anything_never_costs_less(
        counts in prop::array::uniform13(prop_oneof![0..9_u64, 0..5_000_000_u64, Just(u64::MAX)]),
        at in 0..13_usize,
        model in "(gpt-4o|gpt-4o-mini|claude-opus-4-7|gemini-2.5-pro|\u{e9}|)",
        api in prop::sample::select(Api::ALL),
    ) {
        let size = |[text_bytes, messages, names, tools, images, low_detail_images, pcm_bytes, audio_bytes, video_bytes, files,
            file_bytes, encoded_text_bytes, unseen_files]: [u64; 13]| PromptSize {
            text_bytes, messages, names, tools, images, low_detail_images, pcm_bytes, audio_bytes, video_bytes, files, file_bytes,
            encoded_text_bytes, unseen_files, ..NOTHING
        };
        let tokens = |counts: [u64; 13]| {
            let size = size(counts);
            size.fixed_tokens(api, Some(&model)).saturating_add(size.text_tokens(BytesPerToken::ENGLISH))
        };
        let mut more = counts;
        more[at] = more[at].saturating_add(1000);
        prop_assert!(tokens(more) >= tokens(counts));
    }
}
