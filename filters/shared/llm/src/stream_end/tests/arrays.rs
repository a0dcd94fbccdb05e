//! Gemini's stream as a JSON array.

use serde_json::Value;

use super::super::*;
use super::{USAGE, cut};

const LAST: &str = concat!(
    r#"{"candidates":[{"content":{"parts":[{"text":""}],"role":"model"},"finishReason":"MAX_TOKENS","index":0}],"#,
    r#""usageMetadata":{"promptTokenCount":11,"candidatesTokenCount":5,"thoughtsTokenCount":2,"#,
    r#""cachedContentTokenCount":4,"totalTokenCount":18}}"#
);
const ONE: &str = r#"{"candidates":[{"content":{"parts":[{"text":"},{]["}]}}]}"#;

fn array() -> StreamCutter {
    StreamCutter::new(Api::StreamGenerateContent, Framing::Json)
}

#[test]
fn the_joint_fits_whatever_passed_last() {
    for (before, after, wanted) in [
        (String::new(), format!("[{ONE}]"), format!("[{LAST}]")),
        (" \n".into(), format!("[{ONE}]"), format!(" \n[{LAST}]")),
        ("[ ".into(), format!("{ONE}]"), format!("[ {LAST}]")),
        (format!("[{ONE}"), format!(",{ONE}]"), format!("[{ONE},{LAST}]")),
        (format!("[{ONE}\n"), format!(",{ONE}]"), format!("[{ONE}\n,{LAST}]")),
        (format!("[{ONE},\r\n"), format!("{ONE}]"), format!("[{ONE},\r\n{LAST}]")),
        ("[{".into(), format!("\"a\":{ONE}}}, {ONE}]"), format!("[{{\"a\":{ONE}}},{LAST}]")),
    ] {
        let out = cut(array(), &before, &after);
        assert_eq!(out, wanted);
        assert!(serde_json::from_str::<Vec<Value>>(&out).is_ok());
    }
}

#[test]
fn an_array_that_told_its_end_is_left_alone() {
    let stopped = r#"{"candidates":[{"finishReason":"STOP"}]}"#;
    for (before, after) in [
        (format!("[{ONE},{stopped}"), "\n,{\"usageMetadata\":{}}]\n".to_owned()),
        (format!("[{ONE},{{"), format!("{}]", stopped.trim_start_matches('{'))),
        (format!("[{ONE}]"), "\n".into()),
        (r#"[{"error":{"code":503}}"#.into(), "]".into()),
        (r#"[{"promptFeedback":{"blockReason":"SAFETY"}}"#.into(), "]".into()),
    ] {
        assert_eq!(cut(array(), &before, &after), format!("{before}{after}"));
    }
    let mut whole = array();
    whole.feed(format!("[{ONE}]").as_bytes());
    assert_eq!(whole.cut(&USAGE, false), Cut::Over);
}

#[test]
fn what_cannot_be_followed_passes_and_that_is_said() {
    let deep = format!("[{}{}", "[".repeat(200), "]".repeat(200));
    for body in [deep.as_str(), "[}", "\"[\"", "x"] {
        let mut cutter = array();
        cutter.feed(body.as_bytes());
        assert_eq!(cutter.cut(&USAGE, false), Cut::Impossible, "{body}");
        assert_eq!(cutter.feed(b"],[{}"), &b"],[{}"[..]);
    }
    // Braces within strings are no gaps, in arrays of strings neither.
    let strings = ("[\"}", ",{\",{},{}]");
    assert_eq!(cut(array(), strings.0, strings.1), format!("[\"}},{{\",{{}},{LAST}]"));
}
