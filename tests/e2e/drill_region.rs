//! Two regions, and something that sends calls to the first while that is ready: the drill of the disaster recovery page under
//! calls, a region that dies, what a tenant can overspend by that, and a backup that is restored.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::sync::LazyLock;
use std::time::Duration;

use futures_util::future::join3;
use serde_json::{Value, json};
use tollgate_tests::client::{Call, unique};
use tollgate_tests::gateway::{Gateway, Setup, chat_body, merge};
use tollgate_tests::on_own_envoys;
use tollgate_tests::secrets::{key_entry, random_key};

use crate::drill_load::{Ended, calls, failed};
use crate::drill_page::{blocks, run};
use crate::provider_fleet::CHAT;

const RATE: u32 = 100;
/// As a balancer's health check.
const PERIOD: Duration = Duration::from_millis(100);
/// What the tenant may ask for in a month.
const LIMIT: u32 = 20;

/// Both regions know the same API key, as they have it from one store.
fn setup(key: &str, limit: u32) -> Setup {
    let rule = json!({"name": "drill", "unit": "requests", "window": {"calendar": "month"}, "per": ["tenant"], "limit": limit});
    Setup::default()
        .config("auth", |config| config["api_keys"] = json!({"inline": [key_entry("acme", "drill", key)]}))
        .config("budget", |config| config["rules"] = json!([rule]))
}

fn series(gateway: &Gateway) -> &str {
    if gateway.envoy.version().starts_with("1.40") { "1.40" } else { "1.36" }
}

/// What sends calls to the regions: the first one that was ready when last asked.
struct Balancer {
    regions: [String; 2],
    is_primary_ready: Cell<bool>,
    is_over: Cell<bool>,
}

impl Balancer {
    fn of(primary: &Gateway, secondary: &Gateway) -> Self {
        let regions = [primary.url(""), secondary.url("")];
        Self { regions, is_primary_ready: Cell::new(true), is_over: Cell::new(false) }
    }

    async fn watch(&self) {
        while !self.is_over.get() {
            let answer = Call::get(&format!("{}/health/ready", self.regions[0])).try_open().await;
            self.is_primary_ready.set(answer.is_some_and(|answer| answer.status == 200));
            tokio::time::sleep(PERIOD).await;
        }
    }

    /// A call of its own prompt; one of ten is a stream of half a second.
    fn call(&self, number: u32, key: &str) -> Call {
        let region = &self.regions[usize::from(!self.is_primary_ready.get())];
        let mut body = chat_body(&unique("prompt"));
        let is_stream = number.is_multiple_of(10);
        merge(&mut body, &json!({"stream": is_stream}));
        let call = Call::post(&format!("{region}{CHAT}"), &body).bearer(key);
        if is_stream { call.told("words", 20).told("chunk-delay-ms", 25) } else { call }
    }

    /// Makes calls while something happens.
    async fn during(&self, count: u32, key: &str, happens: impl Future<Output = ()>) -> Vec<Ended> {
        let load = async {
            let ended = calls(RATE, count, async |number| self.call(number, key)).await;
            self.is_over.set(true);
            ended
        };
        join3(load, self.watch(), happens).await.0
    }
}

/// What the tenant's account of a region says is used.
async fn used(gateway: &Gateway, key: &str) -> u64 {
    let answer = Call::get(&gateway.url("/gateway/budget")).bearer(key).send().await.expect(200);
    answer.json()["budgets"][0]["used"].as_u64().unwrap_or_else(|| panic!("{answer}"))
}

fn chat(gateway: &Gateway, key: &str) -> Call {
    Call::post(&gateway.url(CHAT), &chat_body(&unique("prompt"))).bearer(key)
}

/// One for the whole run, since a set-up is made more than once.
fn key() -> &'static str {
    static KEY: LazyLock<String> = LazyLock::new(|| random_key().unwrap());
    &KEY
}

on_own_envoys!(the_drill_of_the_page_costs_no_call, setup(key(), 1_000_000), async |secondary| {
    let primary = Gateway::start(series(secondary), &setup(key(), 1_000_000)).await;
    let variables = BTreeMap::from([
        ("PRIMARY", primary.url("")),
        ("SECONDARY", secondary.url("")),
        ("PRIMARY_ADMINS", format!("http://{}", primary.envoy.admin())),
        ("KEY", key().to_owned()),
    ]);
    let blocks = blocks("Drill: leave a region, and go back");
    let [before, leave, stay, back] = &*blocks else { panic!("the drill has {} blocks", blocks.len()) };
    let balancer = Balancer::of(&primary, secondary);
    let steps = async {
        run(before, &variables).await;
        run(leave, &variables).await;
        assert!(!balancer.is_primary_ready.get(), "calls go to a region that was left");
        let (left, there) = (used(&primary, key()).await, used(secondary, key()).await);
        tokio::time::sleep(Duration::from_secs(1)).await;
        run(stay, &variables).await;
        assert_eq!(used(&primary, key()).await, left, "calls reach a region that was left");
        assert!(used(secondary, key()).await > there, "nobody calls the other region");
        run(back, &variables).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(used(&primary, key()).await > left, "calls do not come back");
    };
    let ended = balancer.during(12 * RATE, key(), steps).await;
    assert!(ended.iter().all(Ended::is_good), "{:?}", failed(&ended));
});

on_own_envoys!(
    a_region_that_dies_costs_what_was_under_way_until_it_is_seen,
    setup(key(), 1_000_000),
    async |secondary| {
        let primary = Gateway::start(series(secondary), &setup(key(), 1_000_000)).await;
        let balancer = Balancer::of(&primary, secondary);
        let (count, at) = (6 * RATE, 2 * RATE);
        let dies = async {
            tokio::time::sleep(Duration::from_secs(1) * at / RATE).await;
            tokio::task::spawn_blocking(move || drop(primary)).await.unwrap();
        };
        let ended = balancer.during(count, key(), dies).await;
        let lost: Vec<_> = ended.iter().filter(|one| !one.is_good()).map(|one| one.number).collect();
        eprintln!(
            "{} of {count} calls lost, {} of them streams that had begun",
            lost.len(),
            lost.len() - failed(&ended).len()
        );
        // Streams take half a second; until it is seen takes a period, and a slow machine longer.
        assert!(lost.iter().all(|number| (at - RATE..at + 2 * RATE).contains(number)), "{lost:?}");
        assert!(used(secondary, key()).await >= u64::from(count - at) - u64::from(2 * RATE));
    }
);

on_own_envoys!(a_budget_is_granted_once_more_for_each_process_and_no_more, setup(key(), LIMIT), async |secondary| {
    let mut granted = Vec::new();
    // The region that dies, the other one, and the first one anew.
    let spend = async |gateway: &Gateway| {
        let mut answers = 0;
        for _ in 0..2 * LIMIT {
            let status = chat(gateway, key()).send().await.status;
            assert!([200, 429].contains(&status), "{status}");
            answers += u32::from(status == 200);
        }
        answers
    };
    for _ in 0..2 {
        let primary = Gateway::start(series(secondary), &setup(key(), LIMIT)).await;
        granted.push(spend(&primary).await);
    }
    granted.push(spend(secondary).await);
    assert_eq!(granted, [LIMIT; 3]);
});

on_own_envoys!(what_the_page_backs_up_is_what_it_restores, setup(key(), 1_000_000), async |gateway| {
    let dir = tempfile::tempdir().unwrap();
    let secrets = gateway.secrets.dir();
    let files = || -> BTreeMap<String, Vec<u8>> {
        let files = fs::read_dir(secrets).unwrap().map(|file| file.unwrap().path());
        files.map(|file| (file.display().to_string(), fs::read(&file).unwrap())).collect()
    };
    fs::create_dir(dir.path().join("backup")).unwrap();
    let place = |name: &str| dir.path().join(name).display().to_string();
    let variables = BTreeMap::from([
        ("BACKUP", place("backup")),
        ("NEW", place("new")),
        ("SECRETS", secrets.display().to_string()),
    ]);
    let ([back_up], [restore]) = (&*blocks("Back up"), &*blocks("Restore")) else { panic!("a block each") };
    let before = files();
    run(back_up, &variables).await;
    fs::remove_dir_all(secrets).unwrap();
    run(restore, &variables).await;
    assert_eq!(files(), before);
    let budget: Value =
        serde_json::from_slice(&fs::read(dir.path().join("new/envoy/config/budget.json")).unwrap()).unwrap();
    assert!(budget["rules"].is_array());
    chat(gateway, key()).send().await.expect(200);
    // A backup that was damaged is not restored.
    fs::write(dir.path().join("backup/secrets.tgz"), b"damaged").unwrap();
    let check = restore.lines().next().unwrap();
    let refused = run(&format!("! {{ {check}; }}"), &variables).await;
    assert!(refused.contains("FAILED"), "{refused}");
});
