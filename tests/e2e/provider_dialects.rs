//! A call that nobody answers is told so in the dialect of its caller, whatever its path is called at the providers.

use serde_json::json;
use tollgate_tests::client::unique;
use tollgate_tests::gateway::Gateway;
use tollgate_tests::on_both_envoys;

use crate::provider_fleet::{CHAT, MESSAGES, Told, chat, fleet, told_at};

/// `attempts` of a call for a model fail, and its callers are told so.
async fn refused(gateway: &Gateway, model: &str, told: Told, attempts: usize) {
    let gemini = json!({"contents": [{"parts": [{"text": unique("prompt")}]}]});
    let calls = [
        (CHAT.to_owned(), chat(model, &unique("prompt")), "/error/code", json!("upstream_unavailable")),
        (MESSAGES.to_owned(), chat(model, &unique("prompt")), "/type", json!("error")),
        (format!("/v1beta/models/{model}:generateContent"), gemini, "/error/status", json!("UNAVAILABLE")),
    ];
    for (path, body, place, expected) in calls {
        let answer = told_at(gateway.post(&path, &body), "first,second", told).send().await.expect(503);
        assert_eq!(answer.json().pointer(place), Some(&expected), "{path}: {answer}");
        assert_eq!(gateway.upstream_requests(&answer.mark).len(), attempts, "{path}");
    }
}

on_both_envoys!(where_all_answer_503_the_caller_is_told_in_its_dialect, fleet(), async |gateway| {
    refused(gateway, "nobody", &[("status", 503)], 2).await;
});

on_both_envoys!(where_all_reset_the_caller_is_told_in_its_dialect, fleet(), async |gateway| {
    refused(gateway, "silent", &[("reset", 1)], 2).await;
});

on_both_envoys!(where_the_only_one_resets_the_caller_is_told_in_its_dialect, fleet(), async |gateway| {
    refused(gateway, "alone", &[("reset", 1)], 1).await;
});
