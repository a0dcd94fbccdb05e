//! OpenAI ends its streams with an event that is no JSON: `data: [DONE]`.

const DONE: &[u8] = b"[DONE]";

/// Tells that event while its data comes in pieces.
#[derive(Debug)]
pub(crate) struct DoneMatcher {
    /// Bytes that matched; `None` once they differ.
    matched: Option<usize>,
}

impl Default for DoneMatcher {
    fn default() -> Self {
        Self { matched: Some(0) }
    }
}

impl DoneMatcher {
    /// The next piece of the event's data. Blanks at its end do not matter.
    pub(crate) fn feed(&mut self, data: &[u8]) {
        let data = data.trim_ascii_end();
        self.matched = self
            .matched
            .and_then(|matched| DONE.get(matched..)?.starts_with(data).then(|| matched.saturating_add(data.len())));
    }

    /// Whether it still may be that event.
    pub(crate) const fn may_be_done(&self) -> bool {
        self.matched.is_some()
    }

    /// Whether it is that event.
    pub(crate) fn is_done(&self) -> bool {
        self.matched == Some(DONE.len())
    }

    /// Another event begins.
    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }
}
