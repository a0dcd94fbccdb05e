use tollgate_core::Timestamp;
use tollgate_core::handoff::REPLY;
use tollgate_fakehost::abi;

use super::*;
use crate::ports::{HostMeter, HostStore};
use crate::testkit::Puppet;
use crate::wire;

const REQUEST: u32 = 0;
const RESPONSE: u32 = 1;

fn call(order: &str) -> Http<Puppet> {
    let mut meter = HostMeter;
    let mut setup = tollgate_core::Setup {
        config: order.as_bytes(),
        root: "",
        env: &tollgate_fakehost::FakeEnvironment::default(),
        now: Timestamp::default(),
        random: [7; 16],
        store: &HostStore,
        meter: &mut meter,
    };
    Http::open(2, Some(&Rc::new(Puppet::configure(&mut setup).unwrap())), &Rc::default(), None)
}

/// What Envoy shows in the next body callback.
fn shows(buffer: u32, bytes: &str) -> usize {
    abi::with(|abi| abi.buffers.insert(buffer, bytes.into()));
    bytes.len()
}

fn statuses() -> Vec<u32> {
    abi::with(|abi| abi.replies.iter().map(|reply| reply.status).collect())
}

fn log_lines() -> usize {
    abi::with(|abi| abi.log.len())
}

#[test]
fn phases_pass_in_order_and_the_log_comes_once() {
    abi::with(|abi| abi.now = 77);
    let mut call = call("continue");
    assert_eq!(call.on_http_request_headers(0, false), Action::Continue);
    assert_eq!(call.on_http_request_body(shows(REQUEST, "ab"), true), Action::Continue);
    assert_eq!(call.on_http_response_headers(0, false), Action::Continue);
    assert_eq!(call.on_http_response_body(shows(RESPONSE, "cd"), false), Action::Continue);
    assert_eq!(call.on_http_response_body(0, true), Action::Continue);
    call.on_log();
    call.on_log();
    assert_eq!(
        Puppet::saw(),
        ["request:0", "request-body:ab:last", "response:0", "response-body:cd", "response-body::last", "log@77"]
    );
    assert_eq!((statuses(), log_lines()), (vec![], 0));
}

#[test]
fn header_bytes_that_are_no_text_reach_the_filter() {
    abi::with(|abi| abi.maps.insert(0, vec![("x-odd".into(), vec![0xff, 0xfe])]));
    assert_eq!(call("continue").on_http_request_headers(1, true), Action::Continue);
    assert_eq!(Puppet::saw(), ["request:1"]);
}

#[test]
fn a_held_body_grows_until_its_end() {
    let mut call = call("hold-replace");
    call.on_http_request_headers(0, false);
    assert_eq!(call.on_http_request_body(shows(REQUEST, "ab"), false), Action::Pause);
    assert_eq!(call.on_http_request_body(shows(REQUEST, "abcd"), false), Action::Pause);
    assert_eq!(call.on_http_request_body(shows(REQUEST, "abcd"), true), Action::Continue);
    assert_eq!(
        Puppet::saw()[1..],
        ["request-body:ab", "request-body:abcd", "request-body:abcd:last", "replaced=true"]
    );
    assert_eq!(abi::with(|abi| abi.buffers[&REQUEST].clone()), b"other");
}

#[test]
fn a_body_that_does_not_matter_goes_on_unseen() {
    let mut call = call("heads");
    call.on_http_request_headers(0, false);
    assert_eq!(call.on_http_request_body(shows(REQUEST, "ab"), false), Action::Continue);
    assert_eq!(call.on_http_request_trailers(1), Action::Continue);
    assert_eq!(Puppet::saw(), ["request:0"]);
}

#[test]
fn trailers_end_a_body_with_all_that_is_held() {
    let mut call = call("hold-replace");
    call.on_http_request_headers(0, false);
    assert_eq!(call.on_http_request_body(shows(REQUEST, "ab"), false), Action::Pause);
    assert_eq!(call.on_http_request_trailers(1), Action::Continue);
    assert_eq!(call.on_http_request_trailers(1), Action::Continue);
    assert_eq!(Puppet::saw()[1..], ["request-body:ab", "request-body:ab:last", "replaced=true"]);
}

#[test]
fn trailers_do_not_show_again_what_went_on() {
    let mut call = call("continue");
    call.on_http_response_headers(0, false);
    call.on_http_response_body(shows(RESPONSE, "ab"), false);
    abi::with(|abi| abi.buffers.clear());
    assert_eq!(call.on_http_response_trailers(1), Action::Continue);
    assert_eq!(Puppet::saw()[1..], ["response-body:ab", "response-body::last"]);
}

#[test]
fn trailers_do_not_show_again_what_was_held_and_then_went_on() {
    let mut call = call("hold-first");
    call.on_http_response_headers(0, false);
    assert_eq!(call.on_http_response_body(shows(RESPONSE, "ab"), false), Action::Pause);
    assert_eq!(call.on_http_response_body(shows(RESPONSE, "abcd"), false), Action::Continue);
    assert_eq!(call.on_http_response_trailers(1), Action::Continue);
    assert_eq!(Puppet::saw()[1..], ["response-body:ab", "response-body:abcd", "response-body::last"]);
}

#[test]
fn trailers_show_what_was_put_into_a_held_body() {
    let mut call = call("hold-changed");
    call.on_http_request_headers(0, false);
    assert_eq!(call.on_http_request_body(shows(REQUEST, "ab"), false), Action::Pause);
    assert_eq!(call.on_http_request_trailers(1), Action::Continue);
    assert_eq!(Puppet::saw()[1..], ["request-body:ab", "request-body:changed:last"]);
}

#[test]
fn a_body_that_ended_is_not_ended_by_trailers() {
    let mut call = call("continue");
    call.on_http_request_headers(0, false);
    call.on_http_request_body(shows(REQUEST, "ab"), true);
    call.on_http_request_trailers(1);
    call.on_http_response_headers(0, true);
    call.on_http_response_trailers(1);
    assert_eq!(Puppet::saw(), ["request:0", "request-body:ab:last", "response:0"]);
}

#[test]
fn held_headers_are_refused() {
    for response in [false, true] {
        abi::reset();
        let mut call = call("wait");
        let action =
            if response { call.on_http_response_headers(0, false) } else { call.on_http_request_headers(0, false) };
        assert_eq!(action, Action::Pause);
        assert_eq!((statuses(), log_lines()), (vec![503], 1));
    }
}

#[test]
fn a_finished_body_is_never_held() {
    let mut call = call("wait-body");
    call.on_http_request_headers(0, false);
    assert_eq!(call.on_http_request_body(shows(REQUEST, "ab"), true), Action::Continue);
    call.on_http_response_headers(0, false);
    assert_eq!(call.on_http_response_body(shows(RESPONSE, "cd"), false), Action::Pause);
    assert_eq!(call.on_http_response_trailers(1), Action::Continue);
    assert_eq!((statuses(), log_lines()), (vec![], 2));
}

#[test]
fn an_own_reply_does_not_come_back() {
    let mut call = call("reply");
    assert_eq!(call.on_http_request_headers(0, false), Action::Pause);
    assert_eq!(call.on_http_request_body(shows(REQUEST, "ab"), true), Action::Pause);
    assert_eq!(call.on_http_request_trailers(1), Action::Pause);
    assert_eq!(call.on_http_response_headers(0, false), Action::Continue);
    assert_eq!(call.on_http_response_body(shows(RESPONSE, "{}"), true), Action::Continue);
    assert_eq!(call.on_http_response_trailers(1), Action::Continue);
    call.on_log();
    assert_eq!(Puppet::saw(), ["request:0", "log@0"]);
    assert_eq!(statuses(), [429]);
}

#[test]
fn a_reply_carries_its_headers_clean_and_names_its_filter() {
    call("reply").on_http_request_headers(0, false);
    let (reply, left) = abi::with(|abi| (abi.replies[0].clone(), abi.properties[REPLY.as_bytes()].clone()));
    assert_eq!(
        wire::decode_pairs(reply.headers).iter().collect::<Vec<_>>(),
        [(&b"content-type"[..], &b"application/json"[..]), (b"x-model", b"ab")]
    );
    assert_eq!(
        (reply.status, &*reply.details, &*reply.body, &*left),
        (429, "tollgate_puppet", &b"{}"[..], &b"puppet"[..])
    );
}

#[test]
fn a_body_can_be_answered_at_its_end() {
    let mut call = call("hold-reply");
    call.on_http_request_headers(0, false);
    assert_eq!(call.on_http_request_body(shows(REQUEST, "ab"), false), Action::Pause);
    assert_eq!(call.on_http_request_trailers(1), Action::Pause);
    assert_eq!(statuses(), [403]);
}

#[test]
fn a_reply_on_the_response_path_is_not_called_local() {
    call("reply").on_http_response_headers(0, false);
    assert_eq!(statuses(), [429]);
    assert!(!abi::with(|abi| abi.properties.contains_key(REPLY.as_bytes())), "the provider did have a say");
}

#[test]
fn an_attempt_upstream_ends_without_a_log_phase_and_every_call_ends_once() {
    let mut attempt = call("continue");
    assert!(attempt.on_done());
    assert_eq!(Puppet::saw().len(), 1, "{:?}", Puppet::saw());
    let mut both = call("continue");
    both.on_log();
    assert!(both.on_done());
    assert_eq!(Puppet::saw().len(), 2, "{:?}", Puppet::saw());
}

#[test]
fn a_reply_that_is_not_taken_becomes_a_refusal() {
    abi::with(|abi| abi.refuse_replies = 1);
    assert_eq!(call("reply").on_http_request_headers(0, false), Action::Pause);
    assert_eq!((statuses(), log_lines()), (vec![503], 1));
}

#[test]
fn an_unknown_status_from_every_hostcall_ends_no_worker() {
    for order in ["continue", "wait", "reply", "wait-body", "hold", "hold-reply", "hold-replace"] {
        abi::reset();
        abi::with(|abi| abi.fail_with = Some(12));
        let mut call = call(order);
        let head = call.on_http_request_headers(3, false);
        assert_eq!(
            head == Action::Pause,
            matches!(order, "wait" | "reply"),
            "{order}: what was refused must not pass"
        );
        call.on_http_request_body(3, false);
        call.on_http_request_trailers(1);
        call.on_http_response_headers(3, false);
        call.on_http_response_body(3, false);
        call.on_http_response_trailers(1);
        call.on_log();
    }
}
