//! Models that are named elsewhere than in a body, and requests that name none.

use serde_json::{Value, json};
use tollgate_tests::client::{Call, MARK, http, unique};
use tollgate_tests::gateway::Gateway;
use tollgate_tests::on_both_envoys;

use crate::provider_fleet::{chat, fleet, provider, text};

/// A POST of a body that is no JSON.
async fn post_as_it_is(gateway: &Gateway, path: &str, kind: &str, mark: &str, body: Vec<u8>) -> u16 {
    let request = http().post(gateway.url(path)).bearer_auth(gateway.key("acme"));
    let request = request.header("content-type", kind).header(MARK, mark).body(body);
    request.send().await.expect("the gateway answers").status().as_u16()
}

on_both_envoys!(what_names_no_model_goes_where_the_configuration_says, fleet(), async |gateway| {
    let models = Call::get(&gateway.url("/v1/models")).bearer(&gateway.key("acme")).send().await.expect(200);
    assert_eq!((provider(&models), &models.json()["object"]), ("fourth", &json!("list")));
    // Bytes that are no text, and a part that looks like a model: nobody reads it.
    let audio: Vec<u8> = (0..300_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let part = b"--xyz\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nlarge\r\n--xyz\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.mp3\"\r\n\r\n";
    let body = [&part[..], &audio, b"\r\n--xyz--\r\n"].concat();
    for path in ["/v1/audio/transcriptions", "/v1/files", "/v1/uploads/up_1/parts"] {
        let mark = unique("call");
        post_as_it_is(gateway, path, "multipart/form-data; boundary=xyz", &mark, body.clone()).await;
        assert_eq!(gateway.requests_at("fourth", &mark).len(), 1, "{path}");
        let request = gateway.upstream_request(&mark);
        assert_eq!((request.path.as_str(), request.body_bytes), (path, body.len()));
        assert!(request.body == body, "{path}: the form changed on its way");
        assert_eq!(text(&request, "content-type"), Some("multipart/form-data; boundary=xyz"));
    }
});

on_both_envoys!(a_model_in_the_path_decides_and_gets_the_providers_name, fleet(), async |gateway| {
    let gemini = json!({"contents": [{"parts": [{"text": unique("prompt")}]}]});
    for method in ["generateContent", "streamGenerateContent?alt=sse"] {
        let path = format!("/v1beta/models/gemini-2.5-flash:{method}");
        let answer = gateway.post(&path, &gemini).send().await.expect(200);
        assert_eq!(provider(&answer), "first");
        let join = if method.contains('?') { '&' } else { '?' };
        let expected = format!("/v1beta/models/gemini-of-first:{method}{join}first=1");
        assert_eq!(gateway.upstream_request(&answer.mark).path, expected);
    }
    // What the body says of a model has no say.
    let mut body = chat("small", &unique("prompt"));
    let path = "/v1/openai/deployments/azure-alias/chat/completions?api-version=2024-06-01";
    let answer = gateway.post(path, &body).send().await.expect(200);
    let request = gateway.upstream_request(&answer.mark);
    assert_eq!(provider(&answer), "third");
    assert_eq!(request.path, "/openai/deployments/azure-prod/chat/completions?api-version=2024-06-01");
    body["model"] = json!("azure-prod");
    assert_eq!(serde_json::from_slice::<Value>(&request.body).unwrap(), body);
});

on_both_envoys!(a_model_in_the_query_of_a_session_decides, fleet(), async |gateway| {
    for (query, site) in [("model=large", "third"), ("model=small", "fourth"), ("other=large", "fourth")] {
        let call = Call::get(&gateway.url(&format!("/v1/realtime?{query}"))).bearer(&gateway.key("acme"));
        let answer = call.send().await;
        assert_eq!((provider(&answer), gateway.requests_at(site, &answer.mark).len()), (site, 1), "{query}");
    }
    let call = Call::get(&gateway.url("/v1/realtime?model=large&model=small")).bearer(&gateway.key("acme"));
    let answer = call.send().await.expect(400);
    assert!(gateway.upstream_requests(&answer.mark).is_empty());
});

on_both_envoys!(a_socket_is_refused_and_reaches_nobody, fleet(), async |gateway| {
    let key = "dGhlIHNhbXBsZSBub25jZQ==";
    let call = Call::get(&gateway.url("/v1/realtime?model=large")).bearer(&gateway.key("acme"));
    let call = call.header("connection", "upgrade").header("upgrade", "websocket");
    let call = call.header("sec-websocket-version", "13").header("sec-websocket-key", key);
    let answer = call.send().await;
    assert!((400..500).contains(&answer.status), "{answer}");
    assert!(gateway.upstream_requests(&answer.mark).is_empty());
});
