use std::cell::Cell;
use std::time::Duration;

use tollgate_core::ports::{Attributes, Body, Expect, Handoff, Headers, Meter, RouteChoice, SharedStore};
use tollgate_fakehost::{FakeStore, abi};

use super::*;

/// A status that the SDK's match arms do not know.
const UNKNOWN_STATUS: u32 = 12;

/// The law of the store, for every store.
fn obeys_the_law_of_the_store(store: &dyn SharedStore) {
    assert_eq!(store.get("k"), None, "nothing was written");
    assert!(store.put("k", b"one", Expect::Absent));
    assert!(!store.put("k", b"two", Expect::Absent), "insert-if-absent must not overwrite");
    let one = store.get("k").unwrap();
    assert_eq!(one.value, b"one");

    assert!(store.put("k", b"two", Expect::Version(one.version)));
    assert!(!store.put("k", b"three", Expect::Version(one.version)), "somebody wrote in between");
    assert_eq!(store.get("k").unwrap().value, b"two");

    assert!(store.put("k", b"", Expect::Anything));
    assert_eq!(store.get("k"), None, "empty counts as absent");
    assert!(store.put("k", b"four", Expect::Absent), "an emptied key can be written again");
    assert_eq!(store.get("k").unwrap().value, b"four");

    assert!(store.put("other", b"made", Expect::Version(7)), "Envoy makes a missing key, whatever the version");
    assert!(!store.put("k", b"five", Expect::Version(0)), "no version is 0");
}

#[test]
fn the_host_store_obeys_the_law() {
    obeys_the_law_of_the_store(&HostStore);
}

#[test]
fn the_store_in_memory_obeys_the_same_law() {
    obeys_the_law_of_the_store(&FakeStore::default());
}

#[test]
fn header_bytes_that_are_no_text_come_through() {
    abi::with(|abi| abi.maps.insert(0, vec![("x-odd".into(), vec![0xff, 0xfe]), ("x-odd".into(), vec![])]));
    let mut headers = HostHeaders(MapType::HttpRequestHeaders);
    assert_eq!(headers.all().iter().collect::<Vec<_>>(), [(&b"x-odd"[..], &[0xff, 0xfe][..]), (b"x-odd", &[])]);
    headers.set("x-odd", b"\xfd\r\n");
    assert_eq!(
        headers.all().values("x-odd").collect::<Vec<_>>(),
        [[0xfd]],
        "one value, and no line break of the caller's"
    );
    headers.remove("x-odd");
    assert!(headers.all().is_empty());
}

#[test]
fn a_header_map_of_another_phase_is_empty() {
    let mut headers = HostHeaders(MapType::HttpResponseHeaders);
    headers.set("a", b"b");
    headers.remove("a");
    assert!(headers.all().is_empty());
}

#[test]
fn a_body_is_replaced_as_a_whole() {
    abi::with(|abi| abi.buffers.insert(1, b"long body".to_vec()));
    let mut body = HostBody { buffer: BufferType::HttpResponseBody, len: 9 };
    assert_eq!(body.read(), b"long body");
    assert!(body.replace(b"short"));
    assert_eq!((body.len(), body.read()), (5, b"short".to_vec()));
    let mut gone = HostBody { buffer: BufferType::HttpRequestBody, len: 3 };
    assert!(!gone.replace(b"x"), "there is no request body in this phase");
    assert_eq!((gone.len(), gone.read()), (3, Vec::new()));
}

#[test]
fn hand_offs_are_properties_of_one_part() {
    HostHandoff.set("tollgate_cache", b"hit");
    assert_eq!(HostHandoff.get("tollgate_cache"), Some(b"hit".to_vec()));
    assert_eq!(HostHandoff.get("tollgate_usage"), None);
    assert!(abi::with(|abi| abi.properties.contains_key(&b"tollgate_cache"[..])));
}

#[test]
fn a_metric_is_defined_once_however_often_it_is_used() {
    for _ in 0..3 {
        HostMeter.add("calls", &[("status", "200")], 2);
        HostMeter.set("info", &[], 1);
    }
    HostMeter.add("never", &[], 0);
    abi::with(|abi| {
        assert_eq!(abi.definitions, ["status=.=200;.;calls", "info"]);
        assert_eq!(abi.metrics["status=.=200;.;calls"], 6);
        assert_eq!(abi.metrics["info"], 1);
    });
}

#[test]
fn series_beyond_the_bound_are_not_made() {
    for n in 0..MAX_SERIES + 5 {
        HostMeter.add("n", &[("model", &n.to_string())], 1);
    }
    HostMeter.add("n", &[("model", "0")], 1);
    abi::with(|abi| {
        assert_eq!(abi.definitions.len(), MAX_SERIES);
        assert_eq!(abi.metrics["model=.=0;.;n"], 2, "series that exist still count");
    });
}

#[test]
fn attributes_are_read_from_little_endian_bytes() {
    assert_eq!(HostAttributes.response_code(), None);
    abi::with(|abi| {
        let mut put = |path: &str, value: &[u8]| abi.properties.insert(path.into(), value.to_vec());
        put("response\0code", &429_i64.to_le_bytes());
        put("request\0duration", &1_500_000_000_i64.to_le_bytes());
        put("xds\0route_name", b"chat");
        put("xds\0cluster_name", b"");
    });
    assert_eq!(HostAttributes.response_code(), Some(429));
    assert_eq!(HostAttributes.duration(), Some(Duration::from_millis(1500)));
    assert_eq!(HostAttributes.route_name().as_deref(), Some("chat"));
    assert_eq!(HostAttributes.cluster_name(), None, "an empty name is no name");
}

#[test]
fn odd_attributes_are_missing_ones() {
    for (code, duration) in [(&b"\x01"[..], &b""[..]), (&0_i64.to_le_bytes(), &(-1_i64).to_le_bytes())] {
        abi::with(|abi| {
            abi.properties.insert(b"response\0code".to_vec(), code.to_vec());
            abi.properties.insert(b"request\0duration".to_vec(), duration.to_vec());
            abi.properties.insert(b"xds\0route_name".to_vec(), vec![0xff]);
        });
        assert_eq!(HostAttributes.response_code(), None);
        assert_eq!(HostAttributes.duration(), None);
        assert_eq!(HostAttributes.route_name(), None);
    }
}

#[test]
fn an_unknown_status_of_any_hostcall_is_a_missing_value() {
    abi::with(|abi| abi.fail_with = Some(UNKNOWN_STATUS));
    let mut headers = HostHeaders(MapType::HttpRequestHeaders);
    headers.set("a", b"b");
    headers.remove("a");
    assert!(headers.all().is_empty());
    let mut body = HostBody { buffer: BufferType::HttpRequestBody, len: 4 };
    assert!(body.read().is_empty() && !body.replace(b"x"));
    HostHandoff.set("name", b"value");
    assert_eq!(HostHandoff.get("name"), None);
    assert_eq!(HostStore.get("k"), None);
    for expect in [Expect::Anything, Expect::Absent, Expect::Version(1)] {
        assert!(!HostStore.put("k", b"v", expect));
    }
    HostMeter.add("n", &[], 1);
    HostMeter.set("n", &[], 1);
    assert_eq!(HostAttributes.response_code(), None);
    assert_eq!(HostAttributes.duration(), None);
    assert_eq!(HostAttributes.route_name(), None);
    assert_eq!(crate::abi::now_nanos(), 0);
    crate::abi::log(proxy_wasm::types::LogLevel::Error, "lost");
    assert!(!crate::abi::send_local_response(503, "", &[], b""));
}

#[test]
fn a_series_that_could_not_be_made_is_tried_again() {
    abi::with(|abi| abi.fail_with = Some(UNKNOWN_STATUS));
    HostMeter.add("late", &[], 1);
    abi::with(|abi| abi.fail_with = None);
    HostMeter.add("late", &[], 1);
    assert_eq!(abi::with(|abi| abi.metrics["late"]), 1);
}

#[test]
fn a_forgotten_route_is_a_call_of_envoys_function_and_no_trouble_elsewhere() {
    thread_local! {
        static FORGOTTEN: Cell<u32> = const { Cell::new(0) };
    }
    HostRouteChoice.forget();
    assert_eq!(FORGOTTEN.get(), 0);
    abi::with(|abi| {
        abi.foreign_functions.insert("clear_route_cache".into(), |argument| {
            FORGOTTEN.set(FORGOTTEN.get() + 1);
            Some(argument.to_vec())
        });
    });
    HostRouteChoice.forget();
    assert_eq!(FORGOTTEN.get(), 1);
}

#[test]
fn what_an_endpoint_is_and_why_it_failed_are_attributes() {
    assert_eq!((HostAttributes.endpoint_metadata("provider"), HostAttributes.transport_failure()), (None, None));
    abi::with(|abi| {
        let path = b"xds\0upstream_host_metadata\0filter_metadata\0tollgate\0provider".to_vec();
        abi.properties.insert(path, b"openai".to_vec());
        abi.properties.insert(b"upstream\0transport_failure_reason".to_vec(), b"TLS_error".to_vec());
    });
    assert_eq!(HostAttributes.endpoint_metadata("provider").as_deref(), Some("openai"));
    assert_eq!(HostAttributes.transport_failure().as_deref(), Some("TLS_error"));
}
