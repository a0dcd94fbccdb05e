//! What an on-call engineer looks at: every panel and every rule shows something of a gateway under load, on all Envoys the
//! same; and an alert comes when providers fail, and goes when they are back.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use tollgate_tests::client::unique;
use tollgate_tests::gateway::{Gateway, Setup, on_own_together};
use tollgate_tests::monitoring::Monitoring;
use tollgate_tests::monitoring::dashboard::{Dashboard, substitute};
use tollgate_tests::monitoring::prometheus::{Rule, Series, Span, now};
use tollgate_tests::on_own_envoys;

use crate::monitoring_load::{drive, prepare, setup};

/// Envoy shows a histogram every 5 s, and a rate needs two of its values; budgets are shown every 10 s.
const LOAD: Duration = Duration::from_secs(17);
/// Until Envoy's last word of the load has been scraped and recorded.
const SETTLED: Duration = Duration::from_secs(8);
/// How long an alert holds here before it fires.
const HOLD: &str = "3s";

/// How often a call is made that fails, and one that does not.
const FAILS_EVERY: Duration = Duration::from_millis(100);
const ANSWERED_EVERY: Duration = Duration::from_millis(2);

/// What says nothing of a gateway that is well, and why.
const SILENT: &[(&str, &str)] = &[
    ("GatewayAbsent", "there is a gateway"),
    ("GatewayMetricsMissing", "the gateway has its metrics"),
    ("KeyFetchFailing", "fetches that succeed silence it"),
    ("SharedDataExhausted", "shared state had room for everything"),
];

type Labels = BTreeSet<BTreeMap<String, String>>;

#[test]
fn every_panel_and_every_rule_shows_a_gateway_under_load_on_all_envoys_alike() {
    let setups = [("1.40", setup()), ("1.36", setup())];
    on_own_together(&setups, &async |gateways| {
        for gateway in gateways {
            prepare(gateway).await;
        }
        let targets: Vec<_> = gateways.iter().map(|gateway| gateway.envoy.metrics()).collect();
        let monitoring = Monitoring::start(&targets, None).await;
        monitoring.prometheus.wait_for(&format!("sum(up) == {}", targets.len())).await;
        let from = now();
        let [newest, oldest] = gateways else { panic!("two were asked for") };
        tokio::join!(drive(newest, LOAD), drive(oldest, LOAD));
        tokio::time::sleep(SETTLED).await;
        let span = Span { from, to: now() };

        let mut missing = Vec::new();
        let shown = |target: SocketAddr| panels(&monitoring, target, span);
        let (of_newest, of_oldest) = (shown(targets[0]).await, shown(targets[1]).await);
        for (name, labels) in &of_newest {
            if labels.is_empty() {
                missing.push(format!("panel {name}"));
            } else if labels != &of_oldest[name] {
                missing.push(format!("panel {name} is {labels:?} on 1.40, {:?} on 1.36", of_oldest[name]));
            }
        }
        missing.extend(silent_rules(&monitoring, span).await);
        assert!(missing.is_empty(), "{}", missing.join("\n"));
    });
}

/// The series of every panel and every choice for one gateway, without what tells it from others.
async fn panels(monitoring: &Monitoring, target: SocketAddr, span: Span) -> BTreeMap<String, Labels> {
    let (dashboard, prometheus) = (Dashboard::committed(), &monitoring.prometheus);
    let instance = target.to_string().replace('.', "\\\\.");
    let values = BTreeMap::from([
        ("job", "gateway".to_owned()),
        ("instance", instance),
        ("model", ".*".to_owned()),
        ("provider", ".*".to_owned()),
        ("tenant", ".*".to_owned()),
        ("objective", "0.9999".to_owned()),
        ("__rate_interval", "15s".to_owned()),
        ("__range", format!("{}s", (span.to - span.from).ceil())),
    ]);
    let mut shown = BTreeMap::new();
    for query in dashboard.queries() {
        let expression = substitute(&query.expression, &values);
        let series = if query.is_instant {
            prometheus.query(&expression, span.to).await
        } else {
            prometheus.query_range(&expression, span).await
        };
        shown.insert(query.name, labels(&series));
    }
    for choice in dashboard.choices() {
        let selector = substitute(&choice.selector, &values);
        let offered = prometheus.label_values(&choice.label, &selector).await;
        let others = offered.into_iter().filter(|value| value != &target.to_string());
        let labels = others.map(|value| BTreeMap::from([(choice.label.clone(), value)])).collect();
        shown.insert(format!("variable {}", choice.variable), labels);
    }
    // The only one that offers nothing but this gateway.
    shown.remove("variable instance");
    shown
}

fn labels(series: &[Series]) -> Labels {
    let told = series.iter().filter(|series| series.has_number());
    told.map(|series| series.labels.iter().filter(|(name, _)| *name != "instance"))
        .map(|labels| labels.map(|(name, value)| (name.clone(), value.clone())).collect())
        .collect()
}

/// The rules that are in error, or have nothing to compare.
async fn silent_rules(monitoring: &Monitoring, span: Span) -> Vec<String> {
    let mut silent = Vec::new();
    for rule in monitoring.prometheus.rules().await {
        let is_expected = SILENT.iter().any(|(name, _)| *name == rule.name);
        let series = monitoring.prometheus.query_range(&compared(&rule), span).await;
        let is_silent = !series.iter().any(Series::has_number);
        if rule.health != "ok" {
            silent.push(format!("{} {}: {} {}", rule.kind, rule.name, rule.health, rule.last_error));
        } else if is_silent != is_expected {
            silent.push(format!("{} {} is silent: {is_silent}: {}", rule.kind, rule.name, rule.query));
        }
    }
    silent
}

/// The expression of a rule; of an alert with comparisons that say no or yes, as they would leave nothing of what is well.
fn compared(rule: &Rule) -> String {
    if rule.kind != "alerting" {
        return rule.query.clone();
    }
    let comparisons = [" > ", " < ", " >= ", " <= ", " == ", " != "];
    comparisons.iter().fold(rule.query.clone(), |query, sign| query.replace(sign, &format!("{sign}bool ")))
}

on_own_envoys!(
    an_alert_fires_when_the_provider_fails_and_resolves_when_it_is_back,
    Setup::default(),
    async |gateway| {
        let monitoring = Monitoring::start(&[gateway.envoy.metrics()], Some(HOLD)).await;
        let prometheus = &monitoring.prometheus;
        let well = prometheus.wait_for("gateway:request_errors:ratio_rate5m == 0");
        calling(gateway, None, well).await;

        let alerted = async {
            let pending = prometheus.wait_for_alert("HighErrorRate", Some("pending")).await.unwrap();
            assert_eq!(pending.labels["severity"], "critical");
            prometheus.wait_for_alert("HighErrorRate", Some("firing")).await;
            monitoring.receiver.wait_for("HighErrorRate", "firing").await
        };
        let told = calling(gateway, Some(503), alerted).await;
        assert!(told.annotations["runbook_url"].ends_with("envoy/prometheus/runbooks/HighErrorRate.md"), "{told:?}");
        let received = monitoring.alerts_received().await;
        assert!(received.iter().any(|alert| alert["labels"]["alertname"] == "HighErrorRate"), "{received:?}");

        // What failed is in the last 5 minutes still, so it takes many calls until it is less than 5 % of them.
        calling(gateway, None, prometheus.wait_for_alert("HighErrorRate", None)).await;
        let resolved = monitoring.receiver.wait_for("HighErrorRate", "resolved").await;
        assert_eq!(resolved.labels["alertname"], "HighErrorRate");
    }
);

/// Makes calls that are answered, or that the provider fails with a status, until something has come.
async fn calling<T>(gateway: &Gateway, status: Option<u64>, awaited: impl Future<Output = T>) -> T {
    let calls = async {
        loop {
            let call = gateway.chat(&if status.is_some() { unique("prompt") } else { "the same again".to_owned() });
            let call = status.into_iter().fold(call, |call, status| call.told("status", status));
            call.send().await.expect(status.map_or(200, |status| u16::try_from(status).unwrap()));
            // Few that fail are soon outnumbered.
            tokio::time::sleep(if status.is_some() { FAILS_EVERY } else { ANSWERED_EVERY }).await;
        }
    };
    tokio::select! {
        () = calls => panic!("calls do not end"),
        found = awaited => found,
    }
}
