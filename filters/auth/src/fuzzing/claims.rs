//! A header and a payload that a known secret signs, so that what stands behind the signature's check is reached too.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jwt_simple::algorithms::{HS256Key, MACLike as _};
use serde_json::Value;
use tollgate_core::Timestamp;

use super::known::{Known, LEEWAY, OUR_ISSUER, RFC_ISSUER, known};
use super::{Promise, hold};
use crate::caller::Caller;
use crate::denial::Denial;
use crate::jwt::{Algorithm, Verified};
use crate::name::{MAX_NAME, MAX_SUBJECT, TOKEN_PREFIX, is_name};
use crate::vectors::NoProxy;

const PLAIN_HEADER: &[u8] = br#"{"alg":"HS256"}"#;
/// The last second that a clock can tell.
const LAST: u64 = u64::MAX / 2_000_000_000;

/// Takes the bytes for a header, a line feed and a payload; without a line feed for a payload under a plain header.
pub fn claims(bytes: &[u8]) -> Promise {
    let known = known()?;
    let mut parts = bytes.splitn(2, |byte| *byte == b'\n');
    let (header, payload) = match (parts.next(), parts.next()) {
        (Some(header), Some(payload)) => (header, payload),
        _ => (PLAIN_HEADER, bytes),
    };
    let token = sign(&known, header, payload)?;
    match known.secret.policy.tokens.read(&token, &NoProxy).map_err(Denial::from) {
        Ok(verified) => {
            let payload: Value = serde_json::from_slice(payload).map_err(|_| "a payload was read that is no JSON")?;
            hold(payload.get("iss").is_some_and(|name| name == OUR_ISSUER || name == RFC_ISSUER), || {
                "a token of nobody was read".into()
            })?;
            judged(&verified, &payload)
        }
        Err(denial) => {
            let is_about_signature =
                matches!(denial, Denial::SignatureInvalid | Denial::UnknownKeyId | Denial::AlgorithmNotAllowed);
            hold(!is_about_signature || header != PLAIN_HEADER, || format!("{denial:?} for a good signature"))
        }
    }
}

fn sign(known: &Known, header: &[u8], payload: &[u8]) -> Result<String, String> {
    let good = known.good.iter().find(|good| good.algorithm == Algorithm::Hs256).ok_or("no token of HS256")?;
    let secret = good.key.get("k").and_then(Value::as_str).and_then(|k| URL_SAFE_NO_PAD.decode(k).ok());
    let secret = HS256Key::from_bytes(&secret.ok_or("no secret")?);
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let tag = URL_SAFE_NO_PAD.encode(secret.authentication_tag(signed.as_bytes()));
    Ok(format!("{signed}.{tag}"))
}

/// Judged just before, at and after its dates: good only within them, and over for ever once it is over.
fn judged(verified: &Verified, payload: &Value) -> Promise {
    let date = |name: &str| payload.get(name).and_then(Value::as_f64);
    let mut times: Vec<u64> = ["exp", "nbf", "iat"]
        .iter()
        .filter_map(|name| date(name))
        .flat_map(|date| [date - 31.0, date - 30.0, date, date + 29.0, date + 31.0])
        .map(|seconds| (seconds as u64).min(LAST))
        .chain([0, LAST])
        .collect();
    times.sort_unstable();
    let mut is_over = false;
    for time in times {
        match verified.judge(Timestamp::from_secs(time)) {
            Ok(caller) => {
                hold(!is_over, || "a token that was over is good again".into())?;
                let after = |name: &str| date(name).is_none_or(|date| date - 1.0 <= (time + LEEWAY) as f64);
                let is_good = date("exp").is_some_and(|exp| (time as f64) < exp + LEEWAY as f64)
                    && after("nbf")
                    && after("iat");
                hold(is_good, || format!("good at {time}"))?;
                accepted(&caller, payload)?;
            }
            Err(Denial::Expired) => is_over = true,
            Err(_) => {}
        }
    }
    Ok(())
}

/// What goes into logs, labels and store keys comes from the claims, and is fit for it.
fn accepted(caller: &Caller, payload: &Value) -> Promise {
    let is_ours = payload.get("iss").is_some_and(|name| name == OUR_ISSUER);
    let says = |name: &str| payload.get(name).cloned().unwrap_or_default().to_string();
    hold(says("aud").contains("\"tollgate\"") || is_ours && says("aud").contains("\"other\""), || {
        "the audience".into()
    })?;
    let identity = &caller.identity;
    let subject = identity.credential_id.strip_prefix(TOKEN_PREFIX).ok_or("an id that looks like an API key's")?;
    let tier = identity.tier.as_deref();
    hold(
        is_name(&identity.tenant, MAX_NAME)
            && is_name(subject, MAX_SUBJECT)
            && tier.is_none_or(|tier| is_name(tier, MAX_NAME)),
        || format!("unfit for logs: {identity:?}"),
    )?;
    hold(caller.grant.models.is_some() == is_ours && (is_ours || tier.is_none()), || {
        "claims that are not asked for".into()
    })?;
    hold(!is_ours || says("scope").contains("models"), || "a required claim that is not there".into())
}
