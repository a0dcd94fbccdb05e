//! The phases of auth: the request's head, and its body where the caller is limited to models.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;

use tollgate_core::ports::{Body, Hash, Headers, Signatures};
use tollgate_core::{ConfigError, Cx, Filter, Flow, Reply, Setup, Stream};
use tollgate_core::{handoff, header, metric};
use tollgate_llm::{Dialect, refuse};

use crate::api_key::KeyDigest;
use crate::caller::Caller;
use crate::config::Policy;
use crate::credential;
use crate::denial::Denial;
use crate::grant::{Permit, Refused};
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
    fn identify(&self, credential: &str, cx: &mut Cx<'_>) -> Result<(Rc<Caller>, Proof), Denial> {
        let digest = KeyDigest::of(credential);
        if let Some(key) = self.policy.api_keys.find(&digest) {
            return key.judge(cx.now).map(|caller| (caller, Proof::ApiKey));
        }
        if self.policy.tokens.is_empty() || !looks_like_token(credential) {
            return Err(Denial::UnknownKey);
        }
        let verified = self.read_token(credential, digest, cx)?;
        verified.judge(cx.now).map(|caller| (caller, Proof::Jwt))
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
        AuthStream { filter: Rc::clone(self), held: None }
    }
}

/// One call.
pub struct AuthStream {
    filter: Rc<AuthFilter>,
    /// The call whose body will tell whether it may go on.
    held: Option<Held>,
}

struct Held {
    caller: Rc<Caller>,
    proof: Proof,
    path: Vec<u8>,
}

impl Stream for AuthStream {
    fn on_request_headers(&mut self, cx: &mut Cx<'_>, headers: &mut dyn Headers, last: bool) -> Flow {
        let all = headers.all();
        let path = header::first(&all, ":path").unwrap_or_default();
        let credential = credential::take(&all, path);
        // An open path lets a call through with or without a credential, but not with one that would go on in its URL.
        if self.filter.policy.is_open(path) && credential != Err(Denial::InQuery) {
            strip(&all, headers);
            return Flow::Continue;
        }
        let (caller, proof) = match credential.and_then(|credential| self.filter.identify(credential, cx)) {
            Ok(known) => known,
            Err(denial) => return deny(cx, denial.refusal().code(), reply(path, denial)),
        };
        match caller.grant.at_head(path) {
            Permit::Refused(refused) => return deny(cx, refused.refusal().code(), refused.reply(path)),
            // A body that never comes names no model.
            Permit::InBody if last => {
                return deny(cx, Refused::NoModel.refusal().code(), Refused::NoModel.reply(path));
            }
            Permit::InBody => {
                self.held = Some(Held { caller: Rc::clone(&caller), proof, path: path.to_vec() });
            }
            Permit::Given => allow(cx, proof),
        }
        handoff::set_identity(cx.handoff, &caller.identity);
        if !caller.metadata.is_empty() {
            handoff::set_metadata(cx.handoff, &caller.metadata);
        }
        strip(&all, headers);
        Flow::Continue
    }

    fn on_request_body(&mut self, cx: &mut Cx<'_>, body: &mut dyn Body, last: bool) -> Flow {
        if !last && self.held.is_some() {
            return Flow::Wait;
        }
        let Some(Held { caller, proof, path }) = self.held.take() else { return Flow::Continue };
        match caller.grant.at_body(&path, &body.read()) {
            Ok(()) => {
                allow(cx, proof);
                Flow::Continue
            }
            Err(refused) => deny(cx, refused.refusal().code(), refused.reply(&path)),
        }
    }
}

fn allow(cx: &mut Cx<'_>, proof: Proof) {
    cx.meter.add(metric::AUTH, &[("result", "allowed"), ("reason", proof.as_str())], 1);
}

fn deny(cx: &mut Cx<'_>, code: &str, reply: Reply) -> Flow {
    cx.meter.add(metric::AUTH, &[("result", "denied"), ("reason", code)], 1);
    Flow::Reply(reply)
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
