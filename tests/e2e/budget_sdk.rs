//! Budgets as the official SDKs meet them: tests/clients/test_budget*.py, on a gateway with a rule for each of their tenants.

use serde_json::{Value, json};
use tollgate_tests::gateway::{Gateway, Setup};
use tollgate_tests::on_own_envoys;
use tollgate_tests::python::python;

/// Tenants, and what the rule of each has of its own. Each is of the tenant's name and counts it alone.
fn accounts() -> Vec<(&'static str, Value)> {
    let month = json!({"calendar": "month"});
    let slow = json!({"rolling": "31d"});
    // A call of test_budget.py: a question of 12 tokens, 40 tokens of answer.
    let mut accounts = vec![
        ("requests", json!({"unit": "requests", "window": slow, "limit": 100})),
        ("tokens", json!({"unit": "tokens", "window": month, "limit": 100 * 52})),
        ("money", json!({"unit": "usd", "window": month, "limit": "0.0344"})),
        ("spent-rolling", json!({"unit": "requests", "window": slow, "limit": 1})),
        ("spent-calendar", json!({"unit": "requests", "window": month, "limit": 1})),
        ("impatient", json!({"unit": "requests", "window": {"rolling": "4s"}, "limit": 2})),
        ("futile", json!({"unit": "requests", "window": {"rolling": "100s"}, "limit": 1})),
        ("impolite", json!({"unit": "tokens", "window": month, "limit": 1_000})),
        ("aborting-openai", json!({"unit": "output_tokens", "window": month, "limit": 1_000})),
        ("aborting-anthropic", json!({"unit": "output_tokens", "window": month, "limit": 1_000})),
    ];
    let caps = ["cap-openai-plain", "cap-openai-usage", "cap-responses", "cap-anthropic", "cap-gemini", "cap-json"];
    accounts.extend(
        caps.map(|tenant| {
            (tenant, json!({"unit": "output_tokens", "window": month, "limit": 300, "hard_cap": true}))
        }),
    );
    accounts
}

fn setup() -> Setup {
    Setup::default().config("budget", |config| {
        let rules = accounts().into_iter().map(|(tenant, mut rule)| {
            rule["name"] = json!(tenant);
            rule["match"] = json!({"tenants": [tenant]});
            rule
        });
        config["rules"] = rules.collect();
        config["prices"] = json!({"*": {"input": "2.00", "output": "8.00"}});
    })
}

fn run_clients(gateway: &Gateway) {
    let tokens: Value =
        accounts().into_iter().map(|(tenant, _)| (tenant.to_owned(), Value::from(gateway.token(tenant)))).collect();
    let output = python()
        .args(["-m", "pytest", "-q", "-W", "ignore::DeprecationWarning", "-p", "no:cacheprovider"])
        .args(["tests/clients/test_budget.py", "tests/clients/test_budget_caps.py"])
        .env("GATEWAY_URL", gateway.url(""))
        .env("GATEWAY_BUDGETS", tokens.to_string())
        .env("PROVIDER_URL", format!("http://{}", gateway.provider.address()))
        .output()
        .expect("TOLLGATE_PYTHON can be started");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && !said.contains("skipped"), "{said}");
}

on_own_envoys!(official_sdks_meet_budgets, setup(), async |gateway| run_clients(gateway));
