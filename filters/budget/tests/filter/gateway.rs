//! The filter of one worker, and what all workers share.

use std::rc::Rc;
use std::time::Duration;

use tollgate_budget::Budget;
use tollgate_budget::account::Balance;
use tollgate_budget::filter::BudgetStream;
use tollgate_budget::ledger::{Ledger, Terms};
use tollgate_budget::subject::Subject;
use tollgate_core::{Identity, Timestamp, handoff};
use tollgate_fakehost::{Call, Proxy};
use tollgate_llm::{BytesPerToken, RequestFacts};

/// Ten in the morning of a Tuesday in the middle of a month.
pub(crate) const START: Timestamp = Timestamp::from_secs(1_700_000_000 / 86_400 * 86_400 + 36_000);

pub(crate) struct Gateway {
    pub(crate) budget: Rc<Budget>,
    pub(crate) proxy: Proxy,
}

impl Gateway {
    pub(crate) fn new(config: &str) -> Self {
        let mut proxy = Proxy { now: START, ..Proxy::default() };
        let budget = proxy.configure(config).unwrap_or_else(|error| panic!("{error}: {config}"));
        Self { budget, proxy }
    }

    pub(crate) fn wait(&mut self, by: Duration) {
        self.proxy.now = self.proxy.now.plus(by);
    }

    pub(crate) fn call(&self, identity: &Identity) -> Call<BudgetStream> {
        let mut call = Call::open(&self.budget, &self.proxy);
        handoff::set_identity(&mut call.handoff, identity);
        call
    }

    /// Every rule that counts a call of this model, by its place in the policy, and whose account it is.
    pub(crate) fn terms(&self, identity: &Identity, model: &str) -> Vec<(usize, Terms)> {
        let subject = Subject { identity, model: Some(model), other_models: &[], route: "" };
        let rules = self.budget.policy.rules.iter().enumerate();
        rules.filter_map(|(at, rule)| Some((at, rule.terms(&subject)?))).collect()
    }

    pub(crate) fn balance(&self, terms: &Terms) -> Balance {
        Ledger::new(&self.proxy.store, self.budget.policy.slots).balance(terms, self.proxy.now)
    }

    /// Used and reserved under the rule of this name.
    pub(crate) fn figures(&self, identity: &Identity, model: &str, rule: &str) -> (u64, u64) {
        let rules = &self.budget.policy.rules;
        let terms = self.terms(identity, model);
        let (_, terms) = terms.iter().find(|(at, _)| rules[*at].name == rule).unwrap();
        let balance = self.balance(terms);
        (balance.used, balance.reserved)
    }
}

pub(crate) fn tenant(name: &str) -> Identity {
    Identity { tenant: name.to_owned(), credential_id: "key".to_owned(), tier: None }
}

/// Tokens that are estimated for the prompt of a body before anything was learned.
pub(crate) fn estimated_input(path: &str, body: &[u8]) -> u64 {
    RequestFacts::parse(path.as_bytes(), body).unwrap().input_tokens(BytesPerToken::ENGLISH)
}
