//! OpenAI embeddings: a bag of hashed words, so that texts with common words lie near each other.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::answer::{Invalid, prompt_tokens, required, required_str, text_of};
use super::script::Script;
use super::wire::Reply;

/// Length of a vector unless `dimensions` says otherwise.
const DIMENSIONS: usize = 64;
/// Longest vector.
const MAX_DIMENSIONS: u64 = 4_096;

/// Answers a request.
pub(super) fn reply(body: &Value, script: &Script) -> Result<Reply, Invalid> {
    let model = required_str(body, "model")?;
    let texts: Vec<String> = match required(body, "input")? {
        Value::Array(items) if items.iter().all(Value::is_string) => items.iter().map(text_of).collect(),
        // Lists of token numbers are legal and have no text.
        other => vec![text_of(other)],
    };
    let dimensions = body
        .get("dimensions")
        .and_then(Value::as_u64)
        .and_then(|n| usize::try_from(n.clamp(1, MAX_DIMENSIONS)).ok())
        .unwrap_or(DIMENSIONS);
    let is_base64 = body.get("encoding_format").and_then(Value::as_str) == Some("base64");
    let data: Vec<_> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| {
            let vector = embed(text, dimensions);
            let embedding = if is_base64 { to_base64(&vector) } else { json!(vector) };
            json!({"object": "embedding", "index": index, "embedding": embedding})
        })
        .collect();
    let tokens: u64 = texts.iter().map(|text| prompt_tokens(text)).sum();
    let mut answer = json!({"object": "list", "data": data, "model": model});
    let usage = json!({"prompt_tokens": tokens, "total_tokens": tokens});
    super::openai::set(&mut answer, "usage", (!script.no_usage).then_some(usage));
    Ok(Reply::json(answer))
}

/// Each word adds one to the dimension that its digest names; the vector is then made one long.
fn embed(text: &str, dimensions: usize) -> Vec<f32> {
    let mut vector = vec![0.0_f32; dimensions];
    for word in text.split_whitespace() {
        let digest = Sha256::digest(word.to_lowercase());
        let hash = digest.iter().take(4).fold(0_usize, |hash, byte| hash << 8 | usize::from(*byte));
        if let Some(weight) = vector.get_mut(hash % dimensions) {
            *weight += 1.0;
        }
    }
    let length = vector.iter().map(|weight| weight * weight).sum::<f32>().sqrt().max(1.0);
    vector.iter().map(|weight| weight / length).collect()
}

fn to_base64(vector: &[f32]) -> Value {
    let bytes: Vec<u8> = vector.iter().flat_map(|weight| weight.to_le_bytes()).collect();
    json!(BASE64_STANDARD.encode(bytes))
}
