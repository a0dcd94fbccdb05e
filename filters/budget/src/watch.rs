//! What an answer costs, read as it passes.
//!
//! The provider's own figures count as soon as they are seen. Until then, and if the stream is cut before: the input
//! as it was estimated at admission, and the output that passed. So a client that hangs up is charged what it
//! received, without draining the provider. Figures no model can reach are capped.

use tollgate_core::Usage;
use tollgate_llm::{Api, BytesPerToken, Framing, UsageChunkFilter, UsageMeter};

use crate::unit::Consumption;

/// More than any call can use today (the largest context windows are some 10⁷ tokens): a wrong figure from a provider
/// must not put a tenant in debt for ever.
pub const MOST_TOKENS: u64 = 100_000_000;

/// One answer of a provider, passing.
#[derive(Debug)]
pub struct Watch {
    reader: Reader,
    hide_usage: Option<UsageChunkFilter>,
    estimated_input: u64,
    ratio: BytesPerToken,
}

#[derive(Debug)]
enum Reader {
    /// It costs nothing: a filter gave it.
    Free,
    /// It counts as a request; what it used is not known here.
    Counted,
    /// It can say what it costs.
    Metered(Box<UsageMeter>),
    /// It cannot: bytes are counted.
    Opaque { bytes: u64 },
}

impl Watch {
    /// An answer that costs nothing.
    pub const fn free() -> Self {
        Self::unread(Reader::Free)
    }

    /// An answer of an endpoint that runs no model we know.
    pub const fn counted() -> Self {
        Self::unread(Reader::Counted)
    }

    const fn unread(reader: Reader) -> Self {
        Self { reader, hide_usage: None, estimated_input: 0, ratio: BytesPerToken::ENGLISH }
    }

    /// An answer of the provider, its text at this ratio. No framing: its bytes are counted.
    pub fn new(api: Api, framing: Option<Framing>, estimated_input: u64, ratio: BytesPerToken) -> Self {
        let reader = match framing {
            Some(framing) => Reader::Metered(Box::new(UsageMeter::new(api, framing).estimating_by(ratio))),
            None => Reader::Opaque { bytes: 0 },
        };
        Self { reader, hide_usage: None, estimated_input, ratio }
    }

    /// The same, but the usage chunk that only we asked for is taken out.
    #[must_use]
    pub fn hiding_usage(self) -> Self {
        Self { hide_usage: Some(UsageChunkFilter::new()), ..self }
    }

    /// Whether it wants to see the body at all.
    pub const fn reads(&self) -> bool {
        !matches!(self.reader, Reader::Free | Reader::Counted) || self.hide_usage.is_some()
    }

    /// Whether the answer comes as it is generated. A whole one has no first token.
    pub fn is_streamed(&self) -> bool {
        matches!(&self.reader, Reader::Metered(meter) if meter.is_streamed())
    }

    /// Whether a filter gave the answer, so that it costs nothing.
    pub const fn is_free(&self) -> bool {
        matches!(self.reader, Reader::Free)
    }

    /// Reads a chunk. `Some`: what goes on in its place.
    pub fn feed(&mut self, chunk: &[u8], last: bool) -> Option<Vec<u8>> {
        match &mut self.reader {
            Reader::Free | Reader::Counted => {}
            Reader::Metered(meter) => {
                meter.feed(chunk);
                if last {
                    meter.finish();
                }
            }
            Reader::Opaque { bytes } => *bytes = bytes.saturating_add(chunk.len() as u64),
        }
        let filter = self.hide_usage.as_mut()?;
        let mut passes = filter.feed(chunk);
        if last {
            passes.extend(filter.finish());
        }
        (passes != chunk).then_some(passes)
    }

    /// What the answer cost so far.
    pub fn consumption(&self) -> Consumption {
        let requests = u64::from(!self.is_free());
        Consumption { requests, usage: capped(self.uncapped()) }
    }

    /// Bytes of text that the model generated, if the provider said in the end what the answer cost.
    pub fn finished_content(&self) -> Option<u64> {
        self.meter().filter(|meter| meter.is_reported()).map(UsageMeter::content_bytes)
    }

    /// Bytes of text that passed; 0 where the answer cannot be read.
    pub fn content_bytes(&self) -> u64 {
        self.meter().map_or(0, UsageMeter::content_bytes)
    }

    /// Whether reasoning passed as text.
    pub fn shows_reasoning(&self) -> bool {
        self.meter().is_some_and(UsageMeter::shows_reasoning)
    }

    /// Why the model ended, in the provider's word.
    pub fn finish_reason(&self) -> Option<&str> {
        self.meter().and_then(UsageMeter::finish_reason)
    }

    /// Whether the provider reported more than any call can use.
    pub fn is_capped(&self) -> bool {
        let usage = self.uncapped();
        capped(usage) != usage
    }

    fn meter(&self) -> Option<&UsageMeter> {
        if let Reader::Metered(meter) = &self.reader { Some(meter) } else { None }
    }

    fn uncapped(&self) -> Usage {
        let mut usage = match &self.reader {
            Reader::Free | Reader::Counted => return Usage::default(),
            Reader::Metered(meter) => meter.usage(),
            Reader::Opaque { bytes } => Usage { output: self.ratio.tokens_of(*bytes), ..Usage::default() },
        };
        // Anthropic says the input first, others only in the end, and some never. No model that knows the prompt takes none for it.
        if usage.input == 0 {
            usage.input = self.estimated_input;
        }
        usage
    }
}

/// The same with no more tokens of a kind than a call can use.
pub fn capped(usage: Usage) -> Usage {
    let cap = |tokens: u64| tokens.min(MOST_TOKENS);
    Usage {
        input: cap(usage.input),
        output: cap(usage.output),
        cached_input: cap(usage.cached_input),
        cache_write: cap(usage.cache_write),
        reasoning: cap(usage.reasoning),
        source: usage.source,
    }
}
