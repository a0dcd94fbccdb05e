use proxy_wasm::types::{Action, LogLevel};
use tollgate_core::ports::SharedStore as _;
use tollgate_fakehost::abi;

use super::*;
use crate::testkit::Puppet;

fn configure(root: &mut Root<Puppet>, config: &str) -> bool {
    abi::with(|abi| abi.buffers.insert(7, config.into()));
    root.on_configure(config.len())
}

#[test]
fn a_good_configuration_is_taken_and_the_build_shows() {
    assert!(configure(&mut Root::new(1), "continue"));
    abi::with(|abi| {
        assert_eq!(abi.log, []);
        assert_eq!(abi.metrics[&format!("filter=.=puppet;.;version=.={VERSION};.;gateway_build_info")], 1);
    });
}

#[test]
fn a_filter_is_told_which_part_of_it_this_is() {
    abi::with(|abi| abi.properties.insert(b"plugin_root_id".to_vec(), b"adapt".to_vec()));
    configure(&mut Root::new(1), "continue");
    assert_eq!(HostStore.get("root").map(|root| root.value).as_deref(), Some(&b"adapt"[..]));
}

#[test]
fn no_plugin_configuration_is_an_empty_one() {
    assert!(Root::<Puppet>::new(1).on_configure(0));
}

#[test]
fn a_refusal_is_one_line_with_the_path() {
    assert!(!configure(&mut Root::new(1), "bad"));
    abi::with(|abi| {
        let line = "tollgate puppet: configuration refused: limits[0].tokens: must be above 0, not below";
        assert_eq!(abi.log, [(LogLevel::Error as u32, line.into())]);
        assert!(abi.metrics.is_empty(), "a build that refused does not serve");
    });
}

#[test]
fn a_refused_configuration_leaves_the_old_one_serving() {
    let mut root = Root::new(1);
    assert!(configure(&mut root, "continue"));
    assert!(!configure(&mut root, "bad"));
    let mut call = root.create_http_context(2).unwrap();
    assert_eq!(call.on_http_request_headers(0, true), Action::Continue);
}

#[test]
fn a_call_before_any_configuration_is_refused() {
    let mut call = Root::<Puppet>::new(1).create_http_context(2).unwrap();
    assert_eq!(call.on_http_request_headers(0, false), Action::Pause);
    assert_eq!(call.on_http_request_body(3, true), Action::Pause);
    assert_eq!(call.on_http_response_headers(0, false), Action::Continue, "its own refusal goes out");
    call.on_log();
    abi::with(|abi| {
        assert_eq!(abi.replies.len(), 1);
        assert_eq!(abi.replies[0].status, 503);
        assert_eq!(abi.log.len(), 1);
    });
}

#[test]
fn root_contexts_open_calls() {
    assert_eq!(Root::<Puppet>::new(1).get_type(), Some(ContextType::HttpContext));
}

#[test]
fn the_end_of_a_configuration_is_told_once_it_was_one() {
    drop(Root::<Puppet>::new(1));
    let left = || HostStore.get("ended").map(|left| left.value);
    assert_eq!(left(), None);
    let mut root = Root::new(1);
    configure(&mut root, "continue");
    assert!(!configure(&mut root, "bad"));
    drop(root);
    assert_eq!(left().as_deref(), Some(&b"continue"[..]));
}
