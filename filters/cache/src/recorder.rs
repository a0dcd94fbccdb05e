//! A copy of the answer that is passing, kept only as long as it may still be stored.
//!
//! Whether an answer may be stored at all is known from its head: status 200, JSON or an event stream, not encoded, not
//! forbidden by the provider, the same for all callers of the key. Whether it is whole is known at its end, from the
//! meter that reads it along: an error in the body, a cut stream, a length limit reached or a missing last event all
//! leave it incomplete. Beyond the size of an entry the copy is dropped at once, so a stream holds at most one entry's
//! bytes.

use std::time::Duration;

use tollgate_core::{HeaderList, Timestamp};
use tollgate_llm::{Api, Framing, UsageMeter};

use crate::config::CachePolicy;
use crate::control;
use crate::entry::{Entry, OVERHEAD};
use crate::key::Key;

/// An answer on its way into the store.
#[derive(Debug)]
pub struct Recorder {
    key: Key,
    lifetime: Duration,
    content_type: Vec<u8>,
    body: Vec<u8>,
    body_limit: usize,
    meter: UsageMeter,
}

impl Recorder {
    /// Starts at the head of an answer. `None`: it will not be stored.
    pub fn start(policy: &CachePolicy, key: Key, api: Api, headers: &HeaderList) -> Option<Self> {
        if headers.first(":status") != Some(b"200") || control::varies(headers) {
            return None;
        }
        // Compressed bytes would be replayed to a caller that may not read them.
        let framing = Framing::of_head(headers)?;
        let content_type = headers.first("content-type")?;
        Some(Self {
            key,
            lifetime: control::lifetime(headers, policy.ttl)?,
            content_type: content_type.to_vec(),
            body: Vec::new(),
            body_limit: policy.max_entry_bytes.checked_sub(OVERHEAD + content_type.len())?,
            meter: UsageMeter::new(api, framing),
        })
    }

    /// Keeps the next bytes. `false`: the answer is too long, drop the recorder.
    pub fn feed(&mut self, bytes: &[u8]) -> bool {
        if self.body.len() + bytes.len() > self.body_limit {
            return false;
        }
        self.body.extend_from_slice(bytes);
        self.meter.feed(bytes);
        true
    }

    /// The answer ended. `None`: it is not one to give again.
    pub fn finish(mut self, now: Timestamp) -> Option<Entry> {
        self.meter.finish();
        self.meter.is_complete().then(|| Entry {
            key: self.key,
            stored_at: now,
            expires_at: now.plus(self.lifetime),
            usage: self.meter.usage(),
            content_type: self.content_type,
            body: self.body,
        })
    }
}
