//! A gateway that has too much to do says so at once and in the caller's dialect, keeps what it began, shows what it does to
//! who watches, and serves again when there is room.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::sleep;
use tollgate_tests::client::http2::Http2Client;
use tollgate_tests::client::raw::{RawClient, post};
use tollgate_tests::client::{Call, http, unique};
use tollgate_tests::gateway::{Gateway, Setup, chat_body, wait_until};
use tollgate_tests::on_own_envoys;

const CHAT: &str = "/v1/chat/completions";
const MESSAGES: &str = "/v1/messages";
const GEMINI: &str = "/v1beta/models/gemini-2.5-flash:generateContent";
const HEAP: &str =
    "overload_manager/resource_monitors/envoy.resource_monitors.fixed_heap/typed_config/max_heap_size_bytes";
const CONNECTIONS: &str = "overload_manager/resource_monitors/envoy.resource_monitors.global_downstream_max_connections/typed_config/max_active_downstream_connections";
/// Connections in place of the committed number.
const FEW: usize = 40;
/// Bytes of one body that is held, of which all together are more than there is room for.
const HELD: usize = 6 << 20;
const HOLDERS: usize = 24;

/// A heap that is full from the start. Connections are taken, so that calls are answered.
fn full() -> Setup {
    let setup = Setup::default().set(HEAP, json!(1 << 20));
    ["stop_accepting_connections", "reset_high_memory_stream"].iter().fold(setup, |setup, action| {
        setup.set(&format!("overload_manager/actions/envoy.overload_actions.{action}"), Value::Null)
    })
}

async fn assert_watched(gateway: &Gateway, what: &str) {
    let url = format!("http://{}/metrics", gateway.envoy.metrics());
    let page = http().get(url).send().await.unwrap().error_for_status().unwrap().text().await.unwrap();
    assert!(page.contains(what), "no {what} in {page}");
}

on_own_envoys!(a_full_gateway_says_so_in_the_dialect, full(), async |gateway| {
    wait_until("it is full", async || {
        gateway.envoy.stat("overload.envoy.overload_actions.stop_accepting_requests.active").await == Some(1)
    })
    .await;
    for (path, kind) in [(CHAT, "/error/type"), (MESSAGES, "/error/type"), (GEMINI, "/error/status")] {
        let answer = gateway.post(path, &chat_body("x")).send().await.expect(503);
        let body = answer.json();
        let wanted = match path {
            CHAT => "server_error",
            MESSAGES => "overloaded_error",
            _ => "UNAVAILABLE",
        };
        assert_eq!(body.pointer(kind).unwrap(), wanted, "{answer}");
        assert!(answer.number("retry-after") > 0);
        assert_eq!(answer.header("x-envoy-local-overloaded"), Some("true"), "a front asks another gateway");
    }
    Call::get(&gateway.url("/health/ready")).send().await.expect(503);
    assert_eq!(gateway.envoy.stat("http.gateway.downstream_rq_overload_close").await, Some(4));
    assert_watched(gateway, "envoy_overload_envoy_overload_actions_stop_accepting_requests_active{} 1").await;
    assert!(gateway.provider.requests().is_empty());
});

on_own_envoys!(
    bodies_that_fill_the_heap_are_let_go_and_others_are_served,
    Setup::default().set(HEAP, json!(160 << 20)),
    async |gateway| {
        let bearer = format!("Bearer {}", gateway.key("acme"));
        let (mut clients, mut held) = (Vec::new(), Vec::new());
        for _ in 0..HOLDERS {
            let mut client = Http2Client::connect(gateway.envoy.gateway()).await;
            held.push(client.hold(CHAT, &[("authorization", &bearer)], HELD).await);
            clients.push(client);
        }
        wait_until("calls are ended for want of memory", async || {
            let ended = gateway.envoy.stat("envoy.overload_actions.reset_high_memory_stream.count").await;
            ended > Some(0)
        })
        .await;
        // There is room again, although nobody took a body back.
        wait_until("another call is served", async || {
            let open = gateway.chat(&unique("prompt")).try_open().await;
            open.is_some_and(|answer| answer.status == 200)
        })
        .await;
        let mut ended = 0;
        for call in &mut held {
            ended += usize::from(call.is_over(Duration::from_millis(10)).await);
        }
        assert!(ended > 0, "nobody was let go");
        assert!(gateway.provider.requests().iter().all(|request| request.body_bytes < HELD));
    }
);

on_own_envoys!(connections_are_so_many_and_no_more, Setup::default().set(CONNECTIONS, json!(FEW)), async |gateway| {
    let mut first = RawClient::connect(gateway.envoy.gateway()).await;
    let held = join_all((1..FEW).map(|_| RawClient::connect(gateway.envoy.gateway()))).await;
    wait_until("all are taken", async || {
        gateway.envoy.stat("http.gateway.downstream_cx_active").await == Some(FEW as u64)
    })
    .await;
    assert!(gateway.chat(&unique("prompt")).try_open().await.is_none(), "one more was taken");
    // Calls on those that are there go on, and who watches is let in.
    let bearer = format!("authorization: Bearer {}", gateway.key("acme"));
    first.write(&post(CHAT, &[bearer.as_bytes()], chat_body(&unique("prompt")).to_string().as_bytes())).await;
    assert_eq!(first.read().await.unwrap().status, 200);
    assert_watched(gateway, "downstream_global_cx_overflow").await;
    // No reason to start it anew.
    Call::get(&format!("http://{}/health/live", gateway.envoy.metrics())).send().await.expect(200);
    drop(held);
    wait_until("there is room again", async || {
        gateway.chat(&unique("prompt")).try_open().await.is_some_and(|answer| answer.status == 200)
    })
    .await;
});

on_own_envoys!(a_reader_that_does_not_read_costs_little, async |gateway| {
    let bearer = format!("authorization: Bearer {}", gateway.key("acme"));
    let before = gateway.envoy.stat("server.memory_allocated").await.unwrap();
    let mut clients = Vec::new();
    for _ in 0..20 {
        let mut body = chat_body(&unique("prompt"));
        body["stream"] = json!(true);
        let lines: [&[u8]; 3] = [bearer.as_bytes(), b"x-provider-words: 100000", b"x-provider-no-limit: 1"];
        let mut client = RawClient::connect(gateway.envoy.gateway()).await;
        client.write(&post(CHAT, &lines, body.to_string().as_bytes())).await;
        clients.push(client);
    }
    sleep(Duration::from_secs(3)).await;
    let after = gateway.envoy.stat("server.memory_allocated").await.unwrap();
    assert!(after < before + (20 << 20), "{before} bytes before, {after} with 20 readers that do not read");
});
