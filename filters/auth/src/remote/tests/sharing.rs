//! Workers beside each other: the lease, the document that they share, and what one of them may do to it.

use super::*;

#[test]
fn a_worker_that_died_with_the_lease_is_overtaken_and_its_late_answer_ignored() {
    let (mut proxy, dead, alive) = (proxy(), worker(), worker());
    tick(&mut proxy, &dead);
    pass(&mut proxy, 6);
    tick(&mut proxy, &alive);
    assert_eq!(proxy.callouts.sent().len(), 1);
    pass(&mut proxy, 1);
    tick(&mut proxy, &alive);
    assert_eq!(proxy.callouts.sent().len(), 2);
    ok(&mut proxy, &alive, "new");
    let mut late = Change::default();
    let body = FakeBody(b"old".to_vec());
    let answer = Answer { status: Some(200), headers: HeaderList::default(), body: &body };
    proxy.background(|cx| late = dead.answer(cx, CalloutId(0), &answer));
    assert_eq!((text(&dead), text(&alive)), (Some("new".into()), Some("new".into())));
}

#[test]
fn a_worker_whose_configuration_ends_gives_the_lease_back() {
    let (mut proxy, old, new) = (proxy(), worker(), worker());
    tick(&mut proxy, &old);
    tick(&mut proxy, &new);
    assert_eq!(proxy.callouts.sent().len(), 1);
    old.release(&proxy.store);
    tick(&mut proxy, &new);
    assert_eq!(proxy.callouts.sent().len(), 2);
    ok(&mut proxy, &new, "one");
    old.release(&proxy.store);
    assert_eq!(text(&new), Some("one".into()));
}

#[test]
fn a_document_that_cannot_be_read_back_is_fetched_whole() {
    let (mut proxy, worker) = (proxy(), worker());
    tick(&mut proxy, &worker);
    ok(&mut proxy, &worker, "one");
    assert!(proxy.store.put(&worker.address.document_key(), b"half", Expect::Anything));
    let fresh = self::worker();
    fresh.load(&proxy.store, proxy.now);
    assert_eq!(text(&fresh), None);
    pass(&mut proxy, 5);
    tick(&mut proxy, &fresh);
    let sent = proxy.callouts.sent();
    assert_eq!(sent.len(), 2);
    assert!(!sent[1].headers.iter().any(|(name, _)| name == "if-none-match"));
    ok(&mut proxy, &fresh, "one");
    assert_eq!(text(&fresh), Some("one".into()));
}

/// What a server gives may depend on who asks.
#[test]
fn another_clients_list_is_another_list() {
    let (mut proxy, worker, mut other) = (proxy(), worker(), worker());
    other.address.bearer = Some("another".into());
    tick(&mut proxy, &worker);
    ok(&mut proxy, &worker, "one");
    other.load(&proxy.store, proxy.now);
    assert_eq!(text(&other), None);
    assert!(!worker.address.record_key().contains("secret"));
}

/// Each worker that has to wait would else spend one of the few fetches that callers can cause.
#[test]
fn what_another_worker_brought_is_looked_at_before_anything_is_fetched() {
    let (mut proxy, first, second) = (proxy(), worker(), worker());
    tick(&mut proxy, &first);
    ok(&mut proxy, &first, "one");
    tick(&mut proxy, &second);
    pass(&mut proxy, 1);
    first.look(at(proxy.now), proxy.now);
    tick(&mut proxy, &first);
    pass(&mut proxy, 1);
    ok(&mut proxy, &first, "two");
    // It came after that attempt began, so the attempt alone would not do for it.
    let asked = proxy.now;
    assert_eq!(second.look(at(asked), proxy.now), Look::Wait);
    assert_eq!(tick(&mut proxy, &second), Change { document: true, wake: true });
    assert_eq!((proxy.callouts.sent().len(), text(&second)), (2, Some("two".into())));
    assert_eq!(second.look(at(asked), proxy.now), Look::Wait, "still missed: now it is asked for");
    tick(&mut proxy, &second);
    assert_eq!(proxy.callouts.sent().len(), 3);
}

/// To read a long list takes its time, in which the lease may end.
#[test]
fn who_was_overtaken_while_reading_writes_over_nothing_newer() {
    let (mut proxy, mut worker) = (proxy(), worker());
    let (store, key) = (proxy.store.clone(), worker.address.record_key());
    worker.read = Box::new(move |bytes| {
        let mut record = Record::decode(&store.get(&key).unwrap().value).unwrap();
        record.started += 1;
        store.put(&key, &record.encode(), Expect::Anything);
        Ok(String::from_utf8_lossy(bytes).into_owned())
    });
    tick(&mut proxy, &worker);
    assert_eq!(ok(&mut proxy, &worker, "old"), Change::default());
    assert_eq!((text(&worker), fetches(&proxy, "fetched")), (None, 0));
    assert!(proxy.store.get(&worker.address.document_key()).is_none());
}

#[test]
fn writers_beside_it_do_not_lose_its_document() {
    let (mut proxy, worker) = (proxy(), worker());
    tick(&mut proxy, &worker);
    proxy.store.refuse_next(3);
    ok(&mut proxy, &worker, "one");
    assert_eq!((fetches(&proxy, "fetched"), text(&worker)), (1, Some("one".into())));
}
