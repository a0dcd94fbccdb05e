//! What calls the gateway: an ordinary HTTP client, one for HTTP/2, one for TLS, and bytes and frames on a TCP connection
//! where HTTP clients are too well bred.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test support: an answer that cannot be read must end the test at once"
)]

pub mod frames;
pub mod http2;
pub mod raw;
pub mod tls;

use std::time::Duration;

use futures_util::StreamExt as _;
use reqwest::RequestBuilder;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

/// Names a call, so that the provider's record of it is found.
pub const MARK: &str = "x-test-id";
/// No call may take longer: nothing hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A client of its own for every use: pooled connections would die with the runtime of the test that opened them.
pub fn http() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .pool_max_idle_per_host(0)
        .build()
        .expect("a client without TLS needs nothing")
}

/// A word that was never used before.
pub fn unique(word: &str) -> String {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    format!("{word}-{:016x}", u64::from_be_bytes(bytes))
}

/// A call that is being written.
#[derive(Debug)]
pub struct Call {
    request: RequestBuilder,
    mark: String,
}

impl Call {
    /// A POST of JSON.
    pub fn post(url: &str, body: &Value) -> Self {
        Self::new(http().post(url).json(body))
    }

    /// A GET.
    pub fn get(url: &str) -> Self {
        Self::new(http().get(url))
    }

    /// A POST of any bytes, said to be JSON.
    pub fn post_bytes(url: &str, body: Vec<u8>) -> Self {
        Self::new(http().post(url).header("content-type", "application/json").body(body))
    }

    /// A POST of text, said to be of any kind.
    pub fn post_text(url: &str, kind: &str, text: &str) -> Self {
        Self::new(http().post(url).header("content-type", kind).body(text.to_owned()))
    }

    fn new(request: RequestBuilder) -> Self {
        let mark = unique("call");
        Self { request: request.header(MARK, &mark).timeout(PATIENCE), mark }
    }

    /// With an API key or a token.
    pub fn bearer(self, credential: &str) -> Self {
        self.header("authorization", &format!("Bearer {credential}"))
    }

    /// With a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    /// With an instruction to the scripted provider: `told("status", 503)` sends `x-provider-status`.
    pub fn told(self, what: &str, value: u64) -> Self {
        self.header(&format!("x-provider-{what}"), &value.to_string())
    }

    /// Names the call in the provider's record.
    pub fn mark(&self) -> &str {
        &self.mark
    }

    /// Sends it and reads the whole answer; a broken answer ends as far as it came.
    pub async fn send(self) -> Answer {
        let stream = self.open().await;
        stream.rest().await
    }

    /// Sends it and reads the head of the answer only.
    pub async fn open(self) -> Streaming {
        self.head().await.unwrap_or_else(|error| panic!("the gateway gave no answer: {error:?}"))
    }

    /// The same; `None` if the connection ended before a head came.
    pub async fn try_open(self) -> Option<Streaming> {
        self.head().await.ok()
    }

    async fn head(self) -> reqwest::Result<Streaming> {
        let response = self.request.send().await?;
        Ok(Streaming {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: Box::pin(response.bytes_stream()),
            mark: self.mark,
        })
    }
}

/// An answer whose body is on its way. Dropping it breaks the connection.
pub struct Streaming {
    /// HTTP status.
    pub status: u16,
    headers: HeaderMap,
    body: std::pin::Pin<Box<dyn futures_util::Stream<Item = reqwest::Result<axum::body::Bytes>>>>,
    mark: String,
}

impl Streaming {
    /// The next bytes; `None` at the end or where the connection broke.
    pub async fn chunk(&mut self) -> Option<Vec<u8>> {
        self.body.next().await?.ok().map(|bytes| bytes.to_vec())
    }

    /// Reads on until the body holds `text`; what came so far.
    pub async fn read_until(&mut self, text: &str) -> String {
        let mut read = Vec::new();
        while !String::from_utf8_lossy(&read).contains(text) {
            read.extend(self.chunk().await.unwrap_or_else(|| panic!("the stream ended before `{text}`")));
        }
        String::from_utf8_lossy(&read).into_owned()
    }

    /// Reads to the end.
    pub async fn rest(mut self) -> Answer {
        let mut body = Vec::new();
        let mut is_whole = true;
        while let Some(chunk) = self.body.next().await {
            match chunk {
                Ok(bytes) => body.extend_from_slice(&bytes),
                Err(_) => is_whole = false,
            }
            if !is_whole {
                break;
            }
        }
        Answer { status: self.status, headers: self.headers, body, is_whole, mark: self.mark }
    }
}

/// A finished answer.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// The body, as far as it came.
    pub body: Vec<u8>,
    /// Whether the body ended as HTTP wants it.
    pub is_whole: bool,
    /// Names the call in the provider's record.
    pub mark: String,
}

impl Answer {
    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .get(HeaderName::from_bytes(name.as_bytes()).ok()?)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    }

    /// A header as a number.
    pub fn number(&self, name: &str) -> u64 {
        let text = self.header(name).unwrap_or_else(|| panic!("no header `{name}` in {self}"));
        text.parse().unwrap_or_else(|_| panic!("`{name}: {text}` is no number"))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {self}"))
    }

    /// The data of all server-sent events, in either line ending.
    pub fn events(&self) -> Vec<String> {
        self.text().lines().filter_map(|line| line.strip_prefix("data: ").map(str::to_owned)).collect()
    }

    /// The events as JSON, without `[DONE]`.
    pub fn chunks(&self) -> Vec<Value> {
        let parse = |event: String| serde_json::from_str(&event).unwrap_or_else(|error| panic!("{error}: {event}"));
        self.events().into_iter().filter(|event| event != "[DONE]").map(parse).collect()
    }

    /// Fails unless the status is `status`; shows the body then.
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self}");
        self
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?}\n{}", self.status, self.headers, self.text())
    }
}
