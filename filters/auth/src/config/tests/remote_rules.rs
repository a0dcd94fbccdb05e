use super::*;

fn remote(changes: Value) -> Value {
    let mut remote = json!({"cluster": "idp", "url": "https://idp.example.com/jwks.json"});
    remote.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    remote
}

fn issuer_at(changes: Value) -> Value {
    issuer(json!({"jwks": {"remote": remote(changes)}}))
}

#[test]
fn a_server_alone_is_source_enough() {
    let policy = read_in(&[], &issuer_at(json!({}))).unwrap();
    assert!(policy.api_keys.is_empty() && !policy.tokens.is_empty());
    let policy = read_in(&[], &json!({"api_keys": {"remote": remote(json!({}))}})).unwrap();
    let address = policy.remotes().next().unwrap().address().clone();
    assert_eq!((address.url(), address.refresh.as_secs()), ("https://idp.example.com/jwks.json".into(), 30));
}

#[test]
fn urls_are_taken_apart() {
    for (url, expected) in [
        ("http://[::1]:8080/a/b?c=d", Some(("[::1]:8080", "/a/b?c=d"))),
        ("https://idp.example.com", Some(("idp.example.com", "/"))),
        ("https://user:pw@idp.example.com/", None),
        ("https://idp.example.com/a#b", None),
        ("https://idp.example.com/a b", None),
        ("https://idp.example.com/a\r\nx: y", None),
        ("ftp://idp.example.com/a", None),
        ("/jwks.json", None),
        ("idp.example.com", None),
        ("", None),
    ] {
        let found = read_in(&[], &issuer_at(json!({"url": url}))).map(|policy| {
            let address = policy.remotes().next().unwrap().address().clone();
            (address.authority, address.path)
        });
        match expected {
            Some((authority, path)) => assert_eq!(found, Ok((authority.into(), path.into())), "{url}"),
            None => assert!(found.unwrap_err().starts_with("jwt.issuers[0].jwks.remote.url: must read"), "{url}"),
        }
    }
}

#[test]
fn bad_servers_are_refused_with_place_and_remedy() {
    for (changes, expected) in [
        (json!({"cluster": ""}), "cluster: must be the name of an Envoy cluster that leads to the server"),
        (json!({"refresh": "1s"}), "refresh: must be 5s to 1d"),
        (json!({"refresh": "2d"}), "refresh: must be 5s to 1d"),
        (json!({"timeout": "1m"}), "timeout: must be 100ms to 30s"),
        (
            json!({"refresh": "60s", "max_stale": "119s"}),
            "max_stale: must be twice `refresh` at least: one failed attempt must refuse nobody",
        ),
        (
            json!({"bearer_from_env": "NONE"}),
            "bearer_from_env: the environment variable NONE is not set or empty: set it where Envoy starts and name it in \
             `host_env_keys` (Istio: `vmConfig.env`)",
        ),
        (json!({"bearer_from_env": "TWO"}), "bearer_from_env: the variable must hold one token without blanks"),
        (
            json!({"uri": "x"}),
            "uri: unknown field `uri`, expected one of `cluster`, `url`, `refresh`, `timeout`, `max_stale`, \
             `bearer_from_env`",
        ),
    ] {
        let error = refused_in(&[("TWO", "a b")], &issuer_at(changes));
        let error = error.split(" at line").next().unwrap();
        assert_eq!(error, format!("jwt.issuers[0].jwks.remote.{expected}"));
    }
}

#[test]
fn shared_secrets_are_never_fetched() {
    let config = issuer(json!({"algorithms": ["HS256"], "jwks": {"remote": remote(json!({}))}}));
    let expected = "jwt.issuers[0].jwks.remote: shared secrets (HS*) are never fetched: give them in an environment \
                    variable (`from_env`)";
    assert_eq!(refused(&config), expected);
}

/// What a server sends is read as the configuration is, and an error repeats none of it.
#[test]
fn a_list_of_api_keys_is_taken_whole_or_not_at_all() {
    let policy = read_in(&[], &json!({"api_keys": {"remote": remote(json!({}))}})).unwrap();
    let list = policy.remotes().next().unwrap();
    let entry = key(json!({}));
    for (document, expected) in [
        (json!([]).to_string(), Ok(())),
        (json!([entry]).to_string(), Ok(())),
        (json!([entry, entry]).to_string(), Err("[1].id: the same id stands at [0]: give each key its own")),
        (
            json!([key(json!({"sha256": "tg_secret"}))]).to_string(),
            Err("[0].sha256: must be the SHA-256 of the key in 64 hexadecimal digits, as scripts/new-key prints it"),
        ),
        ("<html>".into(), Err("expected value at line 1 column 1")),
        (String::new(), Err("the configuration is empty: give one JSON object")),
    ] {
        assert_eq!(list.provide(document.as_bytes()), expected.map_err(str::to_owned), "{document}");
    }
}

#[test]
fn of_a_fetched_set_the_sound_keys_are_used() {
    let config = issuer(json!({"algorithms": ["ES256", "RS256"], "jwks": {"remote": remote(json!({}))}}));
    let policy = read_in(&[], &config).unwrap();
    let set = policy.remotes().next().unwrap();
    let good = es256("good").public_key().to_jwk();
    let private = es256("private").to_jwk();
    let weak = json!({"kty": "RSA", "n": base64([0xff; 64]), "e": "AQAB"}).to_string();
    let (odd, secret) = (json!({"kty": "XYZ"}).to_string(), secret_jwk(SECRET));
    for (keys, expected) in [
        (vec![&private, &weak, &odd, &secret, &good], Ok(())),
        (
            vec![&private, &weak],
            Err(
                "none of the set's 2 keys can be used: this is a private key (`d`): give the public one only, and replace \
                 this key, since it was exposed",
            ),
        ),
        (
            vec![&odd],
            Err("none of the set's 1 keys can be used: none is for signatures of the issuer's `algorithms`"),
        ),
        (vec![], Ok(())),
        (vec![&good; 256], Ok(())),
        (vec![&good; 257], Err("the set has more than 256 keys")),
    ] {
        let keys: Vec<String> = keys.into_iter().cloned().collect();
        assert_eq!(set.provide(jwks(&keys).to_string().as_bytes()), expected.map_err(str::to_owned));
    }
    assert!(set.provide(b"{}").is_err() && set.provide(b"[]").is_err() && set.provide(b"{\"keys\":{}}").is_err());
    let deep = "[".repeat(100_000);
    assert!(set.provide(deep.as_bytes()).is_err());
}
