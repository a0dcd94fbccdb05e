//! Zones and regions: calls stay near while somebody near serves, go on elsewhere when nobody does, and come back.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use tollgate_tests::front::Deployment;
use tollgate_tests::front::calls::{Calls, Outcome, expect_all_good, places};
use tollgate_tests::on_deployments;

/// Calls a second.
const RATE: u32 = 100;
const ZONES: [&str; 3] = ["zone-a.primary", "zone-b.primary", "zone-c.primary"];
const SECONDARY: &str = "zone-a.secondary";
const SOME_TIME: Duration = Duration::from_secs(2);

/// Fails unless every failed call had been given to a gateway before that was gone, and so may have been begun: no other may be
/// retried, and none may fail for another reason. How many there were.
async fn begun(deployment: &Deployment, outcomes: &[Outcome]) -> usize {
    let failed: Vec<_> = outcomes.iter().filter(|outcome| !outcome.is_good()).collect();
    let ids: Vec<_> = failed.iter().filter_map(|outcome| outcome.id.clone()).collect();
    assert_eq!(ids.len(), failed.len(), "the front answered all: {failed:?}");
    let lines = deployment.logged(&ids).await;
    for id in &ids {
        let line = &lines[id];
        let details = line["details"].as_str().unwrap_or_default();
        let is_cut = details.contains("upstream_reset_before_response_started{connection_termination}")
            || details.contains("upstream_reset_before_response_started{remote_reset}")
            || details.contains("upstream_reset_after_response_started");
        assert!(is_cut && line["gateway"].is_string(), "{line}");
    }
    failed.len()
}

async fn answered_in(deployment: &Deployment, length: Duration) -> BTreeSet<String> {
    let outcomes = Calls::during(deployment, RATE, length).await;
    expect_all_good(deployment, &outcomes).await;
    places(deployment, &outcomes).await.into_keys().collect()
}

/// What was under way when gateways died, and what came while their processes ended, which takes a slow machine a while.
fn few(failed: usize, of: usize) {
    assert!(failed * 3 < of, "{failed} of {of} calls were cut off");
}

on_deployments!(
    calls_stay_in_the_zone_then_in_the_region_and_come_back,
    [ZONES[0], ZONES[1], ZONES[2], SECONDARY],
    async |deployment| {
        let only = |places: &[&str]| -> BTreeSet<String> { places.iter().map(|place| (*place).to_owned()).collect() };
        assert_eq!(answered_in(deployment, SOME_TIME).await, only(&ZONES[..1]));

        // The zone's gateways die under calls.
        let calls = Calls::start(deployment, RATE);
        tokio::time::sleep(SOME_TIME).await;
        deployment.member(ZONES[0]).kill();
        tokio::time::sleep(SOME_TIME).await;
        let outcomes = calls.finish().await;
        few(begun(deployment, &outcomes).await, outcomes.len());
        assert_eq!(answered_in(deployment, SOME_TIME).await, only(&ZONES[1..]));

        // Then all the region's.
        let calls = Calls::start(deployment, RATE);
        tokio::time::sleep(SOME_TIME).await;
        deployment.member(ZONES[1]).kill();
        deployment.member(ZONES[2]).kill();
        tokio::time::sleep(SOME_TIME).await;
        let outcomes = calls.finish().await;
        few(begun(deployment, &outcomes).await, outcomes.len());
        assert_eq!(answered_in(deployment, SOME_TIME).await, only(&[SECONDARY]));

        // And back, under calls: nobody is cut off.
        let calls = Calls::start(deployment, RATE);
        for zone in ZONES {
            deployment.restart(zone).await;
        }
        expect_all_good(deployment, &calls.finish().await).await;
        assert_eq!(answered_in(deployment, SOME_TIME).await, only(&ZONES[..1]));
    }
);

on_deployments!(what_was_not_begun_does_not_fail_with_its_gateway, [ZONES[0], ZONES[1]], async |deployment| {
    // Nothing is under way when it dies, and nobody has noticed when the next calls come.
    deployment.chat("the connection is there").send().await.expect(200);
    deployment.member(ZONES[0]).kill();
    deployment.wait_until_gone(ZONES[0]).await;
    let mut ids = Vec::new();
    for at in 0..30 {
        let answer = deployment.chat(&format!("call {at}")).send().await.expect(200);
        ids.push(answer.header("x-request-id").unwrap().to_owned());
    }
    let lines = deployment.logged(&ids).await;
    let retried = ids.iter().filter(|id| lines[*id]["attempts"].as_u64() > Some(1)).count();
    assert!(retried > 0, "the front knew before it was called: {:?}", lines.values().next().map(Value::to_string));
});
