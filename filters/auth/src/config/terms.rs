//! When an API key is good, and what it opens.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tollgate_llm::{Api, ModelPattern};

use super::spec::ApiKeySpec;
use crate::grant::Grant;
use crate::validity::Validity;

/// A field and what is wrong with it.
pub(super) type Problem = (&'static str, &'static str);

pub(super) fn validity(spec: &ApiKeySpec) -> Result<Validity, Problem> {
    let default = Validity::default();
    let begin = seconds("not_before", spec.not_before.as_deref())?.unwrap_or(default.begin);
    let end = seconds("expires_at", spec.expires_at.as_deref())?.unwrap_or(default.end);
    if begin >= end {
        return Err(("expires_at", "must lie after `not_before`"));
    }
    Ok(Validity { begin, end })
}

fn seconds(field: &'static str, text: Option<&str>) -> Result<Option<u64>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let problem = (field, "must be a time of RFC 3339 after 1970, as in `2026-01-31T00:00:00Z`");
    let time = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| problem)?;
    u64::try_from(time.unix_timestamp()).map(Some).map_err(|_| problem)
}

pub(super) fn grant(spec: &ApiKeySpec) -> Result<Grant, Problem> {
    let endpoints = spec.endpoints.as_ref().map(|words| endpoints(words)).transpose()?;
    let models = spec.models.as_ref().map(|patterns| models(patterns)).transpose()?;
    Ok(Grant { endpoints, models })
}

fn endpoints(words: &[String]) -> Result<Vec<Api>, Problem> {
    const KNOWN: &str = "name at least one of chat_completions, completions, responses, embeddings, messages, \
                         generate_content, stream_generate_content, other, or leave it out to allow all";
    let found: Option<Vec<Api>> = words.iter().map(|word| Api::parse(word)).collect();
    found.filter(|found| !found.is_empty()).ok_or(("endpoints", KNOWN))
}

fn models(patterns: &[String]) -> Result<Vec<ModelPattern>, Problem> {
    const FORM: &str = "name at least one model, exact or with one `*` at its end, or leave it out to allow all";
    let found: Option<Vec<ModelPattern>> = patterns.iter().map(|text| ModelPattern::parse(text)).collect();
    found.filter(|found| !found.is_empty()).ok_or(("models", FORM))
}
