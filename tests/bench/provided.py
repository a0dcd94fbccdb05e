"""Envoy with the provider filter, and as it is without: one pool for everybody, and its key put in downstream."""
import copy
import pathlib
import sys

from machine import ROOT, manager

sys.path.insert(0, str(ROOT / "scripts/lib"))

import pools
import providers

POOL, ROUTE = "pool_default", "tollgate.route"
BUFFER = "envoy.filters.http.buffer"
# What tells Envoy's load balancer where a call may go.
HINTS = ("envoy.filters.http.header_mutation", "envoy.filters.http.header_to_metadata")


def clusters(config: dict) -> list[dict]:
    return config["static_resources"]["clusters"]


def pool(config: dict) -> dict:
    return next(cluster for cluster in clusters(config) if cluster["name"] == POOL)


def host(config: dict) -> dict:
    return manager(config)["route_config"]["virtual_hosts"][0]


def upstream(config: dict) -> dict:
    """The options of the pool that hold its upstream filters."""
    return pool(config)["typed_extension_protocol_options"][pools.HTTP_OPTIONS]


def downstream(config: dict, name: str) -> dict:
    return next(entry for entry in manager(config)["http_filters"] if entry["name"] == name)


def put(config: dict, policy: str, secrets: pathlib.Path) -> None:
    """What follows from a providers.json in place of what is there."""
    read, files = providers.read(policy), pools.Files(str(ROOT / "target/filters"), str(secrets), providers.CA_FILE)
    kept = [cluster for cluster in clusters(config) if not cluster["name"].startswith("pool_")]
    config["static_resources"]["clusters"] = kept + pools.clusters(read, files)
    virtual = host(config)
    virtual["routes"] = [route for route in virtual["routes"] if route["name"] != "models"] + pools.routes(read)
    downstream(config, ROUTE)["typed_config"] = pools.route_filter(read, files)["typed_config"]


def one_for_all(config: dict) -> dict:
    """Leaves one route, which all calls take to the pool; gives that route."""
    virtual = host(config)
    kept = next(route for route in virtual["routes"] if route.get("route", {}).get("cluster") == POOL)
    kept["match"] = {"prefix": "/v1"}
    virtual["routes"] = [route for route in virtual["routes"] if route["name"] != "models"] + [kept]
    return kept


def injector(config: dict) -> dict:
    """Envoy's own filter that puts a provider's key in, for a place downstream."""
    found = copy.deepcopy(next(entry for entry in upstream(config)["http_filters"] if entry["name"].startswith("credential.")))
    found["typed_config"]["credential"]["typed_config"]["header"] = "authorization"
    return found


def without(config: dict) -> None:
    """No provider filter and nothing that is there for it; Envoy's cluster and retries stay as they are."""
    key, chain = injector(config), manager(config)
    upstream(config).pop("http_filters")
    one_for_all(config)
    kept = [entry for entry in chain["http_filters"] if entry["name"] not in (ROUTE, *HINTS)]
    at = next(place for place, entry in enumerate(kept) if entry["name"] == BUFFER)
    chain["http_filters"] = [*kept[:at], key, *kept[at:]]

