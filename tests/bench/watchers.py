"""Who watches the calls: the metrics filter and Envoy's own loggers, each alone before one pool for everybody.

Envoy's stats logger counts calls and times them, by what Envoy knows: route and status. With `ai_protocol_manager` before
it, Envoy also reads what answers cost; it publishes that, and neither counts it by model nor adds it up. The metrics filter
does all of it and knows model, provider, first token, parts of tokens and whether a call was cut. Nobody writes to a disk.
"""
import copy
import dataclasses
import json
import typing

import limiters
import provided
from machine import manager

LOGGERS = "type.googleapis.com/envoy.extensions.access_loggers"
STATS = "envoy.access_loggers.stats"
TAGS = [{"name": "route", "value_format": "%ROUTE_NAME%"}, {"name": "status", "value_format": "%RESPONSE_CODE%"}]


@dataclasses.dataclass(frozen=True)
class Variant:
    change: typing.Callable[[dict], None]
    # The beginnings of series that count every call of a load.
    counters: tuple[str, ...] = ()
    # What it is compared with.
    base: str = "bare Envoy"


def alone(config: dict, filters: list[dict], loggers: list[dict]) -> None:
    """These filters and the router, watched by these loggers."""
    provided.without(config)
    chain = manager(config)
    chain["access_log"] = loggers
    chain["http_filters"] = [*filters, chain["http_filters"][-1]]


def stdout_log(config: dict) -> dict:
    """The access log of envoy.yaml, written to nowhere."""
    logger = copy.deepcopy(next(entry for entry in manager(config)["access_log"] if entry["name"] == "envoy.access_loggers.stdout"))
    logger["name"] = "envoy.access_loggers.file"
    logger["typed_config"] |= {"@type": f"{LOGGERS}.file.v3.FileAccessLog", "path": "/dev/null"}
    return logger


def seconds(config: dict) -> list[dict]:
    """The loggers of envoy.yaml that make histograms of what the metrics filter leaves."""
    return [entry for entry in manager(config)["access_log"] if entry["name"] == STATS]


def native_stats() -> dict:
    """Calls and their duration by route and status, from Envoy's own knowledge."""
    return {"name": STATS, "typed_config": {
        "@type": f"{LOGGERS}.stats.v3.Config",
        "stats_scope": {"prefix": "native"},
        "counters": [{"stat": {"name": "requests_total", "tags": TAGS}, "value_fixed": 1}],
        "histograms": [{"stat": {"name": "duration_ms", "tags": TAGS}, "unit": "Milliseconds", "value_format": "%DURATION%"}],
    }}


def metrics(config: dict, **changes: object) -> dict:
    filter_ = limiters.ours(config, "metrics")
    policy = json.loads(filter_["typed_config"]["config"]["configuration"]["value"])
    limiters.set_policy(filter_, policy | changes)
    return filter_


def chain(config: dict, watched: bool) -> None:
    """The whole chain with its access log, with metrics or without."""
    limiters.set_policy(limiters.ours(config, "budget"), {"rules": limiters.RULES[:3], "prices": {"*": {"input": "2.00", "output": "8.00"}}})
    if not watched:
        manager(config)["access_log"] = [entry for entry in manager(config)["access_log"] if entry["name"] != STATS]
        manager(config)["http_filters"].remove(limiters.ours(config, "metrics"))
    manager(config)["access_log"] = [stdout_log(config) if "stdout" in entry["name"] else entry for entry in manager(config)["access_log"]]


REQUESTS = "gateway_requests_total"
NATIVE = "envoy_native_requests_total"
USAGE = "envoy_ai_protocol_manager_token_usage_found"
DURATION = "gateway_request_duration_%s_count"


def variants() -> dict[str, Variant]:
    return {
        "bare Envoy": Variant(lambda config: alone(config, [], [])),
        "Envoy's access log, JSON": Variant(lambda config: alone(config, [], [stdout_log(config)])),
        "Envoy's stats logger": Variant(lambda config: alone(config, [], [native_stats()]), (NATIVE,)),
        "ai_protocol_manager and stats logger": Variant(lambda config: alone(config, [limiters.ai_protocol_manager()], [native_stats()]), (NATIVE, USAGE)),
        "metrics, microseconds": Variant(lambda config: alone(config, [metrics(config, histograms="microseconds")], []), (REQUESTS, DURATION % "microseconds")),
        "metrics, seconds by stats logger": Variant(lambda config: alone(config, [metrics(config)], seconds(config)), (REQUESTS, DURATION % "seconds")),
        "metrics, seconds, access log, gen_ai attributes": Variant(
            lambda config: alone(config, [metrics(config, gen_ai_attributes=True)], [*seconds(config), stdout_log(config)]), (REQUESTS, DURATION % "seconds")),
        "chain without metrics": Variant(lambda config: chain(config, watched=False)),
        "whole chain": Variant(lambda config: chain(config, watched=True), (REQUESTS, DURATION % "seconds"), "chain without metrics"),
    }
