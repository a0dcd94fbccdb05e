//! Calls that a filter makes itself, to clusters that the proxy knows. The proxy brings TLS, load balancing and health.

use std::time::Duration;

use crate::header::HeaderList;
use crate::ports::Body;

/// A request of the filter's own, without a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callout {
    /// The cluster, as the proxy names it.
    pub cluster: String,
    /// Header names and values, pseudo headers (`:method`, `:path`, `:authority`) included.
    pub headers: Vec<(String, String)>,
    /// Without an answer by then the proxy ends it with 504.
    pub timeout: Duration,
}

/// Names a callout that is under way on this worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CalloutId(pub u32);

/// Where callouts are sent.
pub trait Callouts {
    /// Sends a request, whose answer comes to [`crate::Filter::on_answer`]. `None`: the proxy does not take it, as it
    /// knows no such cluster or none of its endpoints.
    fn send(&mut self, callout: &Callout) -> Option<CalloutId>;
}

/// How a callout ended. Trouble looks like an answer: the proxy says 503 for a connection that failed, 504 for one that
/// was too slow.
pub struct Answer<'a> {
    /// The status; `None` if no head came at all.
    pub status: Option<u16>,
    /// The head.
    pub headers: HeaderList,
    /// The whole body, read only when asked for.
    pub body: &'a dyn Body,
}
