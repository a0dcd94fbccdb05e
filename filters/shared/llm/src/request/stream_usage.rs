//! Asks the provider for the usage of a stream, whatever the client asked.

use super::members::Members;
use super::splice::{Splice, apply};

/// The body of an OpenAI chat or text completion with `stream_options.include_usage` set to `true`, everything else
/// byte for byte. `None`: nothing to change, because it is not streamed, is set already, or is no good request.
pub fn force_stream_usage(body: &[u8]) -> Option<Vec<u8>> {
    let members = Members::of_body(body).ok()?;
    if !members.flag("stream").ok()? {
        return None;
    }
    let Some(options) = members.written("stream_options") else {
        let member = r#""stream_options":{"include_usage":true}"#;
        return apply(body, vec![Splice::first_of_body(body, member)?]);
    };
    let Some(inner) = members.object("stream_options").ok()? else {
        return apply(body, vec![Splice::replace(body, options, r#"{"include_usage":true}"#)?]);
    };
    let change = match inner.written("include_usage") {
        Some(asked) if asked.get() == "true" => return None,
        Some(asked) => Splice::replace(body, asked, "true"),
        None => Splice::first_of(body, options, r#""include_usage":true"#),
    };
    apply(body, vec![change?])
}
