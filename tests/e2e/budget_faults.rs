//! Whatever goes wrong, the books are right: a few seconds of calls of which most are killed somewhere, and then every account
//! says what its calls owe, to the token, and holds nothing.
//!
//! What a call owes stands in its access log as the usage record; whether that is right is known for calls that came to their
//! end, since the scripted provider's figures follow from the request. Windows are months, so nothing drains.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use futures_util::future::{join, join_all};
use serde_json::{Value, json};
use tollgate_tests::client::Call;
use tollgate_tests::envoy::modules;
use tollgate_tests::gateway::{Gateway, Setup, wait_until};
use tollgate_tests::{on_own_envoys, trap};

use crate::budget_load::{Load, Record, TENANTS, records};

/// How long calls are made.
const RUN: Duration = Duration::from_secs(3);
/// Calls that must have come to their end, so that all that may happen has.
const ENOUGH: usize = 400;
/// The same where VMs die: shorter than the lease there.
const SHORT_RUN: Duration = Duration::from_millis(2_500);
/// Calls at any time.
const CALLERS: usize = 24;
/// Tokens of the tenant that is refused now and then.
const SCARCE: u64 = 500;

fn setup(lease: &str, explain: bool) -> Setup {
    let setup = Setup::default().config("budget", |config| {
        let rule = |name: &str, unit: &str, per: &[&str]| {
            let limit = if unit == "usd" { json!("1000") } else { json!(100_000_000) };
            json!({"name": name, "unit": unit, "window": {"calendar": "month"}, "per": per, "limit": limit})
        };
        let mut tokens = rule("tokens", "tokens", &["tenant"]);
        tokens["limits"] = json!({"tenants": {TENANTS[2]: SCARCE}});
        config["rules"] = json!([
            rule("requests", "requests", &["tenant"]),
            tokens,
            rule("input", "input_tokens", &["tenant", "credential"]),
            rule("output", "output_tokens", &["tenant", "tier"]),
            rule("dollars", "usd", &["tenant"]),
            rule("everybody", "tokens", &[]),
        ]);
        // Whole nano-dollars a token, so that a sum of calls is rounded nowhere.
        config["prices"] = json!({"*": {"input": "2.00", "output": "8.00"}});
        config["lease"] = json!(lease);
        config["explain"] = json!(explain);
    });
    setup.route_timeout("1s")
}

/// Calls and faults until the time is over; what is known of the calls that came to their end.
async fn run(gateway: &Gateway, load: &Load, faults: impl Future<Output = ()>) {
    let calls = join_all((0..CALLERS).map(|_| async {
        while load.goes_on() {
            load.call(gateway).await;
        }
    }));
    join(calls, faults).await;
}

/// A dollar amount as the report writes it, in nano-dollars.
fn nanos(dollars: &str) -> u64 {
    let (whole, fraction) = dollars.split_once('.').unwrap();
    format!("{whole}{fraction:0<9}").parse().unwrap()
}

/// What an account has used and holds, in the smallest unit. Where a VM died over the question, it is asked again.
async fn account(gateway: &Gateway, tenant: &str, rule: &str) -> (u64, u64) {
    let told = RefCell::new(Value::Null);
    wait_until("the budget is told", async || {
        let call = Call::get(&gateway.url("/gateway/budget")).bearer(&gateway.token(tenant));
        let Some(answer) = call.try_open().await.filter(|answer| answer.status == 200) else { return false };
        let answer = answer.rest().await;
        if answer.is_whole {
            *told.borrow_mut() = answer.json()["budgets"].clone();
        }
        answer.is_whole
    })
    .await;
    let told = told.into_inner();
    let entry = told.as_array().unwrap().iter().find(|entry| entry["rule"] == rule).unwrap();
    let amount = |name: &str| entry[name].as_u64().unwrap_or_else(|| nanos(entry[name].as_str().unwrap()));
    (amount("used"), amount("reserved"))
}

/// Fails unless every account says what the log says.
async fn check_books(gateway: &Gateway, records: &HashMap<String, Record>) {
    let sum = |tenant: Option<&str>, amount: fn(&Record) -> u64| -> u64 {
        let of = |record: &&Record| tenant.is_none_or(|tenant| record.tenant == tenant);
        records.values().filter(of).map(amount).sum()
    };
    for tenant in TENANTS {
        let owed: [(&str, u64); 6] = [
            ("requests", sum(Some(tenant), |record| u64::from(record.is_answered()))),
            ("tokens", sum(Some(tenant), |record| record.input + record.output)),
            ("input", sum(Some(tenant), |record| record.input)),
            ("output", sum(Some(tenant), |record| record.output)),
            ("dollars", sum(Some(tenant), |record| record.input * 2_000 + record.output * 8_000)),
            ("everybody", sum(None, |record| record.input + record.output)),
        ];
        for (rule, owed) in owed {
            assert_eq!(
                account(gateway, tenant, rule).await,
                (owed, 0),
                "used and reserved of {tenant} under `{rule}`"
            );
        }
    }
}

/// A run in which listener and provider are replaced again and again, and what is in the books then.
async fn all_is_settled_after_a_run(gateway: &Gateway, setup: fn(bool) -> Setup) {
    let load = Load::until(Instant::now() + RUN).at_least(ENOUGH);
    let pushes = async {
        for round in 0..3 {
            tokio::time::sleep(RUN / 4).await;
            gateway.push(&setup(round % 2 == 0)).await;
            gateway.provider.restart().unwrap();
        }
    };
    run(gateway, &load, pushes).await;
    wait_until("nothing is reserved", async || account(gateway, TENANTS[0], "everybody").await.1 == 0).await;
    wait_until("the log is written", async || load.is_recorded(&records(gateway))).await;
    let records = records(gateway);
    load.check(&records);
    check_books(gateway, &records).await;
    // Metrics tell the same sum.
    let tokens: u64 = records.values().map(|record| record.input + record.output).sum();
    gateway.expect_metric("gateway_tokens_total", &[], tokens as f64).await;
    gateway.expect_metric("gateway_budget_tokens_settled_total", &[], tokens as f64).await;
    gateway.expect_metric("gateway_budget_total", &[("decision", "unsettled")], 0.0).await;
}

fn plain(explain: bool) -> Setup {
    setup("10m", explain).pushed()
}

/// Half of the answers end with trailers, and a reset takes all calls of a connection along.
fn http2(explain: bool) -> Setup {
    plain(explain).http2()
}

on_own_envoys!(after_a_run_of_faults_every_account_says_what_its_calls_owe, plain(false), async |gateway| {
    all_is_settled_after_a_run(gateway, plain).await
});

on_own_envoys!(the_same_holds_with_trailers_over_http2, http2(false), async |gateway| all_is_settled_after_a_run(
    gateway, http2
)
.await);

/// The filters, of which budget traps once in so many calls, while an answer passes.
fn trapping() -> Setup {
    static DIR: LazyLock<std::path::PathBuf> = LazyLock::new(|| {
        let dir = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("trapping");
        std::fs::create_dir_all(&dir).unwrap();
        trap::copy_modules(&modules(), &dir, "budget", "proxy_on_response_body", 61);
        dir
    });
    setup("4s", false).filters(&DIR)
}

on_own_envoys!(what_a_dead_vm_held_is_given_back_when_its_lease_ends, trapping(), async |gateway| {
    let load = Load::until(Instant::now() + SHORT_RUN);
    run(gateway, &load, async {}).await;
    assert!(gateway.envoy.log().contains("proxy_on_response_body failed"), "nothing trapped");
    // No call is under way any more, and what the first dead VM held is held still.
    assert!(account(gateway, TENANTS[0], "everybody").await.1 > 0, "nothing was held");
    wait_until("leases are over", async || account(gateway, TENANTS[0], "everybody").await.1 == 0).await;
    for tenant in TENANTS {
        for rule in ["requests", "tokens", "input", "output", "dollars"] {
            assert_eq!(account(gateway, tenant, rule).await.1, 0, "reserved of {tenant} under `{rule}`");
        }
    }
    // What was settled is in the books, what died with its VM is not, and nothing else is.
    let settled = gateway.metric("gateway_budget_tokens_settled_total", &[]).await as u64;
    let (used, _) = account(gateway, TENANTS[0], "everybody").await;
    assert_eq!(used, settled);
    let seen: u64 = records(gateway).values().map(|record| record.input + record.output).sum();
    assert!(0 < used && used < seen, "{used} tokens used, {seen} seen to pass");
});
