//! What proves to a provider who asks.

use std::fmt;

use tollgate_core::ConfigError;
use tollgate_core::ports::Environment;

use super::checks;
use super::spec::CredentialSpec;

/// Longest secret in bytes.
const MAX_SECRET: usize = 8 * 1024;

/// A header and the secret that goes into it.
#[derive(Debug, PartialEq, Eq)]
pub struct Credential {
    /// The header, in lower case.
    pub header: String,
    /// What stands in front of the secret, with the blank behind it; often empty.
    pub scheme: String,
    /// Where the secret is.
    pub source: Source,
}

/// Where a secret is.
#[derive(Debug, PartialEq, Eq)]
pub enum Source {
    /// Envoy reads this file and puts what stands in it into an internal header of every attempt.
    File(String),
    /// It was read from an environment variable. `None`: nobody wanted it.
    Env(Option<Secret>),
}

/// A secret, never shown.
#[derive(PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Blanks and line ends around it are none of it. `None`: it cannot stand in a header.
    pub fn read(text: &[u8]) -> Option<&str> {
        let text = text.trim_ascii();
        let is_good = (1..=MAX_SECRET).contains(&text.len()) && text.iter().all(u8::is_ascii_graphic);
        is_good.then(|| str::from_utf8(text).ok())?
    }

    /// The secret itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl Credential {
    pub(super) fn new(
        path: &str,
        spec: CredentialSpec,
        env: &dyn Environment,
        wants_secrets: bool,
    ) -> Result<Self, ConfigError> {
        let header = checks::credential_header(&format!("{path}.header"), &spec.header)?;
        let scheme = match spec.scheme {
            None => String::new(),
            Some(scheme) if scheme.len() <= 32 && checks::is_token(&scheme) => scheme + " ",
            Some(_) => {
                let problem = "must be one word such as `Bearer`; leave it out where the secret stands alone";
                return Err(ConfigError::at(format!("{path}.scheme"), problem));
            }
        };
        let source = match (spec.from_file, spec.from_env) {
            (Some(file), None) => Source::File(checked_file(path, file)?),
            (None, Some(variable)) => Source::Env(secret(path, &variable, env, wants_secrets)?),
            _ => return Err(ConfigError::at(path, "give exactly one of `from_file` and `from_env`")),
        };
        Ok(Self { header, scheme, source })
    }
}

fn checked_file(path: &str, file: String) -> Result<String, ConfigError> {
    let is_good = (1..=128).contains(&file.len())
        && !file.starts_with('.')
        && file.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
    if is_good {
        return Ok(file);
    }
    let problem = "must be the name of a file in the secrets folder, as `openai.yaml`: 1 to 128 of `A-Z`, `a-z`, `0-9`, \
                   `.`, `_`, `-`";
    Err(ConfigError::at(format!("{path}.from_file"), problem))
}

fn secret(
    path: &str,
    variable: &str,
    env: &dyn Environment,
    wants_secrets: bool,
) -> Result<Option<Secret>, ConfigError> {
    let refuse = |problem: String| Err(ConfigError::at(format!("{path}.from_env"), problem));
    let is_good = (1..=128).contains(&variable.len())
        && !variable.starts_with(|first: char| first.is_ascii_digit())
        && variable.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !is_good {
        return refuse("must be the name of an environment variable, as `OPENAI_API_KEY`, not the secret".into());
    }
    if !wants_secrets {
        return Ok(None);
    }
    // A name may be a key by mistake, but then nobody set a variable of that name: so it is shown only if it looks like one.
    let shown = if variable.bytes().any(|byte| byte.is_ascii_lowercase()) { "" } else { variable };
    match env.var(variable) {
        None => {
            refuse(format!("the environment variable {shown} is not set: give it to Envoy and to the filter's VM"))
        }
        Some(value) => match Secret::read(value.as_bytes()) {
            Some(secret) => Ok(Some(Secret(secret.to_owned()))),
            None if value.trim().is_empty() => refuse(format!("the environment variable {shown} is empty")),
            None => refuse(format!(
                "the environment variable {shown} must hold 1 to {MAX_SECRET} visible ASCII characters"
            )),
        },
    }
}
