//! A server that keeps keys, and misbehaves as it is told: late, wrong, lying about what it sends, or not there at all.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response, header};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::listening;

/// What a path answers.
#[derive(Clone, Debug)]
pub struct Page {
    /// HTTP status.
    pub status: u16,
    /// Sent as it is.
    pub body: Vec<u8>,
    /// `content-type`.
    pub media_type: &'static str,
    /// Until the answer begins.
    pub delay: Duration,
}

impl Page {
    /// A JSON document.
    pub fn json(document: &Value) -> Self {
        let body = document.to_string().into_bytes();
        Self { status: 200, body, media_type: "application/json", delay: Duration::ZERO }
    }

    /// The same page, later.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }
}

/// A running server. Clones are the same one.
#[derive(Clone, Debug)]
pub struct KeyServer {
    address: SocketAddr,
    state: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    pages: BTreeMap<String, Page>,
    requests: Vec<(String, HeaderMap)>,
}

impl KeyServer {
    /// Starts on a free port of the loopback address; every path answers 404 until it is set.
    ///
    /// # Errors
    /// If no port or no thread is to be had.
    pub fn start() -> io::Result<Self> {
        let state = Arc::default();
        let app = Router::new().fallback(answer).with_state(Arc::clone(&state));
        Ok(Self { address: listening::serve("key server", app)?, state })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What a path answers from now on.
    pub fn set(&self, path: &str, page: Page) {
        lock(&self.state).pages.insert(path.to_owned(), page);
    }

    /// The heads of the requests for a path, oldest first.
    pub fn requests(&self, path: &str) -> Vec<HeaderMap> {
        let state = lock(&self.state);
        state.requests.iter().filter(|(asked, _)| asked == path).map(|(_, headers)| headers.clone()).collect()
    }
}

async fn answer(State(state): State<Arc<Mutex<Shared>>>, request: Request) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let page = {
        let mut state = lock(&state);
        state.requests.push((path.clone(), request.headers().clone()));
        state.pages.get(&path).cloned()
    };
    let Some(page) = page else { return plain(404) };
    tokio::time::sleep(page.delay).await;
    let digest: String = Sha256::digest(&page.body).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let etag = format!("\"{digest}\"");
    let is_known = request.headers().get(header::IF_NONE_MATCH).is_some_and(|tag| tag.as_bytes() == etag.as_bytes());
    let answer = Response::builder().header(header::ETAG, etag).header(header::CONTENT_TYPE, page.media_type);
    let answer = match page.status {
        200 if is_known => answer.status(304).body(Body::empty()),
        status => answer.status(status).body(Body::from(page.body)),
    };
    answer.unwrap_or_else(|_| plain(500))
}

fn plain(status: u16) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = axum::http::StatusCode::from_u16(status).unwrap_or_default();
    response
}

fn lock(state: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
