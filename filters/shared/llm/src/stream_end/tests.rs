mod arrays;
mod endings;

use proptest::prelude::*;
use tollgate_core::UsageSource;

use super::*;

const USAGE: Usage =
    Usage { input: 11, output: 7, cached_input: 4, cache_write: 0, reasoning: 2, source: UsageSource::Estimated };
const STOPPED: &str = concat!(
    r#"data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{},"finish_reason":"length"}]}"#,
    "\n\ndata: [DONE]\n\n"
);

fn chat() -> StreamCutter {
    StreamCutter::new(Api::ChatCompletions, Framing::Sse)
}

/// What a client gets of `before`, a cut, and `after`.
fn cut(mut cutter: StreamCutter, before: &str, after: &str) -> String {
    let mut out = cutter.feed(before.as_bytes()).into_owned();
    assert_eq!(out, before.as_bytes());
    if let Cut::Now(ending) = cutter.cut(&USAGE, false) {
        out.extend(ending);
    }
    out.extend_from_slice(&cutter.feed(after.as_bytes()));
    out.extend(cutter.finish());
    String::from_utf8(out).unwrap()
}

/// A chat chunk of one choice.
fn says(index: u64, text: &str) -> String {
    format!(
        "data: {{\"choices\":[{{\"index\":{index},\"delta\":{{\"content\":\"{text}\"}},\"finish_reason\":null}}]}}\n\n"
    )
}

fn finishes(index: u64) -> String {
    format!("data: {{\"choices\":[{{\"index\":{index},\"delta\":{{}},\"finish_reason\":\"stop\"}}]}}\n\n")
}

#[test]
fn a_character_and_an_event_that_have_begun_are_completed() {
    let event = says(0, "wörld 😀");
    for at in 1..event.len() {
        let mut cutter = chat();
        let (before, after) = event.as_bytes().split_at(at);
        let mut out = cutter.feed(before).into_owned();
        assert_eq!(cutter.cut(&USAGE, false), Cut::Pending);
        assert!(!cutter.is_cut());
        out.extend_from_slice(&cutter.feed(after));
        assert!(cutter.is_cut());
        assert_eq!(String::from_utf8(out).unwrap(), format!("{event}{STOPPED}"));
        assert_eq!(cutter.feed(event.as_bytes()), &b""[..]);
        assert_eq!(cutter.cut(&USAGE, false), Cut::Over);
    }
}

#[test]
fn lines_may_end_in_any_way() {
    for (before, after, wanted) in [
        ("data: {}\n\n", "data: {}\n\n", "data: {}\n\n"),
        ("data: {}\r\r", "data: {}\r\r", "data: {}\r\r"),
        ("data: {}\r\n\r\n", "data: {}\r\n\r\n", "data: {}\r\n\r\n"),
        // The LF of a CRLF is never left off, nor doubled.
        ("data: {}\r\n\r", "\ndata: {}\r\n\r\n", "data: {}\r\n\r\n"),
        ("data: {}\r\n", "\r\ndata: {}\r\n\r\n", "data: {}\r\n\r\n"),
        ("data: {}\n", "\ndata: {}", "data: {}\n\n"),
        ("\u{feff}data:{", "}\n\ndata", "\u{feff}data:{}\n\n"),
    ] {
        assert_eq!(cut(chat(), before, after), format!("{wanted}{STOPPED}"), "{before:?}");
    }
}

#[test]
fn comments_and_other_fields_belong_to_the_event_they_precede() {
    for (before, after, wanted) in [
        (": ping\n\n", "data: {}\n\n", ": ping\n\n"),
        (": pi", "ng\n\ndata: {}\n\n", ": ping\n\n"),
        (": ping\n", "data: {}\n\ndata: {}\n\n", ": ping\ndata: {}\n\n"),
        ("id: 7\r\n", "data: {}\r\n\r\ndata: {}\n\n", "id: 7\r\ndata: {}\r\n\r\n"),
        ("event: x", "\n\ndata: {}\n\n", "event: x\n\n"),
    ] {
        assert_eq!(cut(chat(), before, after), format!("{wanted}{STOPPED}"), "{before:?}");
    }
}

#[test]
fn an_event_of_a_megabyte_passes_piece_by_piece() {
    let event = says(0, &"x".repeat(1 << 20));
    let mut cutter = chat();
    let (first, rest) = event.as_bytes().split_at(99);
    cutter.feed(first);
    assert_eq!(cutter.cut(&USAGE, false), Cut::Pending);
    let mut passed = first.len();
    for piece in rest.chunks(1000) {
        let out = cutter.feed(piece);
        assert!(out.starts_with(piece), "it went on at once");
        assert_eq!(matches!(out, Cow::Borrowed(_)), passed + piece.len() < event.len(), "and was not copied");
        passed += piece.len();
    }
    assert!(cutter.is_cut());
}

#[test]
fn a_stream_that_told_its_end_is_left_alone() {
    let tail = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\ndata: [DONE]\n\n: bye\n\n";
    for last in [
        finishes(0),
        "data: {\"error\":{\"message\":\"x\"}}\n\n".into(),
        "data: {\"error\":\"x\"}\n\n".into(),
        "data: [DONE] \n\n".into(),
        "data:[DONE]\r\n\r\n".into(),
    ] {
        let stream = [says(0, "a"), last, tail.into()].concat();
        // The event that tells it may be the one under way.
        for at in says(0, "a").len() + 1..stream.len() {
            let (before, after) = stream.split_at(at);
            assert_eq!(cut(chat(), before, after), stream);
        }
    }
    let mut cutter = chat();
    cutter.feed(finishes(0).as_bytes());
    assert_eq!(cutter.cut(&USAGE, true), Cut::Over);
}

#[test]
fn an_error_of_null_is_none() {
    let chunk = "data: {\"error\":null,\"choices\":[]}\n\n";
    assert_eq!(cut(chat(), chunk, chunk), format!("{chunk}{STOPPED}"));
}

#[test]
fn a_choice_that_comes_after_all_others_finished_is_cut_as_well() {
    let before = format!("{}{}", says(0, "a"), finishes(0));
    let out = cut(chat(), &before, &format!("{}{}", says(1, "b"), says(1, "c")));
    let stop = STOPPED.replace("\"index\":0", "\"index\":1");
    assert_eq!(out, format!("{before}{}{stop}", says(1, "b")));
}

/// Gemini 1.0 gave a reason with every chunk.
#[test]
fn a_choice_that_speaks_again_had_not_finished() {
    let chunk = "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"x\"}]},\"finishReason\":\"STOP\"}]}\n\n";
    let out = cut(StreamCutter::new(Api::StreamGenerateContent, Framing::Sse), chunk, &chunk.repeat(9));
    assert!(out.starts_with(&chunk.repeat(2)) && !out.starts_with(&chunk.repeat(3)) && out.contains("MAX_TOKENS"));
    // Trailing chunks without text are none of it.
    for trailing in [says(0, ""), says(0, "").replace("content\":\"", "role\":\"assistant")] {
        assert_eq!(cut(chat(), &finishes(0), &trailing), finishes(0) + &trailing);
    }
}

#[test]
fn servers_that_write_an_empty_reason_mean_none() {
    let chunk = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"\"}]}\n\n";
    assert_eq!(cut(chat(), chunk, chunk), format!("{chunk}{STOPPED}"));
}

#[test]
fn the_newest_figures_are_told() {
    let mut cutter = chat();
    cutter.feed(b"data: {");
    assert_eq!(cutter.cut(&USAGE, true), Cut::Pending);
    assert_eq!(cutter.cut(&Usage { output: 8, ..USAGE }, true), Cut::Pending);
    let out = String::from_utf8(cutter.feed(b"}\n\n").into_owned()).unwrap();
    assert!(out.contains(r#""completion_tokens":8,"total_tokens":19"#), "{out}");
}

#[test]
fn a_last_event_without_its_blank_line_is_given_one() {
    for end in ["", "\n", "\r", "\r\n", "\nid"] {
        let mut cutter = chat();
        cutter.feed(format!("data: {{}}{end}").as_bytes());
        assert_eq!(cutter.cut(&USAGE, false), Cut::Pending);
        let out = String::from_utf8(cutter.finish()).unwrap();
        assert_eq!(out.trim_start_matches('\n'), STOPPED, "{end:?}");
        assert!(out.starts_with(if matches!(end, "" | "\r" | "\nid") { "\n\n" } else { "\n" }));
        assert_eq!(cutter.finish(), b"");
    }
}

#[test]
fn a_last_event_that_broke_off_is_not_mended() {
    for broken in ["data: {\"choices\":[", "event: x\n", ": ping", "data: [DONE"] {
        assert_eq!(cut(chat(), broken, ""), broken);
    }
    let mut uncut = chat();
    uncut.feed(b"data: {}");
    assert_eq!(uncut.finish(), b"");
}

#[test]
fn what_is_no_stream_passes() {
    let body = "{\"choices\":[{\"finish_reason\":null}]}";
    for (api, framing) in [
        (Api::ChatCompletions, Framing::Json),
        (Api::Messages, Framing::Json),
        (Api::GenerateContent, Framing::Json),
        (Api::StreamGenerateContent, Framing::Json),
        (Api::Embeddings, Framing::Sse),
        (Api::Other, Framing::Sse),
    ] {
        let mut cutter = StreamCutter::new(api, framing);
        cutter.feed(body.as_bytes());
        assert_eq!(cutter.cut(&USAGE, true), Cut::Impossible);
        assert_eq!(cutter.feed(body.as_bytes()), body.as_bytes());
    }
}

fn any_stream() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        r#"(data: |event: |: |\{|\}|"choices":|"candidates":|"index":|"finish_reason":"stop"|"type":|"message_stop"|\[DONE\]|\[|\]|,|1|é|"|\r|\n|\n\n|\r\n){0,40}"#
            .prop_map(String::into_bytes),
        r#"((: x|data: (\{\}|\[DONE\]|\{"type":"ping"\}|\{"choices":\[\{"index":[0-2],"finish_reason":(null|"stop")\}\]\}))(\n\n|\r\n\r\n|\r\r)){0,9}"#
            .prop_map(String::into_bytes),
        r#"\[?((\{"a":\[\{\}\]\}|\{"candidates":\[\{"finishReason":(null|"STOP")\}\]\}) ?,?){0,9}\]?"#
            .prop_map(String::into_bytes),
    ]
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_survived_and_pieces_do_not_matter(
        before in any_stream(),
        after in any_stream(),
        api in prop::sample::select(Api::ALL),
        framing in prop::sample::select(&[Framing::Json, Framing::Sse][..]),
        piece in 1_usize..9,
    ) {
        let run = |piece: usize| {
            let (mut cutter, mut out) = (StreamCutter::new(api, framing), Vec::new());
            before.chunks(piece).for_each(|piece| out.extend_from_slice(&cutter.feed(piece)));
            let cut = cutter.cut(&USAGE, true);
            if let Cut::Now(ending) = &cut {
                out.extend_from_slice(ending);
            }
            after.chunks(piece).for_each(|piece| out.extend_from_slice(&cutter.feed(piece)));
            out.extend(cutter.finish());
            (out, cut, cutter.is_cut())
        };
        let (out, cut, is_cut) = run(before.len().max(after.len()).max(1));
        let all = [before.as_slice(), &after].concat();
        prop_assert!(out.starts_with(&before));
        if !is_cut {
            prop_assert_eq!(&out, &all);
        }
        prop_assert_eq!(matches!(cut, Cut::Now(_)) && !is_cut, false);
        prop_assert_eq!(run(piece), (out, cut, is_cut));
    }
}
