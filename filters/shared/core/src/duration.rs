//! Durations as people write them in configuration: `"250ms"`, `"10s"`, `"5m"`, `"1h"`, `"7d"`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

/// A duration read from a string of digits and one unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HumanDuration(pub Duration);

impl HumanDuration {
    /// Reads digits and one of `ms`, `s`, `m`, `h`, `d`. The error does not repeat the text: it might be a key.
    pub fn parse(text: &str) -> Result<Self, String> {
        let refuse = || "no duration: write digits and one of ms, s, m, h, d, as in \"10s\"".to_owned();
        let unit_at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(refuse)?;
        let (digits, unit) = text.split_at(unit_at);
        let count: u64 = digits.parse().map_err(|_| refuse())?;
        let millis = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(refuse()),
        };
        count.checked_mul(millis).map(|ms| Self(Duration::from_millis(ms))).ok_or_else(refuse)
    }
}

impl<'de> Deserialize<'de> for HumanDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read() {
        for (text, millis) in
            [("250ms", 250), ("10s", 10_000), ("5m", 300_000), ("1h", 3_600_000), ("7d", 604_800_000)]
        {
            assert_eq!(HumanDuration::parse(text), Ok(HumanDuration(Duration::from_millis(millis))), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_the_remedy() {
        for text in ["", "10", "s", "-1s", "1.5s", "10 s", "10S", "99999999999999999999s", "18446744073709551615d"] {
            let error = HumanDuration::parse(text).expect_err(text);
            assert!(error.contains("as in \"10s\""), "{error}");
        }
    }
}
