//! Who calls: what the policy knows, what is remembered, and between calls the keys that servers keep.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tollgate_core::ports::{Hash, SharedStore, Signatures};
use tollgate_core::{Answer, Background, CalloutId, ConfigError, Cx, Filter, Setup};
use tollgate_core::{Counter, metric};

use crate::api_key::KeyDigest;
use crate::caller::Caller;
use crate::config::Policy;
use crate::denial::Denial;
use crate::jwt::{Verified, looks_like_token};
use crate::memory::{Memory, Place};
use crate::remote::{Asked, Change, Look, Remote, Watched};
use crate::stream::AuthStream;

/// Authentication as a filter.
pub struct AuthFilter {
    pub(crate) policy: Policy,
    /// Borrowed for one look-up at a time, never while anything else runs.
    memory: RefCell<Memory>,
    counters: Counters,
}

/// What good calls add to.
struct Counters {
    by_api_key: Counter,
    by_jwt: Counter,
    remembered: Counter,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            by_api_key: Counter::new(metric::AUTH, &[("result", "allowed"), ("reason", "api_key")]),
            by_jwt: Counter::new(metric::AUTH, &[("result", "allowed"), ("reason", "jwt")]),
            remembered: Counter::new(metric::AUTH_SIGNATURES, &[("type", "remembered")]),
        }
    }
}

/// How a caller proved who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    ApiKey,
    Jwt,
}

/// Why nobody is known by a credential.
pub(crate) enum Unknown {
    Denied(Denial),
    /// Its key may be on its way.
    Waits,
}

impl From<Denial> for Unknown {
    fn from(denial: Denial) -> Self {
        Self::Denied(denial)
    }
}

impl AuthFilter {
    /// A known digest is proof, so keys come first and may look like anything; the form of the rest says whether it was
    /// meant as a token. What is remembered was no key, and need not be looked for among them again. `asked` is the
    /// call.
    pub(crate) fn identify(
        &self,
        credential: &str,
        asked: Asked<'_>,
        cx: &mut Cx<'_>,
    ) -> Result<(Rc<Caller>, Proof), Unknown> {
        let is_token = !self.policy.tokens.is_empty() && looks_like_token(credential);
        let place = self.memory.borrow().place(credential);
        if is_token && let Some(verdict) = self.recall(place, cx) {
            return Ok((verdict?.judge(cx.now)?, Proof::Jwt));
        }
        let known = self.memory.borrow_mut().key_digest(place);
        let digest = known.unwrap_or_else(|| KeyDigest::of(credential));
        let remote = self.policy.remote_keys.as_ref();
        let fetched = remote.and_then(Remote::get);
        let of_server = || fetched.as_ref().and_then(|keys| keys.find(&digest));
        if let Some(key) = self.policy.api_keys.find(&digest).or_else(of_server) {
            let verdict = key.judge(cx.now);
            if known.is_some() != verdict.is_ok() {
                self.memory.borrow_mut().keep_key_digest(place, digest, verdict.is_ok());
            }
            return Ok((verdict?, Proof::ApiKey));
        }
        // A key that left the list, which must not show in the time that the answer takes.
        if known.is_some() {
            self.memory.borrow_mut().keep_key_digest(place, digest, false);
        }
        if is_token {
            let verified = self.read_token(credential, place, asked, cx)?;
            return Ok((verified.judge(cx.now)?, Proof::Jwt));
        }
        match remote.filter(|_| fetched.is_none()) {
            None => Err(Denial::UnknownKey.into()),
            Some(remote) if remote.look(asked, cx.now) == Look::Wait => Err(Unknown::Waits),
            Some(_) => Err(Denial::KeysUnavailable.into()),
        }
    }

    fn recall(&self, place: Place, cx: &mut Cx<'_>) -> Option<Result<Verified, Denial>> {
        let verdict = self.memory.borrow_mut().recall(place, cx.now)?;
        self.counters.remembered.increment(cx.meter);
        Some(verdict)
    }

    fn read_token(&self, token: &str, place: Place, asked: Asked<'_>, cx: &mut Cx<'_>) -> Result<Verified, Unknown> {
        let witness = Witness { proxy: cx.signatures, has_judged: Cell::new(false) };
        let (verdict, keys) = match self.policy.tokens.read(token, &witness) {
            Ok(verified) => (Ok(verified), None),
            Err(unverified) => (Err(unverified.denial), unverified.keys),
        };
        if matches!(verdict, Ok(_) | Err(Denial::SignatureInvalid)) {
            let judge = if witness.has_judged.get() { "proxy" } else { "module" };
            cx.meter.add(metric::AUTH_SIGNATURES, &[("type", judge)], 1);
        }
        match keys.map_or(Look::Known, |keys| keys.look(asked, cx.now)) {
            Look::Wait => return Err(Unknown::Waits),
            Look::Unknown => return Err(Denial::KeysUnavailable.into()),
            Look::Known => {}
        }
        self.memory.borrow_mut().learn(place, &verdict, cx.now);
        Ok(verdict?)
    }

    pub(crate) fn allow(&self, cx: &mut Cx<'_>, proof: Proof) {
        let counter = match proof {
            Proof::ApiKey => &self.counters.by_api_key,
            Proof::Jwt => &self.counters.by_jwt,
        };
        counter.increment(cx.meter);
    }

    /// What follows from news of the key servers.
    fn take_in(&self, cx: &mut Background<'_>, mut each: impl FnMut(&mut Background<'_>, &dyn Watched) -> Change) {
        let mut wake = false;
        if let Some(keys) = &self.policy.remote_keys {
            wake |= each(cx, keys).wake;
        }
        for keys in self.policy.tokens.remotes() {
            let change = each(cx, keys);
            wake |= change.wake;
            if change.document {
                self.memory.borrow_mut().clear();
            }
        }
        cx.wake |= wake;
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
        let policy = Policy::from_json(setup.config, setup.env)?;
        policy.remotes().for_each(|keys| keys.load(setup.store, setup.now));
        let memory = RefCell::new(Memory::new(setup.random));
        Ok(Self { policy, memory, counters: Counters::default() })
    }

    fn open(self: &Rc<Self>) -> AuthStream {
        AuthStream::new(Rc::clone(self))
    }

    fn pace(&self) -> Option<Duration> {
        self.policy.remotes().map(Watched::pace).min()
    }

    fn on_tick(&self, cx: &mut Background<'_>) {
        self.take_in(cx, |cx, keys| keys.tick(cx));
    }

    fn on_answer(&self, cx: &mut Background<'_>, callout: CalloutId, answer: &Answer<'_>) {
        self.take_in(cx, |cx, keys| keys.answer(cx, callout, answer));
    }

    fn on_end(&self, store: &dyn SharedStore) {
        self.policy.remotes().for_each(|keys| keys.release(store));
    }
}

#[cfg(test)]
mod tests;
