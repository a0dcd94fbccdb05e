//! The committed configuration of Prometheus and Alertmanager, with what a test chooses put in its place:
//!
//! | file | what |
//! |---|---|
//! | `prometheus.yml` | intervals and time-outs (1 s), targets, the alertmanager, where the rules lie |
//! | `rules/*.yml` | intervals of groups (1 s); `for` of alerts, if a test asks for it |
//! | `alertmanager.yml` | how long notifications are gathered (1 s), where they go |
//!
//! Anything else in them is as users run it.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_norway::{Mapping, Value};

use crate::envoy::repository;

/// How often whatever happens again and again happens in a test.
const INTERVAL: &str = "1s";

/// What a test chooses of Prometheus.
#[derive(Clone, Copy, Debug)]
pub struct Choices<'a> {
    /// The gateways' metrics listeners.
    pub targets: &'a [SocketAddr],
    /// Where alerts go.
    pub alertmanager: SocketAddr,
    /// How long an alert holds before it fires, in place of what its rule says.
    pub hold: Option<&'a str>,
}

/// The committed files of rules.
pub fn rules() -> Vec<PathBuf> {
    let folder = committed("rules");
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = files.map(|file| file.expect("the folder can be read").path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yml"));
    files.sort();
    assert!(!files.is_empty(), "{} holds no rules", folder.display());
    files
}

/// Writes Prometheus's files into `dir`.
pub(super) fn prometheus(dir: &Path, choices: &Choices<'_>) {
    let mut config = read(&committed("prometheus.yml"));
    put_intervals(field(&mut config, "global"));
    for job in items(&mut config, "scrape_configs") {
        put_intervals(job);
        // The gateways', as no other job is committed; a second one would scrape them twice.
        *field(job, "static_configs") = targets(choices.targets);
    }
    for manager in items(field(&mut config, "alerting"), "alertmanagers") {
        *field(manager, "static_configs") = targets(&[choices.alertmanager]);
    }
    *field(&mut config, "rule_files") = Value::Sequence(vec!["rules/*.yml".into()]);
    write(&dir.join("prometheus.yml"), &config);
    fs::create_dir(dir.join("rules")).expect("the folder is writable");
    for file in rules() {
        let mut rules = read(&file);
        items(&mut rules, "groups").for_each(|group| put_pace(group, choices.hold));
        write(&dir.join("rules").join(file.file_name().expect("it was listed")), &rules);
    }
}

/// Writes Alertmanager's file into `dir`.
pub(super) fn alertmanager(dir: &Path, receiver: SocketAddr) {
    let mut config = read(&committed("alertmanager.yml"));
    put_patience(field(&mut config, "route"));
    for told in items(&mut config, "receivers") {
        for hook in items(told, "webhook_configs") {
            *field(hook, "url") = format!("http://{receiver}/").into();
        }
    }
    write(&dir.join("alertmanager.yml"), &config);
}

fn committed(name: &str) -> PathBuf {
    repository().join("envoy/prometheus").join(name)
}

fn put_intervals(of: &mut Value) {
    let fields = mapping(of);
    for name in ["scrape_interval", "scrape_timeout", "evaluation_interval"] {
        if let Some(value) = fields.get_mut(name) {
            *value = INTERVAL.into();
        }
    }
}

/// A group is evaluated as often as gateways are scraped.
fn put_pace(group: &mut Value, hold: Option<&str>) {
    mapping(group).remove("interval");
    let Some(hold) = hold else { return };
    for rule in items(group, "rules") {
        let fields = mapping(rule);
        fields.remove("keep_firing_for");
        if let Some(value) = fields.get_mut("for") {
            *value = hold.into();
        }
    }
}

/// Notifications go out at once, those of routes further in too.
fn put_patience(route: &mut Value) {
    let fields = mapping(route);
    for name in ["group_wait", "group_interval"] {
        fields.insert(name.into(), INTERVAL.into());
    }
    if fields.contains_key("routes") {
        items(route, "routes").for_each(put_patience);
    }
}

fn targets(addresses: &[SocketAddr]) -> Value {
    let list = addresses.iter().map(|address| address.to_string().into()).collect();
    let entry = Mapping::from_iter([("targets".into(), Value::Sequence(list))]);
    Value::Sequence(vec![Value::Mapping(entry)])
}

fn read(file: &Path) -> Value {
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    serde_norway::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn write(file: &Path, tree: &Value) {
    fs::write(file, serde_norway::to_string(tree).expect("what was read can be written"))
        .expect("the folder is writable");
}

fn mapping(of: &mut Value) -> &mut Mapping {
    of.as_mapping_mut().expect("a mapping stands there")
}

/// What is missing is told, never made up.
fn field<'a>(of: &'a mut Value, name: &str) -> &'a mut Value {
    of.get_mut(name).unwrap_or_else(|| panic!("the committed configuration has no `{name}`"))
}

fn items<'a>(of: &'a mut Value, name: &str) -> impl Iterator<Item = &'a mut Value> {
    field(of, name).as_sequence_mut().unwrap_or_else(|| panic!("`{name}` is no list")).iter_mut()
}
