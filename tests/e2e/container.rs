//! The entry point of the container, without a container: its environment, and an end that cuts nobody off.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tollgate_tests::client::{Call, unique};
use tollgate_tests::envoy::{binary, command, configuration, free_address, listener, repository, version};
use tollgate_tests::gateway::{Setup, wait_until};
use tollgate_tests::provider::Provider;
use tollgate_tests::render::Address;
use tollgate_tests::secrets::Secrets;

/// A gateway behind the entry point.
struct Container {
    process: Child,
    admin: SocketAddr,
    gateway: String,
    secrets: Secrets,
    log: PathBuf,
    _provider: Provider,
    _dir: tempfile::TempDir,
}

impl Container {
    async fn start(prefix: &str, environment: &[(&str, &str)]) -> Self {
        let (dir, provider, admin) =
            (tempfile::tempdir().unwrap(), Provider::start().unwrap(), free_address().unwrap());
        let secrets = Secrets::create(&dir.path().join("secrets"), None).unwrap();
        let mut run = Setup::default().run(Address::loopback(provider.address().port()), &secrets);
        (run.admin, run.is_split) = (Address::loopback(admin.port()), true);
        let config = configuration(&version(prefix), dir.path(), &run).unwrap();
        let log = dir.path().join("envoy.log");
        let out = File::create(&log).unwrap();
        let keys = command(&version(prefix), &config, &secrets);
        let mut entry = entry_point(&binary(&version(prefix)), dir.path());
        entry.arg("--config-path").arg(&config).args(["--concurrency", "2"]);
        entry.envs(keys.get_envs().filter_map(|(name, value)| Some((name, value?))));
        entry.env("ADMIN_PORT", admin.port().to_string()).envs(environment.iter().copied());
        let process = entry.stdout(out.try_clone().unwrap()).stderr(out).spawn().unwrap();
        let mut container =
            Self { process, admin, gateway: String::new(), secrets, log, _provider: provider, _dir: dir };
        wait_until("it listens", async || listener(admin, "gateway").await.is_some()).await;
        container.gateway = format!("http://{}", listener(admin, "gateway").await.unwrap());
        container
    }

    fn stream(&self, pieces: u64) -> Call {
        let body =
            json!({"model": "gpt-4.1", "stream": true, "messages": [{"role": "user", "content": unique("prompt")}]});
        let call = Call::post(&format!("{}/v1/chat/completions", self.gateway), &body);
        call.bearer(&self.secrets.api_key("acme").unwrap()).told("chunk-delay-ms", 100).told("words", pieces)
    }

    async fn ready(&self) -> u16 {
        Call::get(&format!("{}/health/ready", self.gateway)).send().await.status
    }

    fn end(&self) {
        Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status().unwrap();
    }

    fn is_over(&mut self) -> Option<i32> {
        self.process.try_wait().unwrap().map(|status| status.code().unwrap_or(-1))
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let group = format!("-{}", self.process.id());
        drop(Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status());
        drop(self.process.wait());
    }
}

/// The entry point with an Envoy on its path, and a process group of its own.
fn entry_point(envoy: &Path, dir: &Path) -> Command {
    use std::os::unix::process::CommandExt as _;
    let bin = dir.join("bin");
    fs::create_dir(&bin).unwrap();
    symlink(envoy, bin.join("envoy")).unwrap();
    let mut command = Command::new(repository().join("envoy/docker/entrypoint"));
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    command.env("PATH", path).stdin(Stdio::null()).process_group(0);
    command
}

fn on_each(environment: &[(&str, &str)], test: &impl AsyncFn(&mut Container)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for prefix in ["1.40", "1.36"] {
        runtime.block_on(async { test(&mut Container::start(prefix, environment).await).await });
    }
}

#[test]
fn what_the_environment_may_not_say_is_refused_with_a_remedy() {
    for (name, value, remedy) in [
        ("GATEWAY_MODE", "prod", "production or development"),
        ("LOG_LEVEL", "loud", "trace, debug, info, warn, error, critical or off"),
        ("DRAIN_DELAY", "5s", "a number of seconds"),
        ("DRAIN_TIMEOUT", "-1", "a number of seconds"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let output = entry_point(Path::new("/bin/false"), dir.path()).env(name, value).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), said.lines().count()), (Some(2), 1), "{said}");
        assert!(said.starts_with(&format!("error: {name}={value}: set ")) && said.contains(remedy), "{said}");
    }
}

#[test]
fn at_its_end_readiness_goes_first_and_streams_finish() {
    on_each(&[("DRAIN_DELAY", "2"), ("LOG_LEVEL", "info")], &async |container| {
        assert_eq!(container.ready().await, 200);
        let mut long = container.stream(60).open().await;
        long.read_until("data:").await;
        container.end();
        wait_until("it says that it is not ready", async || container.ready().await == 503).await;
        // Balancers have not noticed yet.
        let answer = container.stream(1).send().await.expect(200);
        assert_eq!(answer.header("connection"), Some("close"), "the next call comes by another connection");
        let answer = long.rest().await;
        assert!(answer.is_whole && answer.text().contains("[DONE]"), "{answer}");
        let container = std::cell::RefCell::new(container);
        wait_until("it is over", async || container.borrow_mut().is_over().is_some()).await;
        assert_eq!(container.borrow_mut().is_over(), Some(0));
        let text = fs::read_to_string(&container.borrow().log).unwrap();
        let odd = text.lines().find(|line| serde_json::from_str::<Value>(line).is_err());
        assert_eq!(odd, None, "in production every line is JSON");
        assert!(text.contains(r#""level":"info""#), "as LOG_LEVEL says");
    });
}

// Kubernetes lets a preStop hook drain, and then sends SIGTERM: what is left of its patience is Envoy's.
#[test]
fn after_a_drain_the_end_waits_no_more() {
    on_each(&[("DRAIN_DELAY", "0"), ("DRAIN_TIMEOUT", "60")], &async |container| {
        let mut long = container.stream(600).open().await;
        long.read_until("data:").await;
        let mut drain = Command::new(repository().join("envoy/docker/drain"));
        drain
            .env("ADMIN_PORT", container.admin.port().to_string())
            .envs([("DRAIN_DELAY", "0"), ("DRAIN_TIMEOUT", "1")]);
        let code = tokio::task::spawn_blocking(move || drain.status().unwrap().code()).await.unwrap();
        assert_eq!(code, Some(1), "a call still runs");
        container.end();
        let container = std::cell::RefCell::new(container);
        wait_until("it is over", async || container.borrow_mut().is_over().is_some()).await;
    });
}

#[test]
fn a_stream_that_outlasts_its_time_does_not_hold_the_end_up() {
    on_each(&[("GATEWAY_MODE", "development"), ("DRAIN_TIMEOUT", "1")], &async |container| {
        let mut long = container.stream(600).open().await;
        long.read_until("data:").await;
        container.end();
        let container = std::cell::RefCell::new(container);
        wait_until("it is over", async || container.borrow_mut().is_over().is_some()).await;
        let answer = tokio::time::timeout(Duration::from_secs(5), long.rest()).await.unwrap();
        assert!(!answer.text().contains("[DONE]"), "it was cut");
    });
}
