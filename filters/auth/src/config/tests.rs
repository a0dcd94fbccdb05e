#![allow(clippy::needless_pass_by_value, reason = "cases read better as `json!` literals without borrows")]

mod documented;
mod header_rules;
mod key_rules;
mod p521;
mod remote_rules;

use serde_json::{Value, json};
use tollgate_fakehost::FakeEnvironment;

use super::*;
use crate::api_key::KeyDigest;
use crate::testkit::{ISSUER, SECRET, base64, es256, jwks, rs256, secret_jwk};

/// SHA-256("abc") and SHA-256("") in hexadecimal.
const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
const OTHER: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

const ALGORITHMS: &str = "RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA, HS256, HS384, HS512";

fn read_in(env: &[(&str, &str)], config: &Value) -> Result<Policy, String> {
    let vars = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Policy::from_json(config.to_string().as_bytes(), &FakeEnvironment(vars)).map_err(|error| error.to_string())
}

fn refused_in(env: &[(&str, &str)], config: &Value) -> String {
    read_in(env, config).err().unwrap_or_else(|| panic!("accepted: {config}"))
}

fn caller(policy: &Policy, key: &str) -> std::rc::Rc<crate::caller::Caller> {
    policy
        .api_keys
        .find(&KeyDigest::of(key))
        .unwrap()
        .judge(tollgate_core::Timestamp::from_secs(1_800_000_000))
        .unwrap()
}

fn refused(config: &Value) -> String {
    refused_in(&[], config)
}

fn key(changes: Value) -> Value {
    let mut key = json!({"id": "k1", "tenant": "acme", "sha256": ABC});
    key.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    key
}

fn keys(list: Value) -> Value {
    json!({"api_keys": {"inline": list}})
}

fn issuer(changes: Value) -> Value {
    let mut issuer = json!({
        "issuer": ISSUER, "audiences": ["tollgate"], "algorithms": ["ES256"],
        "jwks": {"inline": jwks(&[es256("e").public_key().to_jwk()])},
    });
    issuer.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    json!({"jwt": {"issuers": [issuer]}})
}

#[test]
fn the_shipped_configuration_is_accepted() {
    let shipped: Value = serde_json::from_str(include_str!("../../../../envoy/config/auth.json")).unwrap();
    let set = jwks(&[es256("e").public_key().to_jwk()]).to_string();
    let list = json!([key(json!({}))]).to_string();
    let policy = read_in(&[("TOLLGATE_API_KEYS", &list), ("TOLLGATE_JWKS", &set)], &shipped).unwrap();
    assert!(policy.api_keys.find(&KeyDigest::of("abc")).is_some() && !policy.tokens.is_empty());
    assert!(policy.is_open(b"/health/live") && policy.is_open(b"/health/ready?verbose"));
    for path in [&b"/health/live/"[..], b"/health", b"/health/live#", b"//health/live", b"/Health/live", b""] {
        assert!(!policy.is_open(path), "{path:?}");
    }
}

#[test]
fn a_configuration_that_lets_nobody_in_is_refused() {
    let nobody = "nobody could get in: give at least one key in `api_keys` or one issuer in `jwt`";
    assert_eq!(refused(&json!({})), nobody);
    assert_eq!(refused(&json!({"open_paths": ["/health/live"]})), nobody);
    assert_eq!(refused(&keys(json!([]))), nobody);
    assert_eq!(refused(&json!({"jwt": {"issuers": []}})), nobody);
    assert_eq!(refused(&json!({"api_keys": {}})), "api_keys: name a source: `from_env`, `inline` or `remote`");
}

#[test]
fn a_variable_that_is_not_set_is_refused_with_the_remedy() {
    let expected = "api_keys.from_env: the environment variable KEYS is not set or empty: set it where Envoy starts and \
                    name it in `host_env_keys` (Istio: `vmConfig.env`)";
    let config = json!({"api_keys": {"from_env": "KEYS"}});
    assert_eq!(refused(&config), expected);
    assert_eq!(refused_in(&[("KEYS", " \n")], &config), expected);
    let jwt = issuer(json!({"jwks": {"from_env": "SET"}}));
    assert!(refused(&jwt).starts_with("jwt.issuers[0].jwks.from_env: the environment variable SET is not set"));
}

#[test]
fn issuers_that_would_take_too_much_are_refused() {
    let at = |rest: &str| format!("jwt.issuers[0].{rest}");
    for (changes, expected) in [
        (json!({"issuer": ""}), at("issuer: must be the `iss` of its tokens")),
        (json!({"algorithms": []}), at(&format!("algorithms: name at least one of {ALGORITHMS}"))),
        (
            json!({"algorithms": ["ES256", "none"]}),
            at(&format!("algorithms[1]: not an algorithm of this filter: use one of {ALGORITHMS}")),
        ),
        (
            json!({"algorithms": ["HS256", "RS256"]}),
            at("algorithms: HS* must stand alone: a shared secret beside public keys invites their confusion"),
        ),
        (
            json!({"audiences": []}),
            at("audiences: name at least one, none empty: else tokens made for other services would pass"),
        ),
        (
            json!({"required_claims": {"scope": ""}}),
            at("required_claims: a claim needs a name and the text that it must be or hold"),
        ),
        (json!({"tenant_claim": ""}), at("tenant_claim: must be the name of a claim")),
        (
            json!({"tier_claim": ""}),
            at("tier_claim: must be the name of a claim; leave it out if tokens carry no tier"),
        ),
        (json!({"leeway": "11m"}), at("leeway: must be at most 10m")),
        (json!({"jwks": {}}), at("jwks: name a source: `from_env`, `inline` or `remote`")),
        (
            json!({"jwks": {"inline": {"keys": []}}}),
            at("jwks: holds no key for ES256: add one or drop the algorithm"),
        ),
        (
            json!({"algorithms": ["ES256", "RS256"]}),
            at("jwks: holds no key for RS256: add one or drop the algorithm"),
        ),
    ] {
        assert_eq!(refused(&issuer(changes)), expected);
    }
    let mut twice = issuer(json!({}));
    let again = twice["jwt"]["issuers"][0].clone();
    twice["jwt"]["issuers"].as_array_mut().unwrap().push(again);
    assert_eq!(refused(&twice), "jwt.issuers[1].issuer: is configured twice: merge the two entries");
}

#[test]
fn weak_broken_and_misplaced_keys_are_refused() {
    let rsa = |n: &[u8]| json!({"kty": "RSA", "n": base64(n), "e": "AQAB"});
    let private: Value = serde_json::from_str(&es256("e").to_jwk()).unwrap();
    let oct: Value = serde_json::from_str(&secret_jwk(SECRET)).unwrap();
    for (algorithm, key, problem) in [
        ("RS256", rsa(&[0xff; 128]), "an RSA key must have 2048 to 4096 bits"),
        ("RS256", rsa(&[0xff; 1024]), "an RSA key must have 2048 to 4096 bits"),
        (
            "RS256",
            json!({"kty": "RSA", "n": base64([0xff; 256]), "e": "Aw"}),
            "`n` and `e` are no RSA key in base64url with the exponent 65537 (AQAB)",
        ),
        (
            "ES256",
            json!({"kty": "EC", "crv": "P-256", "x": base64([1; 32]), "y": base64([1; 32])}),
            "`x` and `y` are no point of the curve in base64url",
        ),
        (
            "ES256",
            private,
            "this is a private key (`d`): give the public one only, and replace this key, since it was exposed",
        ),
        (
            "ES256",
            oct.clone(),
            "this is a shared secret (`oct`), but the issuer's algorithms take public keys: remove it",
        ),
        (
            "HS256",
            oct,
            "a shared secret must not stand in the configuration: give the set in an environment variable (`from_env`)",
        ),
        (
            "HS256",
            rsa(&[0xff; 256]),
            "this is a public key, but HS* takes shared secrets (`oct`): remove it or change `algorithms`",
        ),
        ("ES256", json!({"kid": "k"}), "a key needs `kty`: oct, RSA, EC or OKP"),
        ("ES256", json!("k"), "a key is a JSON object with `kty`"),
    ] {
        let config = issuer(json!({"algorithms": [algorithm], "jwks": {"inline": {"keys": [key]}}}));
        assert_eq!(refused(&config), format!("jwt.issuers[0].jwks.inline.keys[0]: {problem}"));
    }
    let short = jwks(&[secret_jwk(&SECRET[1..])]).to_string();
    let config = issuer(json!({"algorithms": ["HS256"], "jwks": {"from_env": "SET"}}));
    assert_eq!(
        refused_in(&[("SET", &short)], &config),
        "$SET.keys[0]: a secret for HS256 must have at least 32 bytes"
    );
    assert!(read_in(&[("SET", &jwks(&[secret_jwk(SECRET)]).to_string())], &config).is_ok());
}

#[test]
fn keys_for_other_ends_are_passed_over_and_do_not_count() {
    let with = |name: &str, value: Value| {
        let mut key: Value = serde_json::from_str(&es256("e").public_key().to_jwk()).unwrap();
        key[name] = value;
        key
    };
    let other_ends = [
        with("use", json!("enc")),
        with("alg", json!("ECDH-ES")),
        with("key_ops", json!(["sign"])),
        with("crv", json!("P-384")),
        json!({"kty": "OKP", "crv": "Ed25519", "x": base64([1; 32])}),
        serde_json::from_str(&rs256("r").public_key().to_jwk()).unwrap(),
    ];
    for key in other_ends.clone() {
        let config = issuer(json!({"jwks": {"inline": {"keys": [key]}}}));
        assert_eq!(refused(&config), "jwt.issuers[0].jwks: holds no key for ES256: add one or drop the algorithm");
    }
    let mut all = other_ends.to_vec();
    all.push(with("key_ops", json!(["verify"])));
    assert!(read_in(&[], &issuer(json!({"jwks": {"inline": {"keys": all, "version": 1}}}))).is_ok());
}

#[test]
fn open_paths_are_exact() {
    for path in ["health", "", "/health/*", "/health?x", "/health#x"] {
        let mut config = keys(json!([key(json!({}))]));
        config["open_paths"] = json!(["/ok", path]);
        let expected = "open_paths[1]: must be one exact path that begins with `/`, without query or wildcard";
        assert_eq!(refused(&config), expected, "{path}");
    }
}

#[test]
fn mistyped_fields_are_named() {
    let line = refused(&keys(json!([key(json!({"tennant": "x"}))])));
    assert!(line.starts_with("api_keys.inline[0].tennant: unknown field `tennant`, expected one of `id`"), "{line}");
    let line = refused_in(&[("KEYS", r#"[{"id":"a"}]"#)], &json!({"api_keys": {"from_env": "KEYS"}}));
    assert!(line.starts_with("$KEYS[0]: missing field `tenant`"), "{line}");
    let line = refused_in(&[("SET", r#"{"keys":{}}"#)], &issuer(json!({"jwks": {"from_env": "SET"}})));
    assert!(line.starts_with("$SET.keys: invalid type: map, expected a sequence"), "{line}");
}

/// Keys land in the wrong place; the line that Envoy logs must not hand them on.
#[test]
fn no_error_repeats_a_key() {
    let secret = "sk-live-\"1\", expected 2c4e8f16aa";
    let from_env = json!({"api_keys": {"from_env": "KEYS"}});
    let lines = [
        refused(&json!({"api_keys": secret})),
        refused(&json!({"api_keys": {secret: "acme"}})),
        refused(&json!({secret: 1})),
        refused(&json!({"api_keys": {"inline": secret}})),
        refused(&keys(json!([secret]))),
        refused(&keys(json!([{secret: "acme"}]))),
        refused(&keys(json!([key(json!({"sha256": secret}))]))),
        refused(&keys(json!([key(json!({"id": format!("jwt:{secret}")}))]))),
        refused(&issuer(json!({"algorithms": [secret]}))),
        refused(&issuer(json!({"jwks": {"inline": {"keys": secret}}}))),
        refused_in(&[("KEYS", secret)], &from_env),
        refused_in(&[("KEYS", &json!([secret]).to_string())], &from_env),
        refused_in(&[("KEYS", &json!({secret: "acme"}).to_string())], &from_env),
        refused_in(&[("KEYS", &json!([{secret: "acme"}]).to_string())], &from_env),
    ];
    for line in lines {
        assert!(!line.contains("sk-live") && !line.contains("2c4e8f16aa"), "{line}");
        assert!(line.len() > 20, "{line}");
    }
}
