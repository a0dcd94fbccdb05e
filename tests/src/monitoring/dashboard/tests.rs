//! What can be said of the dashboard without running anything.

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;

/// What Grafana knows by itself, and the choice that asks nobody.
const KNOWN: [&str; 4] = ["__rate_interval", "__range", "datasource", "objective"];
/// Metrics on the page or in Prometheus that are not ours.
const FOREIGN: [&str; 10] = [
    "envoy_cluster_membership_healthy",
    "envoy_cluster_membership_total",
    "envoy_cluster_outlier_detection_ejections_active",
    "envoy_cluster_upstream_cx_connect_fail",
    "envoy_http_downstream_rq_active",
    "envoy_server_memory_physical_size",
    "envoy_wasm_vm_reload_failure",
    "envoy_wasm_vm_reload_success",
    "scrape_samples_scraped",
    "up",
];

/// What selects series: every word right before a `{`.
fn metrics(expression: &str) -> Vec<&str> {
    let is_outside = |c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':';
    let word = |head: &'_ str| head.rsplit(is_outside).next().unwrap_or_default().len();
    let heads = expression.match_indices('{').map(|(at, _)| expression.split_at(at).0);
    heads.map(|head| head.split_at(head.len() - word(head)).1).collect()
}

/// The names that the committed rules record.
fn recorded() -> Vec<String> {
    let texts = super::super::files::rules().into_iter().map(|file| fs::read_to_string(file).unwrap());
    let lines: Vec<_> = texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    lines
        .iter()
        .filter_map(|line| Some(line.trim_start_matches([' ', '-']).strip_prefix("record: ")?.to_owned()))
        .collect()
}

#[test]
fn every_metric_is_in_the_catalogue_or_a_known_one_of_others() {
    let catalogue = fs::read_to_string(repository().join("filters/metrics/METRICS.md")).unwrap();
    let dashboard = Dashboard::committed();
    let asked = dashboard.queries().into_iter().map(|query| query.expression);
    let asked: Vec<_> = asked.chain(dashboard.choices().into_iter().map(|choice| choice.selector)).collect();
    let (recorded, mut found) = (recorded(), BTreeSet::new());
    for name in asked.iter().flat_map(|expression| metrics(expression)) {
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|part| name.strip_suffix(part)).unwrap_or(name);
        let is_ours = [name, family].iter().any(|name| catalogue.contains(&format!("`{name}`")))
            || recorded.iter().any(|recorded| recorded == name);
        assert!(is_ours || FOREIGN.contains(&name), "`{name}` is no metric");
        found.insert(family.to_owned());
    }
    let unused: Vec<_> = FOREIGN.iter().filter(|name| !found.contains(**name)).collect();
    assert!(unused.is_empty(), "no panel asks for {unused:?}");
}

/// An operator who sees a number move finds its picture here. How many signatures were checked by whom moves with the
/// tokens and asks for nothing to be done.
#[test]
fn every_metric_of_the_catalogue_has_a_panel() {
    let catalogue = fs::read_to_string(repository().join("filters/metrics/METRICS.md")).unwrap();
    let all: String = Dashboard::committed().queries().into_iter().map(|query| query.expression).collect();
    let ours = catalogue.lines().filter_map(|line| line.strip_prefix("| `gateway_")?.split_once('`'));
    let missing: Vec<_> = ours
        .map(|(rest, _)| format!("gateway_{rest}"))
        .filter(|name| !all.contains(name.as_str()) && name != "gateway_auth_signatures_total")
        .collect();
    assert!(missing.is_empty(), "no panel shows {missing:?}");
}

#[test]
fn every_panel_says_what_it_shows_in_which_unit_and_what_good_looks_like() {
    let tree: Value = serde_json::from_str(&text()).unwrap();
    for panel in tree["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        if panel["type"] == "row" {
            continue;
        }
        let description = panel["description"].as_str().unwrap_or_default();
        assert!(description.contains("Good: "), "{title}: {description}");
        let defaults = &panel["fieldConfig"]["defaults"];
        let overrides = panel["fieldConfig"]["overrides"].as_array().unwrap();
        let axis = &panel["options"]["yAxis"]["unit"];
        assert!(defaults["unit"].is_string() || axis.is_string() || !overrides.is_empty(), "{title} has no unit");
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
        for target in panel["targets"].as_array().unwrap() {
            let is_named = panel["type"] == "table" || target["legendFormat"] != "";
            assert!(is_named, "{title}: a series without a name");
        }
    }
}

#[test]
fn panels_have_ids_and_places_of_their_own() {
    let tree: Value = serde_json::from_str(&text()).unwrap();
    let (mut ids, mut taken) = (BTreeSet::new(), BTreeSet::new());
    for panel in tree["panels"].as_array().unwrap() {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{} has another panel's id", panel["title"]);
        assert_eq!(panel["type"] == "row", panel["targets"].is_null(), "{}", panel["title"]);
        let at = |side: &str| panel["gridPos"][side].as_u64().unwrap();
        assert!(at("x") + at("w") <= 24, "{}", panel["title"]);
        for cell in (at("y")..at("y") + at("h")).flat_map(|y| (at("x")..at("x") + at("w")).map(move |x| (x, y))) {
            assert!(taken.insert(cell), "{} lies on another panel", panel["title"]);
        }
    }
}

#[test]
fn every_variable_is_declared_and_chosen_by() {
    let dashboard = Dashboard::committed();
    let declared: BTreeSet<_> = dashboard.templating.list.iter().map(|variable| variable.name.as_str()).collect();
    let values: BTreeMap<_, _> = declared.iter().copied().chain(KNOWN).map(|name| (name, "x".to_owned())).collect();
    let all: String = dashboard.queries().iter().map(|query| substitute(&query.expression, &values)).collect();
    assert!(!all.contains('$'));
    let raw = text();
    for name in declared {
        assert!(raw.contains(&format!("${name}")) || raw.contains(&format!("${{{name}}}")), "nothing goes by {name}");
    }
}

#[test]
fn the_longest_name_is_the_variable() {
    let values = BTreeMap::from([("job", "a".to_owned()), ("job_name", "b".to_owned())]);
    assert_eq!(substitute("x{j=~\"$job\",k=\"$job_name\"}[$job]", &values), "x{j=~\"a\",k=\"b\"}[a]");
}
