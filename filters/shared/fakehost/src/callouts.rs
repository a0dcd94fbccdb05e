//! Callouts that a test answers.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use tollgate_core::callout::{Callout, CalloutId, Callouts};

/// Callouts that were sent. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct FakeCallouts(Rc<RefCell<Sent>>);

#[derive(Debug, Default)]
struct Sent {
    callouts: Vec<Callout>,
    refused: BTreeSet<String>,
}

impl FakeCallouts {
    /// A cluster that the proxy does not know.
    pub fn refuse(&self, cluster: &str) {
        self.0.borrow_mut().refused.insert(cluster.to_owned());
    }

    /// All callouts of any worker, oldest first.
    pub fn sent(&self) -> Vec<Callout> {
        self.0.borrow().callouts.clone()
    }

    /// The id of the newest one.
    pub fn newest(&self) -> Option<CalloutId> {
        let count = self.0.borrow().callouts.len();
        u32::try_from(count).ok()?.checked_sub(1).map(CalloutId)
    }
}

impl Callouts for FakeCallouts {
    fn send(&mut self, callout: &Callout) -> Option<CalloutId> {
        let mut sent = self.0.borrow_mut();
        if sent.refused.contains(&callout.cluster) {
            return None;
        }
        sent.callouts.push(callout.clone());
        u32::try_from(sent.callouts.len() - 1).ok().map(CalloutId)
    }
}
