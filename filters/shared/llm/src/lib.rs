//! Bytes of the model APIs to values and back.
//!
//! One place knows the wire formats of OpenAI, Anthropic and Gemini; filters ask it for facts: what a request wants
//! ([`RequestFacts`], [`ModelScanner`]), what an answer cost ([`UsageMeter`]), how a refusal reads in the caller's
//! dialect ([`refuse`]), how a stream ends early ([`StreamCutter`]). Everything is pure. Answers are fed chunk by chunk,
//! cut anywhere, and no state grows with the length of a body. It makes no decision, and it keeps nothing of what
//! people wrote.

mod api;
mod done;
mod model_pattern;
pub mod query;
mod refusal;
mod request;
pub mod scan;
pub mod sse;
mod stream_end;
mod usage;
mod usage_chunk;

pub use api::{Api, Dialect};
pub use model_pattern::ModelPattern;
pub use refusal::refuse;
pub use request::{
    BadRequest, BodyEdits, BytesPerToken, CountedText, Edited, MODEL_PARAMETERS, PromptSize, RequestFacts, edit_body,
    encoded_name, force_stream_usage, is_plain_path, limit_output, model_in_body, model_in_path, prompt_prefix,
    rename_in_path, rename_in_query,
};
pub use scan::ModelScanner;
pub use stream_end::{Cut, StreamCutter};
pub use usage::{Framing, UsageMeter};
pub use usage_chunk::{MAX_HELD, UsageChunkFilter};
