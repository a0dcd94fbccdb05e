use proptest::prelude::*;

use super::*;

/// The nearest-rank quantile: the value that at least `percent` of them do not exceed.
fn exact(values: &[u64], percent: u8) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * usize::from(percent)).div_ceil(100).max(1);
    sorted[rank - 1]
}

fn of(values: impl IntoIterator<Item = u64>) -> Histogram {
    let mut histogram = Histogram::default();
    for value in values {
        histogram.add(value);
    }
    histogram
}

/// Figures of every size, not only large ones.
fn figures() -> impl Strategy<Value = u64> {
    (0..64_u32, any::<u64>()).prop_map(|(shift, value)| value >> shift)
}

#[test]
fn buckets_follow_one_another_without_gap_up_to_the_most() {
    let mut next = 0;
    for index in 0..BUCKETS {
        assert_eq!(bucket(next), index);
        assert_eq!(bucket(upper_edge(index as u64)), index);
        next = upper_edge(index as u64) + 1;
    }
    assert_eq!(next, MOST + 1);
}

#[test]
fn nothing_is_known_at_first() {
    assert_eq!((Histogram::default().quantile(90), Histogram::default().samples()), (None, 0));
}

#[test]
fn extremes_have_a_bucket() {
    let histogram = of([0, u64::MAX]);
    assert_eq!((histogram.quantile(50), histogram.quantile(51)), (Some(0), Some(MOST)));
    assert_eq!((histogram.quantile(0), histogram.quantile(255)), (Some(0), Some(MOST)));
}

#[test]
fn it_stays_small() {
    assert_eq!(size_of::<Histogram>(), 402);
}

#[test]
fn more_is_followed_after_the_share_that_the_quantile_leaves_out() {
    // A full history weighs at most 255 samples, so a tenth as many of the new kind decide the 90 % quantile.
    let mut histogram = of(std::iter::repeat_n(100, 10_000));
    for _ in 0..29 {
        histogram.add(2_000);
    }
    assert_eq!(histogram.quantile(90), Some(2_047));
}

#[test]
fn less_is_followed_when_the_past_has_faded() {
    let mut histogram = of(std::iter::repeat_n(2_000, 10_000));
    for _ in 0..510 {
        histogram.add(100);
    }
    assert_eq!(histogram.quantile(90), Some(103));
}

#[test]
fn the_tail_lives_through_halvings() {
    // One long answer in fifty, for ever: the 99 % quantile must not lose it.
    let histogram = of((0..20_000).map(|turn| if turn % 50 == 0 { 5_000 } else { 100 }));
    assert_eq!(histogram.quantile(99), Some(5_119));
    assert_eq!(histogram.quantile(95), Some(103));
}

proptest! {
    #[test]
    fn a_quantile_is_never_below_the_exact_one_and_at_most_an_eighth_above(
        values in prop::collection::vec(figures(), 1..=255),
        percent in 1..=100_u8,
    ) {
        let capped: Vec<_> = values.iter().map(|value| (*value).min(MOST)).collect();
        let exact = exact(&capped, percent);
        let answer = of(values).quantile(percent).unwrap();
        prop_assert!(exact <= answer && answer <= exact + exact / 8, "{exact} {answer}");
    }

    #[test]
    fn a_higher_quantile_is_no_smaller_however_much_came(
        values in prop::collection::vec(figures(), 1..50),
        repeats in 1..200_usize,
    ) {
        let histogram = of((0..repeats).flat_map(|_| values.iter().copied()));
        let answers: Vec<_> = (0..=100).map(|percent| histogram.quantile(percent).unwrap()).collect();
        prop_assert!(answers.is_sorted());
        prop_assert_eq!(histogram.counts.iter().map(|count| u32::from(*count)).sum::<u32>(), u32::from(histogram.sum));
    }

    #[test]
    fn a_steady_mixture_stays_within_the_bucket_after_any_number_of_halvings(low in 0..1_000_u64, high in 2_000..MOST) {
        // Four in five are low: half and 70 % are, 90 % is not.
        let histogram = of((0..8_000).map(|turn| if turn % 5 == 0 { high } else { low }));
        for (percent, value) in [(50, low), (70, low), (90, high)] {
            let answer = histogram.quantile(percent).unwrap();
            prop_assert!(value <= answer && answer <= value + value / 8, "{percent}: {value} {answer}");
        }
    }
}
