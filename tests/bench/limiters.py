"""Tollgate's budget and Envoy's own limiters, each alone before the router.

No filter of Envoy's does what budget does, and no two of them together: `local_ratelimit` counts calls and never learns
what they cost; `ai_protocol_manager` finds out what they cost and limits nothing. Together they do the parts of the work
that Envoy has, so they are what budget is compared with. Two more sets go further: a bucket a caller and the request
parsed; then also what it asks for published, with the estimate of its input (the AI filter `request_info`), which needs
the route to declare its API. In Envoy 1.40.0 that declaration alone, without any AI filter, makes an SSE call cost three
times the CPU; so that set is dear on streams. None of them asks upstream for the usage of a stream.
"""
import json

from machine import manager
from rivals import NATIVE

# More than any load spends, and within what Envoy's buckets hold (uint32).
PLENTY = 4_000_000_000
AI = "envoy.filters.http.ai_protocol_manager"
API = "OPENAI_CHAT_COMPLETIONS"


MINUTE, MONTH = {"rolling": "1m"}, {"calendar": "month"}
# What an operator would add, in this order; no load exhausts any of them.
RULES = [
    {"name": "tokens", "unit": "tokens", "window": MINUTE, "per": ["tenant"], "limit": 10**14},
    {"name": "requests", "unit": "requests", "window": MINUTE, "per": ["tenant"], "limit": 10**14},
    {"name": "dollars", "unit": "usd", "window": MONTH, "per": ["tenant"], "limit": "1000000000"},
    {"name": "key", "unit": "tokens", "window": {"rolling": "1h"}, "per": ["credential"], "limit": 10**14},
    {"name": "model", "unit": "output_tokens", "window": {"calendar": "day"}, "per": ["tenant", "model"], "match": {"models": ["gpt-*"]}, "limit": 10**14},
    {"name": "everybody", "unit": "requests", "window": {"rolling": "1s"}, "limit": 10**14},
]


def budget(config: dict, rules: int) -> dict:
    """The budget filter with the first so many rules."""
    filter_ = ours(config, "budget")
    set_policy(filter_, {"rules": RULES[:rules], "prices": {"*": {"input": "2.00", "output": "8.00"}}})
    return filter_


def budget_by_month(config: dict) -> dict:
    """The budget filter with one rule that nothing drains from, so that sums can be told to the token."""
    filter_ = ours(config, "budget")
    set_policy(filter_, {"rules": [RULES[0] | {"window": MONTH}]})
    return filter_


def ours(config: dict, name: str) -> dict:
    return next(entry for entry in manager(config)["http_filters"] if entry["name"] == f"tollgate.{name}")


def set_policy(filter_: dict, policy: dict) -> None:
    filter_["typed_config"]["config"]["configuration"]["value"] = json.dumps(policy)


def local_ratelimit(by_caller: bool = False) -> dict:
    """Calls in a token bucket that is never empty: one for all, or one for each value of `authorization`."""
    bucket = {"max_tokens": PLENTY, "tokens_per_fill": PLENTY, "fill_interval": "1s"}
    always = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
    config = {"@type": f"{NATIVE}.local_ratelimit.v3.LocalRateLimit", "stat_prefix": "bench", "token_bucket": bucket, "filter_enabled": always, "filter_enforced": always}
    if by_caller:
        config |= {
            "rate_limits": [{"actions": [{"request_headers": {"header_name": "authorization", "descriptor_key": "caller"}}]}],
            # An entry without a value makes a bucket for each value that comes.
            "descriptors": [{"entries": [{"key": "caller"}], "token_bucket": bucket}],
            "always_consume_default_token_bucket": False,
        }
    return {"name": "envoy.filters.http.local_ratelimit", "typed_config": config}


def ai_protocol_manager(requests: bool = False, info: bool = False) -> dict:
    """Publishes the usage of answers as metadata. Parses `requests`, too, and publishes `info` on them where told so."""
    config = {
        "@type": f"{NATIVE}.ai_protocol_manager.v3.AiProtocolManager",
        "response_handling": {"token_usage": {"include_unconfigured_routes": True, "default_llm_protocol": API}},
    }
    if requests:
        # Requests go on as they came, which is cheaper than to write them anew.
        config["request_handling"] = {"parse_unconfigured_routes": True, "reserialize_body": "DISABLE"}
    if info:
        request_info = {"@type": "type.googleapis.com/envoy.extensions.http.ai_filters.request_info.v3.RequestInfo", "token_estimation": {"tokens_per_byte": 0.25}}
        config["filters"] = [{"name": "envoy.http.ai_filters.request_info", "typed_config": request_info}]
    return {"name": AI, "typed_config": config}


def declare_api(config: dict) -> None:
    """Says which API the route to the provider speaks."""
    route = next(route for route in manager(config)["route_config"]["virtual_hosts"][0]["routes"] if route["name"] == "models")
    route["typed_per_filter_config"] = {AI: {"@type": f"{NATIVE}.ai_protocol_manager.v3.AiProtocolManagerPerRoute", "request": {"llm_protocol": API}}}
