use proxy_wasm::traits::{Context as _, HttpContext, RootContext as _};
use proxy_wasm::types::{Action, LogLevel};
use tollgate_fakehost::abi;

use super::*;
use crate::root::Root;
use crate::testkit::Puppet;

const ROOT: u32 = 1;
const CALL: u32 = 2;

fn root(order: &str) -> Root<Puppet> {
    let mut root = Root::new(ROOT);
    abi::with(|abi| {
        abi.context = ROOT;
        abi.buffers.insert(7, order.into())
    });
    assert!(root.on_configure(order.len()));
    root
}

/// A suspended call.
fn suspended(root: &Root<Puppet>, context: u32, last: bool) -> Box<dyn HttpContext> {
    let mut call = root.create_http_context(context).unwrap();
    assert_eq!(call.on_http_request_headers(0, last), Action::Pause);
    call
}

fn tick(root: &mut Root<Puppet>, verdict: &str) {
    Puppet::decide(verdict);
    root.on_tick();
    assert_eq!(abi::with(|abi| abi.context), ROOT, "hostcalls speak for the root again");
}

fn continued() -> Vec<u32> {
    abi::with(|abi| abi.continued.clone())
}

fn replies() -> Vec<(u32, u32)> {
    abi::with(|abi| abi.replies.iter().map(|reply| (reply.context, reply.status)).collect())
}

#[test]
fn a_suspended_call_goes_on_when_its_filter_says_so() {
    let mut root = root("suspend");
    let _call = suspended(&root, CALL, false);
    tick(&mut root, "stay");
    assert!(continued().is_empty());
    tick(&mut root, "go");
    tick(&mut root, "go");
    assert_eq!((continued(), replies()), (vec![CALL], vec![]));
    assert_eq!(Puppet::saw(), ["request:0", "wake:0", "wake:0"]);
}

#[test]
fn a_suspended_call_can_be_answered() {
    let mut root = root("suspend");
    let mut call = suspended(&root, CALL, false);
    tick(&mut root, "reply");
    tick(&mut root, "reply");
    assert_eq!((continued(), replies()), (vec![], vec![(CALL, 401)]));
    assert_eq!(call.on_http_response_headers(0, false), Action::Continue, "its own answer goes out");
}

#[test]
fn each_call_is_asked_in_its_own_context() {
    let mut root = root("suspend");
    let _calls: Vec<_> = [7, 5, 9].map(|context| suspended(&root, context, true)).into();
    tick(&mut root, "go");
    assert_eq!(continued(), [5, 7, 9]);
}

#[test]
fn a_call_that_is_over_or_gone_is_not_asked() {
    let mut root = root("suspend");
    let mut over = suspended(&root, CALL, true);
    let _gone = suspended(&root, 3, true);
    over.on_log();
    abi::with(|abi| abi.gone.insert(3));
    tick(&mut root, "go");
    abi::with(|abi| abi.gone.clear());
    tick(&mut root, "go");
    assert_eq!((continued(), replies()), (vec![], vec![]));
}

#[test]
fn an_answer_of_envoy_ends_the_wait() {
    let mut root = root("suspend");
    let mut call = suspended(&root, CALL, true);
    assert_eq!(call.on_http_response_headers(0, false), Action::Continue);
    tick(&mut root, "reply");
    assert_eq!((continued(), replies()), (vec![], vec![]));
}

/// With `allow_on_headers_stop_iteration` the body comes while the head is held, and one Continue would let both go.
#[test]
fn a_body_that_comes_meanwhile_is_held_and_then_seen_whole() {
    let mut root = root("suspend");
    let mut call = suspended(&root, CALL, false);
    abi::with(|abi| abi.buffers.insert(0, b"abcd".to_vec()));
    assert_eq!(call.on_http_request_body(2, false), Action::Pause);
    assert_eq!(call.on_http_request_body(4, true), Action::Pause);
    tick(&mut root, "go");
    assert_eq!(continued(), [CALL]);
    assert_eq!(Puppet::saw(), ["request:0", "wake:0", "request-body:abcd:last"]);
}

#[test]
fn a_body_that_is_still_coming_is_let_go_by_its_next_piece() {
    let mut root = root("suspend");
    let mut call = suspended(&root, CALL, false);
    abi::with(|abi| abi.buffers.insert(0, b"abcd".to_vec()));
    assert_eq!(call.on_http_request_body(2, false), Action::Pause);
    tick(&mut root, "go");
    assert!(continued().is_empty(), "in the middle Envoy would lose or double a piece");
    assert_eq!(call.on_http_request_body(4, true), Action::Continue);
    assert_eq!(Puppet::saw(), ["request:0", "wake:0", "request-body:abcd:last"]);
}

#[test]
fn trailers_that_come_meanwhile_are_held_too() {
    let mut root = root("suspend");
    let mut call = suspended(&root, CALL, false);
    assert_eq!(call.on_http_request_trailers(1), Action::Pause);
    tick(&mut root, "go");
    assert_eq!(continued(), [CALL]);
}

#[test]
fn a_filter_that_answers_nonsense_is_refused() {
    let mut root = root("suspend");
    let _call = suspended(&root, CALL, false);
    tick(&mut root, "wait");
    assert_eq!((continued(), replies()), (vec![], vec![(CALL, 503)]));
}

#[test]
fn a_body_or_an_answer_cannot_be_suspended() {
    let root = root("suspend-late");
    let mut call = root.create_http_context(CALL).unwrap();
    assert_eq!(call.on_http_response_headers(0, false), Action::Pause);
    let mut call = root.create_http_context(3).unwrap();
    assert_eq!(call.on_http_request_body(0, false), Action::Pause);
    assert_eq!(abi::with(|abi| abi.replies.iter().map(|reply| reply.status).collect::<Vec<_>>()), [503, 503]);
}

#[test]
fn beyond_the_most_calls_are_refused() {
    let root = root("suspend");
    let most = u32::try_from(MOST).unwrap();
    let _calls: Vec<_> = (0..most).map(|context| suspended(&root, context, true)).collect();
    assert_eq!(replies(), []);
    let mut refused: Vec<_> = (most..most + 3).map(|context| suspended(&root, context, true)).collect();
    assert_eq!(replies().iter().map(|(_, status)| *status).collect::<Vec<_>>(), [503, 503, 503]);
    assert_eq!(refused[0].on_http_response_headers(0, true), Action::Continue, "its own refusal goes out");
    assert_eq!(abi::with(|abi| abi.log.len()), 1, "callers do not set the rate of the log");
}

#[test]
fn the_tick_is_asked_for_once_and_is_never_none_by_rounding() {
    assert_eq!(millis(Duration::from_micros(10)), 1);
    let mut root = root("suspend");
    assert_eq!(abi::with(|abi| abi.tick_period), 10);
    abi::with(|abi| abi.tick_period = 77);
    tick(&mut root, "go");
    assert_eq!(abi::with(|abi| abi.tick_period), 77, "asked only when it changes");
    abi::reset();
    self::root("continue");
    assert_eq!(abi::with(|abi| abi.tick_period), 0);
}

#[test]
fn a_callout_goes_out_at_a_tick_and_its_answer_reaches_the_filter() {
    let mut root = root("suspend");
    abi::with(|abi| abi.clusters.insert("keys".into()));
    root.on_tick();
    let sent = abi::with(|abi| abi.callouts[0].clone());
    assert_eq!((&*sent.cluster, sent.timeout), ("keys", 5_000));
    abi::with(|abi| {
        abi.maps.insert(6, vec![(":status".into(), b"200".to_vec()), ("etag".into(), vec![0xff])]);
        abi.buffers.insert(4, b"[]".to_vec());
    });
    root.on_http_call_response(0, 2, 2, 0);
    root.on_http_call_response(1, 0, 0, 0);
    let info = LogLevel::Info as u32;
    assert_eq!(
        abi::with(|abi| abi.log.clone()),
        [
            (info, "tollgate puppet: CalloutId(0) Some(200) 2 []".into()),
            (info, "tollgate puppet: CalloutId(1) None 0 ".into()),
        ]
    );
}

#[test]
fn a_cluster_that_the_proxy_does_not_know_sends_nothing() {
    let mut root = root("suspend");
    root.on_tick();
    assert_eq!(abi::with(|abi| abi.callouts.len()), 0);
}
