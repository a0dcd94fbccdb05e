//! Decimal numbers as integers: thousand-millionths (10⁻⁹).

/// One.
pub const ONE: u64 = 1_000_000_000;
/// Digits after the point.
const DIGITS: usize = 9;

/// Reads digits, and at most nine more after a point, as in `25`, `2.50`, `0.0375`. No sign, no exponent.
pub fn parse(text: &str) -> Option<u64> {
    let (whole, fraction) = digits(text).filter(|(_, fraction)| fraction.len() <= DIGITS)?;
    let missing = u32::try_from(DIGITS - fraction.len()).ok()?;
    let fraction = (if fraction.is_empty() { "0" } else { fraction })
        .parse::<u64>()
        .ok()?
        .checked_mul(10_u64.checked_pow(missing)?)?;
    whole.parse::<u64>().ok()?.checked_mul(ONE)?.checked_add(fraction)
}

/// The digits before and behind the point; none behind it where there is no point, else one at least on either side.
pub fn digits(text: &str) -> Option<(&str, &str)> {
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    match text.split_once('.') {
        None => Some((text, "")).filter(|_| is_digits(text)),
        both => both.filter(|(whole, fraction)| is_digits(whole) && is_digits(fraction)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_as_people_write_them() {
        for (text, nanos) in [
            ("25", 25_000_000_000),
            ("2.50", 2_500_000_000),
            ("0.0375", 37_500_000),
            ("0.000000001", 1),
            ("0", 0),
            ("007.1", 7_100_000_000),
        ] {
            assert_eq!(parse(text), Some(nanos), "{text}");
        }
    }

    #[test]
    fn anything_else_is_no_decimal() {
        for text in [
            "",
            ".",
            "1.",
            ".5",
            "-1",
            "+1",
            "1e3",
            "1,000",
            " 1",
            "$1",
            "0.0000000001",
            "18446744073.709551616",
            "\u{663}",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
