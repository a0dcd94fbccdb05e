//! A counter that every call adds to.

use std::cell::Cell;

use crate::ports::{CounterId, Meter};

/// A counter of labels that are known beforehand. It is made at its first use and then known by its number: to write its name anew for each
/// call would cost more than the adding.
pub struct Counter {
    name: &'static str,
    labels: Vec<(&'static str, String)>,
    id: Cell<Option<CounterId>>,
}

impl Counter {
    /// A counter that nothing was added to yet.
    pub fn new(name: &'static str, labels: &[(&'static str, &str)]) -> Self {
        let labels = labels.iter().map(|(label, value)| (*label, (*value).to_owned())).collect();
        Self { name, labels, id: Cell::new(None) }
    }

    /// Adds one.
    pub fn increment(&self, meter: &mut dyn Meter) {
        self.add(meter, 1);
    }

    /// Adds; adding 0 does not even make it.
    pub fn add(&self, meter: &mut dyn Meter, by: u64) {
        if by == 0 {
            return;
        }
        let id = self.id.get().or_else(|| {
            let labels: Vec<_> = self.labels.iter().map(|(label, value)| (*label, value.as_str())).collect();
            meter.counter(self.name, &labels)
        });
        self.id.set(id);
        if let Some(id) = id {
            meter.add_to(id, by);
        }
    }
}
