//! Recorded-like answers of every API with what must be read from them beside (`*.expected.json`), fed whole, byte by
//! byte and in pieces of every small size: the cut never matters.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may fail loudly, helpers included")]

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tollgate_core::Usage;
use tollgate_llm::{Api, Framing, UsageMeter};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    api: String,
    framing: String,
    usage: Usage,
    is_reported: bool,
    is_complete: bool,
    finish_reason: Option<String>,
    shows_reasoning: bool,
}

/// Every fixture: its body and what stands beside it.
fn fixtures() -> Vec<(PathBuf, Vec<u8>, Expected)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
        .into_iter()
        .filter_map(|path| {
            let stem = path.to_str()?.strip_suffix(".expected.json")?.to_owned();
            let expected: Expected = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            let body = PathBuf::from(format!("{stem}.{}", expected.framing));
            let bytes = fs::read(&body).unwrap();
            Some((body, bytes, expected))
        })
        .collect()
}

fn check(name: &Path, body: &[u8], expected: &Expected, piece: usize) {
    let api = *Api::ALL.iter().find(|api| api.as_str() == expected.api).unwrap();
    let framing = if expected.framing == "sse" { Framing::Sse } else { Framing::Json };
    let mut meter = UsageMeter::new(api, framing);
    for bytes in body.chunks(piece) {
        meter.feed(bytes);
    }
    meter.finish();
    let read = (meter.usage(), meter.is_reported(), meter.is_complete());
    let wanted = (expected.usage, expected.is_reported, expected.is_complete);
    let told = (meter.finish_reason(), meter.shows_reasoning());
    assert_eq!(told, (expected.finish_reason.as_deref(), expected.shows_reasoning), "{}", name.display());
    assert_eq!(read, wanted, "{} in pieces of {piece}", name.display());
}

#[test]
fn every_answer_is_read_alike_however_it_is_cut() {
    let fixtures = fixtures();
    for (name, body, expected) in &fixtures {
        for piece in (1..=97).chain([body.len()]) {
            check(name, body, expected, piece);
        }
    }
    for api in Api::ALL.iter().filter(|api| api.is_inference()) {
        assert!(
            fixtures.iter().any(|(_, _, expected)| expected.api == api.as_str()),
            "no fixture of {}",
            api.as_str()
        );
    }
}

#[test]
fn an_answer_cut_anywhere_is_never_taken_for_whole() {
    for (name, body, expected) in fixtures().iter().filter(|(_, _, expected)| expected.is_complete) {
        let api = *Api::ALL.iter().find(|api| api.as_str() == expected.api).unwrap();
        let framing = if expected.framing == "sse" { Framing::Sse } else { Framing::Json };
        let end = body.trim_ascii_end().len();
        for cut in 0..end {
            let mut meter = UsageMeter::new(api, framing);
            meter.feed(&body[..cut]);
            meter.finish();
            assert!(!meter.is_complete(), "{} cut at {cut} of {end}", name.display());
        }
    }
}
