//! Every metric that this project emits, in one table: what an operator sees on `/stats/prometheus`.
//!
//! `METRICS.md` is printed from here; a test holds the two together (`UPDATE_GOLDEN=1 cargo test -p tollgate-metrics`
//! writes it anew). The names themselves stand in `tollgate_core::metric`, since every filter emits some.

mod labels;
mod metrics;

use std::fmt::Write;

use labels::{LABEL_NOTES, NOTES};
pub use metrics::ALL;

/// What may be done with a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows; ask for its `rate`.
    Counter,
    /// Goes both ways.
    Gauge,
    /// `_bucket{le}`, `_count` and `_sum`; ask for `histogram_quantile`.
    Histogram,
}

impl Kind {
    /// The word that Prometheus uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Full name.
    pub name: &'static str,
    /// What may be done with it.
    pub kind: Kind,
    /// What one counts.
    pub unit: &'static str,
    /// Label names; `le` of histograms left out.
    pub labels: &'static [&'static str],
    /// One line.
    pub help: &'static str,
}

/// The table and its notes as Markdown.
pub fn markdown() -> String {
    let mut out = String::from("# Metrics\n\n<!-- Printed from filters/metrics/src/catalog.rs; do not edit. -->\n\n");
    out.push_str("| metric | type | unit | labels | meaning |\n|---|---|---|---|---|\n");
    for Metric { name, kind, unit, labels, help } in ALL {
        let labels = labels.iter().map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
        let _ = writeln!(out, "| `{name}` | {} | {unit} | {labels} | {help} |", kind.as_str());
    }
    out.push_str("\n| label | values |\n|---|---|\n");
    for (label, values) in LABEL_NOTES {
        let _ = writeln!(out, "| `{label}` | {values} |");
    }
    out.push('\n');
    out.push_str(NOTES);
    out
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use tollgate_core::metric;

    use super::*;

    /// The names that `tollgate_core::metric` declares, read from its source: a new one cannot be forgotten here.
    fn declared() -> HashSet<&'static str> {
        include_str!("../../shared/core/src/metric.rs")
            .lines()
            .filter(|line| line.starts_with("pub const ") && line.contains(": &str = "))
            .filter_map(|line| line.split('"').nth(1))
            .collect()
    }

    #[test]
    fn every_declared_metric_stands_in_the_table_once() {
        let listed: HashSet<_> = ALL.iter().map(|metric| metric.name).collect();
        assert_eq!(listed.len(), ALL.len());
        assert_eq!(listed, declared());
        assert!(listed.contains("gateway_tokens_total"), "the source of the names was read");
    }

    #[test]
    fn the_tables_labels_are_all_labels_of_the_project() {
        let used: HashSet<_> = ALL.iter().flat_map(|metric| metric.labels).copied().collect();
        assert_eq!(used, metric::LABELS.iter().copied().collect());
    }

    #[test]
    fn names_follow_the_prometheus_rules_for_their_type() {
        for Metric { name, kind, unit, .. } in ALL {
            assert_eq!(*kind == Kind::Counter, name.ends_with("_total"), "{name}");
            assert!(*kind != Kind::Histogram || name.ends_with(&format!("_{unit}")), "{name}");
        }
    }

    #[test]
    fn the_printed_table_is_current() {
        let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/METRICS.md");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(golden, markdown()).unwrap();
        }
        let printed = std::fs::read_to_string(golden).unwrap_or_default();
        assert_eq!(printed, markdown(), "run UPDATE_GOLDEN=1 cargo test -p tollgate-metrics");
    }
}
