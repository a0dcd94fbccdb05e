//! The trace that a call belongs to, as W3C Trace Context writes it in `traceparent`.
//!
//! A callout that a call waits for carries the call's own, unchanged: the gateway has no span for it, so its server's span
//! hangs below the caller's. One that nobody waits for carries none, and its server begins a trace of its own: a root made
//! up here would name a span that nobody recorded. `tracestate` is not passed on. It is words of the caller's vendors, and a
//! server of keys may be anybody's.

use crate::header::HeaderList;

/// The header.
pub const HEADER: &str = "traceparent";

/// A `traceparent` that is what the specification says (§3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent([u8; LENGTH]);

/// `00-` trace id `-` parent id `-` flags.
const LENGTH: usize = 55;

impl TraceParent {
    /// Of a call's head. `None`: it has none, several, or one that is wrong, which counts as none.
    pub fn of(headers: &HeaderList) -> Option<Self> {
        let mut values = headers.values(HEADER);
        let first = values.next()?;
        if values.next().is_some() { None } else { Self::parse(first) }
    }

    /// Reads a value. Of versions to come what version 00 knows is kept.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (known, rest) = value.split_first_chunk::<LENGTH>()?;
        let mut parts = known.split(|byte| *byte == b'-');
        let [version, trace, parent, flags] = [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
        let is_hex = |part: &[u8], length: usize| {
            part.len() == length && part.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        let is_id = |part: &[u8], length: usize| is_hex(part, length) && part.iter().any(|byte| *byte != b'0');
        let may_end_so = if version == b"00" { rest.is_empty() } else { matches!(rest.first(), None | Some(b'-')) };
        let is_right = is_hex(version, 2)
            && version != b"ff"
            && is_id(trace, 32)
            && is_id(parent, 16)
            && is_hex(flags, 2)
            && parts.next().is_none()
            && may_end_so;
        is_right.then(|| Self(*known).at_version_00(version, flags))
    }

    /// What the header holds.
    pub fn as_str(&self) -> &str {
        // Hexadecimal digits and dashes, by `parse`.
        str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Of another version's flags only "sampled" is known to mean the same (§4.2).
    fn at_version_00(mut self, version: &[u8], flags: &[u8]) -> Self {
        if version != b"00" {
            let is_sampled = flags
                .last()
                .is_some_and(|digit| matches!(digit, b'1' | b'3' | b'5' | b'7' | b'9' | b'b' | b'd' | b'f'));
            let [first, second, .., high, low] = &mut self.0;
            (*first, *second, *high) = (b'0', b'0', b'0');
            *low = if is_sampled { b'1' } else { b'0' };
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn parsed(text: &str) -> Option<String> {
        TraceParent::parse(text.as_bytes()).map(|parent| parent.as_str().to_owned())
    }

    #[test]
    fn a_right_one_is_passed_on_as_it_is() {
        assert_eq!(parsed(GOOD).as_deref(), Some(GOOD));
        assert_eq!(parsed(&GOOD.replace("-01", "-00")).as_deref(), Some(&*GOOD.replace("-01", "-00")));
    }

    #[test]
    fn what_the_specification_forbids_is_none() {
        for wrong in [
            "",
            "00",
            GOOD.strip_suffix("1").unwrap(),
            &format!("{GOOD}-what-comes-later"),
            &format!("{GOOD} "),
            &GOOD.to_uppercase(),
            &GOOD.replace('0', "g"),
            &GOOD.replacen("00", "ff", 1),
            &GOOD.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            &GOOD.replace("b7ad6b7169203331", &"0".repeat(16)),
            &GOOD.replace("dd84", "dd-4"),
            "00-0af7651916cd43dd8448eb211c80319-cb7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-\u{e9}",
        ] {
            assert_eq!(parsed(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn of_a_later_version_what_is_known_is_kept() {
        let later = format!("{}-more", GOOD.replacen("00", "cc", 1).replace("-01", "-ff"));
        assert_eq!(parsed(&later).as_deref(), Some(GOOD));
        assert_eq!(parsed(&GOOD.replacen("00", "01", 1).replace("-01", "-02")), Some(GOOD.replace("-01", "-00")));
        assert_eq!(parsed(&format!("{}x", GOOD.replacen("00", "cc", 1))), None);
    }

    #[test]
    fn two_headers_are_none() {
        let head = |values: &[&str]| values.iter().map(|value| (HEADER, *value)).collect::<HeaderList>();
        assert!(TraceParent::of(&head(&[GOOD])).is_some());
        assert_eq!(TraceParent::of(&head(&[GOOD, GOOD])), None);
        assert_eq!(TraceParent::of(&head(&[])), None);
    }
}
