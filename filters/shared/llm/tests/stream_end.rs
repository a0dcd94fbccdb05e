//! Every recorded stream, cut at every byte and fed in pieces of a size that varies: what the client got is whole, is the
//! beginning of the recording with one ending after it, and reads as an answer that was ended by a limit.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test may fail loudly, helpers included"
)]

use std::fs;
use std::path::Path;

use serde_json::Value;
use tollgate_core::{Usage, UsageSource};
use tollgate_llm::{Api, Cut, Framing, StreamCutter, UsageMeter};

/// No recording tells as much, so that the meter must have it from the ending.
const USAGE: Usage = Usage {
    input: 5_000,
    output: 4_000,
    cached_input: 3_000,
    cache_write: 0,
    reasoning: 2_000,
    source: UsageSource::Estimated,
};

struct Recording {
    name: String,
    api: Api,
    framing: Framing,
    body: Vec<u8>,
}

/// The streams among the fixtures; `.expected.json` beside each names its API.
fn recordings() -> Vec<Recording> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let names = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter_map(|name| Some(name.strip_suffix(".expected.json")?.to_owned())).collect();
    names.sort();
    let read = |name: String| {
        let expected: Value =
            serde_json::from_slice(&fs::read(folder.join(format!("{name}.expected.json"))).unwrap()).unwrap();
        let framing = expected["framing"].as_str().unwrap();
        let api = Api::parse(expected["api"].as_str().unwrap()).unwrap();
        let body = fs::read(folder.join(format!("{name}.{framing}"))).unwrap();
        let framing = if framing == "sse" { Framing::Sse } else { Framing::Json };
        (framing == Framing::Sse || api == Api::StreamGenerateContent).then_some(Recording {
            name,
            api,
            framing,
            body,
        })
    };
    names.into_iter().filter_map(read).collect()
}

impl Recording {
    /// What a client gets that is cut off after `at` bytes of the provider's.
    fn cut(&self, at: usize, piece: usize) -> (Vec<u8>, Cut) {
        let mut cutter = StreamCutter::new(self.api, self.framing);
        let mut out = Vec::new();
        let (before, after) = self.body.split_at(at);
        before.chunks(piece).for_each(|piece| out.extend_from_slice(&cutter.feed(piece)));
        assert_eq!(out, before, "nothing is held");
        let cut = cutter.cut(&USAGE, true);
        if let Cut::Now(ending) = &cut {
            out.extend_from_slice(ending);
        }
        after.chunks(piece).for_each(|piece| out.extend_from_slice(&cutter.feed(piece)));
        out.extend(cutter.finish());
        (out, cut)
    }

    fn meter(&self, body: &[u8]) -> UsageMeter {
        let mut meter = UsageMeter::new(self.api, self.framing);
        meter.feed(body);
        meter.finish();
        meter
    }

    fn check_is_ended(&self, out: &[u8], place: &str) {
        let meter = self.meter(out);
        assert!(meter.is_reported() && !meter.is_complete(), "{place}");
        assert_eq!(meter.usage().output, USAGE.output, "{place}");
        // Anthropic tells the input in the first event, and not again.
        assert_eq!(meter.usage().input >= USAGE.input, self.api != Api::Messages, "{place}");
    }
}

/// The data of whole events, read in the plainest way there is; lines end with LF or CRLF.
fn datas(body: &[u8]) -> Vec<String> {
    let text = String::from_utf8(body.to_vec()).unwrap().replace("\r\n", "\n");
    let whole = text.split_inclusive("\n\n").filter(|event| event.ends_with("\n\n"));
    whole.flat_map(str::lines).filter_map(|line| Some(line.strip_prefix("data:")?.trim().to_owned())).collect()
}

/// Where a recording's events end; 0 is the first gap.
fn gaps(body: &[u8]) -> Vec<usize> {
    let is_gap = |at: &usize| *at == 0 || body[..*at].ends_with(b"\n\n") || body[..*at].ends_with(b"\r\n\r\n");
    (0..=body.len()).filter(is_gap).collect()
}

/// Whether the events tell that the model is done: a reason, a terminal event, an error.
fn tell_end(api: Api, datas: &[String]) -> bool {
    datas.iter().any(|data| {
        let Ok(data) = serde_json::from_str::<Value>(data) else { return data == "[DONE]" };
        let is_reason = match api {
            Api::Messages => data["delta"]["stop_reason"].is_string() || data["type"] == "message_stop",
            Api::Responses => data["response"]["status"].as_str().is_some_and(|status| status != "in_progress"),
            Api::StreamGenerateContent => data["candidates"][0]["finishReason"].is_string(),
            _ => data["choices"][0]["finish_reason"].is_string(),
        };
        is_reason || data["error"].is_object()
    })
}

/// How often the stream says that it is over, in the one way its API has for it.
fn ends_told(api: Api, datas: &[String]) -> usize {
    let is_end = |data: &&String| match api {
        Api::Messages => data.contains(r#""message_stop""#),
        Api::Responses => data.contains(r#""response.incomplete""#),
        Api::StreamGenerateContent => data.contains(r#""MAX_TOKENS""#),
        _ => data.as_str() == "[DONE]",
    };
    datas.iter().filter(is_end).count()
}

#[test]
fn events_cut_anywhere_end_properly() {
    let mut cuts = 0;
    for recording in recordings().iter().filter(|recording| recording.framing == Framing::Sse) {
        let Recording { name, api, body, .. } = recording;
        let over = |gap| (gap, tell_end(*api, &datas(&body[..gap])));
        let gaps: Vec<(usize, bool)> = gaps(body).into_iter().map(over).collect();
        for at in 0..=body.len() {
            let piece = [1, 7, 64, body.len()][at % 4];
            let place = format!("{name} cut at {at}, in pieces of {piece}");
            let (out, _) = recording.cut(at, piece);
            let needs_opening = matches!(api, Api::Messages | Api::Responses) && at == 0;
            let gap = gaps.iter().find(|(gap, _)| *gap >= at && !(needs_opening && *gap == 0));
            let Some((end, false)) = gap.copied() else {
                assert_eq!(out, *body, "{place}");
                continue;
            };
            cuts += 1;
            assert_eq!(out[..end], body[..end], "{place}");
            assert!(out.ends_with(b"\n\n"), "{place}");
            // What passed before tells no end, as was found above.
            let ending = datas(&out[end..]);
            assert_eq!((ends_told(*api, &ending), ends_told(*api, &ending[ending.len() - 1..])), (1, 1), "{place}");
            for data in ending.iter().filter(|data| *data != "[DONE]") {
                serde_json::from_str::<Value>(data).unwrap();
            }
            recording.check_is_ended(&out, &place);
        }
    }
    assert!(cuts > 10_000, "{cuts}");
}

#[test]
fn an_array_cut_anywhere_is_closed() {
    let mut cuts = 0;
    for recording in recordings().iter().filter(|recording| recording.framing == Framing::Json) {
        let Recording { name, body, .. } = recording;
        let text = str::from_utf8(body).unwrap();
        let whole: Option<Vec<Value>> = serde_json::from_slice(body).ok();
        for at in 0..=body.len() {
            let piece = [1, 7, 64, body.len()][at % 4];
            let place = format!("{name} cut at {at}, in pieces of {piece}");
            let (out, cut) = recording.cut(at, piece);
            let begun = text.match_indices("\n  {").filter(|(begin, _)| begin + 4 <= at).count();
            let is_last = begun == text.matches("\n  {").count();
            if is_last {
                assert!(matches!(cut, Cut::Pending | Cut::Over), "{place}");
                assert_eq!(out, *body, "{place}");
                continue;
            }
            cuts += 1;
            assert!(out.starts_with(&body[..at]), "{place}");
            let got: Vec<Value> = serde_json::from_slice(&out).unwrap();
            let (last, passed) = got.split_last().unwrap();
            assert_eq!(passed.len(), begun, "{place}");
            assert!(whole.iter().all(|whole| whole.starts_with(passed)), "{place}");
            assert_eq!(last["candidates"][0]["finishReason"], "MAX_TOKENS", "{place}");
            recording.check_is_ended(&out, &place);
        }
    }
    assert!(cuts > 1_000, "{cuts}");
}
