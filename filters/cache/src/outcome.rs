//! What became of answers that could have been stored, as it is counted.

use tollgate_core::metric;
use tollgate_core::ports::Meter;

/// What became of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// It lies in its slot.
    Kept,
    /// Its status or its headers forbid it.
    NotCacheable,
    /// It is longer than an entry may be.
    TooLarge,
    /// It did not come to its natural end.
    Incomplete,
    /// Another model gave it than the key speaks of. The next call shall have the one that it asks for.
    StandIn,
}

impl Stored {
    /// The word in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Kept => "stored",
            Self::NotCacheable => "not_cacheable",
            Self::TooLarge => "too_large",
            Self::Incomplete => "incomplete",
            Self::StandIn => "stand_in",
        }
    }

    /// Counts it.
    pub fn count(self, meter: &mut dyn Meter) {
        meter.add(metric::CACHE_STORES, &[("result", self.as_str())], 1);
    }
}
