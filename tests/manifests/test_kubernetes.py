"""envoy/kubernetes: every overlay is what Kubernetes takes, refers to what exists, and keeps the rules of kubernetes_rules.py."""
import copy
import json
import pathlib
import re

import kubernetes_rules as rules
import kustomize
import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
KUBERNETES = ROOT / "envoy/kubernetes"
OVERLAYS = sorted(path.parent.name for path in KUBERNETES.glob("overlays/*/kustomization.yaml"))
# The oldest that README.md promises, and newer ones.
VERSIONS = ["1.31", "1.34", "1.37"]


def overlay(name: str) -> list[dict]:
    return copy.deepcopy(kustomize.build(f"envoy/kubernetes/overlays/{name}"))


def one(documents: list[dict], kind: str, name: str) -> dict:
    (found,) = [document for document in documents if rules.name(document) == f"{kind}/{name}"]
    return found


def gateway(documents: list[dict]) -> dict:
    return one(documents, "Deployment", "api-gateway")["spec"]["template"]["spec"]


def container(documents: list[dict]) -> dict:
    return gateway(documents)["containers"][0]


def environment(documents: list[dict]) -> dict[str, str]:
    return {entry["name"]: entry["value"] for entry in container(documents)["env"] if "value" in entry}


def data(documents: list[dict], beginning: str) -> dict[str, str]:
    (found,) = [document for document in rules.of(documents, "ConfigMap") if document["metadata"]["name"].startswith(beginning)]
    return found["data"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", OVERLAYS)
def test_kubernetes_takes_it(name, version):
    assert rules.schema(overlay(name), version) == []


@pytest.mark.parametrize("rule", rules.RULES)
@pytest.mark.parametrize("name", OVERLAYS)
def test_it_keeps_the_rule(name, rule):
    assert rules.RULES[rule](overlay(name)) == []


def spoil_image(documents):
    container(documents)["image"] = "registry.example.com:5000/tollgate/gateway"


def spoil_selector(documents):
    one(documents, "Service", "api-gateway")["spec"]["selector"] = {"app": "gateway"}


def spoil_budget(documents):
    one(documents, "PodDisruptionBudget", "api-gateway")["spec"]["selector"] = {"matchLabels": {"app": "gateway"}}


def spoil_scaling(documents):
    one(documents, "HorizontalPodAutoscaler", "api-gateway")["spec"]["scaleTargetRef"]["name"] = "gateway"


def spoil_count(documents):
    one(documents, "Deployment", "api-gateway")["spec"]["replicas"] = 3


def spoil_config_map(documents):
    documents.remove(one(documents, "ConfigMap", "gateway-dynamic"))


def spoil_policy(documents):
    one(documents, "NetworkPolicy", "api-gateway")["spec"]["egress"].append({"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}], "ports": [{"port": 443}]})


def spoil_default(documents):
    documents.remove(one(documents, "NetworkPolicy", "default-deny"))


SPOILT = [
    ("images", spoil_image),
    ("images", lambda documents: container(documents).update(image="tollgate-gateway:latest")),
    ("secrets", lambda documents: documents.append({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"a": "b"}})),
    ("secrets", lambda documents: container(documents)["env"].append({"name": "OPENAI_API_KEY", "value": "x"})),
    ("secrets", lambda documents: container(documents)["args"].append("sk-0123456789abcdef")),
    ("secrets", lambda documents: container(documents)["env"].append({"name": "MORE", "valueFrom": {"secretKeyRef": {"name": "other", "key": "k"}}})),
    ("hardening", lambda documents: container(documents)["securityContext"].update(readOnlyRootFilesystem=False)),
    ("hardening", lambda documents: container(documents)["securityContext"].update(capabilities={"drop": ["ALL"], "add": ["NET_ADMIN"]})),
    ("hardening", lambda documents: container(documents)["resources"].pop("limits")),
    ("hardening", lambda documents: gateway(documents).update(automountServiceAccountToken=True)),
    ("hardening", lambda documents: gateway(documents)["securityContext"].update(runAsUser=0)),
    ("references", spoil_selector),
    ("references", spoil_budget),
    ("references", spoil_scaling),
    ("references", spoil_count),
    ("references", spoil_config_map),
    ("references", lambda documents: one(documents, "Service", "api-gateway")["spec"]["ports"][0].update(targetPort=8081)),
    ("references", lambda documents: gateway(documents).update(serviceAccountName="nobody")),
    ("network", spoil_policy),
    ("network", spoil_default),
    ("network", lambda documents: one(documents, "NetworkPolicy", "api-gateway")["spec"]["ingress"].append({"ports": [{"port": 8080}]})),
]


@pytest.mark.parametrize("rule, spoil", SPOILT)
def test_what_breaks_a_rule_is_named(rule, spoil):
    documents = overlay("production")
    spoil(documents)
    assert rules.RULES[rule](documents) != []


@pytest.mark.parametrize(
    "kind, spoil",
    [
        ("Deployment", lambda document: document["spec"].update(replica=3)),
        ("Deployment", lambda document: document["spec"]["template"]["spec"]["containers"][0]["readinessProbe"].update(periodSeconds="5s")),
        ("HorizontalPodAutoscaler", lambda document: document["spec"].update(minReplica=3)),
        ("NetworkPolicy", lambda document: document["spec"].update(egres=[])),
        ("ServiceMonitor", lambda document: document["spec"]["endpoints"][0].update(intervall="15s")),
        ("PrometheusRule", lambda document: document["spec"]["groups"][0]["rules"][0].pop("expr")),
        ("ExternalSecret", lambda document: document["spec"]["target"].update(creationPolicy="Sometimes")),
        ("Service", lambda document: document.update(apiVersion="v2")),
    ],
)
def test_what_kubernetes_would_refuse_or_drop_is_named(kind, spoil):
    documents = overlay("production")
    spoil(rules.of(documents, kind)[0])
    assert rules.schema(documents, "1.34") != []


@pytest.mark.parametrize("name", OVERLAYS)
def test_config_maps_are_the_rendered_files(name):
    documents = overlay(name)
    rendered = {path.name: path.read_text() for path in (ROOT / "envoy/docker/dynamic").glob("*.yaml")}
    assert data(documents, "gateway-dynamic") == rendered
    assert data(documents, "gateway-bootstrap") == {"envoy.yaml": (ROOT / "envoy/docker/envoy.yaml").read_text()}


@pytest.mark.parametrize("name", OVERLAYS)
def test_a_push_keeps_its_name_and_another_bootstrap_gets_one(name):
    names = [document["metadata"]["name"] for document in rules.of(overlay(name), "ConfigMap")]
    assert "gateway-dynamic" in names
    (bootstrap,) = [found for found in names if found.startswith("gateway-bootstrap")]
    assert re.fullmatch(r"gateway-bootstrap-\w{10}", bootstrap)
    # Mounted as a folder: Envoy would not see a file that is mounted by itself change.
    mounts = {mount["name"]: mount for mount in container(overlay(name))["volumeMounts"]}
    assert mounts["dynamic"]["mountPath"] == "/etc/envoy/dynamic" and "subPath" not in mounts["dynamic"]
    assert mounts["provider-keys"]["mountPath"] == "/run/secrets" and "subPath" not in mounts["provider-keys"]


def test_envoy_watches_the_folder_of_whatever_kubernetes_replaces():
    """A mounted ConfigMap or Secret is replaced by a link of its folder; a watch of the file would not see it."""
    texts = [path.read_text() for path in [ROOT / "envoy/docker/envoy.yaml", *(ROOT / "envoy/docker/dynamic").glob("*.yaml")]]
    sources = [found for text in texts for found in re.findall(r"path_config_source: \{path: ([^,}]+)(?:, watched_directory: \{path: ([^,}]+)\})?", text)]
    assert {pathlib.Path(path).parent.as_posix() for path, _ in sources} == {"/etc/envoy/dynamic", "/run/secrets"}
    assert [path for path, watched in sources if watched != pathlib.Path(path).parent.as_posix()] == []


@pytest.mark.parametrize("name", OVERLAYS)
def test_ports_and_paths_are_those_of_envoy(name):
    documents = overlay(name)
    bootstrap = (ROOT / "envoy/docker/envoy.yaml").read_text()
    listening = {listener["name"]: listener["address"]["socket_address"]["port_value"] for listener in yaml.safe_load(bootstrap)["static_resources"]["listeners"]}
    ports = {port["name"]: port["containerPort"] for port in container(documents)["ports"]}
    assert ports == {"http": listening["gateway"], "metrics": listening["metrics"]}
    assert {port["name"]: port["port"] for port in one(documents, "Service", "api-gateway")["spec"]["ports"]} == {"http": 8080, "metrics": 9902}
    probes = {key: container(documents)[key]["httpGet"] for key in ("startupProbe", "livenessProbe", "readinessProbe")}
    # Liveness on the port that no limit of callers closes.
    live = {"path": "/health/live", "port": "metrics"}
    assert probes == {"startupProbe": live | {"port": "http"}, "livenessProbe": live, "readinessProbe": {"path": "/health/ready", "port": "http"}}
    assert "/health/ready" in bootstrap and "path: /health/live" in (ROOT / "envoy/docker/dynamic/routes.yaml").read_text()


@pytest.mark.parametrize("name", OVERLAYS)
def test_a_drain_has_the_time_it_may_take(name):
    documents = overlay(name)
    told = environment(documents)
    assert container(documents)["lifecycle"]["preStop"] == {"exec": {"command": ["/opt/tollgate/drain"]}}
    assert (ROOT / "envoy/docker/drain").exists()
    assert gateway(documents)["terminationGracePeriodSeconds"] >= int(told["DRAIN_DELAY"]) + int(told["DRAIN_TIMEOUT"]) + 10


def test_production_is_what_was_promised():
    documents = overlay("production")
    deployment = one(documents, "Deployment", "api-gateway")["spec"]
    assert container(documents)["resources"] == {"requests": {"cpu": "500m", "memory": "512Mi"}, "limits": {"cpu": "2000m", "memory": "2Gi"}}
    assert container(documents)["args"][-2:] == ["--concurrency", "2"], "a worker for each CPU of the limit"
    assert environment(documents)["GATEWAY_MODE"] == "production"
    assert deployment["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    scaling = one(documents, "HorizontalPodAutoscaler", "api-gateway")["spec"]
    assert (scaling["minReplicas"], scaling["maxReplicas"]) == (3, 20)
    assert scaling["metrics"] == [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}}]
    assert one(documents, "PodDisruptionBudget", "api-gateway")["spec"]["maxUnavailable"] == 1
    zones, hosts = gateway(documents)["topologySpreadConstraints"]
    assert (zones["topologyKey"], zones["whenUnsatisfiable"], zones["maxSkew"]) == ("topology.kubernetes.io/zone", "DoNotSchedule", 1)
    assert hosts["topologyKey"] == "kubernetes.io/hostname"
    assert {"ServiceMonitor", "PrometheusRule", "ExternalSecret", "StatefulSet"} <= {document["kind"] for document in documents}
    assert not any("provider" == document["metadata"]["name"] for document in documents), "a scripted provider is no production"


def test_only_ingress_and_monitoring_may_come_in():
    policy = one(overlay("production"), "NetworkPolicy", "api-gateway")["spec"]
    came = {rule["ports"][0]["port"]: [next(iter(peer["namespaceSelector"]["matchLabels"].items())) for peer in rule["from"]] for rule in policy["ingress"]}
    place = "kubernetes.io/metadata.name"
    assert came == {"http": [(place, "istio-system"), ("api-gateway-access", "ingress")], "metrics": [(place, "monitoring"), ("api-gateway-access", "metrics")]}


def test_the_operator_gets_the_rules_of_prometheus():
    groups = [group for path in sorted((ROOT / "envoy/prometheus/rules").glob("*.yml"), reverse=True) for group in yaml.safe_load(path.read_text())["groups"]]
    assert one(overlay("production"), "PrometheusRule", "api-gateway")["spec"]["groups"] == groups


def test_the_operator_scrapes_as_prometheus_would():
    (job,) = yaml.safe_load((ROOT / "envoy/prometheus/kubernetes.yml").read_text())["scrape_configs"]
    (endpoint,) = one(overlay("production"), "ServiceMonitor", "api-gateway")["spec"]["endpoints"]
    assert endpoint["path"] == job["metrics_path"]
    words = {"sourceLabels": "source_labels", "targetLabel": "target_label"}
    assert [{words.get(key, key): value for key, value in rule.items()} for rule in endpoint["metricRelabelings"]] == job["metric_relabel_configs"]
    labels = {rule["targetLabel"]: rule.get("sourceLabels") for rule in endpoint["relabelings"]}
    # The operator itself adds namespace and pod.
    assert labels == {rule["target_label"]: rule["source_labels"] for rule in job["relabel_configs"] if rule.get("target_label") in ("node", "zone")} | {"job": None}
    assert endpoint["relabelings"][0] == {"action": "replace", "targetLabel": "job", "replacement": job["job_name"]}
    assert (labels["job"], job["job_name"]) == (None, "gateway")


def test_external_secrets_make_every_secret_of_the_gateway():
    made = {}
    for document in rules.of(overlay("production"), "ExternalSecret"):
        target = document["spec"]["target"]
        made[target["name"]] = set(target.get("template", {}).get("data", {})) or {entry["secretKey"] for entry in document["spec"]["data"]}
    providers = json.loads((ROOT / "envoy/config/providers.json").read_text())["providers"].values()
    files = {provider["credential"]["from_file"] for provider in providers if "from_file" in provider.get("credential", {})}
    assert made == {"api-gateway-credentials": {"TOLLGATE_API_KEYS", "TOLLGATE_JWKS"}, "api-gateway-provider-keys": files}


def test_the_readme_says_how_to_make_every_secret():
    text = (KUBERNETES / "README.md").read_text()
    asked = {secret for name in ("dev", "production") for secret in rules.asked_secrets(overlay(name))}
    assert [secret for secret in asked if secret not in text] == []


@pytest.mark.parametrize("name", OVERLAYS)
def test_our_images_have_the_version_of_the_workspace(name):
    version = re.search(r'^version = "(.*)"$', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]
    ours = {box["image"] for _, box in rules.containers(overlay(name)) if not box["image"].startswith("redis:")}
    assert ours and {image.rpartition(":")[2] for image in ours} == {version}
