//! Asks the provider for the usage of a stream, whatever the client asked.

use serde_json::value::RawValue;

use super::members::Members;

/// The body of an OpenAI chat or text completion with `stream_options.include_usage` set to `true`, everything else
/// byte for byte. `None`: nothing to change, because it is not streamed, is set already, or is no good request.
pub fn force_stream_usage(body: &[u8]) -> Option<Vec<u8>> {
    let members = Members::of_body(body).ok()?;
    if !members.flag("stream").ok()? {
        return None;
    }
    let Some(options) = members.written("stream_options") else {
        let brace = body.iter().position(|byte| *byte == b'{')?;
        return splice(body, brace + 1, 0, br#""stream_options":{"include_usage":true},"#);
    };
    let Some(inner) = members.object("stream_options").ok()? else {
        return replace(body, options, br#"{"include_usage":true}"#);
    };
    match inner.written("include_usage") {
        Some(asked) if asked.get() == "true" => None,
        Some(asked) => replace(body, asked, b"true"),
        None => {
            let begin = offset(body, options)? + 1;
            let is_empty = options.get().trim_start_matches('{').trim_start() == "}";
            let added: &[u8] = if is_empty { br#""include_usage":true"# } else { br#""include_usage":true,"# };
            splice(body, begin, 0, added)
        }
    }
}

fn replace(body: &[u8], old: &RawValue, new: &[u8]) -> Option<Vec<u8>> {
    splice(body, offset(body, old)?, old.get().len(), new)
}

/// Where a value that was read from `body` stands in it.
fn offset(body: &[u8], raw: &RawValue) -> Option<usize> {
    (raw.get().as_ptr() as usize).checked_sub(body.as_ptr() as usize).filter(|offset| *offset < body.len())
}

fn splice(body: &[u8], at: usize, old_length: usize, new: &[u8]) -> Option<Vec<u8>> {
    let (before, rest) = body.split_at_checked(at)?;
    Some([before, new, rest.get(old_length..)?].concat())
}
