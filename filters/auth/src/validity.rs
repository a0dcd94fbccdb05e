//! From when until when a credential is good.

use tollgate_core::Timestamp;

/// Seconds since the Unix epoch. The default is for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// Before this it is not good yet.
    pub begin: u64,
    /// From here on it is over.
    pub end: u64,
}

/// Where a clock stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not good yet.
    Early,
    /// Good.
    Now,
    /// Over.
    Over,
}

impl Default for Validity {
    fn default() -> Self {
        Self { begin: 0, end: u64::MAX }
    }
}

impl Validity {
    /// Where a clock stands; a span that ends before it begins is over first.
    pub const fn phase(self, now: Timestamp) -> Phase {
        let now = now.as_secs();
        if now >= self.end {
            Phase::Over
        } else if now < self.begin {
            Phase::Early
        } else {
            Phase::Now
        }
    }
}
