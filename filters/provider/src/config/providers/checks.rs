//! What may stand where: names, headers, parameters, and the fields that the renderer reads.

use std::collections::BTreeMap;

use tollgate_core::{ConfigError, header};

use super::spec::ProviderSpec;

/// The headers that may carry a credential of the caller. None of them ever reaches a provider.
pub(crate) const CREDENTIALS: &[&str] =
    &["api-key", "authorization", "cookie", "proxy-authorization", "x-api-key", "x-goog-api-key"];
/// The headers by which a caller would choose on whose account of the gateway's a request runs, or what it does there.
pub(crate) const ACCOUNT: &[&str] =
    &["openai-organization", "openai-project", "x-goog-user-project", "x-http-method-override"];
/// The parameters that may.
pub(crate) const CREDENTIAL_PARAMETERS: &[&[u8]] = &[b"access_token", b"key"];

/// They say how the request is carried, or what the body is; both are Envoy's or the caller's to say.
const FIXED: &[&str] = &[
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
const MAX_ENTRIES: usize = 32;
const MAX_VALUE: usize = 4 * 1024;

/// Whether it is a token of RFC 9110 §5.6.2.
pub(super) fn is_token(text: &str) -> bool {
    let is_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_byte)
}

/// The header of a credential, in lower case.
pub(super) fn credential_header(path: &str, name: &str) -> Result<String, ConfigError> {
    let lower = name.to_ascii_lowercase();
    if is_settable(&lower) {
        return Ok(lower);
    }
    Err(ConfigError::at(
        path,
        "must be a plain header as `authorization`, `x-api-key`, `api-key` or `x-goog-api-key`",
    ))
}

/// Checks `headers`, but for the provider's own credential.
pub(super) fn headers(
    path: &str,
    headers: BTreeMap<String, String>,
    credential: Option<&str>,
) -> Result<Vec<(String, String)>, ConfigError> {
    let mut checked: Vec<(String, String)> = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        let lower = name.to_ascii_lowercase();
        if CREDENTIALS.contains(&lower.as_str()) || credential == Some(lower.as_str()) {
            let problem = format!("`{lower}` carries a credential: write it under `credential`");
            return Err(ConfigError::at(path, problem));
        }
        if !is_settable(&lower) {
            let problem = "a header here must be a plain name, and none that says how a request is carried (`host`, \
                           `content-*`, `connection`, …) nor one of the gateway's own (`x-gateway-*`)";
            return Err(ConfigError::at(path, problem));
        }
        let field = format!("{path}.{name}");
        let is_value =
            value.len() <= MAX_VALUE && value.trim() == value && value.bytes().all(|byte| matches!(byte, 32..=126));
        if !is_value || value.is_empty() {
            let problem =
                format!("must be 1 to {MAX_VALUE} visible ASCII characters and blanks, with none at the ends");
            return Err(ConfigError::at(field, problem));
        }
        if checked.iter().any(|(other, _)| *other == lower) {
            return Err(ConfigError::at(field, "stands here twice: the case of a header's name does not matter"));
        }
        checked.push((lower, value));
    }
    at_most(path, checked)
}

/// Checks `query`.
pub(super) fn query(path: &str, query: BTreeMap<String, String>) -> Result<Vec<(String, String)>, ConfigError> {
    let mut checked: Vec<(String, String)> = Vec::with_capacity(query.len());
    for (name, value) in query {
        let lower = name.to_ascii_lowercase();
        let is_text = |text: &str| text.len() <= MAX_VALUE && !text.chars().any(char::is_control);
        if name.is_empty() || !is_text(&name) {
            return Err(ConfigError::at(path, "a parameter's name must be text of one line, and not empty"));
        }
        if CREDENTIAL_PARAMETERS.contains(&lower.as_bytes()) {
            let problem = format!("`{lower}` carries a credential: write it under `credential`, as a header");
            return Err(ConfigError::at(path, problem));
        }
        let field = format!("{path}.{name}");
        if !is_text(&value) {
            return Err(ConfigError::at(field, format!("must be text of one line, at most {MAX_VALUE} bytes")));
        }
        if checked.iter().any(|(other, _)| other.eq_ignore_ascii_case(&name)) {
            return Err(ConfigError::at(field, "stands here twice: the case of a parameter's name does not matter"));
        }
        checked.push((name, value));
    }
    at_most(path, checked)
}

/// Checks what only the renderer reads.
pub(super) fn renderer_fields(path: &str, spec: &ProviderSpec) -> Result<(), ConfigError> {
    let is_region = |text: &String| {
        (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let is_check = |text: &String| {
        text.starts_with('/') && text.len() <= 1_024 && text.bytes().all(|byte| byte.is_ascii_graphic())
    };
    let is_file = |text: &String| text.starts_with('/') && text.len() <= 1_024 && !text.chars().any(char::is_control);
    let refuse = |field: &str, problem: &str| Err(ConfigError::at(format!("{path}.{field}"), problem));
    if !spec.region.as_ref().is_none_or(is_region) {
        return refuse("region", "must be 1 to 64 letters, digits and `-`, as `us-east-1`");
    }
    if !spec.health_check.as_ref().is_none_or(is_check) {
        return refuse("health_check", "must be a path as `/health`");
    }
    if !spec.ca_file.as_ref().is_none_or(is_file) {
        return refuse("ca_file", "must be the whole path of a file, as `/etc/ssl/certs/ca-certificates.crt`");
    }
    Ok(())
}

fn is_settable(lower: &str) -> bool {
    lower.len() <= 128 && is_token(lower) && !FIXED.contains(&lower) && !lower.starts_with(header::GATEWAY_PREFIX)
}

fn at_most<T>(path: &str, entries: Vec<T>) -> Result<Vec<T>, ConfigError> {
    if entries.len() <= MAX_ENTRIES {
        return Ok(entries);
    }
    Err(ConfigError::at(path, format!("gives more than {MAX_ENTRIES}")))
}
