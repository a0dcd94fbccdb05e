//! Connections that a handler can reset, with or without TLS.
//!
//! A handler sees requests, not sockets. Each connection therefore carries a [`ResetSwitch`]; once it is thrown, the next
//! write fails and the socket is closed with a TCP reset, as a provider that crashed would.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Handshakes that may be done and wait to be taken.
const BACKLOG: usize = 64;

/// Resets its connection when thrown.
#[derive(Clone, Debug, Default)]
pub(super) struct ResetSwitch(Arc<AtomicBool>);

impl ResetSwitch {
    /// From now on nothing is written to this connection.
    pub(super) fn throw(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_thrown(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What carries a connection.
enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    fn tcp(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        }
    }
}

type Accepted = (Stream, SocketAddr);

/// A connection with its switch.
pub(super) struct Connection {
    stream: Stream,
    switch: ResetSwitch,
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.switch.is_thrown() {
            // Unread or unsent bytes make the close a reset; without the option it would be an orderly end.
            let _: io::Result<()> = self.stream.tcp().set_zero_linger();
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.switch.is_thrown() {
            return Poll::Ready(Ok(()));
        }
        match &mut self.stream {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// Accepts [`Connection`]s.
pub(super) struct SwitchedListener {
    tcp: TcpListener,
    tls: Option<TlsAcceptor>,
    /// Handshakes run beside one another, and those that fail are nobody's connection.
    shaken: (mpsc::Sender<Accepted>, mpsc::Receiver<Accepted>),
}

impl SwitchedListener {
    pub(super) fn new(tcp: TcpListener, tls: Option<TlsAcceptor>) -> Self {
        Self { tcp, tls, shaken: mpsc::channel(BACKLOG) }
    }

    fn shake(&self, acceptor: &TlsAcceptor, stream: TcpStream, address: SocketAddr) {
        let (acceptor, shaken) = (acceptor.clone(), self.shaken.0.clone());
        tokio::spawn(async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                let _: Result<_, _> = shaken.send((Stream::Tls(Box::new(stream)), address)).await;
            }
        });
    }
}

impl Listener for SwitchedListener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let connection = |stream, address| (Connection { stream, switch: ResetSwitch::default() }, address);
        loop {
            let accepted = tokio::select! {
                accepted = self.tcp.accept() => accepted,
                Some((stream, address)) = self.shaken.1.recv() => return connection(stream, address),
            };
            match accepted {
                Ok((stream, address)) => {
                    // Events go out one by one, not when the kernel finds it worth while.
                    let _: io::Result<()> = stream.set_nodelay(true);
                    match &self.tls {
                        Some(acceptor) => self.shake(acceptor, stream, address),
                        None => return connection(Stream::Plain(stream), address),
                    }
                }
                // Out of files, mostly: better soon than never.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

impl Connected<IncomingStream<'_, SwitchedListener>> for ResetSwitch {
    fn connect_info(stream: IncomingStream<'_, SwitchedListener>) -> Self {
        stream.io().switch.clone()
    }
}
