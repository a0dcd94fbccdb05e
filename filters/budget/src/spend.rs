//! One admitted call, from its reservation to the log phase.

use tollgate_core::ports::{Body, Headers};
use tollgate_core::{Cx, HeaderList, Usage, handoff};
use tollgate_llm::{Api, Framing};

use crate::account::{Balance, Lease};
use crate::answer;
use crate::ledger::Payer;
use crate::watch::Watch;

/// An admitted call that is not settled yet.
#[derive(Debug)]
pub struct Spend {
    /// Who pays.
    pub payer: Payer,
    /// What is held. `None`: the call was let through unreserved.
    pub lease: Option<Lease>,
    balance: Option<Balance>,
    api: Api,
    estimated_input: u64,
    /// The usage chunk was asked for by us alone.
    hide_usage: bool,
    /// The answer, once a successful one began.
    watch: Option<Watch>,
    /// As it was last handed off.
    usage: Usage,
}

impl Spend {
    /// Nothing is used before an answer comes.
    pub fn new(
        payer: Payer,
        lease: Option<Lease>,
        balance: Option<Balance>,
        api: Api,
        estimated_input: u64,
        hide_usage: bool,
    ) -> Self {
        Self { payer, lease, balance, api, estimated_input, hide_usage, watch: None, usage: Usage::default() }
    }

    /// What the call owes as it stands.
    pub fn cost(&self) -> Usage {
        self.watch.as_ref().map(Watch::usage).unwrap_or_default()
    }

    /// Leaves the usage record for metrics and access log.
    pub fn hand_off(&self, cx: &mut Cx<'_>) {
        handoff::set_usage(cx.handoff, &self.usage);
    }

    /// The answer's head: tells the limit, and watches what a success costs.
    pub fn answer_began(&mut self, cx: &mut Cx<'_>, headers: &mut dyn Headers) {
        let all = headers.all();
        if let Some(balance) = &self.balance {
            for (name, value) in answer::rate_limit_headers(balance) {
                headers.set(name, value.as_bytes());
            }
        }
        if !is_success(&all) {
            return;
        }
        let framing = Framing::of_head(&all);
        let no_provider_spoke = handoff::is_cache_hit(cx.handoff) || handoff::is_local_reply(cx.handoff);
        let mut watch =
            if no_provider_spoke { Watch::free() } else { Watch::new(self.api, framing, self.estimated_input) };
        if self.hide_usage && framing == Some(Framing::Sse) {
            headers.remove("content-length");
            watch = watch.hiding_usage();
        }
        self.watch = Some(watch);
        self.update(cx);
    }

    /// A part of the answer's body.
    pub fn answer_passed(&mut self, cx: &mut Cx<'_>, body: &mut dyn Body, last: bool) {
        let Some(watch) = self.watch.as_mut().filter(|watch| watch.reads()) else { return };
        // Where the host takes no more bytes (trailers came), only the rest of a cut event is lost.
        if let Some(bytes) = watch.feed(&body.read(), last) {
            body.replace(&bytes);
        }
        self.update(cx);
    }

    fn update(&mut self, cx: &mut Cx<'_>) {
        let usage = self.cost();
        if usage != self.usage {
            self.usage = usage;
            self.hand_off(cx);
        }
    }
}

fn is_success(headers: &HeaderList) -> bool {
    matches!(headers.first(":status"), Some([b'2', _, _]))
}
