//! A whole gateway for a test: provider, secrets and Envoy, and what a test asks of them.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "test support: a set-up that fails must end the test at once and say why"
)]

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::client::{Call, MARK, http};
use crate::collector::Collector;
use crate::envoy::{Envoy, tail, version};
use crate::fleet::Fleet;
use crate::key_server::KeyServer;
use crate::prometheus;
use crate::provider::Provider;
use crate::provider::record::Recorded;
use crate::render::{Pushed, Run, providers};
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
    /// The scripted provider `primary`, or the first of others.
    pub provider: Arc<Provider>,
    /// All scripted providers by name.
    pub providers: BTreeMap<String, Arc<Provider>>,
    /// Keys and tokens.
    pub secrets: Secrets,
    fleet: Fleet,
    keys: Option<KeyServer>,
    collector: Option<Collector>,
}

impl Gateway {
    /// Starts a gateway on the Envoy whose version begins with `prefix`.
    pub async fn start(prefix: &str, setup: &Setup) -> Self {
        let dir = tempfile::Builder::new().prefix("tollgate-").tempdir().expect("there is room for files").keep();
        let secrets = Secrets::create(&dir.join("secrets"), None).expect("secrets can be made");
        if let Some(jwks) = &setup.jwks {
            secrets.replace_jwks(jwks).expect("the folder is writable");
        }
        let fleet = Fleet::start(&asked_for(setup), &dir);
        let mut run = run(setup, &fleet, &secrets);
        run.pushed = setup.is_pushed.then(|| Pushed(dir.clone()));
        let envoy = Envoy::start(&version(prefix), dir, run, &secrets).await;
        let first = || fleet.providers.values().next().expect("a set-up has a scripted provider");
        let provider = Arc::clone(fleet.providers.get("primary").unwrap_or_else(first));
        Self {
            envoy,
            provider,
            providers: fleet.providers.clone(),
            secrets,
            fleet,
            keys: setup.keys.clone(),
            collector: setup.collector.clone(),
        }
    }

    /// The gateway that tests of one set-up share. Its counters, caches and budgets are moved by all of them at once.
    async fn shared(prefix: &str, setup: &Setup) -> &'static Self {
        static STARTED: Mutex<BTreeMap<String, &'static OnceCell<Gateway>>> = Mutex::new(BTreeMap::new());
        let cell = {
            let mut started = STARTED.lock().unwrap_or_else(PoisonError::into_inner);
            // Never dropped: Envoy's watchdog sees the end of this process.
            *started.entry(format!("{prefix} {setup:?}")).or_insert_with(|| Box::leak(Box::default()))
        };
        cell.get_or_init(|| async { Self::start(prefix, setup).await }).await
    }

    /// Gives a gateway whose set-up is [`Setup::pushed`] another one. Listener and pools change, and nothing else of it;
    /// scripted providers must have been there before.
    pub async fn push(&self, setup: &Setup) {
        self.envoy.push(run(setup, &self.fleet, &self.secrets)).await;
    }

    /// Gives a gateway whose set-up is [`Setup::split`] another one by `scripts/reload`, which says whether Envoy took it.
    ///
    /// # Errors
    /// What the script says is wrong.
    pub async fn reload(&self, setup: &Setup) -> Result<String, String> {
        self.envoy.reload(run(setup, &self.fleet, &self.secrets)).await
    }

    /// An address behind the gateway.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.envoy.gateway())
    }

    /// A demo tenant's API key.
    pub fn key(&self, tenant: &str) -> String {
        self.secrets.api_key(tenant).expect("the tenant has a demo key")
    }

    /// A fresh token of any tenant.
    pub fn token(&self, tenant: &str) -> String {
        self.secrets.token(tenant, Duration::from_secs(3_600)).expect("the issuer has a key")
    }

    /// The server of keys.
    pub fn keys(&self) -> &KeyServer {
        self.keys.as_ref().expect("the test's set-up has a server of keys")
    }

    /// The collector of log records and spans.
    pub fn collector(&self) -> &Collector {
        self.collector.as_ref().expect("the test's set-up has a collector")
    }

    /// A call of tenant `acme`.
    pub fn post(&self, path: &str, body: &Value) -> Call {
        self.post_as("acme", path, body)
    }

    /// A call of a demo tenant.
    pub fn post_as(&self, tenant: &str, path: &str, body: &Value) -> Call {
        Call::post(&self.url(path), body).bearer(&self.key(tenant))
    }

    /// A call of any tenant, by a token.
    pub fn post_by(&self, tenant: &str, path: &str, body: &Value) -> Call {
        Call::post(&self.url(path), body).bearer(&self.token(tenant))
    }

    /// What a tenant's account says under a rule.
    pub async fn budget(&self, tenant: &str, rule: &str) -> Value {
        let call = Call::get(&self.url("/gateway/budget")).bearer(&self.token(tenant));
        let own = call.send().await.expect(200);
        let is_it = |entry: &&Value| entry.get("rule").and_then(Value::as_str) == Some(rule);
        let told = own.json();
        let entries = told.get("budgets").and_then(Value::as_array);
        entries.into_iter().flatten().find(is_it).unwrap_or_else(|| panic!("no `{rule}` in {own}")).clone()
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

    /// What reached the providers of a call, attempt by attempt.
    pub fn upstream_requests(&self, mark: &str) -> Vec<Recorded> {
        let mut requests: Vec<_> = self.providers.values().flat_map(|site| site.requests_with(MARK, mark)).collect();
        requests.sort_by_key(|request| request.received_at_ms);
        requests
    }

    /// What of a call reached one provider.
    pub fn requests_at(&self, name: &str, mark: &str) -> Vec<Recorded> {
        let site = self.providers.get(name).unwrap_or_else(|| panic!("the test's set-up has no provider `{name}`"));
        site.requests_with(MARK, mark)
    }

    /// The one request that reached a provider of a call.
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

/// The providers that a set-up asks for; the committed one's is scripted.
fn asked_for(setup: &Setup) -> Value {
    setup.providers.clone().unwrap_or_else(|| json!({"providers": {"primary": {"url": "http://scripted"}}}))
}

fn run(setup: &Setup, fleet: &Fleet, secrets: &Secrets) -> Run {
    let asked = setup.providers.clone().map_or_else(providers::committed, Ok);
    setup.run_with(Some(fleet.place(asked.expect("the committed configuration is JSON"))), secrets)
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

/// Runs a test on the shared gateway of a version and set-up.
pub fn on_shared(prefix: &str, setup: &Setup, test: impl AsyncFn(&Gateway)) {
    block_on(async {
        let gateway = Gateway::shared(prefix, setup).await;
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

/// Runs a test on gateways of their own, one of each of these versions and set-ups, all up at once.
pub fn on_own_together(setups: &[(&str, Setup)], test: &impl AsyncFn(&[Gateway])) {
    block_on(async {
        let gateways = join_all(setups.iter().map(|(prefix, setup)| Gateway::start(prefix, setup))).await;
        if let Err(panic) = AssertUnwindSafe(test(&gateways)).catch_unwind().await {
            gateways.iter().for_each(show);
            resume_unwind(panic);
        }
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
        show(gateway);
        resume_unwind(panic);
    }
}

fn show(gateway: &Gateway) {
    eprintln!("--- the end of Envoy's log\n{}\n---", tail(&gateway.envoy.log(), LOG_LINES));
}

/// Declares a test for every supported Envoy, on gateways that tests with the same set-up share.
#[macro_export]
macro_rules! on_both_envoys {
    ($(#[$meta:meta])* $name:ident, $test:expr) => {
        $crate::on_both_envoys!($(#[$meta])* $name, $crate::gateway::Setup::default(), $test);
    };
    ($(#[$meta:meta])* $name:ident, $setup:expr, $test:expr) => {
        $(#[$meta])*
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            #[test]
            fn v1_40() {
                $crate::gateway::on_shared("1.40", &$setup, $test);
            }

            #[test]
            fn v1_36() {
                $crate::gateway::on_shared("1.36", &$setup, $test);
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
