//! `paths`: what stands in front of a path at a provider.

use std::collections::BTreeMap;

use tollgate_core::ConfigError;

const MAX_RULES: usize = 32;
const MAX_PATH: usize = 1_024;
const MODEL: &str = "{model}";

/// A prefix of paths and what stands there instead.
#[derive(Debug, PartialEq, Eq)]
pub struct PathRule {
    /// Begins with `/` and ends without; empty: all paths.
    pub prefix: String,
    /// In order. Put together they begin with `/` and end without, or are empty.
    pub replacement: Vec<Piece>,
}

/// A piece of a path.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// As it stands here.
    Text(String),
    /// The provider's name of the model, percent-encoded.
    Model,
}

/// Checks `paths`: the longest prefix first.
pub(super) fn rules(path: &str, specs: BTreeMap<String, String>) -> Result<Vec<PathRule>, ConfigError> {
    if specs.len() > MAX_RULES {
        return Err(ConfigError::at(path, format!("gives more than {MAX_RULES} prefixes")));
    }
    let mut rules: Vec<PathRule> = Vec::with_capacity(specs.len());
    for (prefix, replacement) in specs {
        let Some(read) = without_end(&prefix).filter(|read| is_path(read)) else {
            let problem =
                "a prefix must be whole segments of a path, as `/v1`, without `?`, `#`, braces and dots alone";
            return Err(ConfigError::at(path, problem));
        };
        let field = format!("{path}.{prefix}");
        if rules.iter().any(|rule| rule.prefix == read) {
            return Err(ConfigError::at(field, "stands here twice: a slash at the end does not matter"));
        }
        let Some(replacement) = pieces(&replacement) else {
            let problem = "must be a path as `/openai/deployments/{model}`, without `?` and `#`, other braces and dots \
                           alone; what stands behind `?` goes into `query`";
            return Err(ConfigError::at(field, problem));
        };
        rules.push(PathRule { prefix: read.to_owned(), replacement });
    }
    rules.sort_by_key(|rule| std::cmp::Reverse(rule.prefix.len()));
    Ok(rules)
}

fn pieces(text: &str) -> Option<Vec<Piece>> {
    let text = without_end(text)?;
    let mut pieces = Vec::new();
    for (index, literal) in text.split(MODEL).enumerate() {
        if index > 0 {
            pieces.push(Piece::Model);
        }
        if !literal.is_empty() {
            pieces.push(Piece::Text(literal.to_owned()));
        }
    }
    is_path(&text.replace(MODEL, "m")).then_some(pieces)
}

/// The path without the slash at its end. `None`: it does not begin with one.
fn without_end(path: &str) -> Option<&str> {
    path.starts_with('/').then(|| path.strip_suffix('/').unwrap_or(path))
}

fn is_path(path: &str) -> bool {
    let is_byte = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'{' | b'}' | b'\\' | b'"');
    let is_segment = |segment: &str| !matches!(segment, "" | "." | "..") && has_whole_escapes(segment);
    path.len() <= MAX_PATH && path.bytes().all(is_byte) && path.split('/').skip(1).all(is_segment)
}

/// Whether each `%` begins an escape, and none of them hides a dot, a slash or a backslash.
fn has_whole_escapes(segment: &str) -> bool {
    segment.split('%').skip(1).all(|escaped| {
        let digits = escaped.get(..2).unwrap_or_default();
        digits.len() == 2
            && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
            && !["2e", "2f", "5c"].contains(&digits.to_ascii_lowercase().as_str())
    })
}
