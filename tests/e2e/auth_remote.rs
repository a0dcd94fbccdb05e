//! Keys that a server keeps, and a server that is late, wrong or away. Times are asserted only where they are a promise.

use std::time::{Duration, Instant};

use jwt_simple::algorithms::{ECDSAP256KeyPairLike as _, ES256KeyPair};
use jwt_simple::claims::Claims;
use serde_json::{Map, Value, json};
use tollgate_tests::client::raw::{RawClient, chunk, post_chunked};
use tollgate_tests::client::{Answer, Call, MARK, unique};
use tollgate_tests::gateway::{Gateway, Setup, chat_body, wait_until};
use tollgate_tests::key_server::{KeyServer, Page};
use tollgate_tests::on_own_envoys;
use tollgate_tests::secrets::{AUDIENCE, ISSUER, key_entry};

pub(crate) const CHAT: &str = "/v1/chat/completions";
pub(crate) const JWKS: &str = "/jwks.json";
const KEYS: &str = "/api-keys.json";
const FETCHES: &str = "gateway_auth_key_fetches_total";
const AGE: &str = "gateway_auth_keys_age_seconds";
/// The shortest that a configuration may ask for.
const REFRESH: Duration = Duration::from_secs(5);

/// A gateway that fetches both lists. The server has neither yet.
fn fetching() -> Setup {
    fetching_from(KeyServer::start().unwrap(), "5s")
}

/// A gateway that fetches both lists as often as that.
pub(crate) fn fetching_from(server: KeyServer, refresh: &str) -> Setup {
    let remote = |path: &str| {
        let url = format!("http://keys.example.com{path}");
        json!({"remote": {"cluster": "keys", "url": url, "refresh": refresh, "timeout": "1s"}})
    };
    Setup::default().keys(server).config("auth", |config| {
        config["api_keys"] = remote(KEYS);
        config["jwt"]["issuers"][0]["jwks"] = remote(JWKS);
    })
}

pub(crate) fn pair(kid: &str) -> ES256KeyPair {
    ES256KeyPair::generate().with_key_id(kid)
}

pub(crate) fn jwks(pairs: &[&ES256KeyPair]) -> Page {
    let keys: Vec<Value> =
        pairs.iter().map(|pair| serde_json::from_str(&pair.public_key().to_jwk()).unwrap()).collect();
    Page::json(&json!({"keys": keys}))
}

/// A token of tenant `acme` that no other one equals.
pub(crate) fn token(pair: &ES256KeyPair) -> String {
    let custom = Map::from_iter([("tenant".to_owned(), json!("acme"))]);
    let claims = Claims::with_custom_claims(custom, Duration::from_secs(3600).into())
        .with_issuer(ISSUER)
        .with_audience(AUDIENCE)
        .with_subject(unique("user"));
    pair.sign(claims).unwrap()
}

async fn call(gateway: &Gateway, credential: &str) -> Answer {
    Call::post(&gateway.url(CHAT), &chat_body(&unique("prompt"))).bearer(credential).send().await
}

fn keys(entries: &[(&str, &str)]) -> Page {
    Page::json(&entries.iter().map(|(id, key)| key_entry("acme", id, key)).collect())
}

/// Waits for the first list of each kind.
async fn begin(gateway: &Gateway, pairs: &[&ES256KeyPair], entries: &[(&str, &str)]) {
    gateway.keys().set(JWKS, jwks(pairs));
    gateway.keys().set(KEYS, keys(entries));
    for source in ["api_keys", ISSUER] {
        gateway.expect_metric(FETCHES, &[("source", source), ("result", "fetched")], 1.0).await;
    }
}

fn code(answer: &Answer) -> String {
    answer.json()["error"]["code"].as_str().unwrap().to_owned()
}

on_own_envoys!(one_worker_fetches_for_all_and_asks_only_for_what_changed, fetching(), async |gateway| {
    let pair = pair("one");
    begin(gateway, &[&pair], &[("k1", "secret-one")]).await;
    for _ in 0..8 {
        call(gateway, &token(&pair)).await.expect(200);
        call(gateway, "secret-one").await.expect(200);
    }
    gateway.expect_metric(FETCHES, &[("source", ISSUER), ("result", "not_modified")], 1.0).await;
    let heads = gateway.keys().requests(JWKS);
    let last = heads.last().unwrap();
    assert!(last.contains_key("if-none-match") && last["host"] == "keys.example.com", "{last:?}");
    // Each was one attempt of the process, those before the list was there included.
    assert_eq!(heads.len() as f64, gateway.metric(FETCHES, &[("source", ISSUER)]).await);
    assert_eq!(heads.iter().filter(|head| head.contains_key("if-none-match")).count(), 1);
    assert!(gateway.metric(AGE, &[("source", "api_keys")]).await <= REFRESH.as_secs_f64());
});

on_own_envoys!(a_revoked_key_is_refused_within_refresh, fetching(), async |gateway| {
    let (old, new) = (pair("old"), pair("new"));
    begin(gateway, &[&old], &[("k1", "secret-one"), ("k2", "secret-two")]).await;
    let by_old = token(&old);
    call(gateway, "secret-one").await.expect(200);
    // Remembered by both workers, so that only forgetting can refuse it.
    for _ in 0..8 {
        call(gateway, &by_old).await.expect(200);
    }
    gateway.keys().set(KEYS, keys(&[("k2", "secret-two")]));
    gateway.keys().set(JWKS, jwks(&[&new]));
    let revoked = Instant::now();
    for credential in ["secret-one", &by_old] {
        let mut last_good = Duration::ZERO;
        let mut refused = 0;
        // Four times in a row, so by both workers.
        while refused < 4 {
            let answer = call(gateway, credential).await;
            if answer.status == 200 {
                (last_good, refused) = (revoked.elapsed(), 0);
            } else {
                refused += 1;
            }
            assert!(revoked.elapsed() < 4 * REFRESH, "never refused");
        }
        println!("the last call with what was revoked passed after {last_good:?}, refresh is {REFRESH:?}");
        // A fetch, and a busy machine.
        assert!(last_good < REFRESH + Duration::from_secs(1), "{last_good:?}");
    }
    call(gateway, "secret-two").await.expect(200);
    call(gateway, &token(&new)).await.expect(200);
});

on_own_envoys!(calls_wait_for_a_slow_server_and_nothing_of_them_goes_on_before, fetching(), async |gateway| {
    let pair = pair("one");
    begin(gateway, &[&self::pair("other")], &[("k1", "secret-one")]).await;
    gateway.keys().set(JWKS, jwks(&[&pair]).after(Duration::from_millis(700)));
    // A body in slow pieces, of which some come while the call waits and some after it.
    let (mark, body) = (unique("slow"), chat_body(&"words ".repeat(10_000)).to_string());
    let (bearer, line) = (format!("authorization: Bearer {}", token(&pair)), format!("{MARK}: {mark}"));
    let mut client = RawClient::connect(gateway.envoy.gateway()).await;
    client.write(&post_chunked(CHAT, &[bearer.as_bytes(), line.as_bytes()])).await;
    for (index, piece) in body.as_bytes().chunks(body.len().div_ceil(20)).enumerate() {
        if index == 8 {
            assert!(gateway.upstream_requests(&mark).is_empty(), "something went on before the verdict");
        }
        tokio::time::sleep(Duration::from_millis(60)).await;
        client.write(&chunk(piece)).await;
    }
    client.write(&chunk(b"")).await;
    assert_eq!(client.read().await.expect("an answer").status, 200);
    assert_eq!(gateway.upstream_request(&mark).body_bytes, body.len());
    // The forged one waited for nothing more: its key is known by now.
    let forged = token(&self::pair("one"));
    assert_eq!(code(&call(gateway, &forged).await.expect(401)), "signature_invalid");
});

/// A server that takes requests and answers none.
fn hung() -> KeyServer {
    let server = KeyServer::start().unwrap();
    for path in [JWKS, KEYS] {
        server.set(path, Page::json(&json!([])).after(Duration::from_secs(30)));
    }
    server
}

on_own_envoys!(
    without_any_keys_a_call_is_told_to_try_again_and_never_hangs,
    fetching_from(hung(), "5s"),
    async |gateway| {
        let begun = Instant::now();
        for credential in [&token(&pair("one")), "secret-one"] {
            let answer = call(gateway, credential).await.expect(503);
            assert_eq!((code(&answer), answer.header("retry-after")), ("unavailable".into(), Some("5")));
        }
        let answer = Call::post(&gateway.url("/v1/messages"), &chat_body("x")).bearer("secret-one").send().await;
        assert_eq!(answer.expect(503).json()["type"], "error");
        assert!(begun.elapsed() < Duration::from_secs(10), "a hung server holds nobody: {:?}", begun.elapsed());
        assert!(gateway.metric(FETCHES, &[("source", ISSUER), ("result", "unreachable")]).await >= 1.0);
        // Health, and what needs no key, goes on.
        Call::get(&gateway.url("/health/live")).send().await.expect(200);
        begin(gateway, &[&pair("one")], &[("k1", "secret-one")]).await;
        call(gateway, "secret-one").await.expect(200);
    }
);

on_own_envoys!(the_last_good_keys_outlive_a_server_that_talks_nonsense, fetching(), async |gateway| {
    let pair = pair("one");
    begin(gateway, &[&pair], &[("k1", "secret-one")]).await;
    let page = |status, body: &str| Page { status, body: body.into(), ..Page::json(&json!(null)) };
    let many: Vec<Value> = (0..10_000).map(|_| serde_json::from_str(&pair.public_key().to_jwk()).unwrap()).collect();
    let some = json!({"keys": &many[..300]});
    for (bad, result) in [
        (page(500, "no"), "status"),
        (page(200, "<html>Log in</html>"), "unreadable"),
        (page(200, &"[".repeat(200_000)), "unreadable"),
        (Page::json(&json!({"keys": many})), "too_large"),
        (Page::json(&some), "unreadable"),
        (page(200, "").after(Duration::from_secs(3)), "unreachable"),
    ] {
        let before = gateway.metric(FETCHES, &[("source", ISSUER), ("result", result)]).await;
        gateway.keys().set(JWKS, bad);
        wait_until("it was asked", async || {
            gateway.metric(FETCHES, &[("source", ISSUER), ("result", result)]).await > before
        })
        .await;
        call(gateway, &token(&pair)).await.expect(200);
    }
    assert!(gateway.metric(AGE, &[("source", ISSUER)]).await > REFRESH.as_secs_f64(), "which its age tells");
    let log = gateway.envoy.log();
    let warned = log.lines().filter(|line| line.contains("the last good ones stay in use")).count();
    // One line each time that the trouble is another; a busy machine may be slow once more.
    assert!((6..=9).contains(&warned), "{warned} lines for six kinds of trouble");
    // What a server says of its content is not believed either way.
    gateway.keys().set(JWKS, Page { media_type: "text/html", ..jwks(&[&self::pair("two")]) });
    wait_until("it works again", async || gateway.envoy.log().contains("fetched again")).await;
});

on_own_envoys!(callers_cannot_make_the_gateway_fetch_at_will, fetching(), async |gateway| {
    let pair = pair("one");
    begin(gateway, &[&pair], &[("k1", "secret-one")]).await;
    let (before, begun) = (gateway.keys().requests(JWKS).len(), Instant::now());
    for index in 0..200 {
        let stranger = token(&self::pair(&format!("../../{index}?a=b\u{1f511}")));
        assert_eq!(code(&call(gateway, &stranger).await.expect(401)), "signature_invalid");
    }
    let most = 3 + begun.elapsed().as_secs() / 10 + begun.elapsed().as_secs() / 4 + 1;
    let fetches = gateway.keys().requests(JWKS).len() - before;
    assert!(fetches as u64 <= most, "{fetches} fetches for 200 tokens of unknown keys, at most {most}");
    call(gateway, &token(&pair)).await.expect(200);
});

on_own_envoys!(callers_that_leave_while_they_wait_harm_nobody, fetching(), async |gateway| {
    let pair = pair("one");
    begin(gateway, &[&self::pair("other")], &[]).await;
    gateway.keys().set(JWKS, jwks(&[&pair]).after(Duration::from_millis(800)));
    for _ in 0..20 {
        let bearer = format!("authorization: Bearer {}", token(&pair));
        let mut client = RawClient::connect(gateway.envoy.gateway()).await;
        client.write(&post_chunked(CHAT, &[bearer.as_bytes()])).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(gateway.metric("gateway_auth_total", &[]).await, 0.0, "all of them were left waiting");
    for _ in 0..8 {
        call(gateway, &token(&pair)).await.expect(200);
    }
});
