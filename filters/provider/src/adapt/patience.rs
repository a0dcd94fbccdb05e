//! How long a provider asks to be left alone.

use std::time::{Duration, SystemTime};

use tollgate_core::{HeaderList, Timestamp};

/// Whether a status may come with such a wish that is meant for all requests of a model.
pub(super) fn may_be_asked_for(status: u16) -> bool {
    matches!(status, 429 | 503)
}

/// What the head of an answer asks for: `retry-after-ms`, which is finer, before `retry-after` (RFC 9110 §10.2.3: seconds, or
/// a date). `None`: nothing, or nothing that lies ahead.
pub(super) fn asked_for(head: &HeaderList, now: Timestamp) -> Option<Duration> {
    let text = |name| head.first(name).and_then(|value| str::from_utf8(value).ok()).map(str::trim);
    let millis = text("retry-after-ms").and_then(number).map(|millis| millis / 1_000.0);
    let after = match millis {
        Some(secs) => Duration::try_from_secs_f64(secs).ok(),
        None => {
            let value = text("retry-after")?;
            match number(value) {
                Some(secs) => Duration::try_from_secs_f64(secs).ok(),
                None => until(value, now),
            }
        }
    };
    after.filter(|after| !after.is_zero())
}

/// Digits, and a fraction since some send one.
fn number(text: &str) -> Option<f64> {
    let is_number = text.starts_with(|first: char| first.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        && text.len() <= 15;
    is_number.then(|| text.parse().ok())?
}

fn until(date: &str, now: Timestamp) -> Option<Duration> {
    let date = httpdate::parse_http_date(date).ok()?;
    let date = date.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(Timestamp::from_secs(date.as_secs()).since(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(pairs: &[(&str, &str)]) -> Option<u128> {
        // Tue, 24 Nov 2026 12:00:00 GMT
        let now = Timestamp::from_secs(1_795_521_600);
        asked_for(&pairs.iter().copied().collect(), now).map(|after| after.as_millis())
    }

    #[test]
    fn both_headers_and_all_forms_of_a_date_are_read() {
        for (value, millis) in [
            ("1", 1_000),
            (" 120 ", 120_000),
            ("0.25", 250),
            ("Tue, 24 Nov 2026 12:00:30 GMT", 30_000),
            ("Tuesday, 24-Nov-26 12:01:00 GMT", 60_000),
            ("Tue Nov 24 12:02:00 2026", 120_000),
        ] {
            assert_eq!(asked(&[("retry-after", value)]), Some(millis), "{value}");
        }
        assert_eq!(asked(&[("retry-after", "5"), ("retry-after-ms", "1250")]), Some(1_250));
        assert_eq!(asked(&[("retry-after", "5"), ("retry-after-ms", "soon")]), Some(5_000));
    }

    #[test]
    fn what_does_not_lie_ahead_or_is_no_time_asks_for_nothing() {
        for value in [
            "",
            "0",
            "0.0",
            "-1",
            "+1",
            "1e9",
            "inf",
            "NaN",
            "1.2.3",
            ".5",
            "soon",
            "99999999999999999999999",
            "Tue, 24 Nov 2026 12:00:00 GMT",
            "Mon, 23 Nov 2026 12:00:00 GMT",
            "Tue, 99 Nov 2026 12:00:00 GMT",
            "Thu, 01 Jan 1900 00:00:00 GMT",
        ] {
            assert_eq!(asked(&[("retry-after", value)]), None, "{value:?}");
        }
        assert_eq!(asked(&[]), None);
        assert_eq!(asked(&[("retry-after-ms", "0"), ("retry-after", "5")]), None);
    }

    #[test]
    fn only_two_statuses_speak_of_more_than_their_request() {
        assert!([429, 503].into_iter().all(may_be_asked_for));
        assert!(![200, 401, 500, 502, 504, 529].into_iter().any(may_be_asked_for));
    }
}
