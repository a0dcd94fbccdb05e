//! A gateway behind the front, which ends and comes back at the same address.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::process::Process;
use crate::client::http;
use crate::envoy::{command, configuration, free_address, stat, tail};
use crate::gateway::wait_until;
use crate::render::Address;
use crate::secrets::Secrets;
use crate::setup::Setup;

/// How long it may take to be ready, or to have no calls left.
const PATIENCE: Duration = Duration::from_secs(90);

/// One gateway.
#[derive(Debug)]
pub struct Member {
    version: String,
    dir: PathBuf,
    address: SocketAddr,
    admin: SocketAddr,
    provider: SocketAddr,
    secrets: Secrets,
    /// The last one may run; the logs of those before are kept.
    runs: Mutex<Vec<Process>>,
}

impl Member {
    /// One that is still to be started.
    pub(super) fn new(version: &str, dir: &Path, provider: SocketAddr, secrets: &Secrets) -> Self {
        Self {
            version: version.to_owned(),
            dir: dir.to_owned(),
            address: free_address().expect("a port is free"),
            admin: free_address().expect("a port is free"),
            provider,
            secrets: Secrets::open(secrets.dir()),
            runs: Mutex::default(),
        }
    }

    /// Starts it and waits until it takes calls.
    pub(super) async fn started(self) -> Self {
        let dir = {
            let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
            let dir = self.dir.join(runs.len().to_string());
            std::fs::create_dir_all(&dir).expect("the folder is writable");
            let provider = Address::loopback(self.provider.port());
            let mut run = Setup::default().run(provider, &self.secrets);
            run.listen = Address::loopback(self.address.port());
            run.admin = Address::loopback(self.admin.port());
            let config = configuration(&self.version, &dir, &run).unwrap_or_else(|failure| panic!("{failure}"));
            runs.push(Process::start(&dir, &command(&self.version, &config, &self.secrets), 1));
            dir
        };
        let deadline = Instant::now() + PATIENCE;
        let url = format!("http://{}/health/ready", self.address);
        while !http().get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
            let text = tail(&self.log(), 40);
            assert!(self.is_running() && Instant::now() < deadline, "{}: not ready:\n{text}", dir.display());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self
    }

    fn is_running(&self) -> bool {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner).last_mut().is_some_and(Process::is_running)
    }

    /// Where the front calls it.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it at once, with all its connections.
    pub fn kill(&self) {
        if let Some(run) = self.runs.lock().unwrap_or_else(PoisonError::into_inner).last() {
            run.kill();
        }
    }

    /// Not ready from now on; calls are still taken.
    pub async fn announce_end(&self) {
        self.tell("/healthcheck/fail").await;
    }

    /// Ends it as soon as it has no calls left. The front must have left it before.
    pub async fn end(&self) {
        self.tell("/drain_listeners?graceful&skip_exit").await;
        let deadline = Instant::now() + PATIENCE;
        while self.calls_under_way().await != Some(0) {
            assert!(Instant::now() < deadline, "calls go on and on");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.tell("/quitquitquit").await;
        wait_until("it is gone", async || !self.is_running()).await;
    }

    /// Calls that are not answered to the end.
    pub async fn calls_under_way(&self) -> Option<u64> {
        stat(self.admin, "http.gateway.downstream_rq_active").await
    }

    async fn tell(&self, path: &str) {
        let told = http().post(format!("http://{}{path}", self.admin)).send().await;
        assert!(told.is_ok_and(|answer| answer.status().is_success()), "POST {path} at the admin page");
    }

    /// What all its runs wrote.
    pub fn log(&self) -> String {
        let runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        runs.iter().map(Process::log).collect()
    }
}
