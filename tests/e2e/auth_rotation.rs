//! A thousand calls at once while the issuer changes its keys: nobody good is refused, nobody bad gets in.

use jwt_simple::algorithms::ES256KeyPair;
use tollgate_tests::client::http2::Http2Client;
use tollgate_tests::client::unique;
use tollgate_tests::gateway::{Gateway, chat_body};
use tollgate_tests::key_server::KeyServer;
use tollgate_tests::on_own_envoys;
use tollgate_tests::secrets::ISSUER;

use crate::auth_remote::{CHAT, JWKS, fetching_from, jwks, pair, token};

const CALLS: usize = 1_000;
/// Envoy takes 100 streams a connection unless told otherwise.
const CONNECTIONS: usize = 20;

/// Makes all calls at once, and gives those whose answer was another one.
async fn wrong_verdicts(gateway: &Gateway, calls: &[(String, u16)]) -> Vec<(usize, u16, u16)> {
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        clients.push(Http2Client::connect(gateway.envoy.gateway()).await);
    }
    let mut answers = Vec::new();
    for (index, (credential, _)) in calls.iter().enumerate() {
        let headers = [("authorization", &*format!("Bearer {credential}")), ("cache-control", "no-store")];
        let body = chat_body(&unique("prompt")).to_string();
        answers.push(clients[index % CONNECTIONS].post(CHAT, &headers, &body, None).await);
    }
    let mut wrong = Vec::new();
    for (index, (answer, (_, expected))) in answers.into_iter().zip(calls).enumerate() {
        let status = answer.answer().await.status;
        if status != *expected {
            wrong.push((index, status, *expected));
        }
    }
    wrong
}

/// Old and new tokens, and some of a stranger who claims the old key's name.
fn calls(old: &ES256KeyPair, fresh: &ES256KeyPair) -> Vec<(String, u16)> {
    let stranger = pair("old");
    let call = |index| match index % 4 {
        0 => (token(old), 200),
        1 => (token(&stranger), 401),
        _ => (token(fresh), 200),
    };
    (0..CALLS).map(call).collect()
}

on_own_envoys!(
    a_thousand_calls_at_once_see_a_rotation_and_none_is_misjudged,
    // So rarely that only the calls themselves can make the gateway look.
    fetching_from(KeyServer::start().unwrap(), "1h"),
    async |gateway| {
        let (old, new, newer) = (pair("old"), pair("new"), pair("newer"));
        gateway.keys().set(JWKS, jwks(&[&old]));
        let first = [("source", ISSUER), ("result", "fetched")];
        gateway.expect_metric("gateway_auth_key_fetches_total", &first, 1.0).await;
        for (published, fresh) in [(vec![&old, &new], &new), (vec![&old, &new, &newer], &newer)] {
            let calls = calls(&old, fresh);
            let before = gateway.keys().requests(JWKS).len();
            // The issuer publishes a key before it signs by it; the gateway has not looked yet.
            gateway.keys().set(JWKS, jwks(&published));
            let wrong = wrong_verdicts(gateway, &calls).await;
            assert!(wrong.is_empty(), "{} of {CALLS} misjudged, such as {:?}", wrong.len(), wrong.first());
            let fetches = gateway.keys().requests(JWKS).len() - before;
            assert!((1..=3).contains(&fetches), "{fetches} fetches for {CALLS} calls");
        }
    }
);
