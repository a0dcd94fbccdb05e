//! What `envoy/DISASTER_RECOVERY.md` tells an operator to type, run as it stands there; and all it names exists.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use tollgate_tests::envoy::repository;

const PAGE: &str = "envoy/DISASTER_RECOVERY.md";
/// Where it names files from the root of the repository.
const FOLDERS: [&str; 6] = ["scripts/", "envoy/", "tests/", "filters/", "istio/", ".ci/"];
/// A command of the page that waits in vain ends.
const PATIENCE: &str = "60";

pub(crate) fn page() -> String {
    fs::read_to_string(repository().join(PAGE)).expect("the page is there")
}

/// The `sh` blocks below a heading, in their order.
pub(crate) fn blocks(heading: &str) -> Vec<String> {
    let page = page();
    let (_, section) = page.split_once(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("no `{heading}`"));
    let section = section.split("\n## ").next().unwrap_or_default();
    let blocks = section.split("```sh\n").skip(1).filter_map(|rest| rest.split_once("\n```"));
    blocks.map(|(block, _)| block.to_owned()).collect()
}

/// Runs a block of the page from the root of the repository; what it printed.
pub(crate) async fn run(block: &str, variables: &BTreeMap<&'static str, String>) -> String {
    let mut command = Command::new("timeout");
    command.args([PATIENCE, "bash", "-euo", "pipefail", "-c", block]).current_dir(repository()).envs(variables);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().expect("bash is there");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{block}\n{}: {printed}{said}", output.status);
    printed
}

#[test]
fn all_files_that_the_page_names_exist() {
    let page = page();
    let words = page.split(|letter: char| letter.is_whitespace() || "`()[]\",;".contains(letter));
    let mut named: Vec<_> = words.filter(|word| FOLDERS.iter().any(|folder| word.starts_with(folder))).collect();
    // Links are relative to the page.
    let links = page.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
    let links: Vec<_> = links.filter(|link| !link.is_empty()).map(|link| format!("envoy/{link}")).collect();
    named.extend(links.iter().map(String::as_str));
    assert!(named.len() > 10, "{named:?}");
    let missing: Vec<_> = named.into_iter().filter(|name| !repository().join(name).exists()).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn all_metrics_that_the_page_names_exist() {
    let catalogue = fs::read_to_string(repository().join("filters/metrics/METRICS.md")).unwrap();
    let page = page();
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let named: Vec<_> = page.split(|letter| !is_part(letter)).filter(|word| word.starts_with("gateway_")).collect();
    assert!(!named.is_empty());
    assert!(named.iter().all(|name| catalogue.contains(&format!("`{name}`"))), "{named:?}");
}

#[test]
fn all_drills_that_the_page_names_are_there() {
    let drills = fs::read_to_string(repository().join("tests/bench/drill_events.py")).unwrap();
    let (_, drills) = drills.split_once("\nDRILLS = {").expect("the drills stand there");
    let page = page();
    let named: Vec<_> =
        page.split("bench-failover --drill ").skip(1).filter_map(|rest| rest.split('`').next()).collect();
    assert!(named.len() > 3, "{named:?}");
    assert!(named.iter().all(|word| drills.contains(word)), "{named:?}");
}
