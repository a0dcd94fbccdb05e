//! An Envoy that a test kills as a machine would: its process is known, and its log outlives it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::watchdog::Watched;

/// What it writes, in its folder.
const LOG: &str = "envoy.log";
/// How long a process may take to write its number, or to be gone.
const PATIENCE: Duration = Duration::from_secs(15);

/// A process with a folder of its own, which is deleted in the end.
#[derive(Debug)]
pub(super) struct Process {
    watched: Watched,
    dir: PathBuf,
}

impl Process {
    /// Starts `envoy` with so many workers.
    pub(super) fn start(dir: &Path, envoy: &Command, workers: usize) -> Self {
        fs::create_dir_all(dir).expect("the folder is writable");
        // The shell's own number is then Envoy's.
        let mut numbered = Command::new("sh");
        numbered.args(["-c", r#"echo $$ >"$0"; exec "$@""#]).arg(dir.join("pid"));
        numbered.arg(envoy.get_program()).args(envoy.get_args());
        numbered.args(["--use-dynamic-base-id", "--log-level", "info", "--file-flush-interval-msec", "50"]);
        numbered.arg("--concurrency").arg(workers.to_string());
        numbered.envs(envoy.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if let Some(folder) = envoy.get_current_dir() {
            numbered.current_dir(folder);
        }
        let watched = Watched::start(dir, LOG, &numbered).expect("the folder is writable, and sh is there");
        Self { watched, dir: dir.to_owned() }
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
        self.watched.is_running()
    }

    /// What it wrote so far.
    pub(super) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.dir.join(LOG)).unwrap_or_default()).into_owned()
    }
}
