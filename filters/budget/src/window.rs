//! When what was spent is forgotten: as a rolling window drains, or at the turn of a calendar period (UTC).
//!
//! Both are the same bucket, seen from its drain. A rolling window of a limit `L` and a length `W` drains `L / W` all the time
//! (GCRA, ATM Forum TM 4.0 §4.4.2: burst `L`, rate `L / W`); a calendar period drains `L` at once when it ends. So debt is carried on
//! in either, and over any longer time a caller gets `L` a window, and once `L` more.
//!
//! Nothing is rounded: a unit (token, request, nano-dollar) is [`Window::ticks_per_unit`] ticks, chosen so that a whole number of
//! them drains in a nanosecond.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use time::{Date, Month, OffsetDateTime};
use tollgate_core::Timestamp;

const SECOND: u64 = 1_000_000_000;
const DAY: u64 = 86_400;
/// Days from the Monday before the epoch to the epoch, a Thursday.
const MONDAY_TO_EPOCH: u64 = 3;

/// When what was spent is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Window {
    /// It drains evenly, the whole limit in this time.
    Rolling(Duration),
    /// It is forgotten at the turn of the period, up to one limit a turn.
    Calendar(Period),
}

/// A calendar period, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// Begins with every second.
    Second,
    /// Begins with every full minute.
    Minute,
    /// Begins with every full hour.
    Hour,
    /// Begins at midnight.
    Day,
    /// Begins on Monday (ISO 8601).
    Week,
    /// Begins on the first.
    Month,
}

impl Window {
    /// Ticks of one unit.
    pub fn ticks_per_unit(self) -> u128 {
        match self {
            Self::Rolling(length) => length.as_nanos().max(1),
            Self::Calendar(_) => 1,
        }
    }

    /// Ticks that drain between two times at a limit.
    pub fn drained(self, from: Timestamp, to: Timestamp, limit: u64) -> u128 {
        let times = match self {
            Self::Rolling(_) => to.since(from).as_nanos(),
            Self::Calendar(period) => u128::from(period.number(to).saturating_sub(period.number(from))),
        };
        times.saturating_mul(u128::from(limit))
    }

    /// How long until so many ticks have drained.
    pub fn time_to_drain(self, ticks: u128, now: Timestamp, limit: u64) -> Duration {
        let times = u64::try_from(ticks.div_ceil(u128::from(limit.max(1)))).unwrap_or(u64::MAX);
        match self {
            Self::Rolling(_) => Duration::from_nanos(times),
            Self::Calendar(_) if times == 0 => Duration::ZERO,
            Self::Calendar(period) => period.start(period.number(now).saturating_add(times)).since(now),
        }
    }

    /// Whether it is a quota, gone until the calendar says otherwise, and not a rate that one comes back for a little later.
    pub const fn is_quota(self) -> bool {
        matches!(self, Self::Calendar(Period::Hour | Period::Day | Period::Week | Period::Month))
    }
}

/// As in `per rolling 1m`, `per calendar month`.
impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = match self {
            Self::Calendar(period) => return write!(f, "calendar {}", period.as_str()),
            Self::Rolling(length) => length.as_millis(),
        };
        let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")];
        let (millis, unit) =
            units.into_iter().find(|(millis, _)| length.is_multiple_of(*millis)).unwrap_or((1, "ms"));
        write!(f, "rolling {}{unit}", length / millis)
    }
}

impl Period {
    /// All of them, the shortest first.
    pub const ALL: [Self; 6] = [Self::Second, Self::Minute, Self::Hour, Self::Day, Self::Week, Self::Month];

    /// The word in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// Counts the periods from some beginning on.
    fn number(self, at: Timestamp) -> u64 {
        let seconds = at.as_secs();
        match self {
            Self::Second => seconds,
            Self::Minute => seconds / 60,
            Self::Hour => seconds / 3_600,
            Self::Day => seconds / DAY,
            Self::Week => (seconds / DAY + MONDAY_TO_EPOCH) / 7,
            Self::Month => month_number(seconds),
        }
    }

    /// When the period of a number begins.
    fn start(self, number: u64) -> Timestamp {
        let seconds = match self {
            Self::Second => number,
            Self::Minute => number.saturating_mul(60),
            Self::Hour => number.saturating_mul(3_600),
            Self::Day => number.saturating_mul(DAY),
            Self::Week => number.saturating_mul(7).saturating_sub(MONDAY_TO_EPOCH).saturating_mul(DAY),
            Self::Month => month_start(number),
        };
        Timestamp::from_nanos(seconds.saturating_mul(SECOND))
    }
}

/// Months since the year 0. Nanoseconds of 64 bits end in the year 2554, which the calendar knows.
fn month_number(seconds: u64) -> u64 {
    let date = i64::try_from(seconds).ok().and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    let Some(date) = date else { return u64::MAX };
    u64::try_from(date.year()).unwrap_or(0) * 12 + u64::from(u8::from(date.month())) - 1
}

fn month_start(number: u64) -> u64 {
    let month = u8::try_from(number % 12).ok().and_then(|month| Month::try_from(month + 1).ok());
    let date = month.and_then(|month| Date::from_calendar_date(i32::try_from(number / 12).ok()?, month, 1).ok());
    let start = date.and_then(|date| u64::try_from(date.midnight().assume_utc().unix_timestamp()).ok());
    start.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
