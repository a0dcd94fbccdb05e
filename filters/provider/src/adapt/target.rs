//! The path and the query that a provider gets.

use tollgate_llm::{encoded_name, query};

use crate::config::providers::checks::CREDENTIAL_PARAMETERS;
use crate::config::providers::{PathRule, Piece};

/// What becomes of paths at one provider.
#[derive(Debug)]
pub(super) struct Target {
    /// The longest prefix first.
    rules: Vec<PathRule>,
    /// Parameters that are set, so that the caller's of the same name go.
    names: Vec<Vec<u8>>,
    /// The same, written: `a=b&c=d`.
    query: Vec<u8>,
}

impl Target {
    pub(super) fn new(rules: Vec<PathRule>, query: &[(String, String)]) -> Self {
        let pairs = query.iter().map(|(name, value)| format!("{}={}", encoded_name(name), encoded_name(value)));
        Self {
            rules,
            names: query.iter().map(|(name, _)| name.clone().into_bytes()).collect(),
            query: pairs.collect::<Vec<_>>().join("&").into_bytes(),
        }
    }

    /// The path that the provider gets for the caller's, in which the model has the provider's name already.
    pub(super) fn of(&self, path: &[u8], model: Option<&str>) -> Vec<u8> {
        let bare = query::bare(path);
        let mut built = self.prefixed(bare, model);
        let asked = path.get(bare.len()..).unwrap_or_default();
        if self.query.is_empty() {
            built.extend_from_slice(asked);
            return built;
        }
        let names: Vec<&[u8]> = self.names.iter().map(Vec::as_slice).collect();
        let left = query::without(asked, &names);
        let left = left.as_deref().unwrap_or(asked);
        built.extend_from_slice(left);
        match left {
            [] => built.push(b'?'),
            [b'?'] | [.., b'&'] => {}
            _ => built.push(b'&'),
        }
        built.extend_from_slice(&self.query);
        built
    }

    /// The longest prefix that is there is replaced. Where no model is named, a replacement that wants one is none.
    fn prefixed(&self, bare: &[u8], model: Option<&str>) -> Vec<u8> {
        let found = self.rules.iter().find_map(|rule| {
            let rest = bare.strip_prefix(rule.prefix.as_bytes())?;
            let is_whole = rest.is_empty() || rest.starts_with(b"/");
            let can_be_filled = model.is_some() || !rule.replacement.contains(&Piece::Model);
            (is_whole && can_be_filled).then_some((rule, rest))
        });
        let Some((rule, rest)) = found else { return bare.to_vec() };
        let mut built = Vec::with_capacity(bare.len() + 64);
        for piece in &rule.replacement {
            match piece {
                Piece::Text(text) => built.extend_from_slice(text.as_bytes()),
                Piece::Model => built.extend_from_slice(encoded_name(model.unwrap_or_default()).as_bytes()),
            }
        }
        built.extend_from_slice(rest);
        if built.is_empty() {
            built.push(b'/');
        }
        built
    }
}

/// The path without what may be a credential of the caller; `None`: there is nothing of the kind.
pub(super) fn without_credentials(path: &[u8]) -> Option<Vec<u8>> {
    query::without(path, CREDENTIAL_PARAMETERS)
}

/// Whether a path leads where it says. Dots alone would lead out of the prefix that the provider's operator gave it, and
/// who minds them is not known here.
pub(super) fn is_plain(path: &[u8]) -> bool {
    let bare = query::bare(path);
    if !bare.starts_with(b"/") || path.contains(&b'#') {
        return false;
    }
    if !bare.iter().any(|byte| matches!(byte, b'.' | b'%' | b'\\')) {
        return true;
    }
    let (mut dots, mut others) = (0_u32, false);
    let mut rest = bare;
    while let Some((byte, after)) = next(rest) {
        match byte {
            b'/' | b'\\' if (1..=2).contains(&dots) && !others => return false,
            b'/' | b'\\' => (dots, others) = (0, false),
            // Servlet containers take `;parameters` off a segment before they look at its dots.
            b';' if (1..=2).contains(&dots) && !others => return false,
            b'.' => dots += 1,
            _ => others = true,
        }
        rest = after;
    }
    others || !(1..=2).contains(&dots)
}

/// The next byte of a path as a server may read it, and what is behind it.
fn next(path: &[u8]) -> Option<(u8, &[u8])> {
    let (&first, after) = path.split_first()?;
    let escaped = if first == b'%' { after.split_first_chunk::<2>() } else { None };
    let meant = escaped.and_then(|(digits, rest)| match digits.map(|digit| digit.to_ascii_lowercase()) {
        [b'2', b'e'] => Some((b'.', rest)),
        [b'2', b'f'] => Some((b'/', rest)),
        [b'5', b'c'] => Some((b'\\', rest)),
        [b'3', b'b'] => Some((b';', rest)),
        _ => None,
    });
    Some(meant.unwrap_or((first, after)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(paths: &[(&str, &[&str])], query: &[(&str, &str)]) -> Target {
        let mut rules: Vec<_> = paths
            .iter()
            .map(|(prefix, pieces)| PathRule {
                prefix: (*prefix).into(),
                replacement: pieces
                    .iter()
                    .map(|piece| if *piece == "{model}" { Piece::Model } else { Piece::Text((*piece).into()) })
                    .collect(),
            })
            .collect();
        rules.sort_by_key(|rule| std::cmp::Reverse(rule.prefix.len()));
        let query: Vec<_> = query.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Target::new(rules, &query)
    }

    fn of(target: &Target, path: &str, model: Option<&str>) -> String {
        String::from_utf8(target.of(path.as_bytes(), model)).unwrap()
    }

    #[test]
    fn the_longest_whole_prefix_is_replaced() {
        let azure =
            target(&[("/v1", &["/openai/deployments/", "{model}"]), ("/v1/files", &["/files"]), ("/own", &[])], &[]);
        for (path, model, expected) in [
            ("/v1/chat/completions", Some("m"), "/openai/deployments/m/chat/completions"),
            ("/v1/chat/completions?a=/v1", Some("m"), "/openai/deployments/m/chat/completions?a=/v1"),
            ("/v1", Some("m"), "/openai/deployments/m"),
            ("/v1/", Some("m"), "/openai/deployments/m/"),
            ("/v1beta/x", Some("m"), "/v1beta/x"),
            ("/x/v1/y", Some("m"), "/x/v1/y"),
            ("/v1/files/f", Some("m"), "/files/f"),
            ("/v1/filesystem", Some("m"), "/openai/deployments/m/filesystem"),
            ("/v1/models", None, "/v1/models"),
            ("/v1/files", None, "/files"),
            ("/own/v1/x", None, "/v1/x"),
            ("/own", None, "/"),
            ("/own?x", None, "/?x"),
            ("/v1/x", Some("a/../b?c#d e%"), "/openai/deployments/a%2F..%2Fb%3Fc%23d%20e%25/x"),
            ("/v1/x", Some("m\u{e9}"), "/openai/deployments/m%C3%A9/x"),
        ] {
            assert_eq!(of(&azure, path, model), expected, "{path}");
        }
        assert_eq!(of(&target(&[("", &["/base"])], &[]), "/v1/x", None), "/base/v1/x");
        assert_eq!(of(&target(&[("", &["/base"])], &[]), "/", None), "/base/");
    }

    #[test]
    fn parameters_are_set_once_and_the_others_stay() {
        let target = target(&[], &[("api-version", "2025-01-01"), ("a b", "c&d")]);
        let set = "api-version=2025-01-01&a%20b=c%26d";
        for (path, expected) in [
            ("/x", format!("/x?{set}")),
            ("/x?", format!("/x?{set}")),
            ("/x?y=1", format!("/x?y=1&{set}")),
            ("/x?y=1&", format!("/x?y=1&{set}")),
            ("/x?api-version=1", format!("/x?{set}")),
            ("/x?API-Version=1&y=%26;a%20b=2&api%2dversion=3", format!("/x?y=%26&{set}")),
            ("/x?y?api-version=1", format!("/x?y?api-version=1&{set}")),
        ] {
            assert_eq!(of(&target, path, None), expected, "{path}");
        }
    }

    #[test]
    fn the_callers_credential_leaves_the_query() {
        for (path, expected) in [
            ("/v1beta/models/m:generateContent?key=k&alt=sse", Some("/v1beta/models/m:generateContent?alt=sse")),
            ("/x?Access_Token=k", Some("/x")),
            ("/x?%6bey=k", Some("/x")),
            ("/x?monkey=k", None),
        ] {
            let left = without_credentials(path.as_bytes());
            assert_eq!(left.as_deref(), expected.map(str::as_bytes), "{path}");
        }
    }

    #[test]
    fn a_path_that_may_lead_elsewhere_is_not_plain() {
        for path in [
            "/v1/../admin",
            "/v1/..",
            "/v1/.",
            "/./v1",
            "/v1/%2e%2E/admin",
            "/v1/.%2e/admin",
            "/v1%2f..%2fadmin",
            "/v1/..\\admin",
            "/v1%5c..%5cadmin",
            "/v1/..;x/admin",
            "/v1/..%3bx/admin",
            "/v1/x#y",
            "/v1/x?y#z",
            "v1",
            "*",
            "",
            "?x",
        ] {
            assert!(!is_plain(path.as_bytes()), "{path}");
        }
        for path in [
            "/",
            "/v1/models/gpt-4.1",
            "/v1/...",
            "/v1/a..b/..c",
            "/v1/.well-known",
            "/v1/x?y=/../z",
            "/v1/%41%zz%",
            "//v1//x",
            "/v1/a%2Fb",
            "/v1/a;x=..",
            "/v1/\u{e9}",
        ] {
            assert!(is_plain(path.as_bytes()), "{path}");
        }
    }
}
