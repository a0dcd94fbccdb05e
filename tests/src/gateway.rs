//! A whole gateway for a test: provider, secrets and Envoy, and what a test asks of them.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "test support: a set-up that fails must end the test at once and say why"
)]

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::client::{Call, MARK, http};
use crate::envoy::{Envoy, tail, version};
use crate::key_server::KeyServer;
use crate::prometheus;
use crate::provider::Provider;
use crate::provider::record::Recorded;
use crate::render::Address;
use crate::secrets::Secrets;
pub use crate::setup::Setup;

/// How long something that must come may take.
const PATIENCE: Duration = Duration::from_secs(15);
/// Lines of Envoy's log that a failed test shows.
const LOG_LINES: usize = 60;

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    /// Envoy.
    pub envoy: Envoy,
    /// The scripted provider.
    pub provider: Provider,
    /// Keys and tokens.
    pub secrets: Secrets,
    keys: Option<KeyServer>,
}

impl Gateway {
    /// Starts a gateway on the Envoy whose version begins with `prefix`.
    pub async fn start(prefix: &str, setup: &Setup) -> Self {
        let provider = Provider::start().expect("the scripted provider starts");
        let dir = tempfile::Builder::new().prefix("tollgate-").tempdir().expect("there is room for files").keep();
        let secrets = Secrets::create(&dir.join("secrets"), None).expect("secrets can be made");
        if let Some(jwks) = &setup.jwks {
            secrets.replace_jwks(jwks).expect("the folder is writable");
        }
        let run = setup.run(Address::loopback(provider.address().port()), &secrets);
        let envoy = Envoy::start(&version(prefix), dir, run, &secrets).await;
        Self { envoy, provider, secrets, keys: setup.keys.clone() }
    }

    /// The gateway that tests share. Its counters, caches and budgets are moved by all of them at once.
    async fn shared(prefix: &str) -> &'static Self {
        static NEWEST: OnceCell<Gateway> = OnceCell::const_new();
        static OLDEST: OnceCell<Gateway> = OnceCell::const_new();
        let cell = if prefix == "1.40" { &NEWEST } else { &OLDEST };
        cell.get_or_init(|| async { Self::start(prefix, &Setup::default()).await }).await
    }

    /// An address behind the gateway.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.envoy.gateway())
    }

    /// A demo tenant's API key.
    pub fn key(&self, tenant: &str) -> String {
        self.secrets.api_key(tenant).expect("the tenant has a demo key")
    }

    /// The server of keys.
    pub fn keys(&self) -> &KeyServer {
        self.keys.as_ref().expect("the test's set-up has a server of keys")
    }

    /// A call of tenant `acme`.
    pub fn post(&self, path: &str, body: &Value) -> Call {
        self.post_as("acme", path, body)
    }

    /// A call of a demo tenant.
    pub fn post_as(&self, tenant: &str, path: &str, body: &Value) -> Call {
        Call::post(&self.url(path), body).bearer(&self.key(tenant))
    }

    /// A chat of tenant `acme`.
    pub fn chat(&self, prompt: &str) -> Call {
        self.post("/v1/chat/completions", &chat_body(prompt))
    }

    /// A streamed chat of tenant `acme`.
    pub fn chat_stream(&self, prompt: &str) -> Call {
        let mut body = chat_body(prompt);
        merge(&mut body, &json!({"stream": true}));
        self.post("/v1/chat/completions", &body)
    }

    /// What reached the provider of a call.
    pub fn upstream_requests(&self, mark: &str) -> Vec<Recorded> {
        self.provider.requests_with(MARK, mark)
    }

    /// The one request that reached the provider of a call.
    pub fn upstream_request(&self, mark: &str) -> Recorded {
        let mut requests = self.upstream_requests(mark);
        assert_eq!(requests.len(), 1, "requests at the provider");
        requests.pop().expect("counted above")
    }

    /// The Prometheus page of the admin port.
    pub async fn metrics_text(&self) -> String {
        let url = format!("http://{}/stats/prometheus", self.envoy.admin());
        let response = http().get(url).timeout(PATIENCE).send().await.expect("the admin page answers");
        response.text().await.expect("the admin page is text")
    }

    /// The sum over all series of `name` with all of `labels`.
    pub async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        prometheus::sum(&prometheus::parse(&self.metrics_text().await), name, labels)
    }

    /// Waits until that sum is `expected`; it is written after the client has its answer.
    pub async fn expect_metric(&self, name: &str, labels: &[(&str, &str)], expected: f64) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = self.metric(name, labels).await;
            if (found - expected).abs() < 0.5 {
                return;
            }
            let page = self.metrics_text().await;
            let series: Vec<_> = page.lines().filter(|line| line.starts_with("gateway_")).collect();
            assert!(
                Instant::now() < deadline && found < expected + 0.5,
                "{name}{labels:?} is {found}, expected {expected}:\n{}",
                series.join("\n")
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// The body of a chat.
pub fn chat_body(prompt: &str) -> Value {
    json!({"model": "gpt-4.1", "messages": [{"role": "user", "content": prompt}]})
}

/// Puts the fields of `more` into `body`.
pub fn merge(body: &mut Value, more: &Value) {
    if let (Value::Object(body), Value::Object(more)) = (body, more) {
        body.extend(more.clone());
    }
}

/// Waits until `condition` holds.
pub async fn wait_until(what: &str, condition: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Runs a test on the shared gateway of a version.
pub fn on_shared(prefix: &str, test: impl AsyncFn(&Gateway)) {
    block_on(async {
        let gateway = Gateway::shared(prefix).await;
        judge(gateway, test).await;
    });
}

/// Runs a test on a gateway of its own.
pub fn on_own(prefix: &str, setup: &Setup, test: impl AsyncFn(&Gateway)) {
    block_on(async {
        let gateway = Gateway::start(prefix, setup).await;
        judge(&gateway, test).await;
    });
}

fn block_on(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be made")
        .block_on(future);
}

/// Shows Envoy's log if the test fails, and only then.
async fn judge(gateway: &Gateway, test: impl AsyncFn(&Gateway)) {
    if let Err(panic) = AssertUnwindSafe(test(gateway)).catch_unwind().await {
        eprintln!("--- the end of Envoy's log\n{}\n---", tail(&gateway.envoy.log(), LOG_LINES));
        resume_unwind(panic);
    }
}

/// Declares a test for every supported Envoy, on gateways that tests share.
#[macro_export]
macro_rules! on_both_envoys {
    ($(#[$meta:meta])* $name:ident, $test:expr) => {
        $(#[$meta])*
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            #[test]
            fn v1_40() {
                $crate::gateway::on_shared("1.40", $test);
            }

            #[test]
            fn v1_36() {
                $crate::gateway::on_shared("1.36", $test);
            }
        }
    };
}

/// Declares a test for every supported Envoy, each on a gateway of its own: for counters and budgets.
#[macro_export]
macro_rules! on_own_envoys {
    ($(#[$meta:meta])* $name:ident, $test:expr) => {
        $crate::on_own_envoys!($(#[$meta])* $name, $crate::gateway::Setup::default(), $test);
    };
    ($(#[$meta:meta])* $name:ident, $setup:expr, $test:expr) => {
        $(#[$meta])*
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            #[test]
            fn v1_40() {
                $crate::gateway::on_own("1.40", &$setup, $test);
            }

            #[test]
            fn v1_36() {
                $crate::gateway::on_own("1.36", &$setup, $test);
            }
        }
    };
}
