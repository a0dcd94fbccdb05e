//! The committed dashboard as Grafana reads it: what each panel asks Prometheus, with the variables put in.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs;

use serde::Deserialize;

use crate::envoy::repository;

/// The dashboard, as far as it asks something.
#[derive(Debug, Deserialize)]
pub struct Dashboard {
    panels: Vec<Panel>,
    templating: Templating,
}

#[derive(Debug, Deserialize)]
struct Panel {
    title: String,
    #[serde(default)]
    targets: Vec<Target>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Target {
    ref_id: String,
    expr: String,
    #[serde(default)]
    instant: bool,
}

#[derive(Debug, Deserialize)]
struct Templating {
    list: Vec<Variable>,
}

#[derive(Debug, Deserialize)]
struct Variable {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    definition: String,
}

/// What one panel asks.
#[derive(Clone, Debug)]
pub struct Query {
    /// The panel's title and the query's letter.
    pub name: String,
    /// As it stands in the file, with variables.
    pub expression: String,
    /// Whether one moment is asked for, and not the whole time.
    pub is_instant: bool,
}

/// What a variable offers to choose from: the values of a label, of series that a selector selects.
#[derive(Clone, Debug)]
pub struct Choice {
    /// The variable's name.
    pub variable: String,
    /// The label.
    pub label: String,
    /// The selector, with variables.
    pub selector: String,
}

impl Dashboard {
    /// Reads `envoy/grafana/dashboards/gateway.json`.
    pub fn committed() -> Self {
        serde_json::from_str(&text()).expect("the dashboard is JSON of Grafana's kind")
    }

    /// What the panels ask, in their order.
    pub fn queries(&self) -> Vec<Query> {
        let of_panel = |panel: &Panel| {
            let title = panel.title.clone();
            let query = move |target: &Target| Query {
                name: format!("{title} {}", target.ref_id),
                expression: target.expr.clone(),
                is_instant: target.instant,
            };
            panel.targets.iter().map(query).collect::<Vec<_>>()
        };
        self.panels.iter().flat_map(of_panel).collect()
    }

    /// What the variables that ask Prometheus ask.
    pub fn choices(&self) -> Vec<Choice> {
        let asking = self.templating.list.iter().filter(|variable| variable.kind == "query");
        asking
            .map(|variable| {
                let inside =
                    variable.definition.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
                let (selector, label) =
                    inside.and_then(|inside| inside.rsplit_once(", ")).expect("label_values(SELECTOR, LABEL)");
                Choice { variable: variable.name.clone(), label: label.to_owned(), selector: selector.to_owned() }
            })
            .collect()
    }
}

/// Puts values in place of `$name`, the longest name that stands there, as Grafana does.
pub fn substitute(text: &str, values: &BTreeMap<&str, String>) -> String {
    let mut parts = text.split('$');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(part.len());
        let (name, rest) = part.split_at(end);
        out.push_str(values.get(name).unwrap_or_else(|| panic!("${name} in `{text}` is no variable that is known")));
        out.push_str(rest);
    }
    out
}

fn text() -> String {
    let file = repository().join("envoy/grafana/dashboards/gateway.json");
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}
