//! A real Prometheus and a real Alertmanager for a test, run on the configuration that users run.
//!
//! What stands in `envoy/prometheus` is used as it is, but for what a test must choose: where the gateways and the
//! alertmanager are, who is notified, and how often all of this happens ([`files`] lists it). Both programs are children
//! like Envoy is: on the loopback address, in a folder of their own, and gone with the test however it ends.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "test support: a set-up that fails must end the test at once and say why"
)]

pub mod dashboard;
pub mod files;
pub mod prometheus;
pub mod receiver;
mod server;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::envoy::repository;
use files::Choices;
use prometheus::Prometheus;
use receiver::Receiver;
use server::{Program, Server, page};

/// What watches gateways: Prometheus scrapes them, its alerts go to an alertmanager, and that one's word to a receiver.
#[derive(Debug)]
pub struct Monitoring {
    /// Who is notified.
    pub receiver: Receiver,
    /// Who scrapes.
    pub prometheus: Prometheus,
    alertmanager: Server,
}

impl Monitoring {
    /// Watches the gateways whose metrics listeners are `targets`. An alert holds for `hold` before it fires (`3s`),
    /// else as long as its rule says.
    pub async fn start(targets: &[SocketAddr], hold: Option<&str>) -> Self {
        let programs = programs();
        let receiver = Receiver::start().expect("a port and a thread are to be had");
        let alertmanager = Server::start(Program::alertmanager(&programs), |dir| {
            files::alertmanager(dir, receiver.address());
        });
        let alertmanager = alertmanager.await;
        let choices = Choices { targets, alertmanager: alertmanager.address(), hold };
        let prometheus = Server::start(Program::prometheus(&programs), |dir| files::prometheus(dir, &choices)).await;
        Self { receiver, prometheus: Prometheus::new(prometheus), alertmanager }
    }

    /// The alerts that the alertmanager holds, as its API tells them.
    pub async fn alerts_received(&self) -> Vec<Value> {
        let url = format!("http://{}/api/v2/alerts", self.alertmanager.address());
        let text = page(&url).await.unwrap_or_else(|why| panic!("the alertmanager tells no alerts: {why}"));
        serde_json::from_str(&text).expect("its API answers JSON")
    }
}

/// The folder that holds `prometheus` and `alertmanager`.
fn programs() -> PathBuf {
    let output = Command::new(repository().join("scripts/get-prometheus"))
        .stderr(Stdio::inherit())
        .output()
        .expect("scripts/get-prometheus can be started");
    assert!(output.status.success(), "scripts/get-prometheus failed, see above");
    PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())
}
