//! A small server of a test: a thread of its own that serves an application on a free port, as long as the process lives.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::thread;

use axum::Router;

/// Serves on a free port of the loopback address, which it gives; `name` is the thread's.
///
/// # Errors
/// If no port or no thread is to be had.
pub(crate) fn serve(name: &str, app: Router) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name(name.into()).spawn(move || {
        runtime.block_on(async move {
            if let Ok(listener) = tokio::net::TcpListener::from_std(listener) {
                let _: io::Result<()> = axum::serve(listener, app).await;
            }
        });
    })?;
    Ok(address)
}
