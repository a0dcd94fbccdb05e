//! How each attempt of a call ended, as one line for access logs: `openai=503 azure-eu=tls fallback=200`.

use tollgate_core::handoff;
use tollgate_core::ports::Handoff;

const MAX_ENTRIES: usize = 16;
const MAX_BYTES: usize = 512;

/// How an attempt ended.
pub(super) fn ending(status: Option<u16>, failure: impl FnOnce() -> Option<String>) -> String {
    match status {
        Some(status) => status.to_string(),
        None => without_answer(failure().as_deref()).to_owned(),
    }
}

/// Envoy says `TLS_error:|…` of a handshake, and `… connect error: …` of a connection.
fn without_answer(failure: Option<&str>) -> &'static str {
    match failure.map(str::to_ascii_lowercase) {
        Some(failure) if failure.contains("tls") || failure.contains("ssl") => "tls",
        Some(failure) if failure.contains("connect") => "connect",
        _ => "no_answer",
    }
}

/// Adds an attempt to the trail. The first of a call finds none, so it does not look.
pub(super) fn add(handoff: &mut dyn Handoff, is_first: bool, provider: &str, ending: &str) {
    let mut trail = if is_first { Vec::new() } else { handoff.get(handoff::ATTEMPTS).unwrap_or_default() };
    if trail.split(|byte| *byte == b' ').filter(|entry| !entry.is_empty()).count() >= MAX_ENTRIES {
        return;
    }
    if !trail.is_empty() {
        trail.push(b' ');
    }
    trail.extend_from_slice(format!("{provider}={ending}").as_bytes());
    if trail.len() <= MAX_BYTES {
        handoff.set(handoff::ATTEMPTS, &trail);
    }
}

#[cfg(test)]
mod tests {
    use tollgate_fakehost::FakeHandoff;

    use super::*;

    fn trail(handoff: &FakeHandoff) -> String {
        String::from_utf8(handoff.get(handoff::ATTEMPTS).unwrap_or_default()).unwrap()
    }

    #[test]
    fn an_attempt_ends_with_a_status_or_a_word() {
        for (status, failure, expected) in [
            (Some(503), None, "503"),
            (Some(200), Some("TLS_error"), "200"),
            (None, None, "no_answer"),
            (None, Some("TLS_error:|268435581:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED"), "tls"),
            (None, Some("delayed connect error: Connection refused"), "connect"),
            (None, Some("something else"), "no_answer"),
        ] {
            assert_eq!(ending(status, || failure.map(Into::into)), expected);
        }
    }

    #[test]
    fn the_trail_is_in_order_and_bounded() {
        let mut handoff = FakeHandoff::default();
        add(&mut handoff, true, "a", "503");
        add(&mut handoff, false, "b", "200");
        assert_eq!(trail(&handoff), "a=503 b=200");
        for _ in 0..20 {
            add(&mut handoff, false, "c", "no_answer");
        }
        assert_eq!(trail(&handoff).split(' ').count(), MAX_ENTRIES);
        let mut handoff = FakeHandoff::default();
        for _ in 0..20 {
            add(&mut handoff, false, &"x".repeat(40), "no_answer");
        }
        assert!(trail(&handoff).len() <= MAX_BYTES && trail(&handoff).ends_with("=no_answer"));
    }
}
