//! Changes a few bytes of a request body and keeps all others, so that the provider gets what the caller wrote.

use std::ops::Range;

use serde_json::value::RawValue;

/// Text that is put where other text stood.
#[derive(Debug)]
pub(super) struct Splice {
    /// Where in the body, in bytes.
    at: usize,
    /// Bytes that go.
    old_length: usize,
    new: String,
}

impl Splice {
    /// Replaces a value that was read from `body`.
    pub(super) fn replace(body: &[u8], old: &RawValue, new: impl Into<String>) -> Option<Self> {
        Some(Self { at: offset(body, old)?, old_length: old.get().len(), new: new.into() })
    }

    /// Takes bytes of a body away.
    pub(super) fn cut(bytes: Range<usize>) -> Self {
        Self { at: bytes.start, old_length: bytes.len(), new: String::new() }
    }

    /// Puts text behind the brace of the object that is `body` itself.
    pub(super) fn first(body: &[u8], new: String) -> Option<Self> {
        let at = body.iter().position(|byte| *byte == b'{')?.checked_add(1)?;
        Some(Self { at, old_length: 0, new })
    }

    /// Puts a member, `"name":value`, in front of those of the object that is `body` itself.
    pub(super) fn first_of_body(body: &[u8], member: &str) -> Option<Self> {
        Self::first_after(body, body.iter().position(|byte| *byte == b'{')?, member)
    }

    /// Puts a member in front of those of an object that was read from `body`.
    pub(super) fn first_of(body: &[u8], object: &RawValue, member: &str) -> Option<Self> {
        Self::first_after(body, offset(body, object)?, member)
    }

    fn first_after(body: &[u8], brace: usize, member: &str) -> Option<Self> {
        let at = brace.checked_add(1)?;
        let is_empty = body.get(at..)?.trim_ascii_start().starts_with(b"}");
        let new = if is_empty { member.to_owned() } else { format!("{member},") };
        Some(Self { at, old_length: 0, new })
    }
}

/// The body with the changes made. `None`: they overlap or reach outside of it.
pub(super) fn apply(body: &[u8], mut splices: Vec<Splice>) -> Option<Vec<u8>> {
    splices.sort_by_key(|splice| splice.at);
    let added = splices.iter().map(|splice| splice.new.len()).sum::<usize>();
    let mut changed = Vec::with_capacity(body.len().saturating_add(added));
    let mut kept_from = 0;
    for splice in splices {
        changed.extend_from_slice(body.get(kept_from..splice.at)?);
        changed.extend_from_slice(splice.new.as_bytes());
        kept_from = splice.at.checked_add(splice.old_length)?;
    }
    changed.extend_from_slice(body.get(kept_from..)?);
    Some(changed)
}

/// Where a value that was read from `body` stands in it.
pub(super) fn offset(body: &[u8], raw: &RawValue) -> Option<usize> {
    (raw.get().as_ptr() as usize).checked_sub(body.as_ptr() as usize).filter(|offset| *offset < body.len())
}
