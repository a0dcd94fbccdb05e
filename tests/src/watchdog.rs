//! A program that ends with the test that started it, however that ends, and whose folder goes with it.
//!
//! It is the child of a small shell whose standard input is a pipe from here. When the pipe closes, because [`Watched`] is
//! dropped or because this process died in whatever way, the shell ends the program and deletes its folder.

use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A background job would read from /dev/null, hence 3.
const SHELL: &str = r#"
exec 3<&0
dir="$1"; shift
"$@" 3<&- & pid=$!
{ cat <&3; kill $pid; for i in 1 2 3 4 5 6 7 8 9 10; do kill -0 $pid || break; sleep 0.2; done; kill -9 $pid; rm -rf "$dir"; } >/dev/null 2>&1 &
wait $pid
"#;

/// A program that is watched.
#[derive(Debug)]
pub(crate) struct Watched(Child);

impl Watched {
    /// Starts `program`, with its arguments, variables and current folder; what it writes goes to the file `log` in `dir`.
    ///
    /// # Errors
    /// If the folder is not there or cannot be written to, or there is no `sh`.
    pub(crate) fn start(dir: &Path, log: &str, program: &Command) -> io::Result<Self> {
        let log = std::fs::File::create(dir.join(log))?;
        let mut shell = Command::new("sh");
        shell.args(["-c", SHELL, "sh"]).arg(dir).arg(program.get_program()).args(program.get_args());
        shell.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if let Some(folder) = program.get_current_dir() {
            shell.current_dir(folder);
        }
        shell.stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log).spawn().map(Self)
    }

    /// Whether it runs.
    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(None))
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _: io::Result<_> = self.0.wait();
    }
}
