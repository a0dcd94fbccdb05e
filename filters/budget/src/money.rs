//! US dollars as integers: nano-dollars, read from and written as decimal strings.
//!
//! Prices of models go down to fractions of a cent per million tokens, so a float would add up to a wrong bill and a micro-dollar
//! would round a short call to nothing.

use std::fmt;

use crate::decimal;

/// An amount of money in nano-dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct NanoUsd(pub u64);

impl NanoUsd {
    /// Reads dollars as [`decimal::parse`] does.
    pub fn parse(text: &str) -> Option<Self> {
        decimal::parse(text).map(Self)
    }
}

/// Dollars with at least two digits after the point: `25.00`, `0.0375`.
impl fmt::Display for NanoUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fraction = format!("{:09}", self.0 % decimal::ONE);
        let shown = fraction.trim_end_matches('0');
        write!(f, "{}.{shown:0<2}", self.0 / decimal::ONE)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cents_are_always_shown() {
        for (nanos, text) in [(25_000_000_000, "25.00"), (0, "0.00"), (37_500_000, "0.0375"), (1_100_000_000, "1.10")]
        {
            assert_eq!(NanoUsd(nanos).to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(nanos: u64) {
            prop_assert_eq!(NanoUsd::parse(&NanoUsd(nanos).to_string()), Some(NanoUsd(nanos)));
        }
    }
}
