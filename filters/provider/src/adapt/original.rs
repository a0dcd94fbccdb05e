//! What the caller sent of all that an attempt may change, kept beside the call for the attempts behind it.
//!
//! It is left before the first change, and not at all where nothing changes that would have to be put back. Where it is missing,
//! the head is the caller's.

use serde::{Deserialize, Serialize};
use tollgate_core::HeaderList;
use tollgate_core::handoff;
use tollgate_core::ports::Handoff;

/// The name of the hand-off. Nobody else reads it.
const NAME: &str = "tollgate_original";
/// More than a proxy takes as a head, unless it is told to.
const MAX_BYTES: usize = 256 * 1024;

/// Path and headers as the caller sent them, but for credentials. Bytes are written as the letters of their number, since they
/// may be no text.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    path: String,
    headers: Vec<(String, String)>,
}

/// The same as bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Original {
    pub(super) path: Vec<u8>,
    /// Those that some provider sets; several values of one as a list.
    pub(super) headers: Vec<(String, Vec<u8>)>,
}

/// Why there is no original to go by.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// What stands there cannot be read.
    Unreadable,
    /// It would be longer than is kept.
    TooLong,
}

impl Original {
    /// From the caller's own head.
    pub(super) fn of<'n>(head: &HeaderList, path: Vec<u8>, names: impl Iterator<Item = &'n String>) -> Self {
        let headers = names.filter_map(|name| {
            let values: Vec<&[u8]> = head.values(name).collect();
            (!values.is_empty()).then(|| (name.clone(), values.join(&b", "[..])))
        });
        Self { path, headers: headers.collect() }
    }

    /// What an earlier attempt left; `None`: nothing.
    pub(super) fn load(handoff: &dyn Handoff) -> Result<Option<Self>, Lost> {
        let Some(bytes) = handoff.get(NAME).filter(|bytes| !bytes.is_empty()) else { return Ok(None) };
        let written: Written = serde_json::from_slice(&bytes).map_err(|_| Lost::Unreadable)?;
        let headers = written.headers.into_iter().map(|(name, value)| Some((name, bytes_of(&value)?)));
        let headers = headers.collect::<Option<_>>().ok_or(Lost::Unreadable)?;
        Ok(Some(Self { path: bytes_of(&written.path).ok_or(Lost::Unreadable)?, headers }))
    }

    /// Leaves it for the attempts behind this one.
    pub(super) fn store(&self, handoff: &mut dyn Handoff) -> Result<(), Lost> {
        let headers = self.headers.iter().map(|(name, value)| (name.clone(), letters_of(value))).collect();
        let json = handoff::json(&Written { path: letters_of(&self.path), headers });
        if json.is_empty() || json.len() > MAX_BYTES {
            return Err(Lost::TooLong);
        }
        handoff.set(NAME, &json);
        Ok(())
    }

    /// What the caller sent under a name.
    pub(super) fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_slice())
    }
}

fn letters_of(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

fn bytes_of(letters: &str) -> Option<Vec<u8>> {
    letters.chars().map(|letter| u8::try_from(letter).ok()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tollgate_fakehost::FakeHandoff;

    use super::*;

    proptest! {
        #[test]
        fn what_is_left_is_found(path: Vec<u8>, headers: Vec<(String, Vec<u8>)>) {
            let mut handoff = FakeHandoff::default();
            let original = Original { path, headers };
            original.store(&mut handoff).unwrap();
            prop_assert_eq!(Original::load(&handoff), Ok(Some(original)));
        }
    }

    #[test]
    fn nothing_left_is_no_error_but_other_bytes_are() {
        let mut handoff = FakeHandoff::default();
        assert_eq!(Original::load(&handoff), Ok(None));
        for bytes in ["{}", "x", r#"{"path":"\u0100","headers":[]}"#, r#"{"path":"","headers":[["a","\u0100"]]}"#] {
            handoff.set(NAME, bytes.as_bytes());
            assert_eq!(Original::load(&handoff), Err(Lost::Unreadable), "{bytes}");
        }
    }

    #[test]
    fn its_size_is_bounded() {
        let mut handoff = FakeHandoff::default();
        let original = |length| Original { path: vec![b'x'; length], headers: vec![] };
        assert_eq!(original(MAX_BYTES - 64).store(&mut handoff), Ok(()));
        assert_eq!(original(MAX_BYTES).store(&mut handoff), Err(Lost::TooLong));
    }

    #[test]
    fn several_values_are_one_list() {
        let head: HeaderList = [("b", "1"), ("a", "x"), ("b", "2")].into_iter().collect();
        let names = ["b".to_owned(), "c".to_owned()];
        let original = Original::of(&head, vec![], names.iter());
        assert_eq!(
            (original.header("b"), original.header("a"), original.header("c")),
            (Some(&b"1, 2"[..]), None, None)
        );
    }
}
