//! `scripts/reload`: filters, routes and pools change while calls run, and no call is lost; what Envoy refuses changes nothing.

use std::cell::Cell;
use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use futures_util::future::{join, join_all};
use serde_json::{Value, json};
use tollgate_tests::client::unique;
use tollgate_tests::gateway::{Gateway, Setup, wait_until};
use tollgate_tests::on_own_envoys;

use crate::provider_outage::chat;

const CALLERS: usize = 8;
const SOME_TIME: Duration = Duration::from_millis(500);

/// Two providers, and the model `m` served by the pool `pool` of one of them.
fn served_by(pool: &str, provider: &str) -> Value {
    json!({
        "providers": {"a": {"url": "http://scripted"}, "b": {"url": "http://scripted"}},
        "pools": {"main": {"priorities": [["a"]], "timeout": "60s"}, (pool): {"priorities": [[provider]], "timeout": "60s"}},
        "models": {"m": {"pool": pool}},
        "no_model": {"pool": "main"},
        "show_provider": true,
    })
}

fn setup(pool: &str, provider: &str) -> Setup {
    Setup::default().providers(served_by(pool, provider)).split()
}

/// The model `m` served by a pool of these providers, of which only they are known.
fn joined(providers: &[&str]) -> Setup {
    let known: Value = providers.iter().map(|name| ((*name).to_owned(), json!({"url": "http://scripted"}))).collect();
    let priorities: Vec<_> = providers.iter().map(|name| [name]).collect();
    Setup::default().split().providers(json!({
        "providers": known,
        "pools": {"main": {"priorities": priorities, "timeout": "60s"}},
        "models": {"m": {"pool": "main"}},
        "no_model": {"pool": "main"},
        "show_provider": true,
    }))
}

/// Calls by several callers from before `change` until after it, of which none fails; how many there were.
async fn while_called<T>(gateway: &Gateway, change: impl Future<Output = T>) -> T {
    let (is_over, done) = (Cell::new(false), Cell::new(0));
    let calls = join_all((0..CALLERS).map(async |_| {
        while !is_over.get() {
            chat(gateway, "m").send().await.expect(200);
            done.set(done.get() + 1);
        }
    }));
    let change = async {
        tokio::time::sleep(SOME_TIME).await;
        let (before, result) = (done.get(), change.await);
        tokio::time::sleep(SOME_TIME).await;
        assert!(before > 0 && done.get() > before, "calls ran before and after");
        is_over.set(true);
        result
    };
    join(calls, change).await.1
}

async fn who_answers(gateway: &Gateway) -> String {
    let answer = chat(gateway, "m").send().await.expect(200);
    answer.header("x-gateway-provider").expect("it is shown").to_owned()
}

on_own_envoys!(a_filter_changes_under_calls_and_none_is_lost, setup("main", "a"), async |gateway| {
    let limited =
        setup("main", "a").config("budget", |config| config["rules"][0]["limits"]["tenants"]["globex"] = json!(1));
    let said = while_called(gateway, gateway.reload(&limited)).await;
    assert_eq!(said.as_deref(), Ok("taken: budget"));
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "Hello"}]});
    gateway.post_as("globex", "/v1/chat/completions", &body).send().await.expect(429);
    assert_eq!(gateway.reload(&limited).await.as_deref(), Ok("nothing changed"));
});

on_own_envoys!(a_model_moves_to_a_new_pool_under_calls_and_the_old_one_goes, setup("first", "a"), async |gateway| {
    let stream = json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": unique("prompt")}]});
    let call = gateway.post("/v1/chat/completions", &stream);
    let mut long = call.told("chunk-delay-ms", 50).told("words", 80).open().await;
    long.read_until("data:").await;
    assert_eq!(who_answers(gateway).await, "a");
    let said = while_called(gateway, gateway.reload(&setup("second", "b"))).await;
    assert_eq!(said.as_deref(), Ok("taken: adapt, clusters, route, routes"));
    assert_eq!(who_answers(gateway).await, "b");
    assert_eq!(gateway.envoy.stat("cluster.pool_first.upstream_rq_total").await, None, "the old pool is gone");
    let answer = long.rest().await;
    assert!(answer.is_whole && answer.text().contains("[DONE]"), "a stream that ran ends whole: {answer}");
});

on_own_envoys!(a_provider_joins_a_pool_under_calls_and_another_leaves, joined(&["a", "b"]), async |gateway| {
    for providers in [&["a"][..], &["b", "a"], &["b"], &["a"]] {
        let said = while_called(gateway, gateway.reload(&joined(providers))).await;
        assert!(
            said.as_deref().is_ok_and(|said| said.starts_with("taken: adapt, clusters, ")),
            "{providers:?}: {said:?}"
        );
        assert_eq!(who_answers(gateway).await, providers[0]);
    }
});

on_own_envoys!(what_is_refused_changes_nothing, setup("main", "a"), async |gateway| {
    let file = gateway.envoy.live().join("dynamic/cache.yaml");
    let before = fs::read_to_string(&file).unwrap();
    let wrong = setup("main", "a").config("cache", |config| config["slotz"] = json!(1));
    let said = while_called(gateway, gateway.reload(&wrong)).await.expect_err("it was taken");
    assert!(
        said.starts_with(
            "error: Envoy refused cache.yaml: tollgate cache: configuration refused: slotz: unknown field"
        ),
        "{said}"
    );
    assert!(said.ends_with("The old configuration serves on."), "{said}");
    assert_eq!(fs::read_to_string(&file).unwrap(), before, "a start anew would meet it");
    assert_eq!(who_answers(gateway).await, "a");
});

// Without `--reject-unknown-dynamic-fields` it would be a warning, and the pool be balanced at random.
on_own_envoys!(a_word_that_envoy_does_not_know_is_refused, setup("main", "a"), async |gateway| {
    let file = gateway.envoy.live().join("dynamic/clusters.yaml");
    let beside = file.with_extension("new");
    fs::write(&beside, fs::read_to_string(&file).unwrap().replace("LEAST_REQUEST", "NO_SUCH_POLICY")).unwrap();
    fs::rename(&beside, &file).unwrap();
    let refused = async || gateway.envoy.stat("cluster_manager.cds.update_rejected").await != Some(0);
    wait_until("it is refused", refused).await;
    assert_eq!(who_answers(gateway).await, "a");
});

on_own_envoys!(what_needs_a_start_anew_is_said, setup("main", "a"), async |gateway| {
    let shorter = setup("main", "a").without("tollgate.cache");
    let said = gateway.reload(&shorter).await.expect_err("a filter cannot go while Envoy runs");
    assert!(said.contains("start Envoy anew"), "{said}");
    chat(gateway, "m").send().await.expect(200);
});

// Kubernetes puts the files of a `ConfigMap` into a new folder and swaps the link to it.
on_own_envoys!(a_swapped_link_is_a_push, setup("main", "a"), async |gateway| {
    let folder = gateway.envoy.live().join("dynamic");
    let names: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    let swap = |version: &str, change: &dyn Fn(&str, String) -> String| {
        fs::create_dir(folder.join(version)).unwrap();
        for name in &names {
            let name = name.to_str().unwrap();
            let text = fs::read_to_string(folder.join(name)).unwrap();
            fs::write(folder.join(version).join(name), change(name, text)).unwrap();
        }
        symlink(version, folder.join("..data_tmp")).unwrap();
        fs::rename(folder.join("..data_tmp"), folder.join("..data")).unwrap();
    };
    swap("..1", &|_, text| text);
    for name in &names {
        fs::remove_file(folder.join(name)).unwrap();
        symlink(std::path::Path::new("..data").join(name), folder.join(name)).unwrap();
    }
    let reloads =
        async || gateway.envoy.stat("extension_config_discovery.http_filter.tollgate.cache.config_reload").await;
    let before = reloads().await;
    while_called(gateway, async {
        swap("..2", &|name, text| if name == "cache.yaml" { text.replace("\"exact\"", "\"off\"") } else { text });
        wait_until("the filter has its new configuration", async || reloads().await > before).await;
    })
    .await;
});
