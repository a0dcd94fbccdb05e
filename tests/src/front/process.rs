//! An Envoy that a test kills as a machine would: its process is known, and its log outlives it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::envoy::WATCHDOG;

/// How long a process may take to write its number, or to be gone.
const PATIENCE: Duration = Duration::from_secs(15);

/// A process with a folder of its own, which is deleted in the end.
#[derive(Debug)]
pub(super) struct Process {
    watchdog: Child,
    dir: PathBuf,
}

impl Process {
    /// Starts `envoy` with so many workers.
    pub(super) fn start(dir: &Path, envoy: &Command, workers: usize) -> Self {
        fs::create_dir_all(dir).expect("the folder is writable");
        let log = File::create(dir.join("envoy.log")).expect("the folder is writable");
        let mut watchdog = Command::new("sh");
        watchdog.args(["-c", WATCHDOG, "sh"]).arg(dir);
        watchdog.args(["sh", "-c", r#"echo $$ >"$0"; exec "$@""#]).arg(dir.join("pid"));
        watchdog.arg(envoy.get_program()).args(envoy.get_args());
        watchdog.args(["--use-dynamic-base-id", "--log-level", "info", "--file-flush-interval-msec", "50"]);
        watchdog.arg("--concurrency").arg(workers.to_string());
        watchdog.envs(envoy.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if let Some(dir) = envoy.get_current_dir() {
            watchdog.current_dir(dir);
        }
        watchdog.stdin(Stdio::piped()).stdout(log.try_clone().expect("a file can be shared")).stderr(log);
        Self { watchdog: watchdog.spawn().expect("sh is there"), dir: dir.to_owned() }
    }

    /// Ends it at once, with all its connections.
    pub(super) fn kill(&self) {
        let status = Command::new("kill").args(["-KILL", &self.pid().to_string()]).status();
        assert!(status.expect("kill is there").success(), "there was nothing to kill");
    }

    fn pid(&self) -> u32 {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let text = fs::read_to_string(self.dir.join("pid")).unwrap_or_default();
            if let Ok(pid) = text.trim().parse() {
                return pid;
            }
            assert!(Instant::now() < deadline, "the process did not start");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Whether it runs.
    pub(super) fn is_running(&mut self) -> bool {
        matches!(self.watchdog.try_wait(), Ok(None))
    }

    /// What it wrote so far.
    pub(super) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.dir.join("envoy.log")).unwrap_or_default()).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        let _: io::Result<_> = self.watchdog.wait();
    }
}
