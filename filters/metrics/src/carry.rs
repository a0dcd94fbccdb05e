//! Counters of micro-dollars that are fed in nano-dollars.
//!
//! A token may cost less than a micro-dollar, and a counter takes whole ones. What is below is carried, for each series
//! and worker, into the next call: the counter lags by less than one micro-dollar a worker and loses nothing, until a new
//! configuration or a restart drops the carry. There is one carry a series that exists, so there are as many as the labels
//! allow, and never more than the host makes series.

use std::cell::RefCell;
use std::collections::HashMap;

use tollgate_core::ports::Meter;

const NANOS_PER_MICRO: u64 = 1_000;

/// What series cannot show yet, as one worker knows it.
#[derive(Debug, Default)]
pub struct Carry {
    /// Nano-dollars, below one micro-dollar each, by the number of the counter.
    rests: RefCell<HashMap<u32, u64>>,
}

impl Carry {
    /// Adds nano-dollars to a counter of micro-dollars; adding 0 does not even make it.
    pub fn add(&self, meter: &mut dyn Meter, name: &str, labels: &[(&str, &str)], nanos: u64) {
        if nanos == 0 {
            return;
        }
        let Some(counter) = meter.counter(name, labels) else { return };
        let mut rests = self.rests.borrow_mut();
        let rest = rests.entry(counter.0).or_default();
        let below = *rest + nanos % NANOS_PER_MICRO;
        *rest = below % NANOS_PER_MICRO;
        meter.add_to(counter, nanos / NANOS_PER_MICRO + below / NANOS_PER_MICRO);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tollgate_fakehost::FakeMeter;

    use super::*;

    const LABELS: [&[(&str, &str)]; 2] = [&[("model", "a")], &[("model", "b")]];

    proptest! {
        #[test]
        fn what_is_shown_and_what_is_carried_is_all_there_was(
            costs in prop::collection::vec((0_usize..2, prop_oneof![0..3_000_u64, any::<u64>()]), 0..40),
        ) {
            let (carry, mut meter) = (Carry::default(), FakeMeter::default());
            let mut exact = [0_u128; 2];
            for (series, nanos) in costs {
                // The fake counter ends where a real one does.
                let nanos = nanos % (u64::MAX / 40);
                exact[series] += u128::from(nanos);
                carry.add(&mut meter, "cost", LABELS[series], nanos);
            }
            for (labels, exact) in LABELS.iter().zip(exact) {
                let made = meter.counter("cost", labels).unwrap();
                let rest = carry.rests.borrow().get(&made.0).copied().unwrap_or_default();
                prop_assert!(rest < NANOS_PER_MICRO);
                prop_assert_eq!(u128::from(meter.value("cost", labels)) * 1_000 + u128::from(rest), exact);
            }
        }
    }

    #[test]
    fn what_costs_nothing_makes_no_series() {
        let (carry, mut meter) = (Carry::default(), FakeMeter::default());
        carry.add(&mut meter, "cost", LABELS[0], 0);
        assert_eq!(meter.series(), 0);
    }
}
