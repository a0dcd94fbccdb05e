//! The listener that Prometheus reads: the page of metrics, whoever asks and however, and nothing else of the admin port.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::Method;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tollgate_tests::client::raw::RawClient;
use tollgate_tests::client::{http, unique};
use tollgate_tests::envoy::{modules, repository};
use tollgate_tests::gateway::{Gateway, Setup, wait_until};
use tollgate_tests::prometheus::parse;
use tollgate_tests::{on_both_envoys, on_own_envoys, trap};

/// `max_connections` of the listener.
const CONNECTIONS: usize = 256;
/// `request_headers_timeout` of the listener, and some time to notice.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5 + 3);
/// `idle_timeout` of the listener, and some time to notice.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30 + 10);

async fn ask(gateway: &Gateway, method: Method, target: &str) -> reqwest::Response {
    http().request(method, format!("http://{}{target}", gateway.envoy.metrics())).send().await.unwrap()
}

/// Sends a request whose target is written as it is; the status, if there is an answer at all.
async fn status_of(gateway: &Gateway, line: &str) -> Option<u16> {
    let mut client = RawClient::connect(gateway.envoy.metrics()).await;
    client.write(format!("{line} HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n\r\n").as_bytes()).await;
    client.read().await.map(|answer| answer.status)
}

on_own_envoys!(prometheus_reads_the_same_page_on_a_listener_of_its_own, async |gateway| {
    gateway.chat(&unique("prompt")).send().await.expect(200);
    gateway.expect_metric("gateway_requests_total", &[], 1.0).await;
    for path in ["/metrics", "/stats/prometheus"] {
        let answer = ask(gateway, Method::GET, path).await;
        assert_eq!(answer.status(), 200, "{path}");
        assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/plain"), "{path}");
        let page = answer.text().await.unwrap();
        let samples = parse(&page);
        for name in ["gateway_requests_total", "gateway_tokens_total", "envoy_server_uptime"] {
            assert!(samples.iter().any(|sample| sample.name == name), "no {name} on {path}:\n{page}");
        }
        let filters: Vec<_> = samples.iter().filter(|sample| sample.name == "gateway_build_info").collect();
        for filter in ["auth", "budget", "cache", "metrics"] {
            assert!(filters.iter().any(|sample| sample.label("filter") == Some(filter)), "no build info of {filter}");
        }
        let head = ask(gateway, Method::HEAD, path).await;
        assert_eq!(head.status(), 200, "{path}");
        assert!(head.bytes().await.unwrap().is_empty(), "{path}");
    }
});

on_both_envoys!(nothing_else_of_the_admin_port_is_served, async |gateway| {
    for path in ["/", "/stats", "/config_dump", "/clusters", "/server_info", "/ready", "/metrics/", "/Metrics"] {
        assert_eq!(ask(gateway, Method::GET, path).await.status(), 404, "{path}");
    }
    // The pages that change Envoy want a POST.
    for path in ["/quitquitquit", "/healthcheck/fail", "/reset_counters", "/logging?level=trace", "/drain_listeners"]
    {
        for method in [Method::GET, Method::POST] {
            assert_eq!(ask(gateway, method, path).await.status(), 404, "{path}");
        }
    }
    for target in ["/metrics?usedonly", "/metrics?", "/stats/prometheus?filter=.*", "/stats/prometheus?text_readouts"]
    {
        assert_eq!(ask(gateway, Method::GET, target).await.status(), 404, "{target}");
    }
    for target in ["/metrics/../quitquitquit", "//metrics", "/%6detrics", "http://gateway/quitquitquit", "/metrics;x"]
    {
        assert_eq!(status_of(gateway, &format!("GET {target}")).await, Some(404), "{target}");
    }
    ask(gateway, Method::GET, "/metrics").await.error_for_status().unwrap();
});

on_both_envoys!(other_methods_are_not_allowed, async |gateway| {
    for path in ["/metrics", "/stats/prometheus"] {
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS] {
            let answer = ask(gateway, method.clone(), path).await;
            assert_eq!(answer.status(), 405, "{method} {path}");
            assert_eq!(answer.headers()["allow"], "GET, HEAD", "{method} {path}");
        }
    }
    assert!(status_of(gateway, "CONNECT gateway:80").await.is_none_or(|status| status >= 400));
});

on_own_envoys!(connections_are_few_and_none_is_kept_for_nothing, async |gateway| {
    let started = Instant::now();
    let mut slow = join_all((0..CONNECTIONS).map(async |_| {
        let mut client = RawClient::connect(gateway.envoy.metrics()).await;
        client.write(b"GET /metrics HTTP/1.1\r\nhost: gate").await;
        client
    }))
    .await;
    wait_until("the listener has all it takes", async || {
        let active = gateway.envoy.stat("connection_limit.metrics.active_connections").await;
        active == Some(CONNECTIONS as u64)
    })
    .await;
    assert_eq!(status_of(gateway, "GET /metrics").await, None, "one more was served");
    // The gateway's own callers have another listener.
    gateway.chat(&unique("prompt")).send().await.expect(200);
    for answer in join_all(slow.iter_mut().map(RawClient::read)).await {
        assert!(answer.is_none_or(|answer| answer.status == 408));
    }
    assert!(started.elapsed() < HEAD_TIMEOUT, "{:?}", started.elapsed());
    drop(slow);
    wait_until("there is room again", async || status_of(gateway, "GET /metrics").await == Some(200)).await;
});

on_own_envoys!(a_connection_that_says_nothing_is_cut_off, async |gateway| {
    let mut silent = TcpStream::connect(gateway.envoy.metrics()).await.unwrap();
    let cut = timeout(IDLE_TIMEOUT, silent.read_u8()).await.expect("it is cut off in time");
    assert!(cut.is_err(), "something was said to who asked nothing");
});

/// The metrics of Envoy itself that the files of a folder name.
fn envoy_metrics_in(folder: &str) -> BTreeSet<String> {
    let folder = repository().join(folder);
    let files = folder.read_dir().unwrap().map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap());
    let words = files.flat_map(|text| {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').map(str::to_owned);
        words.filter(|word| word.starts_with("envoy_") && !word.ends_with('_')).collect::<Vec<_>>()
    });
    words.collect()
}

on_both_envoys!(envoys_own_metrics_that_alerts_and_runbooks_go_by_exist, async |gateway| {
    let page = ask(gateway, Method::GET, "/metrics").await.text().await.unwrap();
    let samples = parse(&page);
    for folder in ["envoy/prometheus/rules", "envoy/prometheus/runbooks"] {
        let wanted = envoy_metrics_in(folder);
        assert!(!wanted.is_empty(), "{folder} names none");
        for name in wanted {
            assert!(
                samples.iter().any(|sample| sample.name == name),
                "{folder} names {name}, which Envoy does not have"
            );
        }
    }
});

/// Modules of which those of auth and of the provider filter trap at every head.
static TRAPS: LazyLock<PathBuf> = LazyLock::new(|| {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("trapping-auth-and-provider");
    let between = dir.join("between");
    std::fs::create_dir_all(&between).unwrap();
    trap::copy_modules(&modules(), &between, "auth", "proxy_on_request_headers", 7);
    trap::copy_modules(&between, &dir, "provider", "proxy_on_request_headers", 5);
    dir
});

on_own_envoys!(vms_that_fail_are_one_metric_by_plugin, Setup::default().filters(&TRAPS), async |gateway| {
    wait_until("a VM of both was started anew", async || {
        let _ = gateway.chat(&unique("prompt")).try_open().await;
        let page = ask(gateway, Method::GET, "/metrics").await.text().await.unwrap();
        let again = |plugin: &str| {
            let samples = parse(&page);
            let mut of_plugin = samples.iter().filter(|sample| {
                sample.name == "envoy_wasm_vm_reload_success" && sample.label("plugin") == Some(plugin)
            });
            of_plugin.any(|sample| sample.value > 0.0)
        };
        again("tollgate.auth") && (again("tollgate.route") || again("tollgate.adapt"))
    })
    .await;
    let page = ask(gateway, Method::GET, "/metrics").await.text().await.unwrap();
    for sample in parse(&page).iter().filter(|sample| sample.name.contains("vm_reload")) {
        let known = ["", "_success", "_backoff", "_failure"].map(|end| format!("envoy_wasm_vm_reload{end}"));
        assert!(known.contains(&sample.name), "{sample:?}");
        assert!(sample.label("plugin").is_some_and(|plugin| plugin.starts_with("tollgate.")), "{sample:?}");
    }
});
