//! Which of a stream's answers are still under way: OpenAI calls them choices, Gemini candidates.
//!
//! Two bits a choice, for as many as OpenAI lets a call have (`n` ≤ 128). A choice beyond them is known to be there and
//! counts as open for ever, so that it cannot run past a cap; it gets no finish reason of its own.

/// The choices of one stream.
#[derive(Debug, Default)]
pub(crate) struct Choices {
    seen: u128,
    finished: u128,
    /// An index beyond the bits was seen.
    has_more: bool,
    /// The choice object under way.
    current: Current,
}

#[derive(Debug, Default)]
struct Current {
    index: Option<u64>,
    has_reason: bool,
    has_content: bool,
}

impl Choices {
    /// A choice object begins.
    pub(crate) fn begin(&mut self) {
        self.current = Current::default();
    }

    /// Its index was read. Gemini leaves out a 0.
    pub(crate) fn index(&mut self, index: Option<u64>) {
        self.current.index = index;
    }

    /// It brings something the model wrote.
    pub(crate) fn content(&mut self) {
        self.current.has_content = true;
    }

    /// It says why it finished.
    pub(crate) fn finish_reason(&mut self) {
        self.current.has_reason = true;
    }

    /// The choice object is over.
    pub(crate) fn end(&mut self) {
        let current = std::mem::take(&mut self.current);
        let bit = u32::try_from(current.index.unwrap_or(0)).ok().and_then(|index| 1_u128.checked_shl(index));
        let Some(bit) = bit else {
            self.has_more = true;
            return;
        };
        self.seen |= bit;
        if self.finished & bit != 0 && current.has_content {
            // Some servers give a reason with every chunk: one that speaks again had not finished.
            self.finished &= !bit;
        } else if current.has_reason {
            self.finished |= bit;
        }
    }

    /// Whether any choice may go on. Before the first was seen, one is to come.
    pub(crate) fn is_any_open(&self) -> bool {
        self.seen == 0 || self.has_open()
    }

    /// Whether one that was seen may go on.
    pub(crate) fn has_open(&self) -> bool {
        self.has_more || self.seen & !self.finished != 0
    }

    /// The indexes that still need a finish reason.
    pub(crate) fn open(&self) -> impl Iterator<Item = u32> {
        let is_unseen = self.seen == 0 && !self.has_more;
        let open = if is_unseen { 1 } else { self.seen & !self.finished };
        (0..u128::BITS).filter(move |index| open & (1 << index) != 0)
    }
}
