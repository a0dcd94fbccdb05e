//! Where a document is, and how often it is asked for.

use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tollgate_core::{Callout, TraceParent, trace};

/// A validated source.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// The proxy's cluster that leads there.
    pub cluster: String,
    /// `https` or `http`: what the server is told. Whether TLS is spoken is the cluster's.
    pub scheme: String,
    /// Host, and port if it is not the scheme's own.
    pub authority: String,
    /// Path and query.
    pub path: String,
    /// The longest time between two looks.
    pub refresh: Duration,
    /// The longest time for one answer.
    pub timeout: Duration,
    /// How long the last good document may be used while no newer one is to be had.
    pub max_stale: Option<Duration>,
    /// What the server wants to see in `authorization`.
    pub bearer: Option<String>,
    /// Tells documents apart that are read in different ways.
    pub kind: String,
}

impl Address {
    /// The document's URL.
    pub fn url(&self) -> String {
        format!("{}://{}{}", self.scheme, self.authority, self.path)
    }

    /// Between two looks at the record, at most.
    pub(super) fn poll(&self) -> Duration {
        Duration::from_secs(1).min(self.refresh / 10)
    }

    /// The request; conditional if the document's tag is known (RFC 9110 §13.1.2), and part of a trace if a call waits for
    /// it.
    pub(super) fn callout(&self, etag: Option<&str>, parent: Option<TraceParent>) -> Callout {
        let mut headers: Vec<(String, String)> = [
            (":method", "GET"),
            (":scheme", self.scheme.as_str()),
            (":authority", self.authority.as_str()),
            (":path", self.path.as_str()),
            ("accept", "application/json"),
            ("user-agent", concat!("tollgate/", env!("CARGO_PKG_VERSION"))),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        headers.extend(etag.map(|etag| ("if-none-match".to_owned(), etag.to_owned())));
        headers.extend(self.bearer.as_ref().map(|token| ("authorization".to_owned(), format!("Bearer {token}"))));
        headers.extend(parent.map(|parent| (trace::HEADER.to_owned(), parent.as_str().to_owned())));
        Callout { cluster: self.cluster.clone(), headers, timeout: self.timeout }
    }

    pub(super) fn record_key(&self) -> String {
        format!("tollgate_auth_record_{}", self.digest())
    }

    pub(super) fn document_key(&self) -> String {
        format!("tollgate_auth_document_{}", self.digest())
    }

    /// The same for all that would fetch and read the same, in the name of the same client. How often they ask changes
    /// nothing about a document.
    fn digest(&self) -> String {
        let bearer = self.bearer.clone().unwrap_or_default();
        let parts = [&self.kind, &self.cluster, &self.url(), &bearer];
        let text = parts.map(|part| format!("{}:{part}", part.len())).concat();
        Sha256::digest(text).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}
