//! From an answer to bytes on the connection: one JSON body or a stream of frames, told to be slow or to break.

use std::convert::Infallible;
use std::io::{self, Write as _};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::stream;
use http_body_util::BodyExt as _;
use serde_json::Value;

use super::script::Script;

/// Bytes of an answer.
#[derive(Debug)]
pub(super) enum Payload {
    /// One JSON body, with its length.
    Json(Value),
    /// Frames of a stream, sent one by one.
    Stream { content_type: &'static str, frames: Vec<Bytes> },
}

/// A whole answer.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) payload: Payload,
}

impl Reply {
    /// 200 with JSON.
    pub(super) fn json(body: Value) -> Self {
        Self { status: StatusCode::OK, headers: HeaderMap::new(), payload: Payload::Json(body) }
    }

    /// 200 with server-sent events.
    pub(super) fn events(frames: Vec<Bytes>) -> Self {
        Self::stream("text/event-stream; charset=utf-8", frames)
    }

    /// 200 with frames of another type.
    pub(super) fn stream(content_type: &'static str, frames: Vec<Bytes>) -> Self {
        Self { status: StatusCode::OK, headers: HeaderMap::new(), payload: Payload::Stream { content_type, frames } }
    }

    /// The same with another status.
    pub(super) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// The same with one header more.
    pub(super) fn with_header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(HeaderName::from_static(name), value);
        }
        self
    }

    /// The answer as `script` wants it sent.
    pub(super) fn send(self, script: &Script) -> Response<Body> {
        let mut headers = self.headers;
        let body = match self.payload {
            Payload::Json(value) => {
                let mut whole = Bytes::from(value.to_string());
                if script.gzip {
                    whole = gzip(&whole);
                    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
                }
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                headers.insert(CONTENT_LENGTH, HeaderValue::from(whole.len()));
                match script.cut_after {
                    Some(at) if at < whole.len() => broken(vec![(Duration::ZERO, whole.slice(..at))]),
                    _ => Body::from(whole),
                }
            }
            Payload::Stream { content_type, frames } => {
                let mut frames = paced(frames, script);
                headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
                headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
                match script.cut_after {
                    Some(at) if at < frames.len() => {
                        frames.truncate(at);
                        broken(frames)
                    }
                    _ => Body::from_stream(stream::unfold(frames.into_iter(), next_frame)),
                }
            }
        };
        let mut response = Response::new(if script.trailers { with_trailer(body) } else { body });
        *response.status_mut() = self.status;
        *response.headers_mut() = headers;
        response
    }
}

/// Frames, each with the wait before it.
type Paced = Vec<(Duration, Bytes)>;
type Rest = std::vec::IntoIter<(Duration, Bytes)>;

fn paced(frames: Vec<Bytes>, script: &Script) -> Paced {
    let wait = |at| if at == 1 { script.chunk_delay + script.think } else { script.chunk_delay };
    frames.into_iter().enumerate().map(|(at, frame)| (wait(at), frame)).collect()
}

async fn next_frame(mut frames: Rest) -> Option<(Result<Bytes, Infallible>, Rest)> {
    let (delay, frame) = frames.next()?;
    pause(delay).await;
    Some((Ok(frame), frames))
}

/// Sends `frames`, then breaks the connection.
fn broken(frames: Paced) -> Body {
    Body::from_stream(stream::unfold(Some(frames.into_iter()), move |left| async move {
        let mut frames = left?;
        match frames.next() {
            Some((delay, frame)) => {
                pause(delay).await;
                Some((Ok(frame), Some(frames)))
            }
            None => {
                // Long enough for what was sent to leave: the server drops its buffer when a body fails.
                tokio::time::sleep(Duration::from_millis(20)).await;
                Some((Err(io::Error::from(io::ErrorKind::ConnectionAborted)), None))
            }
        }
    }))
}

fn with_trailer(body: Body) -> Body {
    let trailers =
        HeaderMap::from_iter([(HeaderName::from_static("x-provider-trailer"), HeaderValue::from_static("1"))]);
    Body::new(body.with_trailers(async { Some(Ok(trailers)) }))
}

fn gzip(bytes: &[u8]) -> Bytes {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing to memory does not fail.
    let packed = packer.write_all(bytes).and_then(|()| packer.finish());
    packed.unwrap_or_default().into()
}

async fn pause(delay: Duration) {
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
}

/// One server-sent event with data only.
pub(super) fn data(value: &Value) -> Bytes {
    Bytes::from(format!("data: {value}\n\n"))
}

/// One server-sent event named as its `type` field says.
pub(super) fn named(value: &Value) -> Bytes {
    let name = value.get("type").and_then(Value::as_str).unwrap_or_default();
    Bytes::from(format!("event: {name}\ndata: {value}\n\n"))
}
