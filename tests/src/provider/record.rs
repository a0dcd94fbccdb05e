//! What was asked of the provider, byte for byte: the last 1,000 requests.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Bytes;
use axum::http::request::Parts;
use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};

/// Requests kept; older ones are forgotten.
const MAX_REQUESTS: usize = 1_000;
/// Bytes kept of one body: 2 MiB.
const MAX_BODY_BYTES: usize = 2 << 20;

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// HTTP method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Names in lower case and values as raw bytes, in the order of arrival.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body, at most its first 2 MiB.
    pub body: Bytes,
    /// Length of the whole body in bytes.
    pub body_bytes: usize,
    /// Milliseconds since 1970.
    pub received_at_ms: u128,
}

impl Recorded {
    /// The raw value of the first header called `name` (lower case).
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_slice())
    }

    /// As `/_requests` shows it. Values are text for the eye and base64 for comparing bytes.
    fn to_json(&self) -> Value {
        let headers: Vec<_> = self
            .headers
            .iter()
            .map(|(name, value)| {
                json!({
                    "name": name,
                    "value": String::from_utf8_lossy(value),
                    "value_base64": BASE64_STANDARD.encode(value),
                })
            })
            .collect();
        json!({
            "method": self.method,
            "path": self.path,
            "headers": headers,
            "body_base64": BASE64_STANDARD.encode(&self.body),
            "body_bytes": self.body_bytes,
            "received_at_ms": u64::try_from(self.received_at_ms).unwrap_or(u64::MAX),
        })
    }
}

/// Counts every request and keeps the last ones, unless told not to.
#[derive(Debug)]
pub struct Recorder {
    kept: Option<Mutex<VecDeque<Recorded>>>,
    count: AtomicU64,
}

impl Recorder {
    /// With `keep` false requests are only counted: under load, copies of every body would be what is measured.
    pub fn new(keep: bool) -> Self {
        Self { kept: keep.then(Mutex::default), count: AtomicU64::new(0) }
    }

    /// Takes down a request; its number is unique in this process.
    pub fn record(&self, parts: &Parts, body: &Bytes) -> u64 {
        if let Some(kept) = &self.kept {
            let headers =
                parts.headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect();
            let request = Recorded {
                method: parts.method.to_string(),
                path: parts.uri.path_and_query().map_or_else(String::new, ToString::to_string),
                headers,
                body: body.slice(..body.len().min(MAX_BODY_BYTES)),
                body_bytes: body.len(),
                received_at_ms: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis()),
            };
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() == MAX_REQUESTS {
                kept.pop_front();
            }
            kept.push_back(request);
        }
        self.count.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// How many requests came so far.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// The requests kept, oldest first.
    pub fn requests(&self) -> Vec<Recorded> {
        self.kept.as_ref().map_or_else(Vec::new, |kept| {
            kept.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
        })
    }

    /// The requests kept, as JSON.
    pub fn to_json(&self) -> Value {
        self.requests().iter().map(Recorded::to_json).collect()
    }

    /// Forgets the requests kept; the count goes on.
    pub fn clear(&self) {
        if let Some(kept) = &self.kept {
            kept.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }
}
