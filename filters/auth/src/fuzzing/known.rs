//! What is known to be good: the valid tokens of the vectors, their keys, and policies that trust all of them.

use std::collections::BTreeSet;
use std::rc::Rc;

use serde_json::{Value, json};
use tollgate_core::ports::Environment;

use crate::config::Policy;
use crate::jwt::{Algorithm, Jwks, Jws, KeySet, Kind, read_keys};

/// Who made the vectors of OpenSSL.
pub(super) const OUR_ISSUER: &str = "https://issuer.tollgate.example";
/// Who made those of RFC 7515.
pub(super) const RFC_ISSUER: &str = "joe";
/// The leeway of both, in seconds.
pub(super) const LEEWAY: u64 = 30;

/// A token that is known to be good.
pub(super) struct Good {
    pub(super) token: String,
    pub(super) algorithm: Algorithm,
    /// Its key as a JSON Web Key.
    pub(super) key: Value,
}

impl Good {
    /// What was signed.
    pub(super) fn signed(&self) -> &str {
        self.token.rsplit_once('.').map_or("", |(signed, _)| signed)
    }
}

/// Keys and issuers of one kind of trust: in public keys, or in shared secrets.
pub(super) struct Trust {
    /// All keys, by all their algorithms.
    pub(super) keys: KeySet,
    /// The same keys in the hands of two issuers.
    pub(super) policy: Policy,
}

/// All that is known to be good.
pub(super) struct Known {
    pub(super) good: Vec<Good>,
    pub(super) public: Trust,
    pub(super) secret: Trust,
}

/// What is known, made once a thread.
pub(super) fn known() -> Result<Rc<Known>, String> {
    thread_local! {
        static KNOWN: Result<Rc<Known>, String> = Known::read().map(Rc::new);
    }
    KNOWN.with(Clone::clone)
}

/// An environment in which each variable is this text.
pub(super) struct Everywhere<'t>(pub(super) &'t str);

impl Environment for Everywhere<'_> {
    fn var(&self, _name: &str) -> Option<String> {
        Some(self.0.to_owned())
    }
}

/// All algorithms of public keys, or all of shared secrets.
pub(super) fn algorithms(are_secret: bool) -> Vec<Algorithm> {
    Algorithm::ALL.iter().copied().filter(|algorithm| (algorithm.kind() == Kind::Secret) == are_secret).collect()
}

impl Known {
    pub(super) fn read() -> Result<Self, String> {
        let file: Value = serde_json::from_str(include_str!("../../tests/data/jws-vectors.json"))
            .map_err(|error| error.to_string())?;
        let good: Vec<Good> = list(&file, "testGroups").iter().flat_map(good_tokens).collect();
        if good.is_empty() {
            return Err("the vectors hold no good token".into());
        }
        Ok(Self { public: trust(&good, false)?, secret: trust(&good, true)?, good })
    }
}

fn list<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn good_tokens(group: &Value) -> Vec<Good> {
    let of_test = |test: &Value| {
        let token =
            test.get("jws").filter(|_| test.get("result").is_some_and(|result| result == "valid"))?.as_str()?;
        let algorithm = Algorithm::parse(Jws::parse(token).ok()?.algorithm())?;
        Some(Good { token: token.to_owned(), algorithm, key: group.get("jwk")?.clone() })
    };
    list(group, "tests").iter().filter_map(of_test).collect()
}

fn trust(good: &[Good], in_secrets: bool) -> Result<Trust, String> {
    let algorithms = algorithms(in_secrets);
    let mut texts = BTreeSet::new();
    let keys: Vec<Value> = good
        .iter()
        .filter(|good| algorithms.contains(&good.algorithm) && texts.insert(good.key.to_string()))
        .map(|good| good.key.clone())
        .collect();
    let set = Jwks { keys: keys.clone() };
    let names: Vec<&str> = algorithms.iter().map(|algorithm| algorithm.as_str()).collect();
    let config = json!({"jwt": {"issuers": [
        {"issuer": RFC_ISSUER, "audiences": ["tollgate"], "algorithms": names, "jwks": {"from_env": "SET"}},
        {
            "issuer": OUR_ISSUER, "audiences": ["other", "tollgate"], "algorithms": names, "jwks": {"from_env": "SET"},
            "tenant_claim": "org.id", "tier_claim": "tier", "models_claim": "models",
            "required_claims": {"scope": "models"},
        },
    ]}});
    let env = json!({ "keys": keys }).to_string();
    let policy = Policy::from_json(config.to_string().as_bytes(), &Everywhere(&env));
    Ok(Trust {
        keys: read_keys(&set, &algorithms, "", false).map_err(|error| error.to_string())?,
        policy: policy.map_err(|error| error.to_string())?,
    })
}
