//! HTTP/2 by hand: frames that no client would send, in any order.
//!
//! Header blocks are literals without an index, so what is sent does not hang on what was sent before. Of an answer the
//! status alone is read, from the one byte that it mostly is.
#![allow(clippy::indexing_slicing, reason = "test support: a frame that is cut must end the test at once")]

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

/// What a client says first.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Types of frames (RFC 9113 §6).
pub const DATA: u8 = 0;
/// The head of a call.
pub const HEADERS: u8 = 1;
/// The end of one stream.
pub const RST_STREAM: u8 = 3;
/// What a side can take.
pub const SETTINGS: u8 = 4;
/// Is to be answered.
pub const PING: u8 = 6;
/// The end of the connection.
pub const GOAWAY: u8 = 7;
/// More room for what is sent.
pub const WINDOW_UPDATE: u8 = 8;
/// More of a head.
pub const CONTINUATION: u8 = 9;
/// The stream's last frame.
pub const END_STREAM: u8 = 1;
/// The head's last frame.
pub const END_HEADERS: u8 = 4;

/// No answer may take longer.
const PATIENCE: Duration = Duration::from_secs(30);
/// `:status` of HPACK's static table (RFC 7541 appendix A).
const STATUSES: [(u8, u16); 7] =
    [(0x88, 200), (0x89, 204), (0x8a, 206), (0x8b, 304), (0x8c, 400), (0x8d, 404), (0x8e, 500)];

/// One frame.
#[derive(Clone, Debug)]
pub struct Frame {
    /// What it is.
    pub kind: u8,
    /// The stream; 0 is the connection.
    pub stream: u32,
    /// What it holds.
    pub payload: Vec<u8>,
}

impl Frame {
    /// The error of RST_STREAM and GOAWAY.
    pub fn code(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().expect("four bytes"))
    }

    /// The status of a head; `None` if it is a rarer one.
    pub fn status(&self) -> Option<u16> {
        let first = *self.payload.first()?;
        STATUSES.iter().find(|(byte, _)| *byte == first).map(|(_, status)| *status)
    }
}

/// One TCP connection.
#[derive(Debug)]
pub struct FrameClient {
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
}

/// The bytes of a frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("tests write short frames").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A header block of these pairs.
pub fn block(headers: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in headers {
        bytes.push(0);
        for text in [name, value] {
            length(&mut bytes, text.len());
            bytes.extend_from_slice(text.as_bytes());
        }
    }
    bytes
}

/// An integer behind a prefix of 7 bits (RFC 7541 §5.1).
fn length(bytes: &mut Vec<u8>, value: usize) {
    let byte = |value: usize| u8::try_from(value).expect("below 256");
    if value < 127 {
        bytes.push(byte(value));
        return;
    }
    bytes.push(127);
    let mut rest = value - 127;
    while rest >= 128 {
        bytes.push(byte(rest % 128 + 128));
        rest /= 128;
    }
    bytes.push(byte(rest));
}

impl FrameClient {
    /// Connects and says nothing.
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("the gateway listens");
        stream.set_nodelay(true).expect("an open socket takes options");
        let (reader, writer) = stream.into_split();
        Self { reader, writer }
    }

    /// Connects and says what every client says first.
    pub async fn start(address: SocketAddr) -> Self {
        let mut client = Self::connect(address).await;
        client.write(&[PREFACE, &frame(SETTINGS, 0, 0, b"")].concat()).await;
        client
    }

    /// Sends bytes. The other side may have closed: what it said is read all the same.
    pub async fn write(&mut self, bytes: &[u8]) {
        let _: std::io::Result<()> = self.writer.write_all(bytes).await;
    }

    /// The next frame; `None` if the connection ended.
    pub async fn read(&mut self) -> Option<Frame> {
        timeout(PATIENCE, next(&mut self.reader)).await.expect("the gateway answers or ends the connection in time")
    }

    /// The head of an answer on that stream, or what ended the stream or the connection; `None` if it just closed.
    pub async fn outcome(&mut self, stream: u32) -> Option<Frame> {
        loop {
            let frame = self.read().await?;
            if frame.kind == GOAWAY || (frame.stream == stream && matches!(frame.kind, HEADERS | RST_STREAM)) {
                return Some(frame);
            }
        }
    }

    /// Sends the bytes while it reads, until the other side ends the connection; the frames that came.
    pub async fn flood(self, bytes: &[u8]) -> Vec<Frame> {
        let Self { mut reader, mut writer } = self;
        let write = async {
            let _: std::io::Result<()> = writer.write_all(bytes).await;
            // Half a connection stays open, or the end would be of our own making.
            std::future::pending::<()>().await;
        };
        let read = async {
            let mut frames = Vec::new();
            while let Some(frame) = next(&mut reader).await {
                frames.push(frame);
            }
            frames
        };
        tokio::select! {
            () = write => Vec::new(),
            frames = timeout(PATIENCE, read) => frames.expect("the gateway ends the connection in time"),
        }
    }
}

async fn next(reader: &mut OwnedReadHalf) -> Option<Frame> {
    let mut head = [0; 9];
    reader.read_exact(&mut head).await.ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
    let mut payload = vec![0; usize::try_from(length).ok()?];
    reader.read_exact(&mut payload).await.ok()?;
    Some(Frame { kind: head[3], stream, payload })
}
