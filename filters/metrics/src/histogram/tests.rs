use proptest::prelude::*;
use tollgate_fakehost::FakeMeter;

use super::*;

const NAME: &str = "gateway_request_duration_seconds";

fn buckets(seconds: &[f64]) -> Buckets {
    Buckets::try_new("b", seconds).unwrap()
}

#[test]
fn edges_are_written_as_prometheus_writes_them() {
    let all = buckets(&[0.005, 0.25, 1.0, 2.5, 60.0]);
    assert_eq!(all.le().collect::<Vec<_>>(), ["0.005", "0.25", "1", "2.5", "60", "+Inf"]);
}

#[test]
fn an_edge_belongs_to_its_own_bucket() {
    let all = buckets(&[0.25, 1.0]);
    assert_eq!(all.below(Duration::from_millis(250)), 0);
    assert_eq!(all.below(Duration::from_nanos(250_000_001)), 1);
    assert_eq!(all.below(Duration::from_secs(2)), 2);
}

#[test]
fn no_bucket_is_missing_after_one_call() {
    let mut meter = FakeMeter::default();
    Histogram::new(NAME, buckets(&[0.25, 1.0, 2.5])).observe(&mut meter, "r", "200", Duration::from_secs(2));
    assert_eq!(meter.series(), 4 + 2, "three edges, +Inf, count and sum");
}

#[test]
fn buckets_are_cumulative_and_the_last_one_is_the_count() {
    let mut meter = FakeMeter::default();
    let mut histogram = Histogram::new(NAME, buckets(&[0.25, 1.0]));
    for millis in [100, 250, 600, 2_000] {
        histogram.observe(&mut meter, "r", "200", Duration::from_millis(millis));
    }
    let bucket = |le| meter.value(&format!("{NAME}_bucket"), &[("route", "r"), ("status", "200"), ("le", le)]);
    assert_eq!([bucket("0.25"), bucket("1"), bucket("+Inf")], [2, 3, 4]);
    assert_eq!(meter.value(&format!("{NAME}_count"), &[("route", "r"), ("status", "200")]), 4);
    assert_eq!(meter.value(&format!("{NAME}_sum"), &[("route", "r"), ("status", "200")]), 2, "2.95 s, 0.95 carried");
}

#[test]
fn each_series_carries_its_own_rest() {
    let mut meter = FakeMeter::default();
    let mut histogram = Histogram::new(NAME, buckets(&[1.0]));
    for (route, status) in [("a", "200"), ("b", "200"), ("a", "500"), ("a", "200")] {
        histogram.observe(&mut meter, route, status, Duration::from_millis(600));
    }
    let sum = |route, status| meter.value(&format!("{NAME}_sum"), &[("route", route), ("status", status)]);
    assert_eq!([sum("a", "200"), sum("b", "200"), sum("a", "500")], [1, 0, 0]);
}

proptest! {
    #[test]
    fn what_was_emitted_and_what_is_carried_sum_to_the_truth(nanos in prop::collection::vec(0_u64..=90_000_000_000, 0..200)) {
        let mut carry = Carry::default();
        let emitted: u64 = nanos.iter().map(|nanos| carry.add(Duration::from_nanos(*nanos))).sum();
        let truth: u64 = nanos.iter().sum();
        prop_assert_eq!(Duration::from_secs(emitted) + carry.rest(), Duration::from_nanos(truth));
        prop_assert!(carry.rest() < Duration::from_secs(1));
    }

    #[test]
    fn a_bucket_never_holds_less_than_the_one_below(millis in prop::collection::vec(0_u64..20_000, 1..100)) {
        let mut meter = FakeMeter::default();
        let edges = ["0.005", "0.1", "1", "10", "+Inf"];
        let mut histogram = Histogram::new(NAME, buckets(&[0.005, 0.1, 1.0, 10.0]));
        for ms in &millis {
            histogram.observe(&mut meter, "r", "200", Duration::from_millis(*ms));
        }
        let counts = edges.map(|le| {
            meter.value(&format!("{NAME}_bucket"), &[("route", "r"), ("status", "200"), ("le", le)])
        });
        prop_assert!(counts.is_sorted());
        prop_assert_eq!(counts[4], millis.len() as u64);
        prop_assert_eq!(counts[1], millis.iter().filter(|ms| **ms <= 100).count() as u64);
    }
}
