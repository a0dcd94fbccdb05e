//! The head that a provider gets, in one pass over the one that is there.

use std::collections::BTreeSet;

use tollgate_core::ports::Headers;
use tollgate_core::{HeaderList, header};

use super::Adapt;
use super::original::Original;
use super::plan::Plan;
use crate::config::providers::checks;

/// Browsers cannot set headers of a WebSocket, so OpenAI's clients put a key among the subprotocols.
const SUBPROTOCOLS: &str = "sec-websocket-protocol";
const SUBPROTOCOL_KEY: &[u8] = b"openai-insecure-api-key.";

/// All that is known of an attempt's head.
pub(super) struct Head<'a> {
    pub(super) plan: &'a Plan,
    /// The head as it is.
    pub(super) found: &'a HeaderList,
    /// What the caller sent, where an attempt before this one changed it.
    pub(super) original: Option<&'a Original>,
    /// The path that the provider gets.
    pub(super) path: &'a [u8],
    /// The credential's header and value.
    pub(super) credential: Option<(&'a str, String)>,
    /// Whether the body may get another length, or got one in an attempt before this one.
    pub(super) loses_length: bool,
}

impl Head<'_> {
    /// Writes what differs, and only that: each change is a call of the host.
    pub(super) fn write(&self, policy: &Adapt, headers: &mut dyn Headers) {
        let mut removed = BTreeSet::new();
        for (name, value) in self.found.iter() {
            let Ok(name) = str::from_utf8(name) else { continue };
            if self.is_removed(policy, name) {
                if removed.insert(name) {
                    headers.remove(name);
                }
            } else if name == SUBPROTOCOLS && holds_key(value) {
                headers.set(name, &without_key(value));
            }
        }
        for (name, value) in self.original.iter().flat_map(|original| &original.headers) {
            if !self.is_own(name) {
                self.set(headers, name, value);
            }
        }
        for (name, value) in &self.plan.provider.headers {
            self.set(headers, name, value.as_bytes());
        }
        if let Some((name, value)) = &self.credential {
            headers.set(name, value.as_bytes());
        }
        self.set(headers, ":authority", self.plan.provider.authority.as_bytes());
        self.set(headers, ":path", self.path);
    }

    fn is_removed(&self, policy: &Adapt, name: &str) -> bool {
        let is_foreign = || policy.credentials.contains(name) && !self.is_own_credential(name);
        let is_account = || checks::ACCOUNT.contains(&name) && !self.is_own(name);
        let is_left_behind = || {
            let original = self.original.filter(|_| policy.set_by_some.contains(name) && !self.is_own(name));
            original.is_some_and(|original| original.header(name).is_none())
        };
        name.starts_with(header::GATEWAY_PREFIX)
            || (name == "content-length" && self.loses_length)
            || is_foreign()
            || is_account()
            || is_left_behind()
    }

    fn is_own_credential(&self, name: &str) -> bool {
        self.credential.as_ref().is_some_and(|(own, _)| *own == name)
    }

    fn is_own(&self, name: &str) -> bool {
        self.plan.provider.headers.iter().any(|(own, _)| own == name)
    }

    fn set(&self, headers: &mut dyn Headers, name: &str, value: &[u8]) {
        let mut values = self.found.values(name);
        if values.next() != Some(value) || values.next().is_some() {
            headers.set(name, value);
        }
    }
}

fn holds_key(value: &[u8]) -> bool {
    value.windows(SUBPROTOCOL_KEY.len()).any(|window| window == SUBPROTOCOL_KEY)
}

fn without_key(value: &[u8]) -> Vec<u8> {
    let parts = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    let kept: Vec<&[u8]> = parts.filter(|part| !part.starts_with(SUBPROTOCOL_KEY)).collect();
    kept.join(&b", "[..])
}
