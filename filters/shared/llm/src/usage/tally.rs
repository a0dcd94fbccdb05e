//! What the readers of all providers fill in, and how figures are made of it.

use tollgate_core::{Usage, UsageSource};

use super::reason::Reason;
use super::reasoning::Reasoning;
use super::{anthropic, gemini, openai, responses};
use crate::api::Api;
use crate::request::BytesPerToken;
use crate::scan::{Scalar, Visitor};
use crate::stream_end::choices::Choices;
use crate::stream_end::is_reason;

/// Figures and facts of one answer so far.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) figures: Figures,
    /// A usage object ended that says anything (some servers fill theirs with zeros), and no event brought content without one
    /// since.
    pub(super) has_usage: bool,
    /// Bytes of content that count as tokens while the provider has not said.
    pub(super) bytes_per_token: BytesPerToken,
    /// Bytes of generated content that passed.
    pub(super) content_bytes: u64,
    /// Which of several answers are under way: the first that finishes does not finish the others.
    pub(super) choices: Choices,
    /// The answer's end was announced (finish reason or terminal event), in an event that is over.
    pub(super) is_ended: bool,
    /// The event that ends streams of this API came.
    pub(super) is_terminated: bool,
    pub(super) ended_naturally: bool,
    pub(super) ended_otherwise: bool,
    pub(super) has_error: bool,
    /// Why the model ended, in the provider's word, told last in an event that is over.
    pub(super) reason: Option<Reason>,
    /// Whether reasoning passed as text.
    pub(super) reasoning: Reasoning,
    /// An event was no JSON.
    pub(super) is_broken: bool,
    pub(super) event: EventFacts,
}

/// What is known of the current event only.
#[derive(Debug, Default)]
pub(super) struct EventFacts {
    /// The answer's end is announced here.
    pub(super) ends: bool,
    /// This is the last event of its stream.
    pub(super) terminates: bool,
    /// The model wrote something here.
    pub(super) has_content: bool,
    /// Figures that say anything stand here.
    pub(super) has_usage: bool,
    /// Why the model ended, as it is told here.
    reason: Option<Reason>,
    /// The same more closely, of an answer that only says that it is incomplete.
    detailed_reason: Option<Reason>,
}

impl EventFacts {
    /// The provider's word for why the model ended, or of OpenAI's responses that it has not.
    pub(super) fn told_reason(&mut self, value: Scalar<'_>) {
        if let Scalar::Text(Some(word)) = value
            && !matches!(word, "in_progress" | "queued")
        {
            self.reason = Reason::of(word).or(self.reason);
        }
    }

    /// A word that says more than that.
    pub(super) fn detailed_reason(&mut self, value: Scalar<'_>) {
        if let Scalar::Text(Some(word)) = value {
            self.detailed_reason = Reason::of(word);
        }
    }
}

/// Tokens as the providers count them.
#[derive(Debug, Default)]
pub(super) struct Figures {
    /// Input without the parts that stand in members of their own.
    pub(super) input: u64,
    /// Further input, counted apart (Anthropic's cache reads and writes, Gemini's tool results).
    pub(super) input_apart: [u64; 2],
    pub(super) output: u64,
    /// Further output, counted apart (Gemini's thoughts).
    pub(super) output_apart: u64,
    pub(super) cached_input: u64,
    pub(super) cache_write: u64,
    pub(super) reasoning: u64,
    /// Input and output, where a provider says it.
    pub(super) total: u64,
}

impl Figures {
    /// Whether any tokens were counted: no call runs a model without some. A total alone does not say of what.
    fn say_anything(&self) -> bool {
        let [written, read] = self.input_apart;
        [self.input, written, read, self.output, self.output_apart].iter().any(|tokens| *tokens > 0)
    }
}

/// Figures are cumulative and some members come again as 0: the largest counts.
pub(super) fn raise(figure: &mut u64, value: Scalar<'_>) {
    *figure = (*figure).max(value.count().unwrap_or(0));
}

impl Tally {
    /// A finish reason was given; `is_natural`: the model itself chose to end.
    pub(super) fn finish_reason(&mut self, value: Scalar<'_>, is_natural: impl Fn(&str) -> bool) {
        if !is_reason(value) {
            return;
        }
        self.event.told_reason(value);
        match value {
            Scalar::Text(Some(reason)) if is_natural(reason) => self.ended_naturally = true,
            _ => self.ended_otherwise = true,
        }
        self.event.ends = true;
    }

    /// The event (or the whole JSON body) is over.
    pub(super) fn event_ended(&mut self) {
        let event = std::mem::take(&mut self.event);
        if event.has_content {
            // Another choice goes on, or the model itself does: what was told before is not the end of it.
            self.is_ended &= self.is_terminated;
            self.has_usage &= event.has_usage;
        }
        self.is_ended |= event.ends || event.terminates;
        self.is_terminated |= event.terminates;
        self.reason = event.detailed_reason.or(event.reason).or(self.reason);
    }

    /// The figures as one record. `unread` bytes may be content as well.
    pub(super) fn usage(&self, api: Api, is_final: bool, unread: u64) -> Usage {
        let figures = &self.figures;
        let input = figures.input_apart.iter().fold(figures.input, |sum, part| sum.saturating_add(*part));
        let counted = figures.output.saturating_add(figures.output_apart);
        // Some providers leave reasoning out of their output and count it in the total alone.
        let output = if input > 0 { counted.max(figures.total.saturating_sub(input)) } else { counted };
        let estimated = self.bytes_per_token.tokens_of(self.content_bytes.saturating_add(unread));
        Usage {
            input,
            output: match api {
                Api::Embeddings => 0,
                // No model writes something in no tokens: that figure was left out, or is none that can be read.
                _ if is_final && output > 0 => output,
                _ => output.max(estimated),
            },
            cached_input: figures.cached_input.min(input),
            cache_write: figures.cache_write.min(input),
            reasoning: figures.reasoning,
            source: if is_final { UsageSource::Reported } else { UsageSource::Estimated },
        }
    }
}

/// Passes what the scanner tells on to the reader of the API.
pub(super) struct Reader<'a> {
    pub(super) api: Api,
    pub(super) tally: &'a mut Tally,
}

impl Reader<'_> {
    /// Gemini streams without `alt=sse` are an array of what would have been events.
    fn relative<'p>(&self, path: &'p str) -> &'p str {
        match (self.api, path.strip_prefix("[]")) {
            (Api::GenerateContent | Api::StreamGenerateContent, Some(rest)) => rest.strip_prefix('.').unwrap_or(rest),
            _ => path,
        }
    }
}

impl Visitor for Reader<'_> {
    fn text(&mut self, path: &str, bytes: u64) {
        let path = self.relative(path);
        let is_content = match self.api {
            Api::ChatCompletions | Api::Completions => openai::is_content(path),
            Api::Responses => responses::is_content(path),
            Api::Messages => anthropic::is_content(path),
            Api::GenerateContent | Api::StreamGenerateContent => gemini::is_content(path),
            Api::Embeddings | Api::Other => false,
        };
        if is_content {
            self.tally.event.has_content = true;
            self.tally.content_bytes = self.tally.content_bytes.saturating_add(bytes);
            self.tally.choices.content();
            self.tally.reasoning.content(self.api, path);
        }
    }

    fn scalar(&mut self, path: &str, value: Scalar<'_>) {
        let path = self.relative(path);
        if path == "error" && value != Scalar::Null {
            self.tally.has_error = true;
        }
        match path {
            "choices[].index" | "candidates[].index" => self.tally.choices.index(value.count()),
            "choices[].finish_reason" | "candidates[].finishReason" if is_reason(value) => {
                self.tally.choices.finish_reason();
            }
            _ => {}
        }
        self.tally.reasoning.scalar(self.api, path, value);
        match self.api {
            Api::ChatCompletions | Api::Completions | Api::Embeddings | Api::Other => {
                openai::scalar(self.tally, path, value);
            }
            Api::Responses => responses::scalar(self.tally, path, value),
            Api::Messages => anthropic::scalar(self.tally, path, value),
            Api::GenerateContent | Api::StreamGenerateContent => gemini::scalar(self.tally, path, value),
        }
    }

    fn begin(&mut self, path: &str) {
        let path = self.relative(path);
        if matches!(path, "choices[]" | "candidates[]") {
            self.tally.choices.begin();
        }
        self.tally.reasoning.begin(self.api, path);
        self.tally.has_error |= matches!(path, "error" | "response.error");
        // Embeddings know no reason to end: having data is all.
        self.tally.ended_naturally |= self.api == Api::Embeddings && path == "data";
    }

    fn end(&mut self, path: &str) {
        let path = self.relative(path);
        self.tally.reasoning.end(self.api, path);
        match path {
            "usage" | "response.usage" | "message.usage" | "usageMetadata" => {
                self.tally.event.has_usage |= self.tally.figures.say_anything();
                self.tally.has_usage |= self.tally.event.has_usage;
            }
            "choices[]" | "candidates[]" => self.tally.choices.end(),
            "" => self.tally.event_ended(),
            _ => {}
        }
    }
}
