"""istio/: what is shipped fits Istio's own schema, and is complete.

The schema is Istio's CustomResourceDefinition (crds/, Apache-2.0, source in its first line). A Kubernetes API prunes
unknown fields silently, so a misspelt one would just not work: here it is refused.
"""
import copy
import json
import pathlib

import jsonschema
import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
FILTERS = ["auth", "budget", "cache", "metrics"]
PLUGINS = [*FILTERS, "providers"]


def strict(schema: dict) -> dict:
    """The structural schema with unknown fields refused where Kubernetes would prune them."""
    schema = copy.deepcopy(schema)
    stack = [schema]
    while stack:
        node = stack.pop()
        if "properties" in node and not node.get("x-kubernetes-preserve-unknown-fields"):
            node.setdefault("additionalProperties", False)
            stack += node["properties"].values()
        if isinstance(node.get("items"), dict):
            stack.append(node["items"])
    return schema


def wasm_plugin_schema() -> dict:
    crd = yaml.safe_load((ROOT / "tests/manifests/crds/wasmplugins.extensions.istio.io.yaml").read_text())
    schema = strict(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"])
    schema["properties"] |= {"apiVersion": {"const": "extensions.istio.io/v1alpha1"}, "kind": {"const": "WasmPlugin"}, "metadata": {"type": "object"}}
    return schema


def envoy_filter_schema() -> dict:
    crd = yaml.safe_load((ROOT / "tests/manifests/crds/envoyfilters.networking.istio.io.yaml").read_text())
    schema = strict(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"])
    schema["properties"] |= {"apiVersion": {"const": "networking.istio.io/v1alpha3"}, "kind": {"const": "EnvoyFilter"}, "metadata": {"type": "object"}}
    return schema


def plugin(name: str) -> dict:
    """The first document of a file; providers.yaml has an EnvoyFilter behind it."""
    return next(yaml.safe_load_all((ROOT / "istio" / f"{name}.yaml").read_text()))


def patches(kind: str) -> list[dict]:
    _, found = yaml.safe_load_all((ROOT / "istio/providers.yaml").read_text())
    return [entry["patch"]["value"] for entry in found["spec"]["configPatches"] if entry["applyTo"] == kind]


def validate(document: dict) -> None:
    jsonschema.validate(document, wasm_plugin_schema())
    # The CEL rules of the CRD, by hand.
    spec = document["spec"]
    assert spec["url"].split("://")[0] in {"http", "https", "oci", "file"}
    assert sum(key in spec for key in ("selector", "targetRef", "targetRefs")) <= 1
    for env in spec.get("vmConfig", {}).get("env", []):
        assert env.get("valueFrom") != "HOST" or "value" not in env


@pytest.mark.parametrize("name", PLUGINS)
def test_every_plugin_fits_the_crd(name):
    validate(plugin(name))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda spec: spec.update(phase="FIRST"),
        lambda spec: spec.update(failStrategy="FAIL_OPENLY"),
        lambda spec: spec.update(priorty=1),
        lambda spec: spec.update(url="ftp://registry.example.com/auth"),
        lambda spec: spec["vmConfig"]["env"][0].update(value="secret"),
    ],
)
def test_a_spoilt_plugin_is_refused(spoil):
    document = plugin("auth")
    spoil(document["spec"])
    with pytest.raises((jsonschema.ValidationError, AssertionError)):
        validate(document)


# The one word in which a copy differs: Istio configures no access loggers that make histograms in seconds.
DIFFERENT = {"metrics": {"histograms": "microseconds"}}


@pytest.mark.parametrize("name", PLUGINS)
def test_the_configuration_is_the_one_source(name):
    source = json.loads((ROOT / "envoy/config" / f"{name}.json").read_text())
    different = DIFFERENT.get(name, {})
    assert all(source[field] != word for field, word in different.items())
    assert plugin(name)["spec"]["pluginConfig"] == source | different


def test_no_plugin_fails_open():
    assert {plugin(name)["spec"]["failStrategy"] for name in PLUGINS} == {"FAIL_RELOAD"}


def test_the_order_is_metrics_auth_providers_budget_cache():
    phases = ["AUTHN", "AUTHZ", "STATS"]
    by_order = sorted(PLUGINS, key=lambda name: (phases.index(plugin(name)["spec"]["phase"]), -plugin(name)["spec"]["priority"]))
    assert by_order == ["metrics", "auth", "providers", "budget", "cache"]


def test_kustomization_lists_every_plugin():
    listed = yaml.safe_load((ROOT / "istio/kustomization.yaml").read_text())["resources"]
    assert sorted(listed) == [f"{name}.yaml" for name in PLUGINS]


def test_the_envoy_filter_fits_the_crd():
    _, found = yaml.safe_load_all((ROOT / "istio/providers.yaml").read_text())
    jsonschema.validate(found, envoy_filter_schema())
    found["spec"]["configPatches"][0]["applyTo"] = "CLUSTERS"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(found, envoy_filter_schema())


def test_both_parts_of_the_provider_filter_are_one_module_with_one_configuration():
    (adapt,) = patches("EXTENSION_CONFIG")
    config = adapt["typed_config"]["config"]
    route = plugin("providers")["spec"]
    assert json.loads(config["configuration"]["value"]) == route["pluginConfig"]
    assert config["vm_config"]["code"]["remote"]["http_uri"]["uri"] == route["url"]
    # Istio's plugins have no id of their VM, and shared data goes by it.
    assert "vm_id" not in config["vm_config"] and (config["root_id"], route["pluginName"]) == ("adapt", "route")
    for cluster in patches("CLUSTER"):
        chain = next(iter(cluster["typed_extension_protocol_options"].values()))["http_filters"]
        assert adapt["name"] in [entry["name"] for entry in chain]


def test_the_native_filters_are_those_of_the_standalone_gateway():
    listeners = yaml.safe_load((ROOT / "envoy/envoy.yaml").read_text())["static_resources"]["listeners"]
    chain = listeners[0]["filter_chains"][0]["filters"][0]["typed_config"]["http_filters"]
    names = [entry["name"] for entry in patches("HTTP_FILTER")]
    assert [entry for entry in chain if entry["name"] in names] == patches("HTTP_FILTER")


def test_a_route_that_is_inserted_later_is_matched_earlier():
    first, *later = patches("HTTP_ROUTE")
    assert first["direct_response"]["status"] == 503, "what no pool was chosen for"
    assert later and all(route["route"]["cluster"].startswith("pool_") for route in later)
