//! The scripted model provider: answers like OpenAI, Anthropic and Gemini, and fails when a request header says so.
//!
//! One process serves all dialects, so a test needs no server of its own: what should happen stands in the call that
//! it makes ([`script`] lists the headers). Every answer carries a number that no other answer of this process has, so
//! that a replayed answer is recognised; apart from it an answer follows from the request alone, tokens included.
//! What was asked can be read back byte for byte under `/_requests` ([`record`]).
//!
//! It checks no credential and knows no model from another. Several of them are told apart by their names.

mod answer;
mod anthropic;
mod embeddings;
mod gemini;
mod listener;
mod openai;
mod prompts;
pub mod record;
mod responses;
pub mod script;
mod serve;
#[cfg(test)]
mod tests;
pub mod tls;
mod wire;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use record::{Recorded, Recorder};
use tokio::sync::oneshot;

pub use serve::{Site, serve};
use tls::{Authority, Certificate};
use tokio_rustls::TlsAcceptor;

/// A provider in this process, on threads of its own: it outlives the runtime of the test that started it.
pub struct Provider {
    address: SocketAddr,
    site: Arc<Site>,
    tls: Option<TlsAcceptor>,
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    /// Lets calls under way finish.
    stop: oneshot::Sender<()>,
    /// Does not.
    kill: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Provider").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Provider {
    /// Starts on a free port of the loopback address.
    ///
    /// # Errors
    /// If no port or no thread is to be had.
    pub fn start() -> io::Result<Self> {
        Self::start_named("primary")
    }

    /// The same with another name, which instructions can be meant for.
    ///
    /// # Errors
    /// If no port or no thread is to be had.
    pub fn start_named(name: &str) -> io::Result<Self> {
        Self::on_free_port(name, None)
    }

    /// The same with TLS.
    ///
    /// # Errors
    /// If no port, no thread or no certificate is to be had.
    pub fn start_tls(name: &str, authority: &Authority, certificate: Certificate) -> io::Result<Self> {
        Self::on_free_port(name, Some(authority.acceptor(certificate)?))
    }

    fn on_free_port(name: &str, tls: Option<TlsAcceptor>) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let site = Arc::new(Site::new(name, Recorder::new(true)));
        let running = Mutex::new(Some(Running::on(listener, tls.clone(), Arc::clone(&site))?));
        Ok(Self { address, site, tls, running })
    }

    /// Ends as a process that is killed, with all its connections. Nobody listens on its port then.
    pub fn kill(&self) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Running { kill, thread, .. }) = running.take() {
            let _: Result<_, _> = kill.send(());
            // Its sockets are closed when it is gone.
            let _: thread::Result<()> = thread.join();
        }
    }

    /// The same, and starts again on the same port.
    ///
    /// # Errors
    /// If somebody else took the port meanwhile.
    pub fn restart(&self) -> io::Result<()> {
        self.kill();
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        *running = Some(Running::on(TcpListener::bind(self.address)?, self.tls.clone(), Arc::clone(&self.site))?);
        Ok(())
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The requests kept, oldest first.
    pub fn requests(&self) -> Vec<Recorded> {
        self.site.recorder().requests()
    }

    /// The requests whose header `name` is `value`, oldest first.
    pub fn requests_with(&self, name: &str, value: &str) -> Vec<Recorded> {
        let mut requests = self.requests();
        requests.retain(|request| request.header(name).is_some_and(|found| found == value.as_bytes()));
        requests
    }
}

impl Running {
    fn on(listener: TcpListener, tls: Option<TlsAcceptor>, site: Arc<Site>) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let ((stop, stopped), (kill, killed)) = (oneshot::channel(), oneshot::channel());
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let thread = thread::Builder::new().name("provider".into()).spawn(move || {
            runtime.block_on(async move {
                let until = async {
                    let _: Result<_, _> = stopped.await;
                };
                let listener = match tokio::net::TcpListener::from_std(listener) {
                    Ok(listener) => listener,
                    Err(error) => return eprintln!("scripted provider: {error}"),
                };
                tokio::select! {
                    () = serve(listener, tls, site, until) => {}
                    Ok(()) = killed => {}
                }
            });
        })?;
        Ok(Self { stop, kill, thread })
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        let running = self.running.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(Running { stop, .. }) = running.take() {
            let _: Result<_, _> = stop.send(());
        }
    }
}
