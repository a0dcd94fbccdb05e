//! A counter that every call adds to.

use std::cell::Cell;

use crate::ports::{CounterId, Meter};

/// A counter of fixed labels. It is made at its first use and then known by its number: to write its name anew for each
/// call would cost more than the adding.
pub struct Counter {
    name: &'static str,
    labels: &'static [(&'static str, &'static str)],
    id: Cell<Option<CounterId>>,
}

impl Counter {
    /// A counter that nothing was added to yet.
    pub const fn new(name: &'static str, labels: &'static [(&'static str, &'static str)]) -> Self {
        Self { name, labels, id: Cell::new(None) }
    }

    /// Adds one.
    pub fn increment(&self, meter: &mut dyn Meter) {
        let id = self.id.get().or_else(|| meter.counter(self.name, self.labels));
        self.id.set(id);
        if let Some(id) = id {
            meter.add_to(id, 1);
        }
    }
}
