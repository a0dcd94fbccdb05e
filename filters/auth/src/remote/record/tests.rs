use proptest::prelude::*;

use super::*;

const SECOND: u64 = 1_000_000_000;

fn address(refresh: u64) -> Address {
    Address {
        cluster: "keys".into(),
        scheme: "https".into(),
        authority: "keys.example.com".into(),
        path: "/jwks".into(),
        refresh: Duration::from_secs(refresh),
        timeout: Duration::from_secs(5),
        max_stale: Some(Duration::from_secs(refresh * 10)),
        bearer: None,
        kind: "jwks".into(),
    }
}

fn at(nanos: u64) -> Timestamp {
    Timestamp::from_nanos(nanos)
}

#[test]
fn a_stored_record_is_read_back_and_anything_else_is_none() {
    let record = Record::default().begun(at(SECOND), &address(60), true).failed(at(2 * SECOND), &address(60), "no");
    assert_eq!(Record::decode(&record.encode()), Some(record));
    assert_eq!(Record::decode(b"half"), None);
    assert_eq!(Record::decode(b"{\"since\":-1}"), None);
    // Of an older or a newer version of this filter.
    let other = Record::decode(b"{\"document\":7,\"etag\":\"x\",\"news\":[1]}");
    assert_eq!(other, Some(Record { document: 7, etag: Some("x".into()), ..Record::default() }));
}

#[test]
fn a_lease_ends_with_the_attempt_or_with_its_time() {
    let address = address(60);
    let record = Record::default().begun(at(SECOND), &address, false);
    assert!(record.is_leased(at(SECOND)) && record.is_leased(at(8 * SECOND - 1)));
    assert!(!record.is_leased(at(8 * SECOND)), "timeout and two seconds");
    assert!(!record.clone().failed(at(SECOND), &address, "no").is_leased(at(SECOND)));
    assert!(!record.succeeded(SECOND, &address).is_leased(at(SECOND)));
}

#[test]
fn a_failure_is_retried_soon_and_keeps_the_document() {
    let address = address(60);
    let good =
        Record { document: 7, ..Record::default() }.begun(at(SECOND), &address, false).succeeded(SECOND, &address);
    let bad = good.clone().begun(at(60 * SECOND), &address, false).failed(at(61 * SECOND), &address, "no");
    assert_eq!((bad.document, bad.confirmed, bad.ended), (7, SECOND, 60 * SECOND));
    assert!(!bad.is_due(at(66 * SECOND - 1), &address) && bad.is_due(at(66 * SECOND), &address));
    assert_eq!(bad.age(at(61 * SECOND), &address), Duration::from_secs(60));
    assert!(!bad.is_stale(at(601 * SECOND), &address) && bad.is_stale(at(602 * SECOND), &address));
}

/// Whatever it may be: the last look before the change, a poll until it is due, a poll until all have it.
#[test]
fn a_change_is_in_use_within_refresh() {
    for refresh in [5, 10, 18, 60, 300, 86_400] {
        let address = address(refresh);
        for attempt in (0..20).map(|step| SECOND + step * 1_000) {
            let due = Record::default().begun(at(attempt), &address, false).succeeded(attempt, &address).due;
            let latest = due - attempt + 2 * nanos(address.poll());
            assert!(latest < refresh * SECOND && due - attempt > refresh * SECOND / 2, "{refresh}: {latest}");
        }
    }
}

#[test]
fn a_clock_that_steps_back_makes_nothing_seem_fresh_or_answered() {
    let address = address(60);
    let record = Record::default().begun(at(500 * SECOND), &address, false).succeeded(500 * SECOND, &address);
    let earlier = at(400 * SECOND);
    assert!(!record.has_ended_since(earlier, earlier) && record.has_ended_since(earlier, at(500 * SECOND)));
    assert_eq!(record.age(at(499 * SECOND), &address), Duration::ZERO, "a second is no news");
    let record = Record { since: SECOND, ..record };
    assert_eq!(record.age(earlier, &address), Duration::from_secs(399), "as if it had never been confirmed");
}

#[test]
fn what_never_came_is_as_old_as_its_first_attempt() {
    let record = Record::default().begun(at(SECOND), &address(60), false).failed(at(SECOND), &address(60), "no");
    assert_eq!(record.age(at(31 * SECOND), &address(60)), Duration::from_secs(30));
    assert!(!record.is_stale(at(u64::MAX), &address(60)), "nothing is in use that could be too old");
}

#[test]
fn a_server_is_asked_again_before_it_calls_the_document_old() {
    let address = address(300);
    let record = |max_age| Record { max_age, ..Record::default() }.begun(at(SECOND), &address, false);
    for (max_age, soonest, latest) in
        [(None, 238, 268), (Some(60), 46, 52), (Some(0), 10, 10), (Some(9_999), 238, 268)]
    {
        let due = record(max_age).succeeded(SECOND, &address).due - SECOND;
        assert!((soonest * SECOND..=latest * SECOND).contains(&due), "{max_age:?}: {due}");
    }
}

#[test]
fn two_rotations_in_a_row_are_seen_at_once() {
    let mut record = Record::default();
    for _ in 0..MOST_AT_ONCE {
        assert!(record.may_look(at(SECOND)));
        record = record.begun(at(SECOND), &address(60), true);
    }
    assert!(!record.may_look(at(11 * SECOND - 1)));
    assert!(record.may_look(at(11 * SECOND)));
}

proptest! {
    /// However callers time their calls: at once, and one more each interval.
    #[test]
    fn callers_cause_no_more_fetches_than_agreed(steps in prop::collection::vec(0..3 * SECOND, 1..400)) {
        let address = address(60);
        let (mut record, mut now, mut fetches) = (Record::default(), SECOND, 0_u64);
        for step in steps {
            now += step;
            if record.may_look(at(now)) {
                record = record.begun(at(now), &address, true);
                fetches += 1;
            }
        }
        let every = nanos(ON_DEMAND_EVERY);
        prop_assert!(fetches <= u64::from(MOST_AT_ONCE) + (now - SECOND) / every);
    }

    /// A record that was written by a clock far ahead stops nobody.
    #[test]
    fn a_clock_that_steps_back_locks_nobody_out(ahead in 100_000..u32::MAX, now in 1..1_000_u64) {
        let address = address(60);
        let later = at((now + u64::from(ahead)) * SECOND);
        let record = Record::default().begun(later, &address, true).begun(later, &address, true);
        let now = at(now * SECOND);
        prop_assert!(!record.is_leased(now));
        prop_assert!(record.may_look(now));
        prop_assert!(record.clone().succeeded(later.as_nanos(), &address).is_due(now, &address));
        prop_assert!(record.begun(now, &address, true).may_look(now), "and the limit holds again from here on");
    }
}
