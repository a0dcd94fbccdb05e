//! One call at auth: its head, and its body where the caller is limited to models.
//!
//! A call is suspended only where a key that is to be fetched may change the verdict.

use std::rc::Rc;

use tollgate_core::ports::{Body, Headers};
use tollgate_core::{Cx, Flow, Refusal, Reply, Stream, Timestamp, metric};
use tollgate_llm::{Dialect, refuse};

use crate::caller::Caller;
use crate::credential;
use crate::denial::Denial;
use crate::filter::{AuthFilter, Proof, Unknown};
use crate::grant::{Permit, Refused};
use crate::outgoing;
use crate::remote::Asked;

/// One call.
pub struct AuthStream {
    filter: Rc<AuthFilter>,
    /// When it came.
    asked: Timestamp,
    /// No body follows its head.
    is_bare: bool,
    /// The call whose body will tell whether it may go on.
    held: Option<Held>,
}

struct Held {
    caller: Rc<Caller>,
    proof: Proof,
    path: Vec<u8>,
}

impl AuthStream {
    pub(crate) fn new(filter: Rc<AuthFilter>) -> Self {
        Self { filter, asked: Timestamp::default(), is_bare: false, held: None }
    }

    fn decide(&mut self, cx: &mut Cx<'_>, headers: &mut dyn Headers) -> Flow {
        let all = headers.all();
        let path = all.first(":path").unwrap_or_default();
        let policy = &self.filter.policy;
        let credential = credential::take(&all, path, policy.query_keys);
        // An open path lets a call through with or without a credential, but not with one in its URL where none may be.
        if policy.is_open(path) && credential != Err(Denial::InQuery) {
            outgoing::rewrite(&all, path, &policy.identity_headers, None, headers);
            return Flow::Continue;
        }
        let known = credential
            .map_err(Unknown::Denied)
            .and_then(|credential| self.filter.identify(&credential, Asked { at: self.asked, head: &all }, cx));
        let (caller, proof) = match known {
            Ok(known) => known,
            Err(Unknown::Waits) => return Flow::Suspend,
            Err(Unknown::Denied(denial)) => return Flow::Reply(deny(cx, path, denial)),
        };
        match caller.grant.at_head(path) {
            Permit::Refused(refused) => return Flow::Reply(forbid(cx, path, &refused)),
            // A body that never comes names no model.
            Permit::InBody if self.is_bare => return Flow::Reply(forbid(cx, path, &Refused::NoModel)),
            Permit::InBody => {
                self.held = Some(Held { caller: Rc::clone(&caller), proof, path: path.to_vec() });
            }
            Permit::Given => self.filter.allow(cx, proof),
        }
        caller.hand_off(cx.handoff);
        outgoing::rewrite(&all, path, &policy.identity_headers, Some(&caller.identity), headers);
        Flow::Continue
    }
}

impl Stream for AuthStream {
    fn on_request_headers(&mut self, cx: &mut Cx<'_>, headers: &mut dyn Headers, last: bool) -> Flow {
        (self.asked, self.is_bare) = (cx.now, last);
        self.decide(cx, headers)
    }

    fn on_wake(&mut self, cx: &mut Cx<'_>, headers: &mut dyn Headers) -> Flow {
        self.decide(cx, headers)
    }

    fn on_crowded(&mut self, cx: &mut Cx<'_>, headers: &mut dyn Headers) -> Reply {
        deny(cx, headers.all().first(":path").unwrap_or_default(), Denial::KeysUnavailable)
    }

    fn reads_request_body(&self) -> bool {
        self.held.is_some()
    }

    fn on_request_body(&mut self, cx: &mut Cx<'_>, body: &mut dyn Body, last: bool) -> Flow {
        if !last && self.held.is_some() {
            return Flow::Wait;
        }
        let Some(Held { caller, proof, path }) = self.held.take() else { return Flow::Continue };
        match caller.grant.at_body(&path, &body.read()) {
            Ok(()) => {
                self.filter.allow(cx, proof);
                Flow::Continue
            }
            Err(refused) => Flow::Reply(forbid(cx, &path, &refused)),
        }
    }
}

/// Nobody is known by this credential.
fn deny(cx: &mut Cx<'_>, path: &[u8], denial: Denial) -> Reply {
    count(cx, denial.refusal());
    let (name, value) = denial.advice();
    refuse(Dialect::of(path), denial.refusal(), denial.message()).with_header(name, value)
}

/// Who is known may not do this.
fn forbid(cx: &mut Cx<'_>, path: &[u8], refused: &Refused) -> Reply {
    count(cx, refused.refusal());
    refused.reply(path)
}

fn count(cx: &mut Cx<'_>, refusal: Refusal) {
    cx.meter.add(metric::AUTH, &[("result", "denied"), ("reason", refusal.code())], 1);
}
