//! One program that listens on a port of its own, and ends with whoever started it.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::envoy::{free_address, tail};
use crate::watchdog::Watched;

/// How long it may take to be ready, on machines that do other things.
const READY: Duration = Duration::from_secs(60);
/// Times that another port is tried when somebody took the free one.
const TRIES: usize = 3;
/// Lines of its log that a failed start shows.
const LOG_LINES: usize = 20;

/// What is started, and how it is told where its files are and where to listen.
pub(super) struct Program {
    binary: PathBuf,
    arguments: fn(&Path, SocketAddr) -> Vec<String>,
}

impl Program {
    pub(super) fn prometheus(programs: &Path) -> Self {
        Self {
            binary: programs.join("prometheus"),
            arguments: |dir, address| {
                let dir = dir.display();
                vec![
                    format!("--config.file={dir}/prometheus.yml"),
                    format!("--storage.tsdb.path={dir}/data"),
                    format!("--web.listen-address={address}"),
                ]
            },
        }
    }

    pub(super) fn alertmanager(programs: &Path) -> Self {
        Self {
            binary: programs.join("alertmanager"),
            arguments: |dir, address| {
                let dir = dir.display();
                vec![
                    format!("--config.file={dir}/alertmanager.yml"),
                    format!("--storage.path={dir}/data"),
                    format!("--web.listen-address={address}"),
                    // No peers, and no port for them.
                    "--cluster.listen-address=".to_owned(),
                ]
            },
        }
    }
}

/// A running one.
#[derive(Debug)]
pub(super) struct Server {
    process: Watched,
    dir: PathBuf,
    address: SocketAddr,
}

impl Server {
    /// Starts it in a folder of its own, which `write` fills first, and waits until it serves.
    pub(super) async fn start(program: Program, write: impl Fn(&Path)) -> Self {
        let mut log = String::new();
        for _ in 0..TRIES {
            let dir = tempfile::Builder::new().prefix("tollgate-").tempdir().expect("there is room for files").keep();
            write(&dir);
            let mut server = Self::spawn(&program, dir);
            if server.is_ready().await {
                return server;
            }
            log = fs::read_to_string(server.dir.join("log")).unwrap_or_default();
        }
        panic!("{} did not get ready. The end of its log:\n{}", program.binary.display(), tail(&log, LOG_LINES));
    }

    fn spawn(program: &Program, dir: PathBuf) -> Self {
        let address = free_address().expect("a port is free");
        let mut command = Command::new(&program.binary);
        command.args((program.arguments)(&dir, address)).current_dir(&dir);
        let process = Watched::start(&dir, "log", &command).expect("the folder is writable, and sh is there");
        Self { process, dir, address }
    }

    async fn is_ready(&mut self) -> bool {
        let deadline = Instant::now() + READY;
        while Instant::now() < deadline && self.process.is_running() {
            if page(&format!("http://{}/-/ready", self.address)).await.is_ok() {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        false
    }

    /// Where it listens.
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }
}

/// The body of a page that answers 2xx, or why there is none.
pub(super) async fn page(url: &str) -> Result<String, String> {
    let told = |error: reqwest::Error| error.to_string();
    let request = crate::client::http().get(url).timeout(Duration::from_secs(30));
    let response = request.send().await.map_err(told)?;
    let status = response.status();
    let text = response.text().await.map_err(told)?;
    if status.is_success() { Ok(text) } else { Err(format!("{status}: {text}")) }
}
