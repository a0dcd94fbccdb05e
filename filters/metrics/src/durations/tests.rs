use proptest::prelude::*;
use tollgate_fakehost::{FakeHandoff, FakeMeter};

use super::*;

const LABELS: [(&str, &str); 4] = [("route", "r"), ("model", "m"), ("provider", "p"), ("status", "200")];

#[test]
fn seconds_are_written_in_whole_microseconds() {
    let written =
        [0, 499, 500, 1_499, 253_000_000, 1_000_000_000, 3_600_000_000_001].map(Duration::from_nanos).map(seconds);
    assert_eq!(written, ["0.000000", "0.000000", "0.000001", "0.000001", "0.253000", "1.000000", "3600.000000"]);
}

proptest! {
    #[test]
    fn both_ways_carry_the_same_values_with_the_same_labels(
        duration: u64, first in prop::option::of(any::<u64>()), further in prop::option::of(any::<u64>()),
    ) {
        let nanos = |nanos: u64| Duration::from_nanos(nanos);
        let times = Times {
            duration: nanos(duration),
            to_first_token: first.map(nanos),
            per_output_token: further.map(nanos),
        };
        let (mut left, mut meter) = (FakeHandoff::default(), FakeMeter::default());
        Histograms::AccessLog.record(&mut left, &mut meter, &LABELS, &times);
        prop_assert_eq!(meter.series(), 0);
        let left_under = |name: &str| left.get(name).map(|text| String::from_utf8(text).unwrap());
        for ((_, value), (_, place)) in LABELS.iter().zip(handoff::LABELS) {
            prop_assert_eq!(left_under(place), Some((*value).to_owned()));
        }

        let mut by_meter = FakeHandoff::default();
        Histograms::Microseconds.record(&mut by_meter, &mut meter, &LABELS, &times);
        // Access logs tell the first token in either case.
        prop_assert_eq!(by_meter.get(FIRST_TOKEN_SECONDS), left.get(FIRST_TOKEN_SECONDS));
        prop_assert_eq!(by_meter.0.len(), usize::from(first.is_some()));
        for (name, place, labels) in [
            (REQUEST_DURATION, DURATION_SECONDS, &LABELS[..]),
            (TIME_TO_FIRST_TOKEN, FIRST_TOKEN_SECONDS, &LABELS[1..3]),
            (TIME_PER_OUTPUT_TOKEN, OUTPUT_TOKEN_SECONDS, &LABELS[1..3]),
        ] {
            let micros = left_under(place).map(|text| text.replace('.', "").parse::<u64>().unwrap());
            prop_assert_eq!(meter.recorded(name, labels), Vec::from_iter(micros));
        }
    }
}
