//! Who is charged. The test leaves the identity in auth's stead.

use tollgate_core::Identity;

use super::*;

fn identify(call: &mut Call<Observation>, tenant: &str) {
    let identity = Identity { tenant: tenant.into(), credential_id: "key-1".into(), tier: None };
    handoff::set_identity(&mut call.handoff, &identity);
}

fn ask(proxy: &Proxy, metrics: &Rc<Metrics>, tenant: &str) {
    let mut call = asked(metrics, proxy);
    identify(&mut call, tenant);
    call.response(JSON_HEAD, ANSWER);
    call.log();
}

fn calls(proxy: &Proxy, tenant: &str, status: &str) -> u64 {
    proxy.meter.value(metric::TENANT_REQUESTS, &[("tenant", tenant), ("status", status)])
}

fn output(proxy: &Proxy, tenant: &str) -> u64 {
    let labels = [("type", "output"), ("part", "answer"), ("model", "gpt-4.1"), ("tenant", tenant)];
    proxy.meter.value(metric::TOKENS, &labels)
}

#[test]
fn calls_and_tokens_are_of_the_tenant_and_later_ones_are_other() {
    let (proxy, metrics) = metrics();
    for tenant in ["acme", "globex", "initech", "acme"] {
        ask(&proxy, &metrics, tenant);
    }
    assert_eq!(["acme", "globex", "other"].map(|tenant| calls(&proxy, tenant, "200")), [2, 1, 1]);
    assert_eq!(["acme", "globex", "other"].map(|tenant| output(&proxy, tenant)), [10, 5, 5]);
    assert_eq!(proxy.meter.total(metric::TENANT_REQUESTS), proxy.meter.total(metric::REQUESTS));
}

#[test]
fn a_listed_tenant_is_named_however_late_it_comes() {
    let mut proxy = Proxy::default();
    let metrics = proxy.configure(r#"{"tenants": ["late"], "max_tenants": 0}"#).unwrap();
    ask(&proxy, &metrics, "early");
    ask(&proxy, &metrics, "late");
    assert_eq!(["early", "late", "other"].map(|tenant| calls(&proxy, tenant, "200")), [0, 1, 1]);
}

#[test]
fn a_refused_call_is_of_whoever_made_it_and_one_without_identity_of_none() {
    let (proxy, metrics) = metrics();
    for (tenant, filter, status) in [(None, "auth", "401"), (Some("acme"), "budget", "429")] {
        let mut call = asked(&metrics, &proxy);
        if let Some(tenant) = tenant {
            identify(&mut call, tenant);
        }
        handoff::set_reply(&mut call.handoff, filter);
        call.response(&[(":status", status), ("content-type", "application/json")], b"{}");
        call.log();
    }
    assert_eq!((calls(&proxy, "none", "401"), calls(&proxy, "acme", "429")), (1, 1));
}

#[test]
fn a_hundred_thousand_random_tenants_make_no_series() {
    let (proxy, metrics) = metrics();
    ["acme", "globex", "initech"].iter().for_each(|tenant| ask(&proxy, &metrics, tenant));
    let series = proxy.meter.series();
    (0..100_000).for_each(|n| ask(&proxy, &metrics, &format!("tenant-{n};.;status=.=1;.;\u{e9}")));
    assert_eq!(proxy.meter.series(), series);
    assert_eq!(calls(&proxy, "other", "200"), 100_001);
}
