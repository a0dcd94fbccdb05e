//! HTTP/1.1 by hand: bytes that no client would send, bodies in slow pieces, several calls on one connection.
#![allow(clippy::indexing_slicing, reason = "test support: a count that is wrong must end the test at once")]

use std::net::SocketAddr;
use std::time::Duration;

use memchr::memmem;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// No read may take longer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longest head of an answer in bytes.
const MAX_HEAD: usize = 64 << 10;

/// One TCP connection.
#[derive(Debug)]
pub struct RawClient {
    stream: BufReader<TcpStream>,
}

/// An answer as it came.
#[derive(Debug)]
pub struct RawAnswer {
    /// HTTP status.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body without its framing.
    pub body: Vec<u8>,
}

impl RawAnswer {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A POST with `content-length`; `headers` are raw lines without line ends.
pub fn post(path: &str, headers: &[&[u8]], body: &[u8]) -> Vec<u8> {
    let mut request = head(path, headers);
    request.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
    request.extend_from_slice(body);
    request
}

/// The head of a POST whose body follows in chunks.
pub fn post_chunked(path: &str, headers: &[&[u8]]) -> Vec<u8> {
    let mut request = head(path, headers);
    request.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
    request
}

/// One chunk; an empty one ends the body.
pub fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

fn head(path: &str, headers: &[&[u8]]) -> Vec<u8> {
    let mut request =
        format!("POST {path} HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\n").into_bytes();
    for line in headers {
        request.extend_from_slice(line);
        request.extend_from_slice(b"\r\n");
    }
    request
}

impl RawClient {
    /// Connects.
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("the gateway listens");
        stream.set_nodelay(true).expect("an open socket takes options");
        Self { stream: BufReader::new(stream) }
    }

    /// Sends bytes. The other side may have closed: what it answered is read all the same.
    pub async fn write(&mut self, bytes: &[u8]) {
        let _: std::io::Result<()> = self.stream.get_mut().write_all(bytes).await;
    }

    /// Whether there is something to read within that time, be it the end.
    pub async fn has_answer(&mut self, within: Duration) -> bool {
        timeout(within, self.stream.fill_buf()).await.is_ok()
    }

    /// Reads one answer; `None` if the connection ended before it.
    pub async fn read(&mut self) -> Option<RawAnswer> {
        timeout(PATIENCE, self.read_answer()).await.expect("the gateway answers in time")
    }

    async fn read_answer(&mut self) -> Option<RawAnswer> {
        let head = self.read_head().await?;
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let mut answer = RawAnswer { status, headers, body: Vec::new() };
        if answer.header("transfer-encoding") == Some("chunked") {
            answer.body = self.read_chunks().await?;
        } else if let Some(length) = answer.header("content-length").and_then(|value| value.parse().ok()) {
            answer.body = vec![0; length];
            self.stream.read_exact(&mut answer.body).await.ok()?;
        }
        Some(answer)
    }

    async fn read_head(&mut self) -> Option<String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") && head.len() < MAX_HEAD {
            head.push(self.stream.read_u8().await.ok()?);
        }
        Some(String::from_utf8_lossy(&head).into_owned())
    }

    async fn read_line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") && line.len() < MAX_HEAD {
            line.push(self.stream.read_u8().await.ok()?);
        }
        Some(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    async fn read_chunks(&mut self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let length = usize::from_str_radix(self.read_line().await?.trim(), 16).ok()?;
            let mut bytes = vec![0; length];
            self.stream.read_exact(&mut bytes).await.ok()?;
            self.read_line().await?;
            if length == 0 {
                return Some(body);
            }
            body.append(&mut bytes);
        }
    }
}

/// Sends requests on one connection, one after another; how many answers came. They are not read, so this is for calls by
/// the ten thousand.
pub async fn flood(address: SocketAddr, requests: &[Vec<u8>]) -> usize {
    const STATUS: &[u8] = b"HTTP/1.1 ";
    let mut stream = TcpStream::connect(address).await.expect("the gateway listens");
    stream.set_nodelay(true).expect("an open socket takes options");
    let (mut answered, mut piece, mut kept) = (0, vec![0; 16 << 10], 0);
    for request in requests {
        stream.write_all(request).await.expect("the gateway reads");
        let before = answered;
        while answered == before {
            let read = timeout(PATIENCE, stream.read(&mut piece[kept..])).await.expect("the gateway answers in time");
            let read = read.expect("the connection is open");
            assert!(read > 0, "the gateway closed the connection after {answered} answers");
            let seen = &piece[..kept + read];
            answered += memmem::find_iter(seen, STATUS).count();
            // What could be the beginning of a status line that was cut.
            let rest = seen.len().saturating_sub(STATUS.len() - 1);
            kept = seen.len() - rest;
            piece.copy_within(rest..rest + kept, 0);
        }
    }
    answered
}
