//! What calls may wait for, and how often they can make it fetch.

use super::*;

#[test]
fn a_call_waits_for_the_first_document() {
    let (mut proxy, worker) = (proxy(), worker());
    assert_eq!(worker.look(proxy.now, proxy.now), Look::Wait);
    assert_eq!(worker.pace(), AT_ONCE);
    let asked = proxy.now;
    tick(&mut proxy, &worker);
    assert_eq!(worker.look(asked, proxy.now), Look::Wait);
    assert_eq!(answer(&mut proxy, &worker, &[(":status", "500")], ""), Change { document: false, wake: true });
    assert_eq!(worker.look(asked, proxy.now), Look::Unknown);
}

#[test]
fn a_call_waits_for_an_attempt_that_began_after_it() {
    let (mut proxy, first, second) = (proxy(), worker(), worker());
    tick(&mut proxy, &first);
    ok(&mut proxy, &first, "one");
    tick(&mut proxy, &second);
    pass(&mut proxy, 60);
    tick(&mut proxy, &second);
    pass(&mut proxy, 1);
    // The attempt of the other worker may have seen the document as it was before.
    let asked = proxy.now;
    assert_eq!(first.look(asked, proxy.now), Look::Wait);
    ok(&mut proxy, &second, "one");
    assert_eq!(first.look(asked, proxy.now), Look::Wait);
    tick(&mut proxy, &first);
    assert_eq!(proxy.callouts.sent().len(), 3, "asked at once, not at the next refresh");
    assert_eq!(ok(&mut proxy, &first, "two"), Change { document: true, wake: true });
    assert_eq!(first.look(asked, proxy.now), Look::Known);
}

#[test]
fn callers_cannot_make_it_fetch_at_will() {
    let (mut proxy, worker) = (proxy(), worker());
    tick(&mut proxy, &worker);
    ok(&mut proxy, &worker, "one");
    for _ in 0..1_000 {
        proxy.now = proxy.now.plus(Duration::from_millis(10));
        worker.look(proxy.now, proxy.now);
        tick(&mut proxy, &worker);
        ok(&mut proxy, &worker, "one");
    }
    assert_eq!(proxy.callouts.sent().len(), 1 + 3, "ten seconds");
    proxy.now = proxy.now.plus(Duration::from_millis(10));
    assert_eq!(worker.look(proxy.now, proxy.now), Look::Wait, "and one is to be had again");
}

#[test]
fn a_server_that_fails_leaves_it_unknown_whether_there_is_such_a_key() {
    let (mut proxy, worker) = (proxy(), worker());
    tick(&mut proxy, &worker);
    ok(&mut proxy, &worker, "one");
    pass(&mut proxy, 1);
    let asked = proxy.now;
    assert_eq!(worker.look(asked, proxy.now), Look::Wait);
    tick(&mut proxy, &worker);
    answer(&mut proxy, &worker, &[(":status", "500")], "");
    assert_eq!(worker.look(asked, proxy.now), Look::Unknown);
}
