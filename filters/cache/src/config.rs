//! The wire form of the cache's configuration and the policy it becomes.
//!
//! Every bound is checked here, so that what the store may grow to is known before the first call: at most
//! `slots × max_entry_bytes`, and never more than [`MAX_STORE_BYTES`].

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::Deserialize;
use tollgate_core::{ConfigError, HumanDuration, config};

/// What all slots together may hold. The store is memory of the whole Envoy process and is never given back.
pub const MAX_STORE_BYTES: u64 = 1 << 30;

const TTL: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(30 * 86_400);
const SLOTS: RangeInclusive<u32> = 1..=65_536;
const ENTRY_BYTES: RangeInclusive<u32> = 1_024..=1_048_576;
const BODY_BYTES: RangeInclusive<u32> = 1_024..=67_108_864;

/// What is compared before an answer is given again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Nothing is looked up or stored.
    Off,
    /// The whole request: tenant, path, every member of the body.
    Exact,
}

/// The configuration as operators write it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Spec {
    mode: Mode,
    ttl: HumanDuration,
    slots: u32,
    max_entry_bytes: u32,
    max_body_bytes: u32,
    shared_between_tenants: bool,
}

impl Default for Spec {
    fn default() -> Self {
        Self {
            mode: Mode::Exact,
            ttl: HumanDuration(Duration::from_secs(3_600)),
            slots: 1_024,
            max_entry_bytes: 65_536,
            max_body_bytes: 8_388_608,
            shared_between_tenants: false,
        }
    }
}

/// The validated configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachePolicy {
    /// What is compared.
    pub mode: Mode,
    /// How long an answer may be given again; a shorter `max-age` of the answer wins.
    pub ttl: Duration,
    /// Answers held at most, by all workers together.
    pub slots: u32,
    /// Bytes of one stored answer at most, its own bookkeeping included.
    pub max_entry_bytes: usize,
    /// Bytes of a request body that is held and looked up at most; longer ones go by.
    pub max_body_bytes: usize,
    /// Whether one tenant may get what another one paid for.
    pub shared_between_tenants: bool,
}

impl CachePolicy {
    /// Reads and checks the configuration.
    pub fn from_json(bytes: &[u8]) -> Result<Self, ConfigError> {
        Self::try_from(config::parse::<Spec>(bytes)?)
    }
}

impl TryFrom<Spec> for CachePolicy {
    type Error = ConfigError;

    fn try_from(spec: Spec) -> Result<Self, ConfigError> {
        let ttl = spec.ttl.0;
        if !TTL.contains(&ttl) {
            return Err(ConfigError::at("ttl", "must be between \"1s\" and \"30d\""));
        }
        within("slots", spec.slots, &SLOTS)?;
        within("max_entry_bytes", spec.max_entry_bytes, &ENTRY_BYTES)?;
        within("max_body_bytes", spec.max_body_bytes, &BODY_BYTES)?;
        let store_bytes = u64::from(spec.slots) * u64::from(spec.max_entry_bytes);
        if store_bytes > MAX_STORE_BYTES {
            return Err(ConfigError::at(
                "slots",
                format!(
                    "slots × max_entry_bytes is {store_bytes} bytes of memory: lower one until it is at most {MAX_STORE_BYTES}"
                ),
            ));
        }
        Ok(Self {
            mode: spec.mode,
            ttl,
            slots: spec.slots,
            max_entry_bytes: spec.max_entry_bytes as usize,
            max_body_bytes: spec.max_body_bytes as usize,
            shared_between_tenants: spec.shared_between_tenants,
        })
    }
}

fn within(path: &str, value: u32, range: &RangeInclusive<u32>) -> Result<(), ConfigError> {
    if range.contains(&value) {
        return Ok(());
    }
    Err(ConfigError::at(path, format!("is {value}, but must be between {} and {}", range.start(), range.end())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(json: &str) -> String {
        CachePolicy::from_json(json.as_bytes()).expect_err(json).to_string()
    }

    #[test]
    fn the_shipped_configuration_spells_out_the_defaults() {
        let shipped = include_bytes!("../../../envoy/config/cache.json");
        assert_eq!(CachePolicy::from_json(shipped).unwrap(), CachePolicy::from_json(b"{}").unwrap());
    }

    #[test]
    fn every_field_reaches_the_policy() {
        let json = br#"{"mode":"off","ttl":"90s","slots":7,"max_entry_bytes":2048,"max_body_bytes":4096,
            "shared_between_tenants":true}"#;
        assert_eq!(
            CachePolicy::from_json(json).unwrap(),
            CachePolicy {
                mode: Mode::Off,
                ttl: Duration::from_secs(90),
                slots: 7,
                max_entry_bytes: 2_048,
                max_body_bytes: 4_096,
                shared_between_tenants: true,
            }
        );
    }

    #[test]
    fn a_value_out_of_range_is_refused_by_name_and_range() {
        for (json, expected) in [
            (r#"{"ttl":"999ms"}"#, "ttl: must be between \"1s\" and \"30d\""),
            (r#"{"ttl":"31d"}"#, "ttl: must be between \"1s\" and \"30d\""),
            (r#"{"slots":0}"#, "slots: is 0, but must be between 1 and 65536"),
            (r#"{"slots":65537}"#, "slots: is 65537, but must be between 1 and 65536"),
            (r#"{"max_entry_bytes":1023}"#, "max_entry_bytes: is 1023, but must be between 1024 and 1048576"),
            (r#"{"max_body_bytes":1}"#, "max_body_bytes: is 1, but must be between 1024 and 67108864"),
        ] {
            assert_eq!(refused(json), expected);
        }
    }

    #[test]
    fn more_memory_than_a_process_should_give_is_refused() {
        let message = refused(r#"{"slots":65536,"max_entry_bytes":65536}"#);
        assert!(message.starts_with("slots: slots × max_entry_bytes is 4294967296 bytes"), "{message}");
        assert!(CachePolicy::from_json(br#"{"slots":16384,"max_entry_bytes":65536}"#).is_ok());
    }

    #[test]
    fn unknown_fields_and_modes_are_refused() {
        assert!(refused(r#"{"tll":"1h"}"#).starts_with("tll: unknown field `tll`"));
        assert!(refused(r#"{"mode":"fuzzy"}"#).starts_with("mode: unknown variant `fuzzy`"));
    }
}
