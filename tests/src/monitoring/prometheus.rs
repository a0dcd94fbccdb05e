//! Prometheus's API: queries with typed results, and what its rules say.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use reqwest::Url;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::server::{Server, page};

/// How long something that must come may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running Prometheus.
#[derive(Debug)]
pub struct Prometheus(Server);

/// One series of an answer. A scalar has no labels, and an instant one point.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Its labels, the name among them as `__name__`.
    pub labels: BTreeMap<String, String>,
    /// When, in Unix seconds, and what.
    pub points: Vec<(f64, f64)>,
}

impl Series {
    /// Whether any of it is a number: a quantile of nothing is none.
    pub fn has_number(&self) -> bool {
        self.points.iter().any(|(_, value)| value.is_finite())
    }
}

/// From when to when, in Unix seconds; a point a second.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// The first point.
    pub from: f64,
    /// The last one.
    pub to: f64,
}

/// An alert that is pending or firing.
#[derive(Clone, Debug, Deserialize)]
pub struct Alert {
    /// `alertname` and what else tells it from others.
    pub labels: BTreeMap<String, String>,
    /// `pending` or `firing`.
    pub state: String,
}

/// A rule, recording or alerting.
#[derive(Clone, Debug, Deserialize)]
pub struct Rule {
    /// Of the alert or the recorded series.
    pub name: String,
    /// Its expression, as Prometheus writes it.
    pub query: String,
    /// `alerting` or `recording`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `ok`, `err` or `unknown`: it was not evaluated yet.
    pub health: String,
    /// Why it is not `ok`.
    #[serde(rename = "lastError", default)]
    pub last_error: String,
}

/// How Prometheus answers.
#[derive(Deserialize)]
struct Answer<T> {
    data: T,
}

#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum Found {
    Matrix(Vec<Labelled<Vec<(f64, String)>>>),
    Vector(Vec<Labelled<(f64, String)>>),
    Scalar((f64, String)),
}

#[derive(Deserialize)]
struct Labelled<T> {
    metric: BTreeMap<String, String>,
    #[serde(alias = "values")]
    value: T,
}

#[derive(Deserialize)]
struct Alerts {
    alerts: Vec<Alert>,
}

#[derive(Deserialize)]
struct Groups {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    rules: Vec<Rule>,
}

impl Prometheus {
    pub(super) const fn new(server: Server) -> Self {
        Self(server)
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// What an expression is at a time.
    pub async fn query(&self, expression: &str, at: f64) -> Vec<Series> {
        let found = self.ask("query", &[("query", expression), ("time", &at.to_string())]).await;
        series(found)
    }

    /// What an expression was, second by second.
    pub async fn query_range(&self, expression: &str, span: Span) -> Vec<Series> {
        let (from, to) = (span.from.to_string(), span.to.to_string());
        let asked = [("query", expression), ("start", &from), ("end", &to), ("step", "1")];
        series(self.ask("query_range", &asked).await)
    }

    /// The values of a label, of series that a selector selects.
    pub async fn label_values(&self, label: &str, selector: &str) -> BTreeSet<String> {
        self.ask(&format!("label/{label}/values"), &[("match[]", selector)]).await
    }

    /// The alerts that are pending or firing.
    pub async fn alerts(&self) -> Vec<Alert> {
        self.ask::<Alerts>("alerts", &[]).await.alerts
    }

    /// All rules.
    pub async fn rules(&self) -> Vec<Rule> {
        self.ask::<Groups>("rules", &[]).await.groups.into_iter().flat_map(|group| group.rules).collect()
    }

    /// Waits until an alert of that name is in that state, and gives it; `None`: until there is none of that name.
    pub async fn wait_for_alert(&self, name: &str, state: Option<&str>) -> Option<Alert> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let alerts = self.alerts().await;
            let named = |alert: &&Alert| alert.labels.get("alertname").is_some_and(|found| found == name);
            let found = alerts.iter().find(named);
            match state {
                None if found.is_none() => return None,
                Some(state) if found.is_some_and(|alert| alert.state == state) => return found.cloned(),
                _ => {}
            }
            assert!(Instant::now() < deadline, "waited in vain until {name} is {state:?}: {alerts:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until an expression has a result.
    pub async fn wait_for(&self, expression: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.query(expression, now()).await.iter().any(Series::has_number) {
            assert!(Instant::now() < deadline, "waited in vain for {expression}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn ask<T: DeserializeOwned>(&self, what: &str, asked: &[(&str, &str)]) -> T {
        let url = format!("http://{}/api/v1/{what}", self.address());
        let url = Url::parse_with_params(&url, asked).expect("an address and a path make a URL");
        let text = page(url.as_str()).await.unwrap_or_else(|why| panic!("{what} {asked:?}: {why}"));
        let answer: Answer<T> =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{what} {asked:?}: {error}: {text}"));
        answer.data
    }
}

/// The time in Unix seconds.
pub fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

fn series(found: Found) -> Vec<Series> {
    let point = |(at, value): (f64, String)| (at, value.parse().expect("Prometheus writes numbers"));
    match found {
        Found::Matrix(found) => {
            let all = found.into_iter();
            all.map(|one| Series { labels: one.metric, points: one.value.into_iter().map(point).collect() }).collect()
        }
        Found::Vector(found) => {
            found.into_iter().map(|one| Series { labels: one.metric, points: vec![point(one.value)] }).collect()
        }
        Found::Scalar(found) => vec![Series { labels: BTreeMap::new(), points: vec![point(found)] }],
    }
}
