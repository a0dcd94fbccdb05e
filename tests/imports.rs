//! The import rule, held by a machine: imports go down only (filters → llm → core, host → core), filters never import one
//! another, and only host names proxy-wasm.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "tests fail loudly")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// What each crate may depend on, of this workspace and of proxy-wasm. A crate that is not listed fails the test.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("tollgate-auth", FILTER),
    ("tollgate-budget", FILTER),
    ("tollgate-cache", FILTER),
    ("tollgate-metrics", FILTER),
    ("tollgate-provider", FILTER),
    ("tollgate-core", &[]),
    ("tollgate-llm", &["tollgate-core"]),
    ("tollgate-host", &["proxy-wasm", "tollgate-core"]),
    ("tollgate-fakehost", &["tollgate-core"]),
    ("tollgate-tests", &[]),
];
const FILTER: &[&str] = &["tollgate-core", "tollgate-host", "tollgate-llm"];
/// Only tests may lean on this one.
const TEST_ONLY: &str = "tollgate-fakehost";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the repository").into()
}

fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    metadata["packages"].as_array().expect("packages").clone()
}

#[test]
fn imports_go_down_only() {
    let allowed: BTreeMap<_, _> = MAY_IMPORT.iter().copied().collect();
    let packages = packages();
    let known: BTreeSet<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    assert_eq!(
        known,
        allowed.keys().copied().collect(),
        "a crate came or went: say in MAY_IMPORT what it may import"
    );
    for package in &packages {
        let name = package["name"].as_str().expect("name");
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            let target = dependency["name"].as_str().expect("name");
            if !known.contains(target) && target != "proxy-wasm" {
                continue;
            }
            let only_in_tests = target == TEST_ONLY && dependency["kind"] == "dev";
            assert!(only_in_tests || allowed[name].contains(&target), "{name} must not import {target}");
        }
    }
}

#[test]
fn filters_see_the_host_on_wasm_only() {
    for package in packages() {
        let name = package["name"].as_str().expect("name").to_owned();
        for dependency in package["dependencies"].as_array().expect("dependencies") {
            if dependency["name"] == "tollgate-host" {
                assert_eq!(dependency["target"], "cfg(target_arch = \"wasm32\")", "{name}");
            }
        }
    }
}

#[test]
fn no_source_but_the_host_names_proxy_wasm() {
    let mut folders = vec![root().join("filters")];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("readable") {
            let path = entry.expect("readable").path();
            if path.is_dir() && !path.ends_with("shared/host") && !path.ends_with("shared/fakehost") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                seen += 1;
                let source = std::fs::read_to_string(&path).expect("UTF-8");
                let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
                for line in code {
                    assert!(!line.contains("proxy_wasm"), "{} names the host: {line}", path.display());
                }
            }
        }
    }
    assert!(seen > 20, "the sources were not found");
}
