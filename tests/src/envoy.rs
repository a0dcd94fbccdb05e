//! One real Envoy for a test: free ports, a folder of its own, and an end that a killed test cannot prevent.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "test support: a set-up that fails must end the test at once and say why"
)]

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::failure::Failure;
use crate::older;
use crate::render::{Address, Pushed, Run, render, render_pushed};
use crate::secrets::Secrets;
use crate::watchdog::Watched;

/// How long Envoy may take to be ready: it compiles every module on every worker, on machines that do other things.
const READY: Duration = Duration::from_secs(90);
/// Times that another admin port is tried when somebody took the free one.
const TRIES: usize = 3;
/// The folder of a configuration that was taken apart.
const LIVE: &str = "live";
/// Of what is pushed: the counters of updates, of those that are not ready and of those that were refused.
const LISTENER: [&str; 3] = [
    "listener_manager.listener_in_place_updated",
    "listener_manager.total_listeners_warming",
    "listener_manager.lds.update_rejected",
];
const CLUSTERS: [&str; 3] =
    ["cluster_manager.cds.update_success", "cluster_manager.warming_clusters", "cluster_manager.cds.update_rejected"];
/// A running Envoy.
#[derive(Debug)]
pub struct Envoy {
    process: Watched,
    version: String,
    dir: PathBuf,
    gateway: SocketAddr,
    metrics: SocketAddr,
    admin: SocketAddr,
}

/// The root of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the repository").to_owned()
}

/// The version in `envoy/versions` that begins with `prefix`, as in `1.40`.
pub fn version(prefix: &str) -> String {
    let file = repository().join("envoy/versions");
    let text = fs::read_to_string(&file).expect("envoy/versions is there");
    let found = text.lines().find(|line| line.starts_with(prefix));
    found
        .unwrap_or_else(|| panic!("envoy/versions lists no {prefix}: name the tests after those it lists"))
        .to_owned()
}

/// The Envoy binary of a version, fetched if need be.
pub fn binary(version: &str) -> PathBuf {
    let output = Command::new(repository().join("scripts/get-envoy"))
        .arg(version)
        .stderr(Stdio::inherit())
        .output()
        .expect("scripts/get-envoy can be started");
    assert!(output.status.success(), "scripts/get-envoy {version} failed, see above");
    PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())
}

/// The folder of the built modules: `$TOLLGATE_FILTERS`, or where `scripts/build-wasm` puts them.
pub fn modules() -> PathBuf {
    let dir = std::env::var_os("TOLLGATE_FILTERS")
        .map_or_else(|| repository().join("target/filters"), |given| repository().join(given));
    assert!(dir.join("auth.wasm").is_file(), "no modules in {}: run scripts/build-wasm", dir.display());
    dir
}

/// A command that runs Envoy with a configuration and the keys of `secrets`.
pub fn command(version: &str, config: &Path, secrets: &Secrets) -> Command {
    let mut command = Command::new(binary(version));
    command.arg("--config-path").arg(config).current_dir(repository());
    command.env("TOLLGATE_API_KEYS", secrets.api_keys().expect("secrets were made"));
    command.env("TOLLGATE_JWKS", secrets.jwks().expect("secrets were made"));
    command.envs(secrets.variables());
    command
}

/// Writes the configuration of a run on an Envoy of that version into `dir`, and the files that can be pushed if it has any.
///
/// # Errors
/// If the committed one cannot be rendered.
pub fn configuration(version: &str, dir: &Path, run: &Run) -> Result<PathBuf, Failure> {
    let (path, committed) = (dir.join("envoy.yaml"), older::committed(version, dir));
    let run = older::fitted(version, run.clone());
    fs::write(&path, render(&committed, &run)?).expect("the folder is writable");
    if let Some(files) = &run.pushed {
        let [listener, clusters] = render_pushed(&committed, &run)?;
        replace(&files.clusters(), &clusters);
        replace(&files.listener(), &listener);
    }
    Ok(if run.is_split { split(&path, &dir.join(LIVE)) } else { path })
}

/// Takes a configuration apart into what starts Envoy and what it reads again whenever it changes.
fn split(path: &Path, into: &Path) -> PathBuf {
    let script = repository().join("scripts/render");
    let status =
        Command::new(script).arg("--split").args([path, into]).status().expect("scripts/render can be started");
    assert!(status.success(), "scripts/render --split failed, see above");
    into.join("envoy.yaml")
}

/// Renamed, as Envoy watches for moves; so it never reads half a file either. Whether there was something to replace.
fn replace(file: &Path, text: &str) -> bool {
    if fs::read_to_string(file).is_ok_and(|found| found == text) {
        return false;
    }
    let beside = file.with_extension("new");
    fs::write(&beside, text).expect("the folder is writable");
    fs::rename(&beside, file).expect("the folder is writable");
    true
}

impl Envoy {
    /// Starts Envoy in `dir`, which it deletes in the end, and waits until it serves. Ports in `run` are overwritten.
    pub async fn start(version: &str, dir: PathBuf, mut run: Run, secrets: &Secrets) -> Self {
        for _ in 1..TRIES {
            if let Some(envoy) = Self::try_start(version, &dir, &mut run, secrets).await {
                return envoy;
            }
        }
        let log = fs::read_to_string(dir.join("envoy.log")).unwrap_or_default();
        panic!("Envoy {version} did not get ready. The end of its log:\n{}", tail(&log, 40));
    }

    async fn try_start(version: &str, dir: &Path, run: &mut Run, secrets: &Secrets) -> Option<Self> {
        // Port 0 lets Envoy choose, which cannot clash; the admin port must be known beforehand, as /metrics leads to it.
        let admin = free_address().expect("a port is free");
        (run.listen, run.metrics, run.admin) =
            (Address::loopback(0), Address::loopback(0), Address::loopback(admin.port()));
        let config = configuration(version, dir, run).unwrap_or_else(|failure| panic!("{failure}"));
        let mut envoy = command(version, &config, secrets);
        envoy.args([
            "--reject-unknown-dynamic-fields",
            "--use-dynamic-base-id",
            "--concurrency",
            "2",
            "--log-level",
            "info",
        ]);
        envoy.args(["--file-flush-interval-msec", "100"]);
        let process = Watched::start(dir, "envoy.log", &envoy).expect("the folder is writable, and sh is there");
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut envoy = Self {
            process,
            version: version.to_owned(),
            dir: dir.to_owned(),
            gateway: nowhere,
            metrics: nowhere,
            admin,
        };
        if envoy.is_ready().await {
            return Some(envoy);
        }
        // Kept for the message; the watchdog would delete it.
        let log = envoy.log();
        drop(envoy);
        fs::create_dir_all(dir).expect("the folder is writable");
        fs::write(dir.join("envoy.log"), log).expect("the folder is writable");
        None
    }

    /// Waits until the admin page says that all workers listen, then asks it for the ports.
    async fn is_ready(&mut self) -> bool {
        let deadline = Instant::now() + READY;
        while Instant::now() < deadline {
            if !self.process.is_running() {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            if !is_ok(&format!("http://{}/ready", self.admin)).await {
                continue;
            }
            // The gateway itself is not asked: a test that counts calls must find none but its own.
            if let (Some(gateway), Some(metrics)) =
                (listener(self.admin, "gateway").await, listener(self.admin, "metrics").await)
            {
                (self.gateway, self.metrics) = (gateway, metrics);
                return true;
            }
        }
        false
    }

    /// Gives listener and pools another configuration and waits until new connections meet it. Calls on older ones end as
    /// they began.
    pub async fn push(&self, mut run: Run) {
        let files = Pushed(self.dir.clone());
        run.pushed = Some(files.clone());
        let committed = older::committed(&self.version, &self.dir);
        let run = older::fitted(&self.version, run);
        let [listener, clusters] = render_pushed(&committed, &run).unwrap_or_else(|failure| panic!("{failure}"));
        // A listener is refused whose routes lead to clusters that are not there.
        self.push_file(&files.clusters(), &clusters, CLUSTERS).await;
        self.push_file(&files.listener(), &listener, LISTENER).await;
    }

    async fn push_file(&self, file: &Path, text: &str, [taken, warming, refused]: [&str; 3]) {
        let before = self.stat(taken).await;
        if !replace(file, text) {
            return;
        }
        let deadline = Instant::now() + READY;
        while self.stat(taken).await <= before || self.stat(warming).await != Some(0) {
            assert!(
                self.stat(refused).await == Some(0) && Instant::now() < deadline,
                "the push was not taken: {}",
                tail(&self.log(), 20)
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Gives it another configuration by `scripts/reload`: what that says if Envoy took it, or else why not.
    ///
    /// # Errors
    /// What the script says is wrong.
    pub async fn reload(&self, mut run: Run) -> Result<String, String> {
        (run.admin, run.is_split) = (Address::loopback(self.admin.port()), false);
        let next = self.dir.join("next");
        fs::create_dir_all(&next).expect("the folder is writable");
        let file = configuration(&self.version, &next, &run).unwrap_or_else(|failure| panic!("{failure}"));
        let mut command = tokio::process::Command::new(repository().join("scripts/reload"));
        command.arg("--next").arg(file).arg("--live").arg(self.live()).arg("--admin");
        command.arg(format!("http://{}", self.admin)).arg("--log").arg(self.dir.join("envoy.log"));
        let output = command.output().await.expect("scripts/reload can be started");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// The folder of what it reads again whenever that changes.
    pub fn live(&self) -> PathBuf {
        self.dir.join(LIVE)
    }

    /// A number of Envoy's own, by its full name.
    pub async fn stat(&self, name: &str) -> Option<u64> {
        stat(self.admin, name).await
    }

    /// As in `1.40.0`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Where clients call.
    pub const fn gateway(&self) -> SocketAddr {
        self.gateway
    }

    /// Where Prometheus reads.
    pub const fn metrics(&self) -> SocketAddr {
        self.metrics
    }

    /// The admin page.
    pub const fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// What Envoy wrote so far, access log included.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.dir.join("envoy.log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// The last `lines` lines.
pub fn tail(text: &str, lines: usize) -> String {
    let all: Vec<_> = text.lines().collect();
    all.get(all.len().saturating_sub(lines)..).unwrap_or_default().join("\n")
}

/// An address on which nothing listens now.
///
/// # Errors
/// If no port is free.
pub fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

/// Where a listener listens, as the admin page says; `None` before it does.
pub async fn listener(admin: SocketAddr, name: &str) -> Option<SocketAddr> {
    let page: Value = serde_json::from_str(&get(&format!("http://{admin}/listeners?format=json")).await?).ok()?;
    let is_it = |listener: &&Value| listener.get("name").and_then(Value::as_str) == Some(name);
    let socket =
        page.get("listener_statuses")?.as_array()?.iter().find(is_it)?.get("local_address")?.get("socket_address")?;
    let port = u16::try_from(socket.get("port_value")?.as_u64()?).ok().filter(|port| *port > 0)?;
    Some(SocketAddr::new(socket.get("address")?.as_str()?.parse().ok()?, port))
}

/// A number of an Envoy's own, by its full name.
pub async fn stat(admin: SocketAddr, name: &str) -> Option<u64> {
    let page = get(&format!("http://{admin}/stats?filter=^{name}$")).await?;
    page.trim().rsplit_once(": ")?.1.parse().ok()
}

async fn is_ok(url: &str) -> bool {
    get(url).await.is_some()
}

/// The body of a page that answers 2xx.
async fn get(url: &str) -> Option<String> {
    let response = crate::client::http().get(url).timeout(Duration::from_secs(5)).send().await.ok()?;
    response.error_for_status().ok()?.text().await.ok()
}
