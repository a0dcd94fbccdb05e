"""Envoy's parts for the pools of envoy/config/providers.json, as plain dicts: one route and one cluster a pool, and the
filter that chooses the pool.

The numbers here are the gateway's defaults; scripts/render writes why beside them (WHY).
"""
import dataclasses

from providers import Config, Member, Pool, Provider

TYPE = "type.googleapis.com/"
HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
# Pools with more endpoints have no lanes: there would be 2^n sets of them.
LANE_ENDPOINTS = range(2, 7)
# As the `buffer` filter in front: what came in goes out, whatever adapt adds.
MAX_BODY_BYTES = 10_485_760
# A call holds a connection for minutes, so these are calls at once and not calls a second.
MAX_CALLS = 16_384
# Retries at once. A pool of one asks the same provider again, so a provider in trouble gets a fifth more calls and not three
# times as many; the floor lets a quiet gateway bridge a provider's restart. In a pool of several nobody is asked twice in a
# call: all calls may move on. That must not be a share of the calls under way alone, since those of a provider that dies
# are no longer under way while they wait to be sent elsewhere; hence a floor of as many as a gateway is sized for.
RETRIES_OF_ONE = {"budget_percent": {"value": 20}, "min_retry_concurrency": 100}
RETRIES_OF_SEVERAL = {"budget_percent": {"value": 100}, "min_retry_concurrency": 4_096}
# The route filter's key of calls that belong together.
STICKY = "x-gateway-sticky"
# stream_idle_timeout in envoy/envoy.yaml.
STREAM_IDLE_MS = 120_000
# 401 as well: auth let the caller in, so it is the gateway's own key that this provider refuses.
RETRIABLE = [401, 429, 500, 502, 503, 504, 529]
# Times that another endpoint is drawn when the drawn one failed this call before.
DRAWS = 100

# Why, for who reads envoy.yaml: above the first line with that key.
WHY = {
    "retry_policy": "Only while nothing has reached the client. Each attempt moves to the next priority, and inside one to an endpoint that was not tried. Several endpoints get as many attempts as they are: one of a priority broader than the others may not get its turn in one call.",
    "lb_subset_config": "A call with a lane may only go to endpoints that list it: adapt saw the others ask to be left alone.",
    "common_lb_config": "One endpoint that is left carries its whole priority; if all of a pool are ejected, they are tried all the same.",
    "outlier_detection": "An endpoint that fails calls in a row is left alone, longer each time. 429 is no failure here: adapt heeds its retry-after.",
    "circuit_breakers": "Calls at once.",
    "retry_budget": "Retries at once: a share of the calls under way, and a floor for when a provider dies: its calls all fail in one moment, are no longer under way, and every one of them is to be a retry.",
    "upstream_connection_options": "NATs forget silent connections; a model may think for minutes.",
    "idle_timeout": "Below what providers close idle connections after, which would fail the next call on them.",
    "transport_socket_matches": "The provider's certificate must be its own: name and authority are checked.",
    "http_filters": "Once an attempt, when its endpoint is known: the keys, what the provider needs of the request, and its length anew.",
    "health_checks": "Asked whether calls come or not.",
    "enforcing_consecutive_5xx": "A prompt that makes a provider answer 500 is one caller's trouble and ejects nobody. What says \"not now\" (502, 503, 504) does, and no answer at all: Envoy takes silence for 504 and no connection for 503. Counted apart, each connection that comes about would forgive the silence of those before.",
    "enforcing_success_rate": "A pool is too small for statistics over its endpoints.",
    "locality": "A provider is a locality of its own, so that a weight is its share, however many addresses its name has. Without weights the address with the fewest calls under way is asked.",
    "filter_state": "The route filter leaves this and has the route looked up anew.",
    "maglev_lb_config": "Calls of one key stay together, and stay where they are when another endpoint goes.",
}


@dataclasses.dataclass(frozen=True)
class Files:
    """Where things lie for Envoy."""
    filters: str
    secrets: str
    ca_file: str


def typed(name: str, kind: str, **fields) -> dict:
    return {"name": name, "typed_config": {"@type": TYPE + kind} | fields}


def wasm(root: str, config: Config, files: Files) -> dict:
    """One of the two filters of provider.wasm. Both are given the same, so that they share one VM a worker."""
    vm = {"vm_id": "tollgate", "runtime": "envoy.wasm.runtime.v8", "code": {"local": {"filename": f"{files.filters}/provider.wasm"}}}
    if config.environment:
        vm["environment_variables"] = {"host_env_keys": config.environment}
    return typed(f"tollgate.{root}", "envoy.extensions.filters.http.wasm.v3.Wasm", config={
        "name": f"tollgate.{root}",
        "root_id": root,
        "failure_policy": "FAIL_RELOAD",
        "vm_config": vm,
        "configuration": {"@type": TYPE + "google.protobuf.StringValue", "value": config.text},
    })


def route_filter(config: Config, files: Files) -> dict:
    return wasm("route", config, files)


def seconds(ms: int) -> str:
    return f"{ms // 1000}s" if ms % 1000 == 0 else f"{ms / 1000:g}s"


def routes(config: Config) -> list[dict]:
    """A route a pool, matched when the route filter has chosen it, and one for when nobody has.

    All have one name: budget's rules meet the last one before the pool is chosen, metrics the pool's behind it.
    """
    unrouted = {
        "name": "models",
        "match": {"prefix": "/v1"},
        "direct_response": {"status": 503, "body": {"inline_string": "no pool of providers was chosen"}},
    }
    return [pool_route(pool) for pool in config.pools] + [unrouted]


def pool_route(pool: Pool) -> dict:
    if len(pool.members) == 1:
        # Nobody else to ask: only what was surely not begun is asked again.
        retry: dict = {"retry_on": "connect-failure,refused-stream,reset-before-request,retriable-status-codes", "retriable_status_codes": [503], "num_retries": 2}
    else:
        retry = {"retry_on": "connect-failure,refused-stream,reset,retriable-status-codes", "retriable_status_codes": RETRIABLE, "num_retries": len(pool.members) - 1}
    action: dict = {"cluster": f"pool_{pool.name}", "timeout": seconds(pool.timeout_ms)}
    if pool.per_try_timeout_ms:
        retry["per_try_timeout"] = seconds(pool.per_try_timeout_ms)
        # The listener's stream_idle_timeout would end the call while one attempt after another waits in silence.
        patience = max(STREAM_IDLE_MS, len(pool.members) * (pool.per_try_timeout_ms + 1_000))
        action["idle_timeout"] = seconds(min(patience, pool.timeout_ms))
    retry["retry_back_off"] = {"base_interval": "0.025s", "max_interval": "0.25s"}
    if len(pool.members) > 1:
        retry |= {
            "retry_priority": typed("envoy.retry_priorities.previous_priorities", "envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig", update_frequency=1),
            "retry_host_predicate": [typed("envoy.retry_host_predicates.previous_hosts", "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate")],
            "host_selection_retry_max_attempts": DRAWS,
        }
    if pool.sticky:
        action["hash_policy"] = [{"header": {"header_name": STICKY}}]
    action["retry_policy"] = retry
    match = {"prefix": "/v1", "filter_state": [{"key": "wasm.tollgate_pool", "string_match": {"exact": pool.name}}]}
    return {"name": "models", "match": match, "route": action}


def clusters(config: Config, files: Files) -> list[dict]:
    return [cluster(pool, config, files) for pool in config.pools]


def cluster(pool: Pool, config: Config, files: Files) -> dict:
    has_shares = any(member.weight for member in pool.members)
    has_lanes = len(pool.members) in LANE_ENDPOINTS
    length = len(pool.members) if has_lanes else 0
    is_checked = any(provider.health_check for provider in pool.providers)
    fields: dict = {"name": f"pool_{pool.name}"} | discovery(pool) | {"connect_timeout": "2s"}
    if pool.sticky:
        # Of 300 keys on three endpoints, the loss of one moves 1 key of the others; with RING_HASH it is 16.
        fields |= {"lb_policy": "MAGLEV", "maglev_lb_config": {"table_size": 1021}}
    else:
        fields["lb_policy"] = "LEAST_REQUEST"
    if has_lanes:
        fields["lb_subset_config"] = {"fallback_policy": "ANY_ENDPOINT", "list_as_any": True, "subset_selectors": [{"keys": ["lane"]}]}
        if has_shares:
            fields["lb_subset_config"]["locality_weight_aware"] = True
    fields["common_lb_config"] = {"healthy_panic_threshold": {"value": 1}}
    if has_shares:
        fields["common_lb_config"]["locality_weighted_lb_config"] = {}
    fields["load_assignment"] = {
        "cluster_name": f"pool_{pool.name}",
        "policy": {"overprovisioning_factor": 10_000},
        "endpoints": [endpoint(member, rank, length, has_shares, is_checked) for rank, priority in enumerate(pool.priorities) for member in priority],
    }
    if matches := [{"name": provider.name, "match": {"provider": provider.name}, "transport_socket": tls(provider, files)} for provider in pool.providers if provider.is_tls]:
        fields["transport_socket_matches"] = matches
    return fields | resilience(pool) | {"typed_extension_protocol_options": {HTTP_OPTIONS: http_options(pool, config, files)}}


def discovery(pool: Pool) -> dict:
    if all(provider.is_ip for provider in pool.providers):
        return {"type": "STATIC"}
    fields: dict = {"dns_refresh_rate": "30s", "dns_lookup_family": "V4_PREFERRED"}
    if len(pool.members) == 1:
        # Big providers answer DNS with a few of many addresses, another few each time. As one endpoint they keep their
        # connections; Envoy 1.36 and 1.40 offer that to clusters of a single endpoint only.
        fields["all_addresses_in_single_endpoint"] = True
    return {"cluster_type": typed("envoy.cluster.dns", "envoy.extensions.clusters.dns.v3.DnsCluster", **fields)}


def endpoint(member: Member, rank: int, lane_length: int, has_shares: bool, is_checked: bool) -> dict:
    """A provider as a locality of its own: its weight is its share, however many addresses its name has."""
    provider = member.provider
    metadata: dict = {"tollgate": {"provider": provider.name}}
    if lane_length:
        metadata["envoy.lb"] = {"lane": lanes(member.place, lane_length)}
    if provider.is_tls:
        metadata["envoy.transport_socket_match"] = {"provider": provider.name}
    place: dict = {"hostname": provider.host, "address": {"socket_address": {"address": provider.host, "port_value": provider.port}}}
    if provider.health_check:
        place["health_check_config"] = {"hostname": authority(provider)}
    elif is_checked:
        place["health_check_config"] = {"disable_active_health_check": True}
    fields = {"priority": rank, "locality": {"region": provider.region, "sub_zone": provider.name} if provider.region else {"sub_zone": provider.name}}
    if has_shares:
        fields["load_balancing_weight"] = member.weight or 1
    return fields | {"lb_endpoints": [{"endpoint": place, "metadata": {"filter_metadata": metadata}}]}


def lanes(place: int, length: int) -> list[str]:
    """Every lane of that length in which the endpoint at `place` may be tried."""
    every = (f"{bits:0{length}b}" for bits in range(1, 2**length))
    return [lane for lane in every if lane[place] == "1"]


def authority(provider: Provider) -> str:
    """What the provider is called in `Host`: the port only where it is not the scheme's own (RFC 9110 §7.2)."""
    host = f"[{provider.host}]" if ":" in provider.host else provider.host
    return host if provider.port == (443 if provider.is_tls else 80) else f"{host}:{provider.port}"


def tls(provider: Provider, files: Files) -> dict:
    # `system_root_certs` would name no file, but Envoy 1.36 and 1.40 do not implement it.
    names = [{"san_type": "IP_ADDRESS" if provider.is_ip else "DNS", "matcher": {"exact": provider.host}}]
    fields: dict = {} if provider.is_ip else {"sni": provider.host}
    fields["common_tls_context"] = {
        "alpn_protocols": ["h2" if provider.http2 else "http/1.1"],
        "validation_context": {"trusted_ca": {"filename": provider.ca_file or files.ca_file}, "match_typed_subject_alt_names": names},
    }
    return typed("envoy.transport_sockets.tls", "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext", **fields)


def resilience(pool: Pool) -> dict:
    """What notices that a provider is in trouble, and what bounds the calls to all of them."""
    retries = RETRIES_OF_ONE if len(pool.members) == 1 else RETRIES_OF_SEVERAL
    fields: dict = {
        "outlier_detection": {
            "enforcing_consecutive_5xx": 0,
            "consecutive_gateway_failure": 5,
            "enforcing_consecutive_gateway_failure": 100,
            "enforcing_success_rate": 0,
            "interval": "1s",
            "base_ejection_time": "10s",
            "max_ejection_time": "120s",
            "max_ejection_percent": 100,
        },
        "circuit_breakers": {"thresholds": [{"max_connections": MAX_CALLS, "max_pending_requests": MAX_CALLS, "max_requests": MAX_CALLS, "retry_budget": retries}]},
        "upstream_connection_options": {"tcp_keepalive": {"keepalive_probes": 3, "keepalive_time": 60, "keepalive_interval": 10}},
    }
    checked = [provider for provider in pool.providers if provider.health_check]
    if not checked:
        return fields
    check: dict = {"path": checked[0].health_check}
    if pool.providers[0].http2:
        check["codec_client_type"] = "HTTP2"
    health = {"timeout": "2s", "interval": "10s", "no_traffic_interval": "10s", "interval_jitter_percent": 20, "unhealthy_threshold": 3, "healthy_threshold": 1, "http_health_check": check}
    return {"health_checks": [health], "ignore_health_on_host_removal": True} | fields


def http_options(pool: Pool, config: Config, files: Files) -> dict:
    protocol = "http2_protocol_options" if pool.providers[0].http2 else "http_protocol_options"
    # Hashed by now. A further attempt goes to any endpoint that was not tried.
    unhash = typed("envoy.filters.http.header_mutation", "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation", mutations={"request_mutations": [{"remove": STICKY}]})
    return {
        "@type": TYPE + HTTP_OPTIONS,
        "common_http_protocol_options": {"idle_timeout": "60s"},
        "explicit_http_config": {protocol: {}},
        "http_filters": [
            *(credential(provider, files) for provider in pool.providers if provider.from_file),
            *([unhash] if pool.sticky else []),
            wasm("adapt", config, files),
            typed("envoy.filters.http.buffer", "envoy.extensions.filters.http.buffer.v3.Buffer", max_request_bytes=MAX_BODY_BYTES),
            typed("envoy.filters.http.upstream_codec", "envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec"),
        ],
    }


def credential(provider: Provider, files: Files) -> dict:
    """Reads the provider's key from a file that may change while Envoy runs, and tells adapt."""
    # The folder is watched: Kubernetes swaps a link to what is in it, and moves no file.
    source = {"path": f"{files.secrets}/{provider.from_file}", "watched_directory": {"path": files.secrets}}
    secret = {"name": (provider.from_file or "").removesuffix(".yaml"), "sds_config": {"resource_api_version": "V3", "path_config_source": source}}
    generic = typed("envoy.http.injected_credentials.generic", "envoy.extensions.http.injected_credentials.generic.v3.Generic", header=f"x-gateway-credential-{provider.name}", credential=secret)
    fields = {"overwrite": True, "allow_request_without_credential": True, "credential": generic}
    return typed(f"credential.{provider.name}", "envoy.extensions.filters.http.credential_injector.v3.CredentialInjector", **fields)
