//! Gateways that end in an orderly way take no call with them.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use tollgate_tests::client::unique;
use tollgate_tests::front::Deployment;
use tollgate_tests::front::calls::{Calls, expect_all_good, places};
use tollgate_tests::on_deployments;

const RATE: u32 = 100;
const ZONES: [&str; 2] = ["zone-a.primary", "zone-b.primary"];
const SOME_TIME: Duration = Duration::from_secs(1);

/// Ends a gateway as its container does, which then has no call left.
async fn end(deployment: &Deployment, place: &str) {
    let member = deployment.member(place);
    member.announce_end().await;
    deployment.wait_for(place, false).await;
    member.end().await;
}

on_deployments!(a_gateway_that_drains_gets_no_new_calls_and_its_streams_finish, ZONES, async |deployment| {
    let streams = (0..10).map(|_| {
        let body = serde_json::json!({"model": "gpt-4.1", "stream": true, "messages": [{"role": "user", "content": unique("prompt")}]});
        let key = deployment.secrets.api_key("acme").unwrap();
        let call = tollgate_tests::client::Call::post(&deployment.url("/v1/chat/completions"), &body).bearer(&key);
        call.told("chunk-delay-ms", 100).told("words", 60).open()
    });
    let streams = join_all(streams).await;
    let drained = deployment.member(ZONES[0]);
    assert_eq!(drained.calls_under_way().await, Some(10));
    drained.announce_end().await;
    // Its next answer, or the next health check, says so.
    deployment.wait_for(ZONES[0], false).await;
    let outcomes = Calls::during(deployment, RATE, SOME_TIME).await;
    expect_all_good(deployment, &outcomes).await;
    assert_eq!(places(deployment, &outcomes).await, BTreeMap::from([(ZONES[1].to_owned(), outcomes.len())]));
    assert_eq!(drained.calls_under_way().await, Some(10), "they still run");
    let (answers, ()) = tokio::join!(join_all(streams.into_iter().map(|stream| stream.rest())), drained.end());
    for answer in answers {
        assert!(answer.is_whole && answer.text().contains("[DONE]"), "{answer}");
        assert_eq!(answer.header("x-envoy-immediate-health-check-fail"), None);
    }
});

on_deployments!(a_rolling_restart_fails_no_call, ZONES, async |deployment| {
    let calls = Calls::start(deployment, RATE);
    for zone in ZONES {
        tokio::time::sleep(SOME_TIME).await;
        end(deployment, zone).await;
        deployment.restart(zone).await;
    }
    tokio::time::sleep(SOME_TIME).await;
    let outcomes = calls.finish().await;
    expect_all_good(deployment, &outcomes).await;
    assert_eq!(places(deployment, &outcomes).await.into_keys().collect::<Vec<_>>(), ZONES);
});
