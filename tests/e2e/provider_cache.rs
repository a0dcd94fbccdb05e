//! Stored answers go by the model that ran and by who answered, whatever the caller called it.

use serde_json::json;
use tollgate_tests::client::{Answer, Call};
use tollgate_tests::gateway::Gateway;
use tollgate_tests::{on_both_envoys, on_own_envoys};

use crate::provider_accounts::{body, provider, setup, used};
use crate::provider_fleet::CHAT;

/// Sends a call and tells what the cache did, and how often a provider was asked for it.
async fn outcome(gateway: &Gateway, call: Call) -> (Answer, String, usize) {
    let mark = call.mark().to_owned();
    let answer = call.send().await.expect(200);
    let asked = gateway.upstream_requests(&mark).len();
    let status = answer.header("x-gateway-cache").unwrap_or("(none)").to_owned();
    (answer, status, asked)
}

on_both_envoys!(
    the_same_call_by_an_alias_is_a_hit_that_costs_nothing_and_names_no_provider,
    setup("small"),
    async |gateway| {
        let body = body("alias");
        let call = || gateway.post_by("cached", CHAT, &body);
        let (first, status, asked) = outcome(gateway, call()).await;
        assert_eq!((status.as_str(), asked, provider(&first)), ("miss", 1, Some("a")));
        let spent = used(gateway, "cached", "dollars").await;
        let (second, status, asked) = outcome(gateway, call()).await;
        assert_eq!((status.as_str(), asked, provider(&second)), ("hit", 0, None));
        assert_eq!(second.body, first.body);
        assert_eq!(used(gateway, "cached", "dollars").await, spent);
    }
);

on_both_envoys!(the_answer_of_a_fallback_is_stored_and_that_of_a_stand_in_is_not, setup("small"), async |gateway| {
    for (model, second_status, second_asked) in [("main", "hit", 0), ("helped", "miss", 1)] {
        let body = body(model);
        let call = || gateway.post_by("storing", CHAT, &body);
        let (first, status, asked) = outcome(gateway, call().told("status.a", 500)).await;
        assert_eq!((status.as_str(), asked), ("miss", 2), "{model}");
        assert_ne!(provider(&first), Some("a"));
        let (second, status, asked) = outcome(gateway, call()).await;
        assert_eq!((status.as_str(), asked), (second_status, second_asked), "{model}");
        assert_eq!(second.body == first.body, second_status == "hit");
    }
});

on_own_envoys!(
    an_alias_that_leads_elsewhere_now_does_not_get_the_old_answer,
    setup("small").pushed(),
    async |gateway| {
        let body = body("alias");
        let call = || gateway.post_by("moved", CHAT, &body);
        let (first, ..) = outcome(gateway, call()).await;
        assert_eq!(first.json()["model"], "small");
        gateway.push(&setup("main").pushed()).await;
        let (second, status, asked) = outcome(gateway, call()).await;
        assert_eq!((status.as_str(), asked, &second.json()["model"]), ("miss", 1, &json!("main-at-a")));
        // And back again the first one's answer is still its own.
        gateway.push(&setup("small").pushed()).await;
        let (third, ..) = outcome(gateway, call()).await;
        assert_eq!(third.json()["model"], "small");
    }
);
