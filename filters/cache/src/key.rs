//! The key of an answer: one digest over everything that may change it.
//!
//! In order: a version tag (a new layout can never hit an old entry), the partition, the route, the request's line,
//! the headers that choose a provider's behaviour, where a provider filter decided on them the model that runs and the
//! pool, and the canonical body with every member, known or not. Each part carries its length, so no two calls write
//! the same bytes. Only the SHA-256 is kept; of a prompt nothing remains.
//!
//! The name in the body is not the model that runs: an alias may point elsewhere after a push, an override or a split may
//! lead two equal calls to two models. Which provider of the pool answered is not part of a key: it ran the same model.
//!
//! The partition says who may share an answer:
//! - by default the tenant that auth found;
//! - without auth, the credential in the request itself: who cannot show it gets nothing that was bought with it. With
//!   no credential either, all callers are one partition;
//! - with `shared_between_tenants`, everyone.
//!
//! The digest has no secret: it never leaves the process, and who can read the store reads the answers beside it. A
//! store outside of the process needs a keyed one.

use sha2::{Digest, Sha256};
use tollgate_core::handoff::Routing;
use tollgate_core::{HeaderList, Identity};

use crate::canonical;

/// Changed with every change of what goes into a key.
const VERSION: &[u8] = b"tollgate-cache-key-2";

/// Request headers that choose how a provider answers, or on whose behalf.
pub const ANSWER_HEADERS: &[&str] =
    &["anthropic-beta", "anthropic-version", "openai-beta", "openai-organization", "openai-project"];

/// Request headers that carry a credential, where no auth filter took them out.
const CREDENTIAL_HEADERS: &[&str] = &["authorization", "x-api-key", "api-key", "x-goog-api-key"];

/// The key of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key([u8; 32]);

impl Key {
    /// From its bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Which of so many slots belongs to this key.
    pub fn slot(&self, slots: u32) -> u32 {
        let [a, b, c, d, ..] = self.0;
        u32::from_be_bytes([a, b, c, d]) % slots.max(1)
    }
}

/// A key half made: the request's head is in it, the body is still to come. Holds no header.
#[derive(Clone, Debug)]
pub struct KeyBuilder(Sha256);

impl KeyBuilder {
    /// Starts with the head of a request. `identity` is what auth left; `shared` drops the partition.
    pub fn new(headers: &HeaderList, identity: Option<&Identity>, route: Option<&str>, shared: bool) -> Self {
        let mut builder = Self(Sha256::new());
        builder.part(VERSION);
        match identity {
            _ if shared => builder.part(b"shared"),
            Some(identity) => {
                builder.part(b"tenant");
                builder.part(identity.tenant.as_bytes());
            }
            None => {
                builder.part(b"anonymous");
                builder.headers(headers, CREDENTIAL_HEADERS);
            }
        }
        builder.part(route.unwrap_or_default().as_bytes());
        builder.headers(headers, &[":authority", ":method", ":path"]);
        builder.headers(headers, ANSWER_HEADERS);
        builder
    }

    /// Adds where the call goes. `None`: no provider filter decided on it.
    #[must_use]
    pub fn routed(mut self, routing: Option<&Routing>) -> Self {
        match routing {
            Some(Routing { model: Some(model), pool, .. }) => {
                self.part(b"model");
                self.part(model.as_bytes());
                self.part(pool.as_bytes());
            }
            Some(Routing { model: None, pool, .. }) => {
                self.part(b"pool");
                self.part(pool.as_bytes());
            }
            None => self.part(b"unrouted"),
        }
        self
    }

    /// Ends with the body. `None`: the body has no canonical form, so the call has no key.
    pub fn finish(mut self, body: &[u8]) -> Option<Key> {
        let body = canonical::digest(body)?;
        self.part(&body);
        Some(Key(self.0.finalize().into()))
    }

    fn headers(&mut self, headers: &HeaderList, names: &[&str]) {
        for name in names {
            self.0.update((headers.values(name).count() as u64).to_be_bytes());
            for value in headers.values(name) {
                self.part(value);
            }
        }
    }

    fn part(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[(&str, &str)] = &[(":authority", "gw"), (":method", "POST"), (":path", "/v1/chat/completions")];

    fn key(extra: &[(&str, &str)], tenant: Option<&str>, route: Option<&str>, shared: bool) -> Key {
        let headers = HEAD.iter().chain(extra).copied().collect();
        let identity =
            tenant.map(|tenant| Identity { tenant: tenant.into(), credential_id: "any".into(), tier: None });
        KeyBuilder::new(&headers, identity.as_ref(), route, shared).finish(b"{}").unwrap()
    }

    fn routed(routing: Option<&Routing>) -> Key {
        KeyBuilder::new(&HEAD.iter().copied().collect(), None, None, false).routed(routing).finish(b"{}").unwrap()
    }

    #[test]
    fn each_model_and_each_pool_has_keys_of_its_own() {
        let to = |model: Option<&str>, pool: &str| Routing {
            asked: Some("fast".into()),
            model: model.map(str::to_owned),
            pool: pool.into(),
        };
        let keys = [
            routed(None),
            routed(Some(&to(None, "gpt"))),
            routed(Some(&to(None, "canary"))),
            routed(Some(&to(Some(""), "gpt"))),
            routed(Some(&to(Some("gpt-4.1"), "gpt"))),
            routed(Some(&to(Some("gpt-4.1"), "canary"))),
            routed(Some(&to(Some("gpt-4.1-mini"), "gpt"))),
            routed(Some(&to(Some("gpt-4.1gpt"), ""))),
        ];
        for (i, one) in keys.iter().enumerate() {
            assert!(keys[i + 1..].iter().all(|other| other != one), "{i}");
        }
        assert_eq!(routed(Some(&to(Some("gpt-4.1"), "gpt"))), keys[4]);
    }

    #[test]
    fn partitions_never_meet() {
        let keys = [
            key(&[], Some("acme"), None, false),
            key(&[], Some("globex"), None, false),
            key(&[], Some("anonymous"), None, false),
            key(&[], Some("shared"), None, false),
            key(&[], Some(""), None, false),
            key(&[], None, None, false),
            key(&[("authorization", "Bearer a")], None, None, false),
            key(&[("authorization", "Bearer b")], None, None, false),
            key(&[("x-api-key", "Bearer a")], None, None, false),
            key(&[], None, None, true),
        ];
        for (i, one) in keys.iter().enumerate() {
            assert!(keys[i + 1..].iter().all(|other| other != one), "{i}");
        }
    }

    #[test]
    fn a_shared_cache_does_not_ask_who_calls() {
        let shared = key(&[], None, None, true);
        assert_eq!(key(&[], Some("acme"), None, true), shared);
        assert_eq!(key(&[("authorization", "Bearer a")], None, None, true), shared);
    }

    #[test]
    fn a_tenant_shares_over_its_credentials() {
        let plain = key(&[], Some("acme"), None, false);
        assert_eq!(key(&[("authorization", "Bearer a")], Some("acme"), None, false), plain);
    }

    #[test]
    fn route_and_behaviour_headers_are_part_of_the_key() {
        let plain = key(&[], Some("acme"), None, false);
        assert_ne!(key(&[], Some("acme"), Some("eu"), false), plain);
        for name in [":authority", ":method", ":path"] {
            assert_ne!(key(&[(name, "x")], Some("acme"), None, false), plain, "{name}");
        }
        for name in ANSWER_HEADERS {
            assert_ne!(key(&[(name, "x")], Some("acme"), None, false), plain, "{name}");
        }
        assert_ne!(
            key(&[("anthropic-beta", "a"), ("anthropic-beta", "b")], Some("acme"), None, false),
            key(&[("anthropic-beta", "ab")], Some("acme"), None, false)
        );
        assert_eq!(key(&[("user-agent", "x"), ("x-request-id", "1")], Some("acme"), None, false), plain);
    }

    #[test]
    fn every_slot_is_in_range() {
        let key = Key::from_bytes([0xff; 32]);
        assert_eq!(key.slot(1), 0);
        assert_eq!(key.slot(1_024), 1_023);
        assert_eq!(key.slot(0), 0);
    }
}
