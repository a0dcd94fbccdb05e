//! The scripted model provider: answers like OpenAI, Anthropic and Gemini, and fails when a request header says so.
//!
//! One process serves all dialects, so a test needs no server of its own: what should happen stands in the call that
//! it makes ([`script`] lists the headers). Every answer carries a number that no other answer of this process has, so
//! that a replayed answer is recognised; apart from it an answer follows from the request alone, tokens included.
//! What was asked can be read back byte for byte under `/_requests` ([`record`]).
//!
//! It checks no credential, speaks HTTP/1.1 only and knows no model from another.

mod answer;
mod anthropic;
mod embeddings;
mod gemini;
mod listener;
mod openai;
pub mod record;
mod responses;
pub mod script;
mod serve;
#[cfg(test)]
mod tests;
mod wire;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;

use record::{Recorded, Recorder};
use tokio::sync::oneshot;

pub use serve::serve;

/// A provider in this process, on threads of its own: it outlives the runtime of the test that started it.
#[derive(Debug)]
pub struct Provider {
    address: SocketAddr,
    recorder: Arc<Recorder>,
    stop: Option<oneshot::Sender<()>>,
}

impl Provider {
    /// Starts on a free port of the loopback address.
    ///
    /// # Errors
    /// If no port or no thread is to be had.
    pub fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let recorder = Arc::new(Recorder::new(true));
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let seen = Arc::clone(&recorder);
        thread::Builder::new().name("provider".into()).spawn(move || {
            runtime.block_on(async move {
                let until = async {
                    let _: Result<_, _> = stopped.await;
                };
                match tokio::net::TcpListener::from_std(listener) {
                    Ok(listener) => serve(listener, seen, until).await,
                    Err(error) => eprintln!("scripted provider: {error}"),
                }
            });
        })?;
        Ok(Self { address, recorder, stop: Some(stop) })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The requests whose header `name` is `value`, oldest first.
    pub fn requests_with(&self, name: &str, value: &str) -> Vec<Recorded> {
        let mut requests = self.recorder.requests();
        requests.retain(|request| request.header(name).is_some_and(|found| found == value.as_bytes()));
        requests
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _: Result<_, _> = stop.send(());
        }
    }
}
