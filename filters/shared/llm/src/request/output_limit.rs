//! Lowers what a call may generate to what is left of a budget.
//!
//! All members that [`RequestFacts`](super::RequestFacts) reads as a maximum are lowered, since providers do not agree
//! which one counts. If none is given that the called API itself knows, its own is added: a maximum under a name of
//! another API binds nobody. Other bytes stay as they were written.
//!
//! Not done here: a limit below the API's least value (OpenAI's responses: 16) or Anthropic's `thinking.budget_tokens`,
//! or above what the model can generate, is refused by the provider; whether to ask for one is the caller's decision.

#[cfg(test)]
mod tests;

use super::members::Members;
use super::splice::{Splice, apply};
use crate::api::Api;

/// Maxima in the body itself.
const IN_BODY: &[&str] = &["max_tokens", "max_completion_tokens", "max_output_tokens"];
/// Maxima in Gemini's `generationConfig`. Protobuf's JSON takes either spelling.
const IN_CONFIG: &[&str] = &["maxOutputTokens", "max_output_tokens"];

/// The request body in which no choice may take more than `most` output tokens (at least 1: providers refuse 0).
///
/// `None`: nothing to change. It is limited as much already, the endpoint generates no text, or the body is none that
/// [`RequestFacts::parse`](super::RequestFacts::parse) takes.
pub fn limit_output(path: &[u8], body: &[u8], most: u64) -> Option<Vec<u8>> {
    let api = Api::of(path);
    let known = known_to(api)?;
    let members = Members::of_body(body).ok()?;
    let config = members.object("generationConfig").ok()?;
    let mut changes = Vec::new();
    lower(body, &members, IN_BODY, most, &mut changes)?;
    if let Some(config) = &config {
        lower(body, config, IN_CONFIG, most, &mut changes)?;
    }
    let holder = holder(api, &members, config.as_ref());
    let is_limited = holder.is_some_and(|holder| known.iter().any(|name| holder.raw(name).is_some()));
    if !is_limited {
        changes.push(if is_gemini(api) {
            add_to_config(body, &members, config.as_ref(), most)?
        } else {
            add(body, &members, known.first()?, most)?
        });
    }
    if changes.is_empty() { None } else { apply(body, changes) }
}

/// The maxima that an API goes by, the one to be added first. `None`: it generates no text.
pub(super) fn known_to(api: Api) -> Option<&'static [&'static str]> {
    match api {
        Api::ChatCompletions => Some(&["max_completion_tokens", "max_tokens"]),
        Api::Completions | Api::Messages => Some(&["max_tokens"]),
        Api::Responses => Some(&["max_output_tokens"]),
        Api::GenerateContent | Api::StreamGenerateContent => Some(IN_CONFIG),
        Api::Embeddings | Api::Other => None,
    }
}

/// Where an API looks for its maxima. `None`: it has nowhere to look.
pub(super) fn holder<'m, 'b>(
    api: Api,
    members: &'m Members<'b>,
    config: Option<&'m Members<'b>>,
) -> Option<&'m Members<'b>> {
    if is_gemini(api) { config } else { Some(members) }
}

fn is_gemini(api: Api) -> bool {
    matches!(api, Api::GenerateContent | Api::StreamGenerateContent)
}

/// Lowers the maxima that are given. `None`: one of them is no count.
fn lower(
    body: &[u8],
    members: &Members<'_>,
    names: &[&'static str],
    most: u64,
    changes: &mut Vec<Splice>,
) -> Option<()> {
    for name in names {
        if members.count(name).ok()?.is_some_and(|given| given > most) {
            changes.push(Splice::replace(body, members.raw(name)?, most.to_string())?);
        }
    }
    Some(())
}

/// Adds a maximum to the body; `null` makes room for it.
fn add(body: &[u8], members: &Members<'_>, name: &'static str, most: u64) -> Option<Splice> {
    match members.written(name) {
        Some(null) => Splice::replace(body, null, most.to_string()),
        None => Splice::first_of_body(body, &format!(r#""{name}":{most}"#)),
    }
}

/// The same within Gemini's `generationConfig`, which is made if it is not there.
fn add_to_config(body: &[u8], members: &Members<'_>, config: Option<&Members<'_>>, most: u64) -> Option<Splice> {
    let member = format!(r#""maxOutputTokens":{most}"#);
    let Some(written) = members.written("generationConfig") else {
        return Splice::first_of_body(body, &format!(r#""generationConfig":{{{member}}}"#));
    };
    let Some(config) = config else {
        return Splice::replace(body, written, format!("{{{member}}}"));
    };
    match IN_CONFIG.iter().find_map(|name| config.written(name)) {
        Some(null) => Splice::replace(body, null, most.to_string()),
        None => Splice::first_of(body, written, &member),
    }
}
