//! Calls of the fault run: what answers them, and how they end.

use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use tollgate_budget::filter::BudgetStream;
use tollgate_core::{Identity, handoff};
use tollgate_fakehost::Call;

use crate::fixture::Recording;

/// What becomes of a call that was admitted. Parts are thousandths of the recorded answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum End {
    /// The answer comes and ends.
    Whole,
    /// Trailers end it: no piece is told to be the last.
    Trailers,
    /// The client leaves, or the provider breaks off.
    Cut {
        part: usize,
    },
    /// The VM dies: nothing is ever told of the call again.
    Dies {
        part: usize,
    },
    /// The provider refuses or fails.
    Fails {
        status: &'static str,
    },
    NoAnswer,
    /// The cache answers.
    Hit,
    /// Another filter answers.
    LocalReply,
    /// An answer of bytes.
    Opaque,
    /// The answer comes, and all writes of the settlement lose.
    Unsettled,
}

/// One of each, for the record of what was reached.
pub(super) const ENDS: [End; 10] = [
    End::Whole,
    End::Trailers,
    End::Cut { part: 0 },
    End::Dies { part: 0 },
    End::Fails { status: "" },
    End::NoAnswer,
    End::Hit,
    End::LocalReply,
    End::Opaque,
    End::Unsettled,
];

impl End {
    pub(super) fn any(random: &mut ChaCha8Rng) -> Self {
        let part = random.random_range(0..=1_000);
        match random.random_range(0..16) {
            0..=3 => Self::Whole,
            4 => Self::Trailers,
            5..=7 => Self::Cut { part },
            8 => Self::Dies { part },
            9 => Self::Fails { status: ["400", "401", "404", "429", "500", "503"][part % 6] },
            10 => Self::NoAnswer,
            11 => Self::Hit,
            12 => Self::LocalReply,
            13 => Self::Opaque,
            14 => Self::Unsettled,
            _ => Self::Cut { part: 1_000 },
        }
    }

    /// Whether a provider answered with a success, so that the call counts as one.
    pub(super) fn is_answered(self) -> bool {
        !matches!(self, Self::Fails { .. } | Self::NoAnswer | Self::Hit | Self::LocalReply)
    }

    /// Whether its provider had its whole say.
    pub(super) fn is_whole(self) -> bool {
        matches!(self, Self::Whole | Self::Trailers | Self::Unsettled | Self::Cut { part: 1_000 })
    }
}

/// A call under way.
pub(super) struct Open<'r> {
    pub(super) id: u64,
    pub(super) call: Call<BudgetStream>,
    pub(super) who: Identity,
    pub(super) model: String,
    pub(super) recording: &'r Recording,
    pub(super) end: End,
    /// Rules in shadow mode that would have refused it.
    pub(super) refused_in_shadow: Vec<usize>,
    has_head: bool,
    /// Bytes of the answer that have passed.
    passed: usize,
}

impl<'r> Open<'r> {
    pub(super) fn new(
        id: u64,
        call: Call<BudgetStream>,
        who: Identity,
        model: String,
        recording: &'r Recording,
        end: End,
    ) -> Self {
        Self { id, call, who, model, recording, end, refused_in_shadow: Vec::new(), has_head: false, passed: 0 }
    }

    /// The next thing that the filter sees of the answer. `false`: there is none.
    pub(super) fn answer(&mut self, random: &mut ChaCha8Rng) -> bool {
        let length = match self.end {
            End::NoAnswer => return false,
            End::Cut { part } | End::Dies { part } => self.recording.body.len() * part / 1_000,
            _ => self.recording.body.len(),
        };
        if !self.has_head {
            self.has_head = true;
            self.head();
            return true;
        }
        if self.passed == length {
            return false;
        }
        let end = self.passed + random.random_range(1..=(length - self.passed).min(700));
        let is_ended = matches!(self.end, End::Whole | End::Hit | End::LocalReply | End::Unsettled);
        self.call.response_chunk(&self.recording.body[self.passed..end], is_ended && end == length);
        self.passed = end;
        true
    }

    fn head(&mut self) {
        let left = &mut self.call.handoff.0;
        match self.end {
            End::Hit => drop(left.insert(handoff::REPLY.into(), b"cache".to_vec())),
            End::LocalReply => drop(left.insert(handoff::REPLY.into(), b"provider".to_vec())),
            _ => {}
        }
        match self.end {
            End::Fails { status } => self.call.response_headers(&[(":status", status)], false),
            End::Opaque => self.call.response_headers(&[(":status", "200"), ("content-type", "text/plain")], false),
            _ => self.call.response_headers(self.recording.head(), false),
        };
    }
}
