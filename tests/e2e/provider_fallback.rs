//! A provider that fails before it has begun to answer is nobody's trouble: the next one answers, and is asked as if it had
//! been the first.

use serde_json::{Value, json};
use tollgate_tests::client::{Answer, unique};
use tollgate_tests::gateway::{Gateway, merge};
use tollgate_tests::on_both_envoys;
use tollgate_tests::provider::record::Recorded;

use crate::provider_fleet::{CHAT, FAILURES, chat, fleet, head, logged, provider, text, told_at};

fn json_of(request: &Recorded) -> Value {
    serde_json::from_slice(&request.body).expect("a JSON body")
}

/// A call whose members some provider sets or drops.
fn body(model: &str) -> Value {
    let mut body = chat(model, &unique("prompt"));
    merge(&mut body, &json!({"user": "u-1", "seed": 7}));
    body
}

/// `first` failed a call for `model` as its pool is told, and `second` answers. The attempt at `first`, if it got there.
async fn falls_over(gateway: &Gateway, primary: &str, kind: &str, told: &[(&str, u64)]) -> (Answer, Vec<Recorded>) {
    let model = format!("fails-{kind}");
    let call = told_at(gateway.post(CHAT, &body(&model)), "first", told);
    let answer = call.send().await.expect(200);
    assert_eq!(provider(&answer), "second");
    assert!(answer.json()["choices"][0]["message"]["content"].is_string());
    assert_eq!(answer.header("retry-after"), None, "a failed attempt's header reached the client");
    let at_first = gateway.providers.get(primary).map(|_| gateway.requests_at(primary, &answer.mark));
    check_second(gateway, &model, &answer);
    let ended = match kind {
        "reset" | "hang" => "no_answer",
        "refusing" => "connect",
        "misnamed" | "self-signed" | "expired" => "tls",
        status => status,
    };
    let line = logged(gateway, &answer).await;
    assert_eq!(line["path"], CHAT, "the provider's path");
    assert_eq!(line["attempts"], format!("{primary}={ended} second=200"), "{line}");
    assert_eq!((&line["provider"], &line["status"]), (&json!("second"), &json!(200)));
    let status = if kind.parse::<u16>().is_ok() { kind } else { "no_answer" };
    for (provider, status) in [(primary, status), ("second", "200")] {
        let labels = [("provider", provider), ("model", model.as_str()), ("status", status)];
        gateway.expect_metric("gateway_upstream_attempts_total", &labels, 1.0).await;
    }
    (answer, at_first.unwrap_or_default())
}

/// All of `second`'s, and nothing of whoever was asked before it.
fn check_second(gateway: &Gateway, model: &str, answer: &Answer) {
    let requests = gateway.requests_at("second", &answer.mark);
    assert_eq!(requests.len(), 1);
    let (request, site) = (&requests[0], &gateway.providers["second"]);
    assert_eq!(request.path, format!("/openai/deployments/{model}/chat/completions?api-version=2025-01-01"));
    let key = gateway.secrets.provider_key("TEST_SECOND_KEY").unwrap();
    assert_eq!(text(request, "api-key"), Some(key.as_str()));
    assert_eq!(text(request, "host"), Some(site.address().to_string().as_str()));
    assert_eq!(text(request, "x-second"), Some("2"));
    assert_eq!(text(request, "content-length"), Some(request.body_bytes.to_string().as_str()));
    let sent = json_of(request);
    assert_eq!(
        (&sent["model"], &sent["metadata"], &sent["user"]),
        (&json!(model), &json!({"by": "second"}), &json!("u-1"))
    );
    assert!(sent.get("seed").is_none() && sent.get("store").is_none(), "{sent}");
    for (name, _) in &request.headers {
        assert!(!name.starts_with("x-gateway-"), "{name} reached the provider");
    }
    for foreign in ["authorization", "x-api-key", "openai-organization", "x-closed"] {
        assert_eq!(text(request, foreign), None, "{foreign} reached the next provider");
    }
    let head = head(request);
    for name in ["first", "refusing", "misnamed", "self-signed", "expired"] {
        let key = gateway.secrets.provider_key(name).unwrap();
        assert!(!head.contains(&key), "the key of {name} reached the next provider");
    }
    assert!(!head.contains(&gateway.key("acme")) && !head.contains("first=1"), "{head}");
}

/// All of `first`'s.
fn check_first(gateway: &Gateway, kind: &str, request: &Recorded) {
    assert_eq!(request.path, format!("{CHAT}?first=1"));
    let key = gateway.secrets.provider_key("first").unwrap();
    assert_eq!(text(request, "authorization"), Some(format!("Bearer {key}").as_str()));
    assert_eq!(text(request, "openai-organization"), Some("org-first"));
    let sent = json_of(request);
    assert_eq!(
        (&sent["model"], &sent["seed"], &sent["store"]),
        (&json!(format!("fails-{kind}")), &json!(7), &json!(false))
    );
    assert!(sent.get("user").is_none() && sent.get("metadata").is_none(), "{sent}");
    assert!(!head(request).contains(&gateway.key("acme")));
}

async fn after(gateway: &Gateway, kind: &str) {
    let (_, told) = FAILURES.iter().find(|(name, _)| *name == kind).expect("a listed failure");
    let (_, at_first) = falls_over(gateway, "first", kind, told).await;
    assert_eq!(at_first.len(), 1);
    check_first(gateway, kind, &at_first[0]);
}

/// A connection that was not made brings nothing to anybody.
async fn behind(gateway: &Gateway, closed: &str) {
    let (_, requests) = falls_over(gateway, closed, closed, &[]).await;
    assert!(requests.is_empty());
}

on_both_envoys!(the_next_provider_answers_after_a_503, fleet(), async |gateway| after(gateway, "503").await);
on_both_envoys!(the_next_provider_answers_after_a_500, fleet(), async |gateway| after(gateway, "500").await);
on_both_envoys!(the_next_provider_answers_after_a_529, fleet(), async |gateway| after(gateway, "529").await);
on_both_envoys!(the_next_provider_answers_after_a_429, fleet(), async |gateway| after(gateway, "429").await);
on_both_envoys!(the_next_provider_answers_after_a_reset, fleet(), async |gateway| after(gateway, "reset").await);
on_both_envoys!(the_next_provider_answers_instead_of_one_that_hangs, fleet(), async |gateway| {
    after(gateway, "hang").await;
});
on_both_envoys!(the_next_provider_answers_where_nobody_listens, fleet(), async |gateway| {
    behind(gateway, "refusing").await;
});
on_both_envoys!(a_certificate_of_another_name_is_not_trusted_and_the_next_answers, fleet(), async |gateway| {
    behind(gateway, "misnamed").await;
});
on_both_envoys!(a_certificate_that_nobody_vouches_for_is_not_trusted, fleet(), async |gateway| {
    behind(gateway, "self-signed").await;
});
on_both_envoys!(a_certificate_that_is_over_is_not_trusted, fleet(), async |gateway| behind(gateway, "expired").await);

on_both_envoys!(a_provider_with_tls_gets_its_name_and_its_key, fleet(), async |gateway| {
    let answer = gateway.post(CHAT, &chat("secure", &unique("prompt"))).send().await.expect(200);
    assert_eq!(provider(&answer), "secure");
    let request = gateway.upstream_request(&answer.mark);
    let port = gateway.providers["secure"].address().port();
    assert_eq!(text(&request, "host"), Some(format!("localhost:{port}").as_str()));
    let key = gateway.secrets.provider_key("secure").unwrap();
    assert_eq!(text(&request, "x-goog-api-key"), Some(key.as_str()));
});

on_both_envoys!(what_the_caller_did_wrong_is_asked_once, fleet(), async |gateway| {
    for status in [400, 403, 404, 422] {
        let call = told_at(gateway.post(CHAT, &chat("wrong", &unique("prompt"))), "first", &[("status", status)]);
        let answer = call.send().await.expect(u16::try_from(status).unwrap());
        assert_eq!((provider(&answer), gateway.upstream_requests(&answer.mark).len()), ("first", 1));
    }
});
