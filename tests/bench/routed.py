"""The Envoys that bench_provider compares, and what their counters must say of each call."""
import dataclasses
import json
import typing

import audit
import bench
import provided
from machine import ROOT, Machine, manager

MODEL, NAME = "gpt-4.1", "gpt-4.1-2025-04-14"
# Answers 503 where the load tells it to.
FAILING = "failing"
RETRIES = f'envoy_cluster_upstream_rq_retry{{envoy_cluster_name="{provided.POOL}"}}'
ATTEMPTS = f'envoy_cluster_upstream_rq_total{{envoy_cluster_name="{provided.POOL}"}}'
# Envoy takes a dot for the end of a name.
STAT = MODEL.replace(".", "-")
BY_HEADER = f'envoy_vhost_route_upstream_rq_total{{envoy_virtual_host="gateway",envoy_route="{STAT}"}}'
Change = typing.Callable[[dict], None]


@dataclasses.dataclass(frozen=True)
class Variant:
    change: Change
    # What its ratio is to.
    base: str
    routes: bool = False
    adapts: bool = False
    # What the provider is asked for.
    model: str = MODEL
    retries: int = 0
    # Series that must have counted every call, by their beginning.
    counters: tuple[str, ...] = ()


def policy(machine: Machine, failing: str, *, renamed: bool = False, sticky: bool = False, pool: tuple[str, ...] = ("primary",)) -> str:
    """The committed providers.json with the providers of this machine; those of the pool in the order in which they are asked."""
    found = json.loads((ROOT / "envoy/config/providers.json").read_text())
    found["providers"]["primary"]["url"] = f"http://127.0.0.1:{machine.provider}"
    if FAILING in pool:
        found["providers"][FAILING] = found["providers"]["primary"] | {"url": f"http://127.0.0.1:{failing}"}
    if renamed:
        found["providers"]["primary"]["models"] = {MODEL: NAME}
    found["pools"]["default"]["priorities"] = [[name] for name in pool]
    if sticky:
        found["pools"]["default"]["sticky"] = "prompt_prefix"
    return json.dumps(found)


def chain(config: dict, *names: str) -> None:
    """These filters and the router; no access log."""
    everything = manager(config)
    everything.pop("access_log", None)
    everything["http_filters"] = [provided.downstream(config, name) for name in names] + [everything["http_filters"][-1]]


def bare(config: dict) -> None:
    provided.without(config)
    key = next(entry["name"] for entry in manager(config)["http_filters"] if entry["name"].startswith("credential."))
    chain(config, key)


def by_header(config: dict) -> None:
    """Envoy alone, with a route a model, by a header that the caller sets; the body is not looked at."""
    bare(config)
    virtual = provided.host(config)
    last = virtual["routes"].pop()
    models = json.loads((ROOT / "envoy/config/providers.json").read_text())["models"]
    # The one that is asked for stands last: Envoy goes through them.
    for model in sorted(models, key=lambda name: name == MODEL):
        match = {"prefix": "/v1", "headers": [{"name": "x-model", "string_match": {"exact": model}}]}
        virtual["routes"].append(last | {"match": match, "stat_prefix": model.replace(".", "-")})


def pair(config: dict) -> None:
    """Route, adapt and all of Envoy's filters that they need."""
    chain(config, provided.ROUTE, provided.BUFFER, *provided.HINTS)


def without_adapt(config: dict) -> None:
    pair(config)
    options = provided.upstream(config)
    options["http_filters"] = [entry for entry in options["http_filters"] if entry["name"] != "tollgate.adapt"]


def native(config: dict) -> None:
    """Envoy's filters that route and adapt need, without these: one pool for everybody."""
    without_adapt(config)
    chain(config, provided.BUFFER, *provided.HINTS)
    provided.one_for_all(config)


def whole(config: dict) -> None:
    bench.only(config, bench.FILTERS)


def whole_without(config: dict) -> None:
    bench.only(config, [name for name in bench.FILTERS if name != "provider"])


def unguarded(change: Change) -> Change:
    """A provider that always fails would be ejected. And a wait before the next attempt would leave Envoy idle, where a call
    costs more."""
    def changed(config: dict) -> None:
        change(config)
        provided.pool(config).pop("outlier_detection")
        route = next(route["route"] for route in provided.host(config)["routes"] if "route" in route)
        route["retry_policy"]["retry_back_off"] = {"base_interval": "0.001s", "max_interval": "0.001s"}

    return changed


BARE, HEADER, NATIVE, ROUTED, SAME, RENAMED, STICKY = (
    "bare Envoy", "Envoy alone, by `x-model`", "Envoy's filters for it", "+ route", "+ route, adapt", "+ route, adapt, model renamed", "+ route, adapt, sticky")
ENVOY_TWO, ENVOY_FALLS, TWO, FALLS = (
    "bare Envoy, two providers", "bare Envoy, the first answers 503", "route, adapt, two providers", "route, adapt, the first answers 503")
CHAIN, WHOLE, WHOLE_RENAMED = "chain without provider", "whole chain", "whole chain, model renamed"


def variants(machine: Machine) -> dict[str, Variant]:
    failing = machine.scripted(FAILING)

    def given(change: Change, **wanted) -> Change:
        def changed(config: dict) -> None:
            provided.put(config, policy(machine, failing, **wanted), machine.secrets)
            change(config)

        return changed

    last, first = {"pool": ("primary", FAILING)}, {"pool": (FAILING, "primary")}
    both = {"routes": True, "adapts": True}
    return {
        BARE: Variant(given(bare), BARE),
        HEADER: Variant(given(by_header), BARE, counters=(BY_HEADER,)),
        NATIVE: Variant(given(native), BARE),
        ROUTED: Variant(given(without_adapt), BARE, routes=True),
        SAME: Variant(given(pair), BARE, **both),
        RENAMED: Variant(given(pair, renamed=True), BARE, model=NAME, **both),
        STICKY: Variant(given(pair, sticky=True), BARE, **both),
        ENVOY_TWO: Variant(given(unguarded(bare), **last), ENVOY_TWO),
        ENVOY_FALLS: Variant(given(unguarded(bare), **first), ENVOY_TWO, retries=1),
        TWO: Variant(given(unguarded(pair), **last), ENVOY_TWO, **both),
        FALLS: Variant(given(unguarded(pair), **first), TWO, retries=1, **both),
        CHAIN: Variant(given(whole_without), CHAIN),
        WHOLE: Variant(given(whole), CHAIN, **both),
        WHOLE_RENAMED: Variant(given(whole, renamed=True), CHAIN, model=NAME, **both),
    }
