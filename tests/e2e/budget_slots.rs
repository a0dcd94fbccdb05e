//! More tenants than a small ledger has slots: who has an account pays for itself alone, who finds no slot is told to come again.

use serde_json::json;
use tollgate_tests::client::{Call, unique};
use tollgate_tests::gateway::{Gateway, Setup, chat_body};
use tollgate_tests::on_own_envoys;

/// The smallest ledger there is. An account may lie in eight of its slots, so accounts of sixteen collide over and over.
const SLOTS: usize = 16;
const TENANTS: u64 = 40;

fn setup() -> Setup {
    Setup::default().config("budget", |config| {
        config["rules"] = json!([
            {"name": "tokens", "unit": "tokens", "window": {"calendar": "month"}, "per": ["tenant"], "limit": 100_000},
        ]);
        config["slots"] = json!(SLOTS);
    })
}

fn call(gateway: &Gateway, tenant: u64) -> Call {
    // Each takes another number of tokens, so that no mix-up cancels out.
    gateway
        .post_by(&format!("tenant-{tenant}"), "/v1/chat/completions", &chat_body(&unique("prompt")))
        .told("words", 10 + tenant)
}

async fn used(gateway: &Gateway, tenant: u64) -> u64 {
    gateway.budget(&format!("tenant-{tenant}"), "tokens").await["used"].as_u64().unwrap()
}

on_own_envoys!(tenants_that_collide_never_pay_for_each_other, setup(), async |gateway| {
    let mut spent = [0; TENANTS as usize];
    let mut homeless = 0;
    for _ in 0..2 {
        for tenant in 0..TENANTS {
            let call = call(gateway, tenant);
            let mark = call.mark().to_owned();
            let answer = call.send().await;
            if answer.status == 200 {
                spent[tenant as usize] += answer.json()["usage"]["total_tokens"].as_u64().unwrap();
                continue;
            }
            homeless += 1;
            let answer = answer.expect(503);
            assert_eq!(
                (answer.json()["error"]["code"].as_str(), answer.number("retry-after")),
                (Some("unavailable"), 1)
            );
            assert!(gateway.upstream_requests(&mark).is_empty());
        }
    }
    for (tenant, spent) in (0..).zip(spent) {
        assert_eq!(used(gateway, tenant).await, spent, "tokens of tenant {tenant}");
    }
    let housed = spent.iter().filter(|spent| **spent > 0).count();
    assert!((SLOTS / 2..=SLOTS).contains(&housed), "{housed} tenants with an account");
    // Who was refused once is refused again, and no account was lost to a newcomer.
    assert_eq!(homeless, 2 * (TENANTS as usize - housed));
    gateway.expect_metric("gateway_budget_total", &[("decision", "exhausted")], homeless as f64).await;
});
