//! What calls may wait for, and how often they can make it fetch.

use super::*;

#[test]
fn a_call_waits_for_the_first_document() {
    let (mut proxy, worker) = (proxy(), worker());
    assert_eq!(worker.look(at(proxy.now), proxy.now), Look::Wait);
    assert_eq!(worker.pace(), AT_ONCE);
    let asked = proxy.now;
    tick(&mut proxy, &worker);
    assert_eq!(worker.look(at(asked), proxy.now), Look::Wait);
    assert_eq!(answer(&mut proxy, &worker, &[(":status", "500")], ""), Change { document: false, wake: true });
    assert_eq!(worker.look(at(asked), proxy.now), Look::Unknown);
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
    assert_eq!(first.look(at(asked), proxy.now), Look::Wait);
    ok(&mut proxy, &second, "one");
    assert_eq!(first.look(at(asked), proxy.now), Look::Wait);
    tick(&mut proxy, &first);
    assert_eq!(proxy.callouts.sent().len(), 3, "asked at once, not at the next refresh");
    assert_eq!(ok(&mut proxy, &first, "two"), Change { document: true, wake: true });
    assert_eq!(first.look(at(asked), proxy.now), Look::Known);
}

#[test]
fn callers_cannot_make_it_fetch_at_will() {
    let (mut proxy, worker) = (proxy(), worker());
    tick(&mut proxy, &worker);
    ok(&mut proxy, &worker, "one");
    for _ in 0..1_000 {
        proxy.now = proxy.now.plus(Duration::from_millis(10));
        worker.look(at(proxy.now), proxy.now);
        tick(&mut proxy, &worker);
        ok(&mut proxy, &worker, "one");
    }
    assert_eq!(proxy.callouts.sent().len(), 1 + 3, "ten seconds");
    proxy.now = proxy.now.plus(Duration::from_millis(10));
    assert_eq!(worker.look(at(proxy.now), proxy.now), Look::Wait, "and one is to be had again");
}

#[test]
fn a_server_that_fails_leaves_it_unknown_whether_there_is_such_a_key() {
    let (mut proxy, worker) = (proxy(), worker());
    tick(&mut proxy, &worker);
    ok(&mut proxy, &worker, "one");
    pass(&mut proxy, 1);
    let asked = proxy.now;
    assert_eq!(worker.look(at(asked), proxy.now), Look::Wait);
    tick(&mut proxy, &worker);
    answer(&mut proxy, &worker, &[(":status", "500")], "");
    assert_eq!(worker.look(at(asked), proxy.now), Look::Unknown);
}

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn traces(proxy: &Proxy) -> Vec<Option<String>> {
    let trace = |callout: &tollgate_core::Callout| {
        callout.headers.iter().find(|(name, _)| name == "traceparent").map(|(_, value)| value.clone())
    };
    proxy.callouts.sent().iter().map(trace).collect()
}

#[test]
fn a_fetch_that_a_call_waits_for_is_part_of_its_trace_and_no_other_is() {
    let (mut proxy, worker) = (proxy(), worker());
    tick(&mut proxy, &worker);
    ok(&mut proxy, &worker, "one");
    pass(&mut proxy, 1);
    let head: HeaderList = [("traceparent", TRACE), ("tracestate", "vendor=secret")].into_iter().collect();
    worker.look(Asked { at: proxy.now, head: &head }, proxy.now);
    tick(&mut proxy, &worker);
    ok(&mut proxy, &worker, "two");
    pass(&mut proxy, 60);
    tick(&mut proxy, &worker);
    assert_eq!(traces(&proxy), [None, Some(TRACE.to_owned()), None]);
    assert!(!proxy.callouts.sent().iter().any(|sent| sent.headers.iter().any(|(name, _)| name == "tracestate")));
}

#[test]
fn the_trace_is_that_of_the_newest_call_that_waits() {
    let (mut proxy, worker) = (proxy(), worker());
    let head: HeaderList = [("traceparent", TRACE)].into_iter().collect();
    worker.look(Asked { at: proxy.now, head: &head }, proxy.now);
    worker.look(at(proxy.now.plus(Duration::from_millis(1))), proxy.now);
    worker.look(Asked { at: proxy.now, head: &head }, proxy.now);
    tick(&mut proxy, &worker);
    assert_eq!(traces(&proxy), [None], "the newest has none");
}
