//! What the front does with a call that goes well, and with one that no gateway takes.

use serde_json::{Value, json};
use tollgate_tests::client::{Call, unique};
use tollgate_tests::front::Deployment;
use tollgate_tests::front::calls::CHAT;
use tollgate_tests::gateway::{chat_body, wait_until};
use tollgate_tests::on_deployments;

/// More than a connection's buffer holds, less than the front keeps.
const LARGE: usize = 400 << 10;

/// The gateway's own line about a call.
async fn gateway_line(deployment: &Deployment, place: &str, id: &str) -> Value {
    let line = || {
        let log = deployment.member(place).log();
        log.lines().filter(|line| line.contains(id)).find_map(|line| serde_json::from_str::<Value>(line).ok())
    };
    wait_until("the gateway has logged the call", async || line().is_some()).await;
    line().expect("waited for above")
}

on_deployments!(one_id_names_a_call_at_front_gateway_provider_and_caller, ["zone-a.primary"], async |deployment| {
    let call =
        deployment.chat(&unique("prompt")).header("x-request-id", "forged").header("x-forwarded-for", "192.0.2.7");
    let mark = call.mark().to_owned();
    let answer = call.send().await.expect(200);
    let id = answer.header("x-request-id").unwrap().to_owned();
    assert_ne!(id, "forged");
    assert_eq!(answer.headers.get_all("x-request-id").iter().count(), 1);
    assert_eq!(answer.header("x-envoy-upstream-service-time"), None);
    let front = deployment.logged(std::slice::from_ref(&id)).await.remove(&id).unwrap();
    // What a caller says of itself is not believed.
    assert_eq!((&front["client"], &front["attempts"]), (&json!("127.0.0.1"), &json!(1)));
    assert_eq!(gateway_line(deployment, "zone-a.primary", &id).await["status"], json!(200));
    let reached = deployment.provider.requests_with("x-test-id", &mark);
    assert_eq!(reached[0].header("x-request-id"), Some(id.as_bytes()));
});

on_deployments!(
    a_large_body_whose_gateway_is_gone_reaches_another_one,
    ["zone-a.primary", "zone-b.primary"],
    async |deployment| {
        deployment.member("zone-a.primary").kill();
        let body = chat_body(&unique(&"long ".repeat(LARGE / 5)));
        let key = deployment.secrets.api_key("acme").unwrap();
        let answer = Call::post(&deployment.url(CHAT), &body).bearer(&key).send().await.expect(200);
        let id = answer.header("x-request-id").unwrap().to_owned();
        assert_eq!(gateway_line(deployment, "zone-b.primary", &id).await["status"], json!(200));
    }
);

on_deployments!(without_a_gateway_the_refusal_is_in_the_callers_dialect, ["zone-a.primary"], async |deployment| {
    deployment.member("zone-a.primary").kill();
    deployment.wait_for("zone-a.primary", false).await;
    let refused = async |path: &str| {
        let answer = Call::post(&deployment.url(path), &json!({})).send().await.expect(503);
        assert_eq!(answer.header("content-type"), Some("application/json"));
        answer.json()
    };
    let openai = refused(CHAT).await;
    assert_eq!(
        (&openai["error"]["type"], &openai["error"]["code"]),
        (&json!("api_error"), &json!("gateway_unavailable"))
    );
    let anthropic = refused("/v1/messages").await;
    assert_eq!((&anthropic["type"], &anthropic["error"]["type"]), (&json!("error"), &json!("api_error")));
    let gemini = refused("/v1beta/models/gemini-2.5-flash:generateContent").await;
    assert_eq!((&gemini["error"]["code"], &gemini["error"]["status"]), (&json!(503), &json!("UNAVAILABLE")));
    // What asks before the front is told to go elsewhere.
    Call::get(&deployment.url("/health/ready")).send().await.expect(503);
    Call::get(&deployment.url("/health/live")).send().await.expect(200);
});
