//! Keys on P-521, which are read here and not by jwt-simple: the one of RFC 7515 appendix A.4, whole and spoilt.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;

const X: &str = "AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk";
const Y: &str = "ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2";
const D: &str = "AY5pb7A0UFiB3RELSD64fTLOSV_jazdF7fLYyuTw8lOfRhWg6Y6rUrPAxerEzgdRhajnu0ferB0d53vM9mE15j2C";

fn with_key(key: &Value) -> Value {
    issuer(json!({"algorithms": ["ES512"], "jwks": {"inline": {"keys": [key]}}}))
}

fn point(x: Value, y: Value) -> Value {
    json!({"kty": "EC", "crv": "P-521", "x": x, "y": y})
}

#[test]
fn the_key_of_the_rfc_is_read() {
    assert!(read_in(&[], &with_key(&point(json!(X), json!(Y)))).is_ok());
}

#[test]
fn coordinates_of_another_length_and_points_off_the_curve_are_refused() {
    let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    let (x, y) = (bytes(X), bytes(Y));
    let with_zero = [vec![0], y.clone()].concat();
    let mut flipped = y.clone();
    flipped[65] ^= 1;
    for (x, y) in [
        (json!(X), json!(base64(&y[1..]))),
        (json!(X), json!(base64(with_zero))),
        (json!(base64(&x[..65])), json!(base64([&x[65..], &y[..]].concat()))),
        (json!(base64([x, y].concat())), json!("")),
        (json!(X), json!(base64(flipped))),
        (json!(Y), json!(X)),
        (json!(X), json!(X)),
        (json!(base64([0; 66])), json!(base64([0; 66]))),
        (json!(base64([0xff; 66])), json!(Y)),
        (json!(format!("{X}==")), json!(Y)),
        (json!(X), json!(7)),
        (json!(X), Value::Null),
    ] {
        let problem = "jwt.issuers[0].jwks.inline.keys[0]: `x` and `y` are no point of the curve in base64url";
        assert_eq!(refused(&with_key(&point(x.clone(), y.clone()))), problem, "{x} {y}");
    }
}

#[test]
fn a_private_key_is_refused_and_not_repeated() {
    let mut key = point(json!(X), json!(Y));
    key["d"] = json!(D);
    let line = refused(&with_key(&key));
    assert!(line.starts_with("jwt.issuers[0].jwks.inline.keys[0]: this is a private key (`d`)"), "{line}");
    assert!(!line.contains(D), "{line}");
}

#[test]
fn it_serves_no_other_curve() {
    for algorithm in ["ES256", "ES384", "RS512"] {
        let config =
            issuer(json!({"algorithms": [algorithm], "jwks": {"inline": {"keys": [point(json!(X), json!(Y))]}}}));
        let problem = format!("jwt.issuers[0].jwks: holds no key for {algorithm}: add one or drop the algorithm");
        assert_eq!(refused(&config), problem);
    }
}
