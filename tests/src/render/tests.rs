use super::*;

const COMMITTED: &str = include_str!("../../../envoy/envoy.yaml");

fn run(upstream: &str) -> Run {
    Run {
        listen: "127.0.0.1:1".parse().unwrap(),
        admin: "127.0.0.1:2".parse().unwrap(),
        metrics: "[::1]:3".parse().unwrap(),
        filters: "/modules".into(),
        providers: None,
        upstream: Some(upstream.parse().unwrap()),
        is_http2: false,
        secrets: "/secrets".into(),
        configurations: BTreeMap::new(),
        without: BTreeSet::new(),
        moves: Vec::new(),
        clusters: BTreeMap::new(),
        telemetry: None,
        tls: None,
        edits: Vec::new(),
        route_timeout: None,
        is_unrouted: false,
        is_split: false,
        pushed: None,
    }
}

fn rendered(run: &Run) -> String {
    render_text(COMMITTED, run).unwrap()
}

#[test]
fn every_address_and_file_of_the_committed_one_is_replaced() {
    let text = rendered(&run("http://10.0.0.9:8080"));
    for gone in
        ["port_value: 10000", "port_value: 9901", "port_value: 9902", "port_value: 18080", "target/filters", ".run/"]
    {
        assert!(!text.contains(gone), "{gone} is still in\n{text}");
    }
    for there in [
        "port_value: 1\n",
        "port_value: 2\n",
        "port_value: 3\n",
        "address: ::1",
        "/modules/auth.wasm",
        "/secrets/provider-key.yaml",
    ] {
        assert!(text.contains(there), "{there} is not in\n{text}");
    }
}

#[test]
fn a_named_https_provider_is_checked_by_its_name() {
    let Ok(text) = render_text(COMMITTED, &run("https://api.example.com")) else {
        return; // No authorities on this machine, which the error says.
    };
    for there in [
        "sni: api.example.com",
        "exact: api.example.com",
        "hostname: api.example.com",
        "port_value: 443",
        "all_addresses_in_single_endpoint: true",
    ] {
        assert!(text.contains(there), "{there} is not in\n{text}");
    }
}

#[test]
fn filters_can_be_left_out_and_configured_anew() {
    let mut run = run("http://127.0.0.1:4");
    run.without.insert("tollgate.cache".into());
    run.configurations.insert("tollgate.budget".into(), "{\"only\": \"here\"}".into());
    let text = rendered(&run);
    assert!(!text.contains("cache.wasm"));
    assert!(text.contains("{\"only\": \"here\"}"));
}

#[test]
fn a_filter_can_be_moved_and_calls_limited_in_time() {
    let mut run = run("http://127.0.0.1:4");
    run.moves.push(("tollgate.cache".into(), "tollgate.budget".into()));
    run.route_timeout = Some("1500ms".into());
    let text = rendered(&run);
    let place = |name: &str| text.find(&format!("name: {name}\n")).unwrap();
    assert!(place("tollgate.auth") < place("tollgate.cache") && place("tollgate.cache") < place("tollgate.budget"));
    assert!(text.contains("timeout: 1.5s") && !text.contains("timeout: 600s"));
}

#[test]
fn a_pushed_listener_and_pools_stand_in_their_own_files_only() {
    let mut run = run("http://127.0.0.1:4");
    run.pushed = Some(Pushed("/run".into()));
    let text = rendered(&run);
    assert!(
        text.contains("path: /run/listener.yaml") && !text.contains("budget.wasm") && text.contains("name: metrics")
    );
    assert!(text.contains("path: /run/clusters.yaml") && !text.contains("pool_default"));
    let [listener, clusters] = pushed::texts(&mut tree(COMMITTED, &run).unwrap()).unwrap();
    assert!(listener.contains("budget.wasm") && listener.contains("envoy.config.listener.v3.Listener"));
    assert!(clusters.contains("name: pool_default") && clusters.contains("envoy.config.cluster.v3.Cluster"));
}

#[test]
fn what_is_missing_is_named() {
    let mut run = run("http://127.0.0.1:4");
    let error = render_text(&COMMITTED.replace("name: models", "name: other"), &run).unwrap_err().to_string();
    assert!(error.contains("`models`"), "{error}");
    run.without.insert("tollgate.nothing".into());
    let error = render_text(COMMITTED, &run).unwrap_err().to_string();
    assert!(error.contains("`tollgate.nothing`"), "{error}");
}

#[test]
fn an_upstream_is_an_origin_and_nothing_more() {
    for wrong in ["ftp://a", "a:80", "http://", "http://a/v1", "http://user:secret@a", "http://a:port"] {
        let error = wrong.parse::<Upstream>().unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }
    for right in ["http://a", "http://a/", "https://a:8443", "http://[::1]:80", "http://[::1]"] {
        right.parse::<Upstream>().unwrap();
    }
}
