"""envoy/prometheus: rules, their tests and pages belong together, and Prometheus and Alertmanager take all of it."""
import copy
import json
import re

import pytest
import watch
import yaml

RULES = [watch.read(path) for path in sorted((watch.HOME / "rules").glob("*.yml"))]
TEST_FILES = sorted((watch.HOME / "tests").glob("*.yml"))
TESTS = [watch.read(path) for path in TEST_FILES]
SCRAPES = ["prometheus.yml", "kubernetes.yml"]


def assert_taken(done) -> None:
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", TEST_FILES, ids=lambda path: path.stem)
def test_rules_do_what_their_tests_say(path):
    assert_taken(watch.run(watch.tools() / "promtool", "test", "rules", path))


def test_rules_are_taken():
    assert_taken(watch.run(watch.tools() / "promtool", "check", "rules", *sorted((watch.HOME / "rules").glob("*.yml"))))


def without_kubernetes(config: dict, folder, targets: list[dict]) -> dict:
    """The configuration with pods read from a file: Debian's Prometheus is built without Kubernetes."""
    (folder / "targets.json").write_text(json.dumps(targets))
    for job in config["scrape_configs"]:
        if job.pop("kubernetes_sd_configs", None):
            job["file_sd_configs"] = [{"files": [str(folder / "targets.json")]}]
    config["rule_files"] = [str(watch.HOME / pattern) for pattern in config["rule_files"]]
    return config


@pytest.mark.parametrize("name", SCRAPES)
def test_scrape_configurations_are_taken(name, tmp_path):
    config = tmp_path / name
    config.write_text(yaml.safe_dump(without_kubernetes(watch.read(watch.HOME / name), tmp_path, [])))
    assert_taken(watch.run(watch.tools() / "promtool", "check", "config", config))


def test_the_receivers_are_taken():
    assert_taken(watch.run(watch.tools() / "amtool", "check-config", watch.HOME / "alertmanager.yml"))


def test_both_scrape_alike():
    static, found = (watch.read(watch.HOME / name) for name in SCRAPES)
    for key in ("global", "rule_files", "alerting"):
        assert static[key] == found[key], key
    [one], [other] = static["scrape_configs"], found["scrape_configs"]
    for key in ("job_name", "metrics_path", "metric_relabel_configs"):
        assert one[key] == other[key], key


def pod(address: str, **labels: str) -> dict:
    meta = {"pod_label_app": "api-gateway", "pod_phase": "Running", "namespace": "ai", "pod_name": "gateway-1", "pod_node_name": "n1"}
    meta |= {"node_label_topology_kubernetes_io_zone": "eu-1a"} | labels
    return {"targets": [address], "labels": {f"__meta_kubernetes_{name}": value for name, value in meta.items()}}


ANNOTATED = {"pod_annotationpresent_prometheus_io_port": "true", "pod_annotation_prometheus_io_port": "9902"}
PODS = [
    pod("10.0.0.1:9902", pod_container_port_name="metrics"),
    pod("10.0.0.2:8080", pod_container_port_name="http"),
    pod("10.0.0.3:8080", pod_container_port_name="http", **ANNOTATED),
    pod("10.0.0.4", **ANNOTATED),
    pod("[fd00::5]:8080", **ANNOTATED),
    pod("10.0.0.6:9902", pod_container_port_name="metrics", pod_label_app="other"),
    pod("10.0.0.7:9902", pod_container_port_name="metrics", pod_phase="Succeeded"),
]


def test_pods_of_the_gateway_are_found_by_port_name_or_annotation(tmp_path):
    config = tmp_path / "kubernetes.yml"
    config.write_text(yaml.safe_dump(without_kubernetes(watch.read(watch.HOME / "kubernetes.yml"), tmp_path, PODS)))
    done = watch.run(watch.tools() / "promtool", "check", "service-discovery", "--timeout=3s", config, "gateway")
    found = json.loads(done.stdout[done.stdout.index("[\n") :])
    kept = [labels for target in found if (labels := target.get("labels"))]
    assert {labels["instance"] for labels in kept} == {"10.0.0.1:9902", "10.0.0.3:9902", "10.0.0.4:9902", "[fd00::5]:9902"}
    for labels in kept:
        assert labels["__metrics_path__"] == "/metrics"
        assert {"job": "gateway", "namespace": "ai", "pod": "gateway-1", "node": "n1", "zone": "eu-1a"}.items() <= labels.items()


def envoy_writes(edge: float) -> str:
    """As Envoy prints a bucket's edge: 32 significant digits, without zeros at the end."""
    return f"{edge:.32g}"


def relabelled(le: str) -> str:
    for step in watch.read(watch.HOME / "prometheus.yml")["scrape_configs"][0]["metric_relabel_configs"]:
        if found := re.fullmatch(step["regex"], le):
            le = found.expand(step["replacement"].replace("$", "\\"))
    return le


EDGES = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 10, 30, 60, 120, 300]


@pytest.mark.parametrize("edge", EDGES)
def test_an_edge_has_one_spelling(edge):
    """From Envoy's page and as Prometheus 3 stores it."""
    for le in (envoy_writes(edge), f"{float(edge)}"):
        assert relabelled(le) == f"{edge:g}", le


@pytest.mark.parametrize("le", ["+Inf", "100", "5000", "0.5", "1e+06", "2.5e+06"])
def test_other_edges_stay(le):
    assert relabelled(le) == le


def test_rules_read_what_somebody_writes():
    assert list(watch.wrong_names(RULES)) == []


def test_alerts_say_how_bad_it_is_and_what_to_do():
    assert list(watch.wrong_alerts(RULES)) == []


def test_pages_name_what_exists():
    assert list(watch.wrong_pages(RULES)) == []


def test_what_pages_ask_of_prometheus_is_promql(tmp_path):
    pages = sorted((watch.HOME / "runbooks").glob("*.md"))
    asked = [{"record": "asked", "expr": found} for page in pages for found in watch.expressions(page.read_text())]
    assert len(asked) > 15
    for number, rule in enumerate(asked):
        rule["labels"] = {"number": str(number)}
    path = tmp_path / "asked.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "asked", "rules": asked}]}))
    assert_taken(watch.run(watch.tools() / "promtool", "check", "rules", path))


def test_every_alert_is_tested():
    assert list(watch.wrong_tests(RULES, TESTS)) == []


def an_alert(change) -> list[dict]:
    """The rules, with the first alert changed."""
    files = copy.deepcopy(RULES)
    change(next(rule for rule in watch.rules(files) if "alert" in rule))
    return files


def test_the_checks_can_fail(tmp_path):
    broken = an_alert(lambda rule: rule.update(expr="gateway_nonsense_total > up"))
    assert list(watch.wrong_names(broken)) == ["GatewayDown reads gateway_nonsense_total, which nobody writes"]
    for part in ("severity", "area"):
        assert len(list(watch.wrong_alerts(an_alert(lambda rule: rule["labels"].pop(part))))) == 1
    for part in ("summary", "description", "runbook_url"):
        assert len(list(watch.wrong_alerts(an_alert(lambda rule: rule["annotations"].pop(part))))) == 1
    renamed = an_alert(lambda rule: rule.update(alert="Unheard"))
    assert len(list(watch.wrong_tests(renamed, TESTS))) == 3
    assert any("no page" in line for line in watch.wrong_alerts(renamed))
    assert any("GatewayDown.md is about no alert" in line for line in watch.wrong_alerts(renamed))
    page = tmp_path / "Page.md"
    page.write_text("**Means.** gateway_nonsense [there](Nowhere.md)\n")
    assert len(list(watch.wrong_pages(RULES, tmp_path))) == 3
    wrong = tmp_path / "wrong.yml"
    test = copy.deepcopy(TESTS[0])
    test["rule_files"] = [str(path) for path in sorted((watch.HOME / "rules").glob("*.yml"))]
    firing = next(check for case in test["tests"] for check in case["alert_rule_test"] if check.get("exp_alerts"))
    firing["exp_alerts"] = []
    wrong.write_text(yaml.safe_dump(test))
    assert watch.run(watch.tools() / "promtool", "test", "rules", wrong).returncode != 0
