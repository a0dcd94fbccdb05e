"""The pools of envoy/config/providers.json for an ingress gateway of Istio: a WasmPlugin that chooses the pool, and an
EnvoyFilter with what Istio has no words for.

No `vm_id` here: Istio gives its plugins none, and both parts of provider.wasm must see the same shared data.
"""
import json

import pools
from providers import Config

IMAGE = "oci://registry.example.com/tollgate/provider:0.1.0"
ADAPT = "tollgate-adapt"
FILTERS = "envoy.extensions.filters.http"
WASM = f"{pools.TYPE}{FILTERS}.wasm.v3.Wasm"
# Where the gateway's pod mounts the Secret with the providers' keys.
SECRETS = "/etc/tollgate/secrets"


def documents(config: Config) -> list[dict]:
    return [route_plugin(config), envoy_filter(config)]


def metadata(name: str) -> dict:
    return {"name": name, "namespace": "istio-ingress", "labels": {"app.kubernetes.io/name": "tollgate", "app.kubernetes.io/component": "provider"}}


def route_plugin(config: Config) -> dict:
    spec: dict = {
        "selector": {"matchLabels": {"istio": "ingressgateway"}},
        "url": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "pluginName": "route",
        "phase": "AUTHZ",
        "priority": 150,
        "failStrategy": "FAIL_RELOAD",
    }
    if config.environment:
        spec["vmConfig"] = {"env": [{"name": name, "valueFrom": "HOST"} for name in config.environment]}
    spec["pluginConfig"] = json.loads(config.text)
    return {"apiVersion": "extensions.istio.io/v1alpha1", "kind": "WasmPlugin", "metadata": metadata("tollgate-route"), "spec": spec}


def envoy_filter(config: Config) -> dict:
    files = pools.Files("", SECRETS, "/etc/ssl/certs/ca-certificates.crt")
    clusters = pools.clusters(config, files)
    for cluster in clusters:
        chain = cluster["typed_extension_protocol_options"][pools.HTTP_OPTIONS]["http_filters"]
        for at, entry in enumerate(chain):
            if entry["name"] == "tollgate.adapt":
                chain[at] = discovered()
    patches = [
        patch("EXTENSION_CONFIG", "ADD", adapt(config)),
        *(patch("CLUSTER", "ADD", cluster) for cluster in clusters),
        patch("VIRTUAL_HOST", "MERGE", {"request_body_buffer_limit": 2 * pools.MAX_BODY_BYTES}),
        # Each goes to the front, so what is to be matched last comes first.
        *(patch("HTTP_ROUTE", "INSERT_FIRST", route) for route in reversed(pools.routes(config))),
        *(patch("HTTP_FILTER", "INSERT_BEFORE", entry, before_router()) for entry in native_filters()),
    ]
    spec = {"workloadSelector": {"labels": {"istio": "ingressgateway"}}, "configPatches": patches}
    return {"apiVersion": "networking.istio.io/v1alpha3", "kind": "EnvoyFilter", "metadata": metadata("tollgate-providers"), "spec": spec}


def patch(what: str, operation: str, value: dict, match: dict | None = None) -> dict:
    # EXTENSION_CONFIG is for whoever asks by its name.
    place = {} if what == "EXTENSION_CONFIG" else {"match": {"context": "GATEWAY"} | (match or {})}
    return {"applyTo": what} | place | {"patch": {"operation": operation, "value": value}}


def before_router() -> dict:
    manager = {"name": "envoy.filters.network.http_connection_manager", "subFilter": {"name": "envoy.filters.http.router"}}
    return {"listener": {"filterChain": {"filter": manager}}}


def discovered() -> dict:
    """Adapt, from the control plane: Istio's agent fetches modules for such filters only."""
    source = {"ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3"}
    return {"name": ADAPT, "config_discovery": {"config_source": source, "type_urls": [WASM]}}


def adapt(config: Config) -> dict:
    vm: dict = {"runtime": "envoy.wasm.runtime.v8", "code": {"remote": {"http_uri": {"uri": IMAGE}}}}
    if config.environment:
        vm["environment_variables"] = {"host_env_keys": config.environment}
    text = {"@type": pools.TYPE + "google.protobuf.StringValue", "value": config.text}
    plugin = {"name": ADAPT, "root_id": "adapt", "failure_policy": "FAIL_RELOAD", "vm_config": vm, "configuration": text}
    return {"name": ADAPT, "typed_config": {"@type": WASM, "config": plugin}}


def native_filters() -> list[dict]:
    """As in envoy/envoy.yaml, in this order: the head is held, and the load balancer told what was decided."""
    state = "%FILTER_STATE(wasm.tollgate_{}:PLAIN)%"
    appended = [{"append": {"header": {"key": f"x-gateway-{name}", "value": state.format(name)}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}} for name in ("lane", "sticky")]
    removed = [{"remove_on_match": {"key_matcher": {"prefix": "x-gateway-credential-"}}}, {"remove": "x-gateway-lane"}, {"remove": "x-gateway-sticky"}]
    rule = {"header": "x-gateway-lane", "on_header_present": {"metadata_namespace": "envoy.lb", "key": "lane", "type": "STRING"}, "remove": True}
    return [
        pools.typed("envoy.filters.http.buffer", f"{FILTERS}.buffer.v3.Buffer", max_request_bytes=pools.MAX_BODY_BYTES),
        pools.typed("envoy.filters.http.header_mutation", f"{FILTERS}.header_mutation.v3.HeaderMutation", mutations={"request_mutations": removed + appended}),
        pools.typed("envoy.filters.http.header_to_metadata", f"{FILTERS}.header_to_metadata.v3.Config", request_rules=[rule]),
    ]
