//! What of the committed configuration an older Envoy takes.
//!
//! `envoy/envoy.yaml` is written for the newest one. `scripts/render --for-1.36` prints it without what came in 1.37, and a test's
//! own configuration of the metrics filter must not count on that either.
#![allow(clippy::expect_used, reason = "test support: a set-up that fails must end the test at once and say why")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::envoy::repository;
use crate::render::Run;

const METRICS: &str = "tollgate.metrics";

/// Whether an Envoy lacks what came in 1.37.
fn is_old(version: &str) -> bool {
    version.starts_with("1.36.")
}

/// The file that an Envoy is given, before a run chooses its addresses; a printed one is put into `dir`.
pub(crate) fn committed(version: &str, dir: &Path) -> PathBuf {
    if !is_old(version) {
        return repository().join("envoy/envoy.yaml");
    }
    let printed = Command::new(repository().join("scripts/render"))
        .arg("--for-1.36")
        .stderr(Stdio::inherit())
        .output()
        .expect("scripts/render can be started");
    assert!(printed.status.success(), "scripts/render --for-1.36 failed, see above");
    let path = dir.join("envoy-1.36.yaml");
    fs::write(&path, printed.stdout).expect("the folder is writable");
    path
}

/// The run as that Envoy takes it.
pub(crate) fn fitted(version: &str, mut run: Run) -> Run {
    if let Some(text) = run.configurations.get_mut(METRICS).filter(|_| is_old(version)) {
        let mut config: Value = serde_json::from_str(text).expect("a changed configuration is JSON");
        if let Some(histograms) = config.get_mut("histograms") {
            *histograms = "microseconds".into();
        }
        *text = config.to_string();
    }
    if let Some(telemetry) = &mut run.telemetry {
        telemetry.is_for_1_36 = is_old(version);
    }
    run
}
