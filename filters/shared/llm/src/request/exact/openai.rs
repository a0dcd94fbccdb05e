//! OpenAI's tokenizers, by the names of the models that they belong to.
//!
//! Names as in `tiktoken/model.py` of <https://github.com/openai/tiktoken>. An unknown model, also one that is newer, has no
//! tokenizer here. The tables are unpacked at the first count of a worker, once for each of the two: about 0.1 s.

use super::CountTokens;
use crate::request::input_tokens::bare_name;

/// What names of models with `o200k_base` begin with.
const O200K: &[&str] = &["gpt-4o", "gpt-4.1", "gpt-4.5", "gpt-5", "chatgpt-4o", "gpt-oss-", "o1", "o3", "o4"];
/// What names of models with `cl100k_base` begin with; `gpt-35` is how Azure writes it.
const CL100K: &[&str] = &["gpt-4", "gpt-3.5", "gpt-35", "text-embedding-3", "text-embedding-ada-002"];

/// The tokenizer of a model, if it is known.
pub(in crate::request) fn tokenizer_of(model: &str) -> Option<CountTokens> {
    let name = bare_name(model);
    let is_one_of = |families: &[&str]| families.iter().any(|family| is_of_family(name, family));
    if is_one_of(O200K) {
        Some(|text| bpe_openai::o200k_base().count(text) as u64)
    } else if is_one_of(CL100K) {
        Some(|text| bpe_openai::cl100k_base().count(text) as u64)
    } else {
        None
    }
}

/// Whether the name goes on with a new word or a version: `gpt-5.4` is of `gpt-5`, `gpt-50` is not.
fn is_of_family(name: &str, family: &str) -> bool {
    name.strip_prefix(family)
        .is_some_and(|rest| family.ends_with('-') || !rest.starts_with(|c: char| c.is_alphanumeric()))
}

#[cfg(test)]
mod tests;
