use proptest::prelude::*;
use time::format_description::well_known::Rfc3339;

use super::*;

fn at(text: &str) -> Timestamp {
    Timestamp::from_secs(OffsetDateTime::parse(text, &Rfc3339).unwrap().unix_timestamp().try_into().unwrap())
}

#[test]
fn calendar_periods_turn_when_the_calendar_says() {
    for (period, now, turn) in [
        (Period::Second, "2026-11-24T10:00:07Z", "2026-11-24T10:00:08Z"),
        (Period::Minute, "2026-11-24T10:59:59Z", "2026-11-24T11:00:00Z"),
        (Period::Hour, "2026-12-31T23:10:00Z", "2027-01-01T00:00:00Z"),
        (Period::Day, "2028-02-28T00:00:00Z", "2028-02-29T00:00:00Z"),
        (Period::Week, "2026-11-24T10:00:00Z", "2026-11-30T00:00:00Z"),
        (Period::Week, "2026-11-22T23:59:59Z", "2026-11-23T00:00:00Z"),
        (Period::Month, "2026-11-24T10:00:00Z", "2026-12-01T00:00:00Z"),
        (Period::Month, "2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z"),
        (Period::Month, "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"),
    ] {
        let window = Window::Calendar(period);
        let (now, turn) = (at(now), at(turn));
        assert_eq!(window.time_to_drain(1, now, 10), turn.since(now), "{period:?}");
        let just_before = Timestamp::from_nanos(turn.as_nanos() - 1);
        assert_eq!(window.drained(now, just_before, 10), 0, "{period:?}");
        assert_eq!(window.drained(now, turn, 10), 10, "{period:?}");
    }
}

#[test]
fn what_is_more_than_a_limit_takes_as_many_turns() {
    let window = Window::Calendar(Period::Month);
    let now = at("2026-11-24T10:00:00Z");
    assert_eq!(window.time_to_drain(10, now, 10), at("2026-12-01T00:00:00Z").since(now));
    assert_eq!(window.time_to_drain(11, now, 10), at("2027-01-01T00:00:00Z").since(now));
    assert_eq!(window.drained(now, at("2027-11-01T00:00:00Z"), 10), 120);
}

#[test]
fn a_window_reads_as_it_is_configured() {
    for (millis, text) in [
        (1_000, "rolling 1s"),
        (60_000, "rolling 1m"),
        (90_000, "rolling 90s"),
        (604_800_000, "rolling 7d"),
        (1_500, "rolling 1500ms"),
    ] {
        assert_eq!(Window::Rolling(Duration::from_millis(millis)).to_string(), text);
    }
    assert_eq!(Window::Calendar(Period::Month).to_string(), "calendar month");
}

proptest! {
    #[test]
    fn after_the_time_to_drain_it_has_drained_and_a_nanosecond_before_it_has_not(
        seconds in 0..8_000_000_000_u64, nanos in 0..SECOND, units in 1..1_000_u64, limit in 1..100_u64, which in 0..8_usize,
    ) {
        let window = match Period::ALL.get(which) {
            Some(period) => Window::Calendar(*period),
            None => Window::Rolling(Duration::from_secs(1 + units * 7)),
        };
        let now = Timestamp::from_nanos(seconds * SECOND + nanos);
        let ticks = u128::from(units) * window.ticks_per_unit();
        let wait = window.time_to_drain(ticks, now, limit);
        prop_assert!(window.drained(now, now.plus(wait), limit) >= ticks);
        let early = now.plus(wait - Duration::from_nanos(1));
        prop_assert!(window.drained(now, early, limit) < ticks);
    }

    #[test]
    fn any_time_and_any_amount_is_survived(now: u64, from: u64, ticks: u128, limit: u64) {
        let (now, from) = (Timestamp::from_nanos(now), Timestamp::from_nanos(from));
        for window in Period::ALL.map(Window::Calendar).into_iter().chain([Window::Rolling(Duration::MAX)]) {
            window.drained(from, now, limit);
            window.time_to_drain(ticks, now, limit);
        }
    }
}
