//! Every metric that this project emits, in one table: what an operator sees on `/stats/prometheus`.
//!
//! `METRICS.md` is printed from here; a test holds the two together (`UPDATE_GOLDEN=1 cargo test -p tollgate-metrics`
//! writes it anew). The names themselves stand in `tollgate_core::metric`, since every filter emits some.

use std::fmt::Write;

use tollgate_core::metric;

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

/// All metrics, in the order of a call.
pub const ALL: &[Metric] = &[
    Metric {
        name: metric::REQUESTS,
        kind: Kind::Counter,
        unit: "calls",
        labels: &["route", "model", "provider", "status"],
        help: "Finished calls, however they ended.",
    },
    Metric {
        name: metric::FALLBACKS,
        kind: Kind::Counter,
        unit: "calls",
        labels: &["model", "provider", "status"],
        help: "Finished calls that went on to another provider than the one asked first.",
    },
    Metric {
        name: metric::REQUEST_DURATION,
        kind: Kind::Histogram,
        unit: "seconds",
        labels: &["route", "status"],
        help: "From the first byte of the call to its end, the whole stream included.",
    },
    Metric {
        name: metric::TOKENS,
        kind: Kind::Counter,
        unit: "tokens",
        labels: &["type", "part", "model"],
        help: "Tokens that providers worked on; cache hits and refused calls cost none.",
    },
    Metric {
        name: metric::AUTH,
        kind: Kind::Counter,
        unit: "calls",
        labels: &["result", "reason"],
        help: "Authentication verdicts.",
    },
    Metric {
        name: metric::AUTH_SIGNATURES,
        kind: Kind::Counter,
        unit: "signatures",
        labels: &["type"],
        help: "Token signatures, by who judged them.",
    },
    Metric {
        name: metric::AUTH_KEYS_AGE,
        kind: Kind::Gauge,
        unit: "seconds",
        labels: &["source"],
        help: "Since the keys in use were last found good at their server; before the first time, since they are missed.",
    },
    Metric {
        name: metric::AUTH_KEY_FETCHES,
        kind: Kind::Counter,
        unit: "attempts",
        labels: &["source", "result"],
        help: "Attempts to fetch keys from their server.",
    },
    Metric {
        name: metric::ROUTES,
        kind: Kind::Counter,
        unit: "calls",
        labels: &["pool", "result"],
        help: "Where calls were sent, or why nowhere.",
    },
    Metric {
        name: metric::BUDGET,
        kind: Kind::Counter,
        unit: "calls",
        labels: &["decision", "rule_name"],
        help: "Budget decisions.",
    },
    Metric {
        name: metric::BUDGET_TOKENS_RESERVED,
        kind: Kind::Counter,
        unit: "tokens",
        labels: &[],
        help: "Reserved for admitted calls: what they were taken to need.",
    },
    Metric {
        name: metric::BUDGET_TOKENS_SETTLED,
        kind: Kind::Counter,
        unit: "tokens",
        labels: &[],
        help: "Charged to the calls that were reserved for, when they ended.",
    },
    Metric {
        name: metric::BUDGET_TOKENS_OVERRUN,
        kind: Kind::Counter,
        unit: "tokens",
        labels: &[],
        help: "Charged to a call beyond what was reserved for it: what estimates fall short of.",
    },
    Metric {
        name: metric::BUDGET_CONFLICTS,
        kind: Kind::Counter,
        unit: "writes",
        labels: &[],
        help: "Writes to the ledger that another worker was faster with, and that were tried again.",
    },
    Metric {
        name: metric::CACHE,
        kind: Kind::Counter,
        unit: "calls",
        labels: &["result"],
        help: "What the cache did.",
    },
    Metric {
        name: metric::UPSTREAM_ATTEMPTS,
        kind: Kind::Counter,
        unit: "requests",
        labels: &["provider", "model", "status"],
        help: "Requests that were sent to providers: each try of a call, however it ended.",
    },
    Metric {
        name: metric::BUILD_INFO,
        kind: Kind::Gauge,
        unit: "always 1",
        labels: &["filter", "version"],
        help: "Which filters run, and which version of each.",
    },
];

/// The labels whose values are not plain from their name.
const LABEL_NOTES: &[(&str, &str)] = &[
    ("route", "Envoy's route name; `none` where no route matched or it has no name"),
    (
        "model",
        "the model that ran; where none ran, the one that the provider filter decided on; without that filter, the one that the call \
         names. `other`: it is not listed in `models` of `metrics.json` (of attempts: not named in `providers.json`); `none`: there is \
         none",
    ),
    (
        "provider",
        "the provider asked last, so the one that answered, by its name in `providers.json`; without a provider filter, or before \
         anybody was asked, the cluster that the call's route led to; `none`: answered by the gateway itself (refusal, cache hit), \
         or no route",
    ),
    (
        "status",
        "the response code; `0`: the client left before any response began; of attempts `no_answer`: none began; `other`: no \
         HTTP status",
    ),
    (
        "type",
        "of tokens `input` or `output`, the provider's own totals (OpenTelemetry `gen_ai.token.type`); of signatures \
         `remembered` (by this worker), `proxy` (checked by Envoy) or `module` (checked in the filter)",
    ),
    ("part", "disjoint parts; of input `uncached`, `cached`, `cache_write`; of output `answer`, `reasoning`"),
    ("pool", "a pool of `providers.json`; `none`: no pool was chosen"),
    ("source", "`api_keys`, or the name of the issuer"),
    (
        "result",
        "of auth `allowed`, `denied`; of a fetch `fetched`, `not_modified`, `unreachable`, `status` (any other than 200, 304, 503 \
         and 504), `too_large`, `unreadable`; of a route `routed`, `overridden`, `unknown_model`, `no_model` (by the rule of that name), `cooling` (all its \
         providers asked for patience), `not_found`, `refused` (not understood); of the cache `bypass`, `hit`, `miss`, `refresh`",
    ),
    ("reason", "allowed: how the caller proved who it is; denied: the code of the refusal"),
    (
        "decision",
        "`allowed`, `denied`, `bypassed`; `shadow_denied`: a rule in shadow mode would have; `ended`: a stream was ended at a \
         hard cap; `capped`: a provider reported more than any call can use; shared state gave out: `exhausted`, `contended`, \
         `unsettled`",
    ),
    ("rule_name", "the rule that made the decision `denied`, `shadow_denied` or `ended`; others name none"),
    ("le", "upper edge in seconds, inclusive; the last is `+Inf`"),
];

const NOTES: &str = "\
- `sum by (type) (gateway_tokens_total)` is what providers bill as input and output; a plain `sum` counts each token once.
- Tokens of a fallback to another model are of that model, as `model` of the call is. A stand-in that is not listed is `other`, never
  the model that was asked.
- A failed call (status 400 or above) counts tokens only if its provider reported them. A call that was cut before its
  provider reported any counts an estimate: the budget filter's, or where none runs, of the output alone.
- Histograms are cumulative counters, so the page calls their type `counter`; `rate` and `histogram_quantile` take them
  as they are. Buckets are exact. `_sum` is whole seconds: each worker holds back less than one second of each series.
- A series appears with its first call. Label values come from closed sets, so clients cannot make series.
";

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
        let mut used: HashSet<_> = ALL.iter().flat_map(|metric| metric.labels).copied().collect();
        used.insert("le");
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
