//! The phases of auth: there is one, the request's head.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;

use tollgate_core::ports::{Hash, Headers, Signatures};
use tollgate_core::{ConfigError, Cx, Filter, Flow, Identity, Reply, Setup, Stream};
use tollgate_core::{handoff, header, metric};
use tollgate_llm::{Dialect, refuse};

use crate::api_key::KeyDigest;
use crate::config::Policy;
use crate::credential;
use crate::denial::Denial;
use crate::jwt::{Verified, looks_like_token};
use crate::memory::Memory;

/// Authentication as a filter.
pub struct AuthFilter {
    policy: Policy,
    /// Borrowed for one look-up at a time, never while anything else runs.
    memory: RefCell<Memory>,
}

/// How a caller proved who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Proof {
    ApiKey,
    Jwt,
}

impl Proof {
    /// The `reason` label of an allowed call.
    const fn as_str(self) -> &'static str {
        match self {
            Self::ApiKey => "api_key",
            Self::Jwt => "jwt",
        }
    }
}

impl AuthFilter {
    /// A configured digest is proof, so keys come first and may look like anything; the form of the rest says whether
    /// it was meant as a token.
    fn identify(&self, credential: &str, cx: &mut Cx<'_>) -> Result<(Rc<Identity>, Proof), Denial> {
        let digest = KeyDigest::of(credential);
        if let Some(identity) = self.policy.api_keys.identify(&digest) {
            return Ok((Rc::clone(identity), Proof::ApiKey));
        }
        if self.policy.tokens.is_empty() || !looks_like_token(credential) {
            return Err(Denial::UnknownKey);
        }
        let verified = self.read_token(credential, digest, cx)?;
        verified.judge(cx.now).map(|identity| (identity, Proof::Jwt))
    }

    fn read_token(&self, token: &str, digest: KeyDigest, cx: &mut Cx<'_>) -> Result<Verified, Denial> {
        let known = self.memory.borrow_mut().recall(&digest, cx.now);
        if let Some(verdict) = known {
            cx.meter.add(metric::AUTH_SIGNATURES, &[("type", "remembered")], 1);
            return verdict;
        }
        let witness = Witness { proxy: cx.signatures, has_judged: Cell::new(false) };
        let verdict = self.policy.tokens.read(token, &witness);
        if matches!(verdict, Ok(_) | Err(Denial::SignatureInvalid)) {
            let judge = if witness.has_judged.get() { "proxy" } else { "module" };
            cx.meter.add(metric::AUTH_SIGNATURES, &[("type", judge)], 1);
        }
        self.memory.borrow_mut().learn(digest, &verdict, cx.now);
        verdict
    }
}

/// Notes whether the proxy judged.
struct Witness<'a> {
    proxy: &'a dyn Signatures,
    has_judged: Cell<bool>,
}

impl Signatures for Witness<'_> {
    fn verify(&self, hash: Hash, spki: &[u8], signature: &[u8], text: &[u8]) -> Option<bool> {
        let verdict = self.proxy.verify(hash, spki, signature, text);
        self.has_judged.set(self.has_judged.get() || verdict.is_some());
        verdict
    }
}

impl Filter for AuthFilter {
    const NAME: &'static str = "auth";
    type Stream = AuthStream;

    fn configure(setup: &mut Setup<'_>) -> Result<Self, ConfigError> {
        Ok(Self { policy: Policy::from_json(setup.config, setup.env)?, memory: RefCell::default() })
    }

    fn open(self: &Rc<Self>) -> AuthStream {
        AuthStream { filter: Rc::clone(self) }
    }
}

/// One call.
pub struct AuthStream {
    filter: Rc<AuthFilter>,
}

impl Stream for AuthStream {
    fn on_request_headers(&mut self, cx: &mut Cx<'_>, headers: &mut dyn Headers, _last: bool) -> Flow {
        let all = headers.all();
        let path = header::first(&all, ":path").unwrap_or_default();
        let credential = credential::take(&all, path);
        // An open path lets a call through with or without a credential, but not with one that would go on in its URL.
        if self.filter.policy.is_open(path) && credential != Err(Denial::InQuery) {
            strip(&all, headers);
            return Flow::Continue;
        }
        match credential.and_then(|credential| self.filter.identify(credential, cx)) {
            Ok((identity, proof)) => {
                cx.meter.add(metric::AUTH, &[("result", "allowed"), ("reason", proof.as_str())], 1);
                handoff::set_identity(cx.handoff, &identity);
                strip(&all, headers);
                Flow::Continue
            }
            Err(denial) => {
                cx.meter.add(metric::AUTH, &[("result", "denied"), ("reason", denial.refusal().code())], 1);
                Flow::Reply(reply(path, denial))
            }
        }
    }
}

/// Removes every credential, wherever it stood, and whatever passes itself off as ours.
fn strip(all: &[(String, Vec<u8>)], headers: &mut dyn Headers) {
    let foreign = |name: &&str| credential::HEADERS.contains(name) || credential::is_forgery(name);
    let names: BTreeSet<&str> = all.iter().map(|(name, _)| name.as_str()).filter(foreign).collect();
    for name in names {
        headers.remove(name);
    }
}

fn reply(path: &[u8], denial: Denial) -> Reply {
    refuse(Dialect::of(path), denial.refusal(), denial.message()).with_header("www-authenticate", denial.challenge())
}

#[cfg(test)]
mod tests;
