mod sharing;
mod waiting;

use tollgate_core::ports::{Expect, SharedStore as _};
use tollgate_core::{HeaderList, metric};
use tollgate_fakehost::{FakeBody, Proxy};

use super::*;

const MOST: usize = 64;
const REFRESH: Duration = Duration::from_secs(60);
const AGE: &str = metric::AUTH_KEYS_AGE;

/// One worker's view of a document that is any text but `bad…`.
fn worker_at(path: &str) -> Remote<String> {
    let address = Address {
        cluster: "keys".into(),
        scheme: "https".into(),
        authority: "keys.example.com".into(),
        path: path.into(),
        refresh: REFRESH,
        timeout: Duration::from_secs(5),
        max_stale: None,
        bearer: Some("secret".into()),
        kind: "text".into(),
    };
    let read = |bytes: &[u8]| match String::from_utf8_lossy(bytes) {
        text if text.starts_with("bad") => Err("it is bad".to_owned()),
        text => Ok(text.into_owned()),
    };
    Remote::new("text", address, MOST, Box::new(read))
}

fn worker() -> Remote<String> {
    worker_at("/text")
}

/// A call that came then, in no trace.
fn at(at: Timestamp) -> Asked<'static> {
    static BARE: std::sync::LazyLock<HeaderList> = std::sync::LazyLock::new(HeaderList::default);
    Asked { at, head: &BARE }
}

fn proxy() -> Proxy {
    Proxy { now: Timestamp::from_secs(1_000), ..Proxy::default() }
}

fn pass(proxy: &mut Proxy, seconds: u64) {
    proxy.now = proxy.now.plus(Duration::from_secs(seconds));
}

fn tick(proxy: &mut Proxy, worker: &Remote<String>) -> Change {
    let mut change = Change::default();
    proxy.background(|cx| change = worker.tick(cx));
    change
}

fn answer(proxy: &mut Proxy, worker: &Remote<String>, headers: &[(&str, &str)], body: &str) -> Change {
    let headers: HeaderList = headers.iter().copied().collect();
    let status = headers.first(":status").and_then(|status| str::from_utf8(status).ok()?.parse().ok());
    let (body, id) = (FakeBody(body.into()), proxy.callouts.newest().unwrap());
    let mut change = Change::default();
    proxy.background(|cx| change = worker.answer(cx, id, &Answer { status, headers, body: &body }));
    change
}

fn ok(proxy: &mut Proxy, worker: &Remote<String>, body: &str) -> Change {
    answer(proxy, worker, &[(":status", "200"), ("content-type", "text/html"), ("etag", "\"1\"")], body)
}

fn text(worker: &Remote<String>) -> Option<String> {
    worker.get().map(|text| text.as_str().to_owned())
}

fn fetches(proxy: &Proxy, result: &str) -> u64 {
    proxy.meter.value(metric::AUTH_KEY_FETCHES, &[("source", "text"), ("result", result)])
}

#[test]
fn one_worker_fetches_and_all_have_it() {
    let (mut proxy, first, second) = (proxy(), worker(), worker());
    tick(&mut proxy, &first);
    tick(&mut proxy, &second);
    let sent = proxy.callouts.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!((sent[0].cluster.as_str(), sent[0].timeout), ("keys", Duration::from_secs(5)));
    for header in [(":path", "/text"), (":authority", "keys.example.com"), ("authorization", "Bearer secret")] {
        assert!(sent[0].headers.contains(&(header.0.into(), header.1.into())), "{header:?}");
    }
    assert_eq!(ok(&mut proxy, &first, "one"), Change { document: true, wake: true });
    assert_eq!(tick(&mut proxy, &second), Change { document: true, wake: true });
    assert_eq!((text(&first), text(&second)), (Some("one".into()), Some("one".into())));
    assert_eq!(tick(&mut proxy, &second), Change::default());
    assert_eq!((fetches(&proxy, "fetched"), proxy.log.take()), (1, vec![]));
}

#[test]
fn a_new_worker_or_configuration_begins_with_what_is_there() {
    let (mut proxy, first) = (proxy(), worker());
    tick(&mut proxy, &first);
    ok(&mut proxy, &first, "one");
    let (same, other) = (worker(), worker_at("/other"));
    same.load(&proxy.store, proxy.now);
    other.load(&proxy.store, proxy.now);
    assert_eq!((text(&same), text(&other)), (Some("one".into()), None));
}

#[test]
fn a_change_is_in_use_within_refresh() {
    let (mut proxy, first, second) = (proxy(), worker(), worker());
    tick(&mut proxy, &first);
    ok(&mut proxy, &first, "one");
    let mut waited = 0;
    while proxy.callouts.sent().len() < 2 {
        pass(&mut proxy, 1);
        waited += 1;
        tick(&mut proxy, &second);
    }
    assert!((46..=52).contains(&waited), "{waited}");
    assert!(proxy.callouts.sent()[1].headers.contains(&("if-none-match".into(), "\"1\"".into())));
    assert_eq!(ok(&mut proxy, &second, "two"), Change { document: true, wake: true }, "the fetcher too");
    tick(&mut proxy, &first);
    assert_eq!(text(&first), Some("two".into()));
    assert!(first.pace() <= Duration::from_secs(1));
}

#[test]
fn an_unchanged_document_is_confirmed_and_read_by_nobody() {
    let (mut proxy, worker) = (proxy(), worker());
    tick(&mut proxy, &worker);
    ok(&mut proxy, &worker, "one");
    for (headers, body) in [(&[(":status", "304")][..], ""), (&[(":status", "200")][..], "one")] {
        pass(&mut proxy, 60);
        tick(&mut proxy, &worker);
        assert_eq!(proxy.meter.value(AGE, &[("source", "text")]), 60);
        assert_eq!(answer(&mut proxy, &worker, headers, body), Change { document: false, wake: true });
        assert_eq!(proxy.meter.value(AGE, &[("source", "text")]), 0);
    }
    assert_eq!(fetches(&proxy, "not_modified"), 2);
}

#[test]
fn the_last_good_document_outlives_all_trouble_and_the_log_says_so_once() {
    let (mut proxy, worker) = (proxy(), worker());
    tick(&mut proxy, &worker);
    ok(&mut proxy, &worker, "one");
    let long = "x".repeat(MOST + 1);
    for (headers, body, result, words) in [
        (&[(":status", "503")][..], "", "unreachable", "their server cannot be reached, or answered 503"),
        (&[(":status", "504")][..], "", "unreachable", "their server was too slow, or answered 504"),
        (
            &[][..],
            "",
            "unreachable",
            "their server broke the connection off, or its answer is too long for the proxy",
        ),
        (&[(":status", "404")][..], "one", "status", "their server answered 404"),
        (&[(":status", "200")][..], "bad", "unreadable", "it is bad"),
        (&[(":status", "200")][..], &long, "too_large", "they take 65 bytes, more than 64"),
        (
            &[(":status", "200"), ("content-encoding", "gzip")][..],
            "one",
            "unreadable",
            "their server compressed them, though it was not asked to",
        ),
    ] {
        let before = fetches(&proxy, result);
        for _ in 0..2 {
            pass(&mut proxy, 60);
            tick(&mut proxy, &worker);
            assert!(!answer(&mut proxy, &worker, headers, body).document);
        }
        assert_eq!(fetches(&proxy, result), before + 2, "{words}");
        let line = format!("warn: keys of text: {words}; the last good ones stay in use");
        assert_eq!(proxy.log.take(), [line]);
        assert_eq!(text(&worker), Some("one".into()));
    }
    pass(&mut proxy, 60);
    tick(&mut proxy, &worker);
    ok(&mut proxy, &worker, "two");
    assert_eq!(proxy.log.take(), ["info: keys of text: fetched again"]);
    assert_eq!(text(&worker), Some("two".into()));
}

#[test]
fn unchanged_without_a_tag_is_no_answer() {
    let (mut proxy, worker) = (proxy(), worker());
    tick(&mut proxy, &worker);
    answer(&mut proxy, &worker, &[(":status", "304")], "");
    assert_eq!((text(&worker), fetches(&proxy, "status")), (None, 1));
}

#[test]
fn a_missing_cluster_is_said_and_tried_again() {
    let (mut proxy, worker) = (proxy(), worker());
    proxy.callouts.refuse("keys");
    for _ in 0..12 {
        tick(&mut proxy, &worker);
        pass(&mut proxy, 1);
    }
    assert_eq!(fetches(&proxy, "unreachable"), 3, "every five seconds");
    let line = "warn: keys of text: the proxy has no cluster \"keys\", or no endpoint in it: configure it; nobody can be \
                let in by them until it is mended";
    assert_eq!(proxy.log.take(), [line]);
    assert_eq!(worker.look(at(proxy.now), proxy.now), Look::Unknown, "nothing is under way, so nobody waits");
}

#[test]
fn a_document_that_is_too_old_is_given_up_where_that_is_wanted() {
    let (mut proxy, mut worker) = (proxy(), worker());
    worker.address.max_stale = Some(REFRESH * 2);
    tick(&mut proxy, &worker);
    ok(&mut proxy, &worker, "one");
    pass(&mut proxy, 120);
    assert!(!tick(&mut proxy, &worker).document);
    pass(&mut proxy, 1);
    assert!(tick(&mut proxy, &worker).document);
    assert_eq!(text(&worker), None);
    answer(&mut proxy, &worker, &[(":status", "503")], "");
    assert_eq!(text(&worker), None);
    pass(&mut proxy, 5);
    tick(&mut proxy, &worker);
    assert!(ok(&mut proxy, &worker, "one").document, "confirmed, so in use again");
    assert_eq!(text(&worker), Some("one".into()));
}

#[test]
fn a_list_that_was_too_old_is_not_taken_up_by_a_new_configuration() {
    let (mut proxy, mut worker, mut fresh) = (proxy(), worker(), worker());
    worker.address.max_stale = Some(REFRESH * 2);
    fresh.address.max_stale = Some(REFRESH * 2);
    tick(&mut proxy, &worker);
    ok(&mut proxy, &worker, "one");
    pass(&mut proxy, 121);
    fresh.load(&proxy.store, proxy.now);
    assert_eq!(text(&fresh), None);
}
