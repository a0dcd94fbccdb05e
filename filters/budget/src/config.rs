//! The policy: what stands in `budget.json`, and what of it is refused.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use tollgate_core::{ConfigError, HumanDuration, config};

/// The wire form.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Spec {
    tokens_per_minute: LimitsSpec,
    #[serde(default = "defaults::output_estimate")]
    output_estimate: u64,
    #[serde(default = "defaults::lease")]
    lease: HumanDuration,
    #[serde(default = "defaults::slots")]
    slots: u32,
    #[serde(default = "defaults::max_body_bytes")]
    max_body_bytes: usize,
    #[serde(default)]
    on_contention: OnContention,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitsSpec {
    default: u64,
    #[serde(default, deserialize_with = "unique_names")]
    tenants: HashMap<String, u64>,
}

mod defaults {
    use super::{Duration, HumanDuration};

    pub(super) fn output_estimate() -> u64 {
        256
    }

    pub(super) fn lease() -> HumanDuration {
        HumanDuration(Duration::from_secs(600))
    }

    pub(super) fn slots() -> u32 {
        4096
    }

    pub(super) fn max_body_bytes() -> usize {
        8 << 20
    }
}

/// What becomes of a call that the ledger cannot decide over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnContention {
    /// It is refused with 503 and may come again.
    #[default]
    Deny,
    /// It passes unreserved, and is charged when it ends.
    Allow,
}

/// The validated policy.
#[derive(Debug)]
pub struct Policy {
    default_limit: u64,
    tenant_limits: HashMap<String, u64>,
    /// Tokens reserved for output when the caller names no maximum.
    pub output_estimate: u64,
    /// How long a reservation is held for a call that never ends.
    pub lease: Duration,
    /// Slots of shared data. Another number starts all budgets afresh.
    pub slots: u32,
    /// Longest request body held for reading.
    pub max_body_bytes: usize,
    /// What becomes of a call that the ledger cannot decide over.
    pub on_contention: OnContention,
}

/// Far above every budget, far below where sums would saturate.
const MAX_LIMIT: u64 = 1_000_000_000_000;
/// A body is held in linear memory, which never shrinks and is capped by Envoy at 1 GiB.
const MAX_BODY: usize = 64 << 20;

impl Policy {
    /// Reads and checks the configuration.
    pub fn parse(bytes: &[u8]) -> Result<Self, ConfigError> {
        let spec: Spec = config::parse(bytes)?;
        check_limit("tokens_per_minute.default", spec.tokens_per_minute.default, spec.output_estimate)?;
        for (tenant, limit) in &spec.tokens_per_minute.tenants {
            let path = format!("tokens_per_minute.tenants.{tenant}");
            if tenant.is_empty() {
                return Err(ConfigError::at(path, "a tenant needs a name"));
            }
            check_limit(&path, *limit, spec.output_estimate)?;
        }
        check_range("lease", spec.lease.0, Duration::from_secs(1), Duration::from_secs(3600), "from 1s to 1h")?;
        check_range("slots", spec.slots, 16, 65_536, "from 16 to 65536")?;
        check_range("max_body_bytes", spec.max_body_bytes, 1, MAX_BODY, "from 1 to 67108864 (64 MiB)")?;
        Ok(Self {
            default_limit: spec.tokens_per_minute.default,
            tenant_limits: spec.tokens_per_minute.tenants,
            output_estimate: spec.output_estimate,
            lease: spec.lease.0,
            slots: spec.slots,
            max_body_bytes: spec.max_body_bytes,
            on_contention: spec.on_contention,
        })
    }

    /// A tenant's tokens a minute.
    pub fn limit_of(&self, tenant: &str) -> u64 {
        self.tenant_limits.get(tenant).copied().unwrap_or(self.default_limit)
    }
}

fn check_limit(path: &str, limit: u64, output_estimate: u64) -> Result<(), ConfigError> {
    check_range(path, limit, 1, MAX_LIMIT, "tokens a minute, from 1 to 1000000000000")?;
    // Else a caller that names no maximum would be refused for ever, its very first call included.
    if output_estimate >= limit {
        let problem = format!("is not above output_estimate ({output_estimate}), so no call without max_tokens fits");
        return Err(ConfigError::at(path, problem));
    }
    Ok(())
}

fn check_range<T: PartialOrd + Copy>(
    path: &str,
    value: T,
    least: T,
    most: T,
    right: &str,
) -> Result<(), ConfigError> {
    if value < least || value > most { Err(ConfigError::at(path, format!("must be {right}"))) } else { Ok(()) }
}

/// A map that refuses the same name twice: JSON readers would silently keep the last.
fn unique_names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<HashMap<String, u64>, D::Error> {
    struct Names;

    impl<'de> Visitor<'de> for Names {
        type Value = HashMap<String, u64>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object of tenant names and tokens a minute")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut names = HashMap::new();
            while let Some((name, limit)) = map.next_entry::<String, u64>()? {
                if names.contains_key(&name) {
                    return Err(A::Error::custom(format!("tenant `{name}` stands here twice")));
                }
                names.insert(name, limit);
            }
            Ok(names)
        }
    }

    deserializer.deserialize_map(Names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(json: &str) -> String {
        Policy::parse(json.as_bytes()).expect_err(json).to_string()
    }

    #[test]
    fn the_demo_policy_is_read_and_names_its_tenants() {
        let policy = Policy::parse(include_bytes!("../../../envoy/config/budget.json")).unwrap();
        assert_eq!((policy.limit_of("acme"), policy.limit_of("globex")), (1_000_000, 2_000));
    }

    #[test]
    fn what_is_left_out_has_the_documented_default() {
        let policy = Policy::parse(br#"{"tokens_per_minute":{"default":1000}}"#).unwrap();
        assert_eq!((policy.output_estimate, policy.lease), (256, Duration::from_secs(600)));
        assert_eq!((policy.slots, policy.max_body_bytes), (4096, 8_388_608));
        assert_eq!((policy.on_contention, policy.limit_of("anyone")), (OnContention::Deny, 1000));
    }

    #[test]
    fn a_bad_value_is_refused_by_its_path() {
        for (json, error) in [
            (r#"{"tokens_per_minute":{"default":0}}"#, "tokens_per_minute.default: must be tokens a minute"),
            (
                r#"{"tokens_per_minute":{"default":9999,"tenants":{"a":0}}}"#,
                "tokens_per_minute.tenants.a: must be tokens a minute",
            ),
            (r#"{"tokens_per_minute":{"default":256}}"#, "tokens_per_minute.default: is not above output_estimate"),
            (
                r#"{"tokens_per_minute":{"default":9999,"tenants":{"a":1000,"a":2000}}}"#,
                "tokens_per_minute.tenants: tenant `a` stands here twice",
            ),
            (r#"{"tokens_per_minute":{"default":9999},"slots":15}"#, "slots: must be from 16 to 65536"),
            (r#"{"tokens_per_minute":{"default":9999},"slots":65537}"#, "slots: must be from 16 to 65536"),
            (r#"{"tokens_per_minute":{"default":9999},"lease":"2h"}"#, "lease: must be from 1s to 1h"),
            (r#"{"tokens_per_minute":{"default":9999},"lease":"999ms"}"#, "lease: must be from 1s to 1h"),
            (r#"{"tokens_per_minute":{"default":9999},"max_body_bytes":0}"#, "max_body_bytes: must be from 1"),
            (r#"{"tokens_per_minute":{"default":9999},"on_contention":"x"}"#, "on_contention: unknown variant"),
            (r#"{"tokens_per_minute":{"default":9999},"leese":"1s"}"#, "leese: unknown field"),
            (r#"{"tokens_per_minute":{"default":-1}}"#, "tokens_per_minute.default: invalid value"),
        ] {
            let got = refused(json);
            assert!(got.starts_with(error), "{json}: {got}");
        }
    }
}
