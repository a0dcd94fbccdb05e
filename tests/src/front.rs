//! The front Envoy before real gateways: who is where, and what a test does to them.
//!
//! Every gateway keeps its port over a restart, so that the front's configuration holds. They share one provider and one
//! set of keys; budgets and caches are each gateway's own.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "test support: a set-up that fails must end the test at once and say why"
)]

pub mod calls;
mod configuration;
mod member;
mod process;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::process::Command;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use serde_json::Value;

use crate::client::{Call, http};
use crate::envoy::{binary, free_address, repository, tail, version};
use crate::gateway::wait_until;
use crate::provider::Provider;
use crate::secrets::Secrets;
pub use member::Member;
use process::Process;

/// Lines of a log that a failed test shows.
const LOG_LINES: usize = 25;

/// A front in zone `zone-a` of the primary region, and the gateways behind it.
#[derive(Debug)]
pub struct Deployment {
    /// The provider of all gateways.
    pub provider: Provider,
    /// Their keys.
    pub secrets: Secrets,
    members: BTreeMap<String, Member>,
    front: Process,
    address: SocketAddr,
    admin: SocketAddr,
    _dir: tempfile::TempDir,
}

impl Deployment {
    /// Starts gateways in these places, as `zone-a.primary`, and the front, on the Envoy whose version begins with `prefix`.
    pub async fn start(prefix: &str, places: &[&str]) -> Self {
        let version = version(prefix);
        let dir = tempfile::Builder::new().prefix("tollgate-front-").tempdir().expect("there is room for files");
        let provider = Provider::start().expect("the scripted provider starts");
        let secrets = Secrets::create(&dir.path().join("secrets"), None).expect("secrets can be made");
        let start = |place: &&str| {
            let member = Member::new(&version, &dir.path().join(place), provider.address(), &secrets);
            let place = (*place).to_owned();
            async move { (place, member.started().await) }
        };
        let members: BTreeMap<_, _> = join_all(places.iter().map(start)).await.into_iter().collect();
        let (address, admin) = (free_address().expect("a port is free"), free_address().expect("a port is free"));
        let addresses = members.iter().map(|(place, member)| (place.clone(), member.address())).collect();
        let home = dir.path().join("front");
        let config = configuration::write(&home, address, admin, &addresses);
        let mut envoy = Command::new(binary(&version));
        envoy.arg("--config-path").arg(config).args(["--service-zone", "zone-a"]).current_dir(repository());
        let front = Process::start(&home, &envoy, 2);
        let deployment = Self { provider, secrets, members, front, address, admin, _dir: dir };
        let healthy = async || deployment.healthy().await.len() == places.len();
        wait_until("the front takes all gateways for healthy", healthy).await;
        deployment
    }

    /// An address behind the front.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A chat of tenant `acme`.
    pub fn chat(&self, prompt: &str) -> Call {
        let key = self.secrets.api_key("acme").expect("the tenant has a demo key");
        Call::post(&self.url(calls::CHAT), &crate::gateway::chat_body(prompt)).bearer(&key)
    }

    /// The gateway in a place.
    pub fn member(&self, place: &str) -> &Member {
        self.members.get(place).unwrap_or_else(|| panic!("the test has no gateway in {place}"))
    }

    /// Starts the gateway of a place again, and waits until the front calls it.
    pub async fn restart(&mut self, place: &str) {
        let member = self.members.remove(place).unwrap_or_else(|| panic!("the test has no gateway in {place}"));
        self.members.insert(place.to_owned(), member.started().await);
        self.wait_for(place, true).await;
    }

    /// Waits until the front calls the gateway of a place, or calls it no more.
    pub async fn wait_for(&self, place: &str, is_called: bool) {
        let what = format!("the front {} {place}", if is_called { "calls" } else { "leaves" });
        wait_until(&what, async || self.healthy().await.iter().any(|found| found == place) == is_called).await;
    }

    /// Waits until nothing listens where the gateway of a place did.
    pub async fn wait_until_gone(&self, place: &str) {
        let address = self.member(place).address();
        let is_gone = async || tokio::net::TcpStream::connect(address).await.is_err();
        wait_until("nothing listens any more", is_gone).await;
    }

    /// The places whose gateways the front takes for healthy.
    pub async fn healthy(&self) -> Vec<String> {
        let Some(page) = self.admin_page("/clusters?format=json").await else { return Vec::new() };
        let hosts = page.pointer("/cluster_statuses").and_then(Value::as_array).into_iter().flatten();
        let hosts = hosts.filter(|cluster| cluster.get("name").and_then(Value::as_str) == Some("gateways"));
        let hosts = hosts.filter_map(|cluster| cluster.get("host_statuses")?.as_array()).flatten();
        let healthy = hosts.filter(|host| {
            let status = |name: &str| host.pointer(&format!("/health_status/{name}"));
            status("eds_health_status").and_then(Value::as_str) == Some("HEALTHY")
                && ["failed_active_health_check", "failed_outlier_check", "pending_active_hc"]
                    .iter()
                    .all(|name| status(name).and_then(Value::as_bool) != Some(true))
        });
        let port = |host: &Value| host.pointer("/address/socket_address/port_value")?.as_u64();
        healthy.filter_map(|host| self.place(&format!("127.0.0.1:{}", port(host)?))).collect()
    }

    /// The place of a gateway by its address.
    pub fn place(&self, address: &str) -> Option<String> {
        let found = self.members.iter().find(|(_, member)| member.address().to_string() == address);
        found.map(|(place, _)| place.clone())
    }

    async fn admin_page(&self, path: &str) -> Option<Value> {
        let url = format!("http://{}{path}", self.admin);
        let answer = http().get(url).timeout(Duration::from_secs(5)).send().await.ok()?;
        serde_json::from_slice(&answer.bytes().await.ok()?).ok()
    }

    /// The front's lines about these calls, once they are there, by request id.
    pub async fn logged(&self, ids: &[String]) -> BTreeMap<String, Value> {
        let lines = || -> BTreeMap<String, Value> {
            let log = self.front.log();
            let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            lines.filter_map(|line| Some((line.get("request_id")?.as_str()?.to_owned(), line))).collect()
        };
        let is_there = async || {
            let lines = lines();
            ids.iter().all(|id| lines.contains_key(id))
        };
        wait_until("the front has logged all calls", is_there).await;
        lines()
    }

    fn show(&self) {
        eprintln!("--- the end of the front's log\n{}\n---", tail(&self.front.log(), LOG_LINES));
        for (place, member) in &self.members {
            eprintln!("--- the end of the log of {place}\n{}\n---", tail(&member.log(), LOG_LINES));
        }
    }
}

/// Runs a test on gateways in these places behind a front. The front's and the gateways' logs are shown if it fails.
pub fn on_deployment(prefix: &str, places: &[&str], test: &impl AsyncFn(&mut Deployment)) {
    // Calls go on while the test starts processes.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime can be made").block_on(async {
        let mut deployment = Deployment::start(prefix, places).await;
        if let Err(panic) = AssertUnwindSafe(test(&mut deployment)).catch_unwind().await {
            deployment.show();
            resume_unwind(panic);
        }
    });
}

/// Declares a test for every supported Envoy, on a deployment of its own.
#[macro_export]
macro_rules! on_deployments {
    ($(#[$meta:meta])* $name:ident, $places:expr, $test:expr) => {
        $(#[$meta])*
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            #[test]
            fn v1_40() {
                $crate::front::on_deployment("1.40", &$places, &$test);
            }

            #[test]
            fn v1_36() {
                $crate::front::on_deployment("1.36", &$places, &$test);
            }
        }
    };
}
