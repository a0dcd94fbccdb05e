//! HTTP/2, without TLS ("prior knowledge") or on a connection that is there: calls side by side on one connection, and trailers after a body.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request};
use h2::SendStream;
use h2::client::{ResponseFuture, SendRequest, handshake};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// No call may take longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// One connection.
#[derive(Debug)]
pub struct Http2Client {
    requests: SendRequest<Bytes>,
}

/// An answer as it came.
#[derive(Debug)]
pub struct Http2Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// The body as text.
    pub text: String,
    /// What came after it.
    pub trailers: Option<HeaderMap>,
}

/// A request whose body does not end. Dropping it takes it back.
#[derive(Debug)]
pub struct Held {
    answer: ResponseFuture,
    _body: SendStream<Bytes>,
}

impl Held {
    /// Whether the gateway ended it within that time, with an answer or without.
    pub async fn is_over(&mut self, within: Duration) -> bool {
        timeout(within, &mut self.answer).await.is_ok()
    }
}

/// A request that was sent, and its answer to come.
#[derive(Debug)]
pub struct Http2Call(ResponseFuture);

impl Http2Client {
    /// Connects.
    pub async fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.expect("the gateway listens")).await
    }

    /// On a connection that is there.
    pub async fn over(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        let (requests, connection) = handshake(stream).await.expect("the gateway speaks HTTP/2");
        tokio::spawn(async {
            // How a connection ended is seen by the calls on it.
            let _: Result<(), h2::Error> = connection.await;
        });
        Self { requests }
    }

    /// Sends a POST of JSON in pieces of 7 bytes; with `trailers`, these end it.
    pub async fn post(
        &mut self,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
        trailers: Option<&[(&str, &str)]>,
    ) -> Http2Call {
        let (answer, mut stream) = self.open(path, headers).await;
        for piece in body.as_bytes().chunks(7) {
            stream.send_data(Bytes::copy_from_slice(piece), false).expect("the stream is open");
        }
        match trailers {
            Some(trailers) => stream.send_trailers(header_map(trailers)),
            None => stream.send_data(Bytes::new(), true),
        }
        .expect("the stream is open");
        Http2Call(answer)
    }

    /// Begins a POST of JSON of which so many spaces are sent, as fast as they are taken, and no end.
    pub async fn hold(&mut self, path: &str, headers: &[(&str, &str)], bytes: usize) -> Held {
        let (answer, mut body) = self.open(path, headers).await;
        body.send_data(Bytes::from(vec![b' '; bytes]), false).expect("the stream is open");
        Held { answer, _body: body }
    }

    async fn open(&self, path: &str, headers: &[(&str, &str)]) -> (ResponseFuture, SendStream<Bytes>) {
        let mut request = Request::post(format!("http://gateway{path}")).header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut requests = self.requests.clone().ready().await.expect("the connection is open");
        let request = request.body(()).expect("tests write good headers");
        requests.send_request(request, false).expect("the connection is open")
    }
}

impl Http2Call {
    /// The whole answer.
    pub async fn answer(self) -> Http2Answer {
        timeout(PATIENCE, self.read()).await.expect("the gateway answers in time")
    }

    async fn read(self) -> Http2Answer {
        let (head, mut body) = self.0.await.expect("the gateway answers").into_parts();
        let mut bytes = Vec::new();
        while let Some(piece) = body.data().await {
            let piece = piece.expect("the answer comes whole");
            body.flow_control().release_capacity(piece.len()).expect("no more is released than came");
            bytes.extend_from_slice(&piece);
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let trailers = body.trailers().await.expect("the answer comes whole");
        Http2Answer { status: head.status.as_u16(), headers: head.headers, text, trailers }
    }
}

fn header_map(pairs: &[(&str, &str)]) -> HeaderMap {
    let header = |(name, value): &(&str, &str)| {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("tests write good names");
        (name, HeaderValue::from_str(value).expect("tests write good values"))
    };
    pairs.iter().map(header).collect()
}
