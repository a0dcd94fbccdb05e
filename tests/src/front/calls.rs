//! Calls at a constant rate, whatever becomes of them, and what came of each.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval};

use super::Deployment;
use crate::client::unique;
use crate::gateway::chat_body;

/// Where chats go.
pub const CHAT: &str = "/v1/chat/completions";
/// No call may take longer.
const PATIENCE: Duration = Duration::from_secs(30);
/// One call in so many is a stream, of about a second.
const STREAMS: u64 = 20;

/// Failed calls that a failed test shows.
const SHOWN: usize = 5;

/// What came of a call.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// `None`: no head came.
    pub status: Option<u16>,
    /// Whether the answer ended as it should.
    pub is_whole: bool,
    /// Whether it was to be streamed.
    pub is_stream: bool,
    /// The id that the answer told.
    pub id: Option<String>,
}

impl Outcome {
    /// Whether it is what the caller wanted.
    pub fn is_good(&self) -> bool {
        self.status == Some(200) && self.is_whole
    }
}

/// Calls that are being made.
#[derive(Debug)]
pub struct Calls {
    stop: Arc<AtomicBool>,
    task: JoinHandle<Vec<Outcome>>,
}

impl Calls {
    /// Begins to make so many calls a second.
    pub fn start(deployment: &Deployment, rate: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let key = deployment.secrets.api_key("acme").expect("the tenant has a demo key");
        let task = tokio::spawn(make(deployment.url(CHAT), key, rate, Arc::clone(&stop)));
        Self { stop, task }
    }

    /// Begins no more, waits for those under way, and tells of all.
    pub async fn finish(self) -> Vec<Outcome> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.expect("a call that fails is an outcome")
    }

    /// Makes calls for so long and tells of them.
    pub async fn during(deployment: &Deployment, rate: u32, length: Duration) -> Vec<Outcome> {
        let calls = Self::start(deployment, rate);
        tokio::time::sleep(length).await;
        calls.finish().await
    }
}

/// Fails if one of these calls did, and shows what the front says of the first few.
pub async fn expect_all_good(deployment: &Deployment, outcomes: &[Outcome]) {
    let failed: Vec<_> = outcomes.iter().filter(|outcome| !outcome.is_good()).collect();
    let ids: Vec<_> = failed.iter().take(SHOWN).filter_map(|outcome| outcome.id.clone()).collect();
    let lines = deployment.logged(&ids).await;
    let lines: Vec<_> = ids.iter().filter_map(|id| lines.get(id)).map(Value::to_string).collect();
    let first = failed.first();
    assert!(failed.is_empty(), "{} of {} failed: {first:?}\n{}", failed.len(), outcomes.len(), lines.join("\n"));
}

/// How many of these calls each place answered, and how many nobody did (``).
pub async fn places(deployment: &Deployment, outcomes: &[Outcome]) -> BTreeMap<String, usize> {
    let ids: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.id.clone()).collect();
    let lines = deployment.logged(&ids).await;
    let mut counts = BTreeMap::new();
    for id in &ids {
        let address = lines.get(id).and_then(|line| line.get("gateway")).and_then(Value::as_str);
        let place = address.and_then(|address| deployment.place(address)).unwrap_or_default();
        *counts.entry(place).or_default() += 1;
    }
    counts
}

async fn make(url: String, key: String, rate: u32, stop: Arc<AtomicBool>) -> Vec<Outcome> {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client without TLS needs nothing");
    let mut ticks = interval(Duration::from_secs(1) / rate);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (mut calls, mut count) = (JoinSet::new(), 0);
    while !stop.load(Ordering::Relaxed) {
        ticks.tick().await;
        count += 1;
        calls.spawn(one(client.clone(), url.clone(), key.clone(), count % STREAMS == 0));
    }
    calls.join_all().await
}

async fn one(client: reqwest::Client, url: String, key: String, is_stream: bool) -> Outcome {
    // Never seen before, so that no cache answers.
    let mut body = chat_body(&unique("prompt"));
    let mut call = client.post(url).bearer_auth(key).timeout(PATIENCE);
    if is_stream {
        crate::gateway::merge(&mut body, &json!({"stream": true}));
        call = call.header("x-provider-chunk-delay-ms", "50").header("x-provider-words", "20");
    }
    let Ok(answer) = call.json(&body).send().await else {
        return Outcome { status: None, is_whole: false, is_stream, id: None };
    };
    let id = answer.headers().get("x-request-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    let status = Some(answer.status().as_u16());
    let mut is_whole = true;
    let mut pieces = answer.bytes_stream();
    while let Some(piece) = pieces.next().await {
        is_whole = piece.is_ok();
        if !is_whole {
            break;
        }
    }
    Outcome { status, is_whole, is_stream, id }
}
