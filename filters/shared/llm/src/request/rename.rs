//! Puts another model's name where a path names one, and keeps all other bytes.
//!
//! A name is found where [`model_in_path`](super::model_in_path) finds it, however it is spelled, and written percent-encoded,
//! so that a name with a slash or a question mark stays one segment.

use std::ops::Range;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use super::named_models::{MARKERS, is_method_of_a_model};
use crate::api::without_parameters;
use crate::query;

/// All but what RFC 3986 §2.3 calls unreserved.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A name as it stands in a path or a query.
pub fn encoded_name(name: &str) -> String {
    percent_encode(name.as_bytes(), ENCODED).to_string()
}

/// The path with this model in the place of the one that it names; where several are named, of all of them. `None`: it names
/// none.
pub fn rename_in_path(path: &[u8], name: &str) -> Option<Vec<u8>> {
    let spelled = Spelled::of(path);
    let names =
        if is_method_of_a_model(path) { spelled.method().into_iter().collect() } else { spelled.deployments() };
    let name = encoded_name(name);
    let mut renamed = Vec::with_capacity(path.len().saturating_add(name.len()));
    let mut kept_from = 0;
    for named in names {
        let named = spelled.written(&named)?;
        renamed.extend_from_slice(path.get(kept_from..named.start)?);
        renamed.extend_from_slice(name.as_bytes());
        kept_from = named.end;
    }
    if renamed.is_empty() {
        return None;
    }
    renamed.extend_from_slice(path.get(kept_from..)?);
    Some(renamed)
}

/// The parameters in which a query names a model: OpenAI's, and Azure's for the same.
pub const MODEL_PARAMETERS: &[&[u8]] = &[b"model", b"deployment"];

/// The path with this model in each parameter of the query that names one; it is given once then, at the end. `None`: the query
/// names none.
pub fn rename_in_query(path: &[u8], name: &str) -> Option<Vec<u8>> {
    let mut renamed = None;
    for parameter in MODEL_PARAMETERS {
        let before = renamed.as_deref().unwrap_or(path);
        let Some(mut left) = query::without(before, &[parameter]) else { continue };
        left.push(if left.contains(&b'?') { b'&' } else { b'?' });
        left.extend_from_slice(parameter);
        left.push(b'=');
        left.extend_from_slice(encoded_name(name).as_bytes());
        renamed = Some(left);
    }
    renamed
}

/// A path without its query, decoded, and where each of its bytes was written.
struct Spelled {
    bytes: Vec<u8>,
    /// One more than there are bytes: the last is where the path ends.
    written_at: Vec<usize>,
}

impl Spelled {
    fn of(path: &[u8]) -> Self {
        let path = path.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or(path);
        let (mut bytes, mut written_at) = (Vec::with_capacity(path.len()), Vec::with_capacity(path.len() + 1));
        let mut at = 0;
        while let Some(rest) = path.get(at..).filter(|rest| !rest.is_empty()) {
            let (byte, length) = first(rest);
            bytes.push(byte);
            written_at.push(at);
            at += length;
        }
        written_at.push(path.len());
        Self { bytes, written_at }
    }

    /// What is in front of the last colon of the last segment.
    fn method(&self) -> Option<Range<usize>> {
        let last = self.segments().last()?;
        let colon = memchr::memrchr(b':', self.bytes.get(last.clone())?)?;
        (colon > 0).then(|| last.start..last.start + colon)
    }

    /// The names behind the markers.
    fn deployments(&self) -> Vec<Range<usize>> {
        let bare = |segment: Range<usize>| {
            let length = without_parameters(self.bytes.get(segment.clone()).unwrap_or_default()).len();
            segment.start..segment.start + length
        };
        let names = || self.segments().map(bare).filter(|segment| !segment.is_empty());
        let is_marker = |segment: &Range<usize>| {
            let written = self.bytes.get(segment.clone()).unwrap_or_default();
            MARKERS.iter().any(|marker| written.eq_ignore_ascii_case(marker))
        };
        names().zip(names().skip(1)).filter(|(before, _)| is_marker(before)).map(|(_, name)| name).collect()
    }

    /// The segments that are not empty.
    fn segments(&self) -> impl Iterator<Item = Range<usize>> {
        let mut begin = 0;
        let pieces = self.bytes.split(|byte| *byte == b'/').map(move |segment| {
            let range = begin..begin + segment.len();
            begin = range.end + 1;
            range
        });
        pieces.filter(|segment| !segment.is_empty())
    }

    /// Where decoded bytes were written.
    fn written(&self, decoded: &Range<usize>) -> Option<Range<usize>> {
        Some(*self.written_at.get(decoded.start)?..*self.written_at.get(decoded.end)?)
    }
}

/// The first byte of a path as it is meant, and how many bytes it was written with.
fn first(path: &[u8]) -> (u8, usize) {
    let escape = path.get(..3).unwrap_or_default();
    match *crate::api::decoded(escape) {
        [byte] => (byte, escape.len()),
        _ => (path.first().copied().unwrap_or_default(), 1),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model_in_path;

    fn renamed(path: &str, name: &str) -> Option<String> {
        rename_in_path(path.as_bytes(), name).map(|path| String::from_utf8(path).unwrap())
    }

    #[test]
    fn a_name_in_a_path_is_replaced_where_it_is_read_and_nothing_else() {
        for (path, expected) in [
            ("/v1beta/models/m:generateContent?alt=sse&x=m", Some("/v1beta/models/N:generateContent?alt=sse&x=m")),
            ("/v1beta/models/m%3AgenerateContent", Some("/v1beta/models/N%3AgenerateContent")),
            ("/v1beta/models%2Fm:n:countTokens//", Some("/v1beta/models%2FN:countTokens//")),
            ("/openai/deployments/m/chat/completions?m", Some("/openai/deployments/N/chat/completions?m")),
            ("/openai/Deployments//%6d;v=1/chat/completions", Some("/openai/Deployments//N;v=1/chat/completions")),
            ("/v1/engines/m/completions", Some("/v1/engines/N/completions")),
            ("/deployments/a/deployments/b/c", Some("/deployments/N/deployments/N/c")),
            ("/v1/chat/completions", None),
            ("/v1beta/models/m", None),
            ("/v1/chat/completions?x=/deployments/m", None),
            ("/deployments", None),
            ("", None),
        ] {
            assert_eq!(renamed(path, "N").as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn a_name_stays_one_segment_whatever_it_holds() {
        let path = "/v1/engines/m/completions";
        for (name, written) in [
            ("a/../b", "a%2F..%2Fb"),
            ("a?b#c", "a%3Fb%23c"),
            ("a b+c", "a%20b%2Bc"),
            ("100%", "100%25"),
            ("m\u{e9}", "m%C3%A9"),
            ("gpt-4.1_x~", "gpt-4.1_x~"),
        ] {
            assert_eq!(renamed(path, name).unwrap(), format!("/v1/engines/{written}/completions"));
        }
    }

    #[test]
    fn a_query_names_the_model_once() {
        for (path, expected) in [
            ("/v1/realtime?model=m", Some("/v1/realtime?model=N%2F1")),
            ("/v1/realtime?a=b&Model=m;c=d&%6dodel=x", Some("/v1/realtime?a=b;c=d&model=N%2F1")),
            ("/openai/realtime?deployment=m&a=b", Some("/openai/realtime?a=b&deployment=N%2F1")),
            ("/openai/realtime?deployment=m&model=n", Some("/openai/realtime?model=N%2F1&deployment=N%2F1")),
            ("/v1/realtime?models=m", None),
            ("/v1/realtime", None),
        ] {
            let renamed = rename_in_query(path.as_bytes(), "N/1").map(|path| String::from_utf8(path).unwrap());
            assert_eq!(renamed.as_deref(), expected, "{path}");
        }
    }

    proptest! {
        #[test]
        fn what_was_renamed_is_never_read_by_its_old_name(
            path in "(/|%2[fF]|deployments|Engines|models|%6[dD]|[a-c]|:|%3[aA]|;|%|\\?|#|generateContent|completions){0,12}",
        ) {
            let before = model_in_path(path.as_bytes());
            let after = renamed(&path, "N").map(|path| model_in_path(path.as_bytes()));
            prop_assert_eq!(after.is_some(), before.is_some());
            // `/m:generateContent;:` is read as Gemini's, and becomes `/N:`, which is nobody's.
            prop_assert!(after.flatten().is_none_or(|name| name == "N"));
        }

        #[test]
        fn no_bytes_break_it(path: Vec<u8>, name: String) {
            let _ = (rename_in_path(&path, &name), rename_in_query(&path, &name));
        }
    }
}
