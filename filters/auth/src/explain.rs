//! Which rule of a policy accepts or refuses a credential, in words for its operator. The rules are the filter's own.
//!
//! The lines name what a token says about itself (issuer, algorithm, key, times), so they are for a terminal and not for
//! logs. They never hold the credential.

use tollgate_core::Timestamp;

use crate::api_key::KeyDigest;
use crate::caller::Caller;
use crate::config::Policy;
use crate::denial::Denial;
use crate::jwt::{Claims, Jws, looks_like_token};
use crate::remote::{Remote, Watched};
use crate::vectors::NoProxy;

/// A verdict and how it came about.
#[derive(Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Whether a call with this credential would pass.
    pub is_accepted: bool,
    /// What was found, in order; the last line is the verdict.
    pub lines: Vec<String>,
}

/// Judges a credential as a call at that time would be.
pub fn explain(policy: &Policy, credential: &str, now: Timestamp) -> Explanation {
    let mut lines = Vec::new();
    let digest = KeyDigest::of(credential);
    let fetched = policy.remote_keys.as_ref().and_then(Remote::get);
    let verdict = if let Some(key) = policy.api_keys.find(&digest) {
        lines.push("its digest is a configured API key".to_owned());
        key.judge(now)
    } else if let Some(key) = fetched.as_ref().and_then(|keys| keys.find(&digest)) {
        lines.push("its digest is an API key of the remote list".to_owned());
        key.judge(now)
    } else if policy.tokens.is_empty() || !looks_like_token(credential) {
        lines.push("its digest is no configured API key, and it does not have the form of a token".to_owned());
        let unread = policy.remote_keys.as_ref().filter(|_| fetched.is_none());
        lines.extend(unread.map(elsewhere));
        Err(unread.map_or(Denial::UnknownKey, |_| Denial::KeysUnavailable))
    } else {
        lines.push("its digest is no configured API key; it has the form of a token".to_owned());
        lines.extend(describe(credential, now));
        let read = policy.tokens.read(credential, &NoProxy);
        lines.extend(read.as_ref().err().and_then(|unverified| unverified.keys).map(elsewhere));
        read.map_err(|unverified| unverified.denial).and_then(|verified| {
            lines.push("form, issuer, algorithm, key and signature hold".to_owned());
            verified.judge(now)
        })
    };
    lines.push(match &verdict {
        Ok(caller) => accepted(caller),
        Err(denial) => format!("refused by rule {denial:?}, code {}: {}", denial.refusal().code(), denial.message()),
    });
    Explanation { is_accepted: verdict.is_ok(), lines }
}

/// Where the answer may lie that is not at hand.
fn elsewhere(keys: &impl Watched) -> String {
    let url = keys.address().url();
    format!("the gateway would fetch {url}: to judge by it, fetch it into a file and give --remote {url}=FILE")
}

fn accepted(caller: &Caller) -> String {
    let mut line = format!("accepted: tenant {:?}, id {:?}", caller.identity.tenant, caller.identity.credential_id);
    if let Some(tier) = &caller.identity.tier {
        line.push_str(&format!(", tier {tier:?}"));
    }
    if let Some(models) = &caller.grant.models {
        line.push_str(&format!(", models {models:?}"));
    }
    if let Some(endpoints) = &caller.grant.endpoints {
        line.push_str(&format!(", endpoints {endpoints:?}"));
    }
    line
}

/// What a token says about itself, before anything of it is believed. `{:?}` keeps odd characters off the terminal.
fn describe(token: &str, now: Timestamp) -> Vec<String> {
    let Ok(jws) = Jws::parse(token) else { return vec!["it cannot be taken apart".to_owned()] };
    let mut lines = vec![format!("it says: algorithm {:?}, key {:?}", jws.algorithm(), jws.key_id())];
    let Ok(claims) = Claims::decode(&jws) else { return lines };
    if let Ok(issuer) = claims.text("iss") {
        lines.push(format!("it says: issuer {issuer:?}"));
    }
    for name in ["iat", "nbf", "exp"] {
        if let Ok(Some(date)) = claims.date(name) {
            let (distance, side) =
                if date >= now.as_secs() { (date - now.as_secs(), "ahead") } else { (now.as_secs() - date, "ago") };
            lines.push(format!("it says: {name} {date}, {distance} seconds {side}"));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tollgate_fakehost::FakeEnvironment;

    use super::*;
    use crate::testkit::*;

    #[test]
    fn each_verdict_names_its_rule_and_never_the_credential() {
        let pair = es256("e");
        let config = json!({
            "api_keys": {"inline": [{
                "id": "k1", "tenant": "acme", "models": ["gpt-4.1*"], "not_before": "2027-01-15T08:00:00Z",
                "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            }]},
            "jwt": {"issuers": [{
                "issuer": ISSUER, "audiences": ["tollgate"], "algorithms": ["ES256"],
                "jwks": {"inline": jwks(&[pair.public_key().to_jwk()])},
            }]},
        });
        let policy = Policy::from_json(config.to_string().as_bytes(), &FakeEnvironment::default()).unwrap();
        let sign = |changes| sign_es256(&pair, claims(changes));
        for (credential, later, is_accepted, words) in [
            ("abc".to_owned(), 0, true, "accepted: tenant \"acme\", id \"k1\", models [Prefix(\"gpt-4.1\")]"),
            ("abc".to_owned(), -1, false, "refused by rule KeyNotYetValid, code key_not_yet_valid: "),
            ("abd".to_owned(), 0, false, "refused by rule UnknownKey, code invalid_api_key: "),
            (sign(json!({})), 0, true, "accepted: tenant \"acme\", id \"jwt:alice\""),
            (sign(json!({})), 10_000, false, "refused by rule Expired, code token_expired: "),
            (sign(json!({"aud": "x"})), 0, false, "refused by rule AudienceMismatch, code audience_mismatch: "),
            (
                sign_es256(&es256("f"), claims(json!({}))),
                0,
                false,
                "refused by rule UnknownKeyId, code signature_invalid: ",
            ),
            ("eyJ.eyJ.x".to_owned(), 0, false, "refused by rule TokenMalformed, code token_malformed: "),
        ] {
            let now = Timestamp::from_secs(NOW.checked_add_signed(later).unwrap());
            let found = explain(&policy, &credential, now);
            assert_eq!(found.is_accepted, is_accepted, "{found:?}");
            assert!(found.lines.last().unwrap().starts_with(words), "{found:?}");
            assert!(!found.lines.iter().any(|line| line.contains(&credential)), "{found:?}");
        }
        let lines = explain(&policy, &sign(json!({})), now()).lines;
        assert!(lines.contains(&"it says: algorithm \"ES256\", key Some(\"e\")".to_owned()), "{lines:?}");
        assert!(lines.contains(&format!("it says: exp {}, 600 seconds ahead", NOW + 600)), "{lines:?}");
    }
}
