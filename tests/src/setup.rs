//! What a test changes about its gateway, before it starts.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "test support: a set-up that fails must end the test at once and say why"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::collector::Collector;
use crate::envoy::{modules, repository};
use crate::key_server::KeyServer;
use crate::render::{Address, Edit, Run, Telemetry, Tls, Upstream, providers};
use crate::secrets::Secrets;

/// What a test changes about its gateway.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    pub(crate) providers: Option<Value>,
    upstream: Option<Upstream>,
    configurations: BTreeMap<String, String>,
    without: BTreeSet<String>,
    moves: Vec<(String, String)>,
    clusters: BTreeMap<String, Address>,
    route_timeout: Option<String>,
    edits: Vec<Edit>,
    tls: Option<Tls>,
    is_http2: bool,
    is_unrouted: bool,
    filters: Option<PathBuf>,
    absent_secrets: BTreeSet<String>,
    is_split: bool,
    pub(crate) is_pushed: bool,
    pub(crate) keys: Option<KeyServer>,
    pub(crate) collector: Option<Collector>,
    is_sampled_by_callers: bool,
    pub(crate) jwks: Option<Value>,
}

impl Setup {
    /// These providers in place of the committed ones, as providers.json says them. A `url` such as `http://scripted`
    /// starts a scripted provider, which [`Gateway::providers`](crate::gateway::Gateway::providers) then has by its name:
    ///
    /// | `url` | what runs |
    /// |---|---|
    /// | `http://scripted` | a scripted provider |
    /// | `https://scripted` | the same with TLS, and with an authority in `ca_file` unless it is given |
    /// | `https://self-signed`, `https://misnamed`, `https://expired` | the same, with such a certificate |
    /// | `http://refusing` | nothing listens |
    ///
    /// Keys of `from_file` and `from_env` are made up:
    /// [`Secrets::provider_key`](crate::secrets::Secrets::provider_key) tells them.
    #[must_use]
    pub fn providers(mut self, providers: Value) -> Self {
        self.providers = Some(providers);
        self
    }

    /// The providers of [`Self::providers`], changed.
    #[must_use]
    pub fn changed(mut self, change: impl FnOnce(&mut Value)) -> Self {
        change(self.providers.as_mut().expect("`providers` was called"));
        self
    }

    /// The committed providers, changed. `primary` is the scripted one unless it is given another address.
    #[must_use]
    pub fn providers_with(self, change: impl FnOnce(&mut Value)) -> Self {
        let mut config = providers::committed().expect("the committed configuration is JSON");
        if let Some(url) = config.pointer_mut("/providers/primary/url") {
            *url = "http://scripted".into();
        }
        change(&mut config);
        self.providers(config)
    }

    /// Another provider than the scripted one.
    #[must_use]
    pub fn upstream(mut self, upstream: Upstream) -> Self {
        self.upstream = Some(upstream);
        self
    }

    /// The committed configuration of a filter (`budget`), changed, or that of the `providers`.
    #[must_use]
    pub fn config(mut self, filter: &str, change: impl FnOnce(&mut Value)) -> Self {
        if filter == "providers" {
            return self.providers_with(change);
        }
        let path = repository().join(format!("envoy/config/{filter}.json"));
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut config = serde_json::from_str(&text).expect("the committed configuration is JSON");
        change(&mut config);
        self.configurations.insert(format!("tollgate.{filter}"), config.to_string());
        self
    }

    /// The chain without one of its filters, as `envoy.filters.http.buffer`.
    #[must_use]
    pub fn without(mut self, filter: &str) -> Self {
        self.without.insert(filter.to_owned());
        self
    }

    /// A gateway without the provider filter, and without what serves it alone: calls go to the first pool as they came.
    #[must_use]
    pub fn unrouted(mut self) -> Self {
        self.is_unrouted = true;
        let filters =
            ["tollgate.route", "envoy.filters.http.header_mutation", "envoy.filters.http.header_to_metadata"];
        filters.into_iter().fold(self, Self::without)
    }

    /// The chain with one filter moved right before another, as `tollgate.cache` before `tollgate.budget`.
    #[must_use]
    pub fn moved(mut self, filter: &str, before: &str) -> Self {
        self.moves.push((filter.to_owned(), before.to_owned()));
        self
    }

    /// The provider in HTTP/2.
    #[must_use]
    pub const fn http2(mut self) -> Self {
        self.is_http2 = true;
        self
    }

    /// With a file `name.yaml` that does not hold the provider's key;
    /// [`Secrets::replace_provider_key`](crate::secrets::Secrets::replace_provider_key) brings it.
    #[must_use]
    pub fn without_secret(mut self, name: &str) -> Self {
        self.absent_secrets.insert(name.to_owned());
        self
    }

    /// Calls that may take so long, as `1s`.
    #[must_use]
    pub fn route_timeout(mut self, timeout: &str) -> Self {
        self.route_timeout = Some(timeout.to_owned());
        self
    }

    /// A value of envoy.yaml set otherwise, or taken away by null, as at `static_resources/listeners/gateway/address`.
    #[must_use]
    pub fn set(mut self, path: &str, value: Value) -> Self {
        self.edits.push(Edit { path: path.to_owned(), value });
        self
    }

    /// A value of the HTTP connection manager of the listener `gateway` set otherwise, or taken away by null.
    #[must_use]
    pub fn http(self, field: &str, value: Value) -> Self {
        const MANAGER: &str = "static_resources/listeners/gateway/filter_chains/0/filters/0/typed_config";
        self.set(&format!("{MANAGER}/{field}"), value)
    }

    /// A gateway that speaks TLS with its clients.
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Modules of another folder than `scripts/build-wasm` fills.
    #[must_use]
    pub fn filters(mut self, dir: &Path) -> Self {
        self.filters = Some(dir.to_owned());
        self
    }

    /// A listener and pools that [`Gateway::push`](crate::gateway::Gateway::push) can replace while Envoy runs. Providers must be there from the start.
    #[must_use]
    pub const fn pushed(mut self) -> Self {
        self.is_pushed = true;
        self
    }

    /// Filters, routes and pools that [`Gateway::reload`](crate::gateway::Gateway::reload) can replace while Envoy runs, as
    /// a container has them. Providers must be there from the start.
    #[must_use]
    pub const fn split(mut self) -> Self {
        self.is_split = true;
        self
    }

    /// A cluster beside those of the file, without TLS.
    #[must_use]
    pub fn cluster(mut self, name: &str, address: Address) -> Self {
        self.clusters.insert(name.to_owned(), address);
        self
    }

    /// A server of keys behind the cluster `keys`.
    #[must_use]
    pub fn keys(mut self, server: KeyServer) -> Self {
        let address = Address::loopback(server.address().port());
        self.keys = Some(server);
        self.cluster("keys", address)
    }

    /// With log records and spans for a collector.
    #[must_use]
    pub fn collector(mut self, collector: Collector) -> Self {
        self.collector = Some(collector);
        self
    }

    /// Spans of those calls alone whose callers ask for them.
    #[must_use]
    pub const fn sampled_by_callers(mut self) -> Self {
        self.is_sampled_by_callers = true;
        self
    }

    /// What `TOLLGATE_JWKS` holds in place of the demo issuer's keys.
    #[must_use]
    pub fn jwks(mut self, jwks: Value) -> Self {
        self.jwks = Some(jwks);
        self
    }

    /// What is rendered for a provider at `provider`. Ports are chosen later.
    pub fn run(&self, provider: Address, secrets: &Secrets) -> Run {
        let is_primary = self.providers.is_none();
        let upstream = self.upstream.clone().or_else(|| is_primary.then(|| Upstream::plain(provider)));
        Run { upstream, ..self.run_with(self.providers.clone(), secrets) }
    }

    /// What is rendered for these providers, whose keys are made if need be.
    pub(crate) fn run_with(&self, providers: Option<Value>, secrets: &Secrets) -> Run {
        let keys = providers.clone().map_or_else(providers::committed, Ok);
        secrets
            .create_provider_keys(&keys.expect("the committed configuration is JSON"))
            .expect("the folder is writable");
        for name in &self.absent_secrets {
            secrets.withhold_provider_key(name).expect("the folder is writable");
        }
        if let Some(tls) = &self.tls {
            tls.write(secrets.dir()).expect("the folder is writable");
        }
        Run {
            listen: Address::loopback(0),
            admin: Address::loopback(0),
            metrics: Address::loopback(0),
            filters: self.filters.clone().unwrap_or_else(modules),
            providers,
            upstream: self.upstream.clone(),
            is_http2: self.is_http2,
            is_unrouted: self.is_unrouted,
            secrets: secrets.dir().to_owned(),
            configurations: self.configurations.clone(),
            without: self.without.clone(),
            moves: self.moves.clone(),
            clusters: self.clusters.clone(),
            telemetry: self.collector.as_ref().map(|collector| Telemetry {
                collector: Address::loopback(collector.address().port()),
                sampled: if self.is_sampled_by_callers { 0.0 } else { 1.0 },
                is_for_1_36: false,
            }),
            tls: self.tls.clone(),
            edits: self.edits.clone(),
            route_timeout: self.route_timeout.clone(),
            is_split: self.is_split,
            pushed: None,
        }
    }
}
