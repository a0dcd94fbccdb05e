"""scripts/lib: what Envoy and Istio get for a providers.json, and how a wrong one is refused."""
import json
import pathlib
import subprocess
import sys

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts/lib"))

import block_yaml  # noqa: E402
import pools  # noqa: E402
import providers  # noqa: E402

FILES = pools.Files("filters", "secrets", "ca.pem")


def config(priorities: list, provider: dict | None = None, **pool) -> dict:
    """Providers a to g, of which `a` has more, in one pool."""
    found = {name: {"url": f"https://{name}.example"} for name in "abcdefg"}
    found["a"] |= provider or {}
    return {"providers": found, "pools": {"p": {"priorities": priorities} | pool}}


def read(value: dict) -> providers.Config:
    return providers.read(json.dumps(value))


def cluster(value: dict) -> dict:
    return pools.clusters(read(value), FILES)[0]


def places(value: dict) -> dict[str, dict]:
    """What stands in `endpoints`, by the provider's name."""
    endpoints = cluster(value)["load_assignment"]["endpoints"]
    return {place["locality"]["sub_zone"]: place for place in endpoints}


def metadata(place: dict) -> dict:
    return place["lb_endpoints"][0]["metadata"]["filter_metadata"]


def chain(value: dict) -> list[dict]:
    return cluster(value)["typed_extension_protocol_options"][pools.HTTP_OPTIONS]["http_filters"]


def test_an_endpoint_lists_every_lane_that_it_is_in():
    found = {name: metadata(place)["envoy.lb"]["lane"] for name, place in places(config([["a"], ["b", "c"]])).items()}
    assert found == {"a": ["100", "101", "110", "111"], "b": ["010", "011", "110", "111"], "c": ["001", "011", "101", "111"]}


@pytest.mark.parametrize("names", ["a", "abcdefg"])
def test_pools_of_one_and_of_many_endpoints_have_no_lanes(names):
    value = config([list(names)])
    assert "lb_subset_config" not in cluster(value)
    assert all("envoy.lb" not in metadata(place) for place in places(value).values())


def test_priorities_and_shares_are_those_of_the_pool():
    found = places(config([[{"provider": "a", "weight": 9}, {"provider": "b", "weight": 1}], ["c"]]))
    assert {name: (place["priority"], place["load_balancing_weight"]) for name, place in found.items()} == {"a": (0, 9), "b": (0, 1), "c": (1, 1)}


def test_without_weights_calls_under_way_decide():
    found = cluster(config([["a", "b"]]))
    assert found["lb_policy"] == "LEAST_REQUEST" and "locality_weighted_lb_config" not in found["common_lb_config"]
    assert all("load_balancing_weight" not in place for place in places(config([["a", "b"]])).values())


def test_one_weight_gives_every_provider_a_share():
    # Envoy would count addresses otherwise, and a name may have many.
    value = config([["a", {"provider": "b", "weight": 3}], ["c", "d"]])
    found = cluster(value)
    assert "locality_weighted_lb_config" in found["common_lb_config"] and found["lb_subset_config"]["locality_weight_aware"] is True
    assert [place["load_balancing_weight"] for place in places(value).values()] == [1, 3, 1, 1]


@pytest.mark.parametrize("priorities", [[["a"], ["b"]], [["a", "b"], ["c"]], [["a"], ["b", "c"]], [["a"], list("bcdefg")]])
def test_a_call_is_tried_no_more_often_than_there_are_endpoints(priorities):
    retry = pools.routes(read(config(priorities)))[0]["route"]["retry_policy"]
    assert retry["num_retries"] + 1 == sum(map(len, priorities))
    # The caller was let in before: such a 401 means the gateway's key.
    assert 401 in retry["retriable_status_codes"]


def test_one_provider_is_asked_again_only_for_what_it_did_not_begin():
    retry = pools.routes(read(config([["a"]])))[0]["route"]["retry_policy"]
    assert retry["retriable_status_codes"] == [503] and "reset-before-request" in retry["retry_on"]
    assert retry["num_retries"] == 2


def test_routes_match_the_choice_and_the_last_one_leads_nowhere():
    pool, last = pools.routes(read(config([["a"]], timeout="90s")))
    assert pool["match"]["filter_state"] == [{"key": "wasm.tollgate_pool", "string_match": {"exact": "p"}}]
    assert (pool["route"]["cluster"], pool["route"]["timeout"]) == ("pool_p", "90s")
    assert last["name"] == "models" and last["direct_response"]["status"] == 503


def test_no_prompt_ejects_a_provider_but_not_now_and_silence_do():
    found = cluster(config([["a"], ["b"]]))["outlier_detection"]
    # Whoever asks what makes providers answer 500 asks all of them.
    assert found["enforcing_consecutive_5xx"] == 0
    # Counted apart, silence would be forgiven by every connection that comes about.
    assert "split_external_local_origin_errors" not in found
    assert found["enforcing_consecutive_gateway_failure"] == 100


def test_attempts_that_wait_outlast_the_idle_timeout_of_streams():
    route = pools.routes(read(config([["a"], ["b"]], per_try_timeout="100s")))[0]["route"]
    assert (route["idle_timeout"], route["retry_policy"]["per_try_timeout"]) == ("202s", "100s")
    assert pools.routes(read(config([["a"], ["b"]], per_try_timeout="100s", timeout="150s")))[0]["route"]["idle_timeout"] == "150s"


def test_sticky_pools_hash_what_the_route_filter_says():
    value = config([["a", "b"]], sticky="prompt_prefix")
    assert cluster(value)["lb_policy"] == "MAGLEV"
    assert pools.routes(read(value))[0]["route"]["hash_policy"] == [{"header": {"header_name": "x-gateway-sticky"}}]
    # No provider sees the key.
    assert chain(value)[0]["typed_config"]["mutations"]["request_mutations"] == [{"remove": "x-gateway-sticky"}]


@pytest.mark.parametrize(
    ("url", "sni", "san"),
    [("https://a.example", "a.example", ("DNS", "a.example")), ("https://10.0.0.1:8443", None, ("IP_ADDRESS", "10.0.0.1"))],
)
def test_tls_checks_name_and_authority(url, sni, san):
    match = cluster(config([["a"]], {"url": url}))["transport_socket_matches"][0]
    context = match["transport_socket"]["typed_config"]
    validation = context["common_tls_context"]["validation_context"]
    assert match["match"] == {"provider": "a"} and context.get("sni") == sni
    assert validation["trusted_ca"] == {"filename": "ca.pem"}
    assert validation["match_typed_subject_alt_names"] == [{"san_type": san[0], "matcher": {"exact": san[1]}}]


def test_a_provider_may_have_an_authority_of_its_own():
    match = cluster(config([["a"]], {"ca_file": "/own.pem"}))["transport_socket_matches"][0]
    assert match["transport_socket"]["typed_config"]["common_tls_context"]["validation_context"]["trusted_ca"] == {"filename": "/own.pem"}


def test_tls_and_plain_providers_share_a_pool():
    value = config([["a", "b"]], {"url": "http://127.0.0.1:80"})
    assert [match["name"] for match in cluster(value)["transport_socket_matches"]] == ["b"]
    assert "envoy.transport_socket_match" not in metadata(places(value)["a"])


def test_addresses_need_no_dns_and_one_name_is_one_endpoint():
    assert cluster(config([["a"]], {"url": "http://[::1]:80"}))["type"] == "STATIC"
    assert cluster(config([["a"]]))["cluster_type"]["typed_config"]["all_addresses_in_single_endpoint"] is True
    assert "all_addresses_in_single_endpoint" not in cluster(config([["a", "b"]]))["cluster_type"]["typed_config"]


def test_a_key_in_a_file_reaches_adapt_by_a_header_of_its_own():
    injector, adapt, buffer, codec = chain(config([["a", "b"]], {"credential": {"header": "api-key", "from_file": "a-key.yaml"}}))
    generic = injector["typed_config"]["credential"]["typed_config"]
    assert generic["header"] == "x-gateway-credential-a"
    source = {"path": "secrets/a-key.yaml", "watched_directory": {"path": "secrets"}}
    assert generic["credential"] == {"name": "a-key", "sds_config": {"resource_api_version": "V3", "path_config_source": source}}
    assert [entry["name"] for entry in (adapt, buffer, codec)] == ["tollgate.adapt", "envoy.filters.http.buffer", "envoy.filters.http.upstream_codec"]


def test_a_key_in_the_environment_is_given_to_both_parts_of_the_filter():
    value = config([["b"]], {"credential": {"header": "api-key", "from_env": "A_KEY"}})
    for part in (pools.route_filter(read(value), FILES), chain(value)[0]):
        # One VM serves both, and the first of them makes it.
        assert part["typed_config"]["config"]["vm_config"]["environment_variables"] == {"host_env_keys": ["A_KEY"]}


def test_health_is_asked_of_those_that_answer_it():
    value = config([["a", "b"]], {"health_check": "/health", "url": "http://127.0.0.1:8000"})
    assert cluster(value)["health_checks"][0]["http_health_check"]["path"] == "/health"
    ends = {name: place["lb_endpoints"][0]["endpoint"].get("health_check_config") for name, place in places(value).items()}
    assert ends == {"a": {"hostname": "127.0.0.1:8000"}, "b": {"disable_active_health_check": True}}


def test_http2_is_spoken_with_who_says_so():
    found = cluster(config([["a"]], {"http2": True}))
    assert found["typed_extension_protocol_options"][pools.HTTP_OPTIONS]["explicit_http_config"] == {"http2_protocol_options": {}}
    assert found["transport_socket_matches"][0]["transport_socket"]["typed_config"]["common_tls_context"]["alpn_protocols"] == ["h2"]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (config([["z"]]), "pools.p.priorities[0][0]: there is no provider `z`"),
        (config([["a"], ["a"]]), "pools.p.priorities[1][0]: `a` stands in the pool twice"),
        (config([]), "pools.p.priorities must name a provider"),
        (config([[]]), "pools.p.priorities[0] must be an array"),
        (config([["a"]], {"url": None}), "providers.a.url is missing"),
        (config([["a"]], {"url": "ftp://a"}), "providers.a.url is no address"),
        (config([["a"]], {"url": "https://a/v1"}), "without a path"),
        (config([["a"]], {"url": "https://a:port"}), "providers.a.url is no address"),
        (config([["a"]], {"url": "https://user:secret@a"}), "providers.a.url holds a credential"),
        (config([["a"]], {"credential": {"header": "api-key"}}), "exactly one of from_file and from_env"),
        (config([["a"]], {"credential": {"from_file": "../a.yaml"}}), "providers.a.credential.from_file"),
        (config([["a"]], {"credential": {"from_env": "A-B"}}), "providers.a.credential.from_env"),
        (config([["a"]], {"health_check": "health"}), "providers.a.health_check"),
        (config([["a", "b"]], {"http2": True}), "pools.p mixes providers with and without http2"),
        (config([[{"provider": "a", "weight": 0}]]), "pools.p.priorities[0][0].weight must be 1 to 1000000"),
        (config([["a"]], timeout="soon"), "pools.p.timeout is no duration"),
        ({"providers": {}, "pools": {}}, "pools must hold a pool"),
        ({"providers": {"A": {"url": "http://a"}}, "pools": {}}, "`A` is no name of a provider"),
        ({"pools": {}}, "$.providers is missing"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(value, said):
    with pytest.raises(providers.Wrong) as wrong:
        read(value)
    assert said in str(wrong.value) and "\n" not in str(wrong.value) and "secret@" not in str(wrong.value)


def test_the_command_ends_with_one_line(tmp_path):
    file = tmp_path / "providers.json"
    file.write_text("{")
    command = [sys.executable, "-B", str(ROOT / "scripts/lib/providers.py"), str(file), "--filters", "f", "--secrets", "s"]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 1 and ended.stderr.startswith("error: ") and ended.stderr.count("\n") == 1


def test_what_is_written_reads_as_what_was_meant():
    example = read(json.loads((ROOT / "envoy/config/examples/providers.json").read_text()))
    odd = {"a": ["1", 1, True, "yes", "0.5", "1e5", "010", "10s", "x: y", "#", ""], "b": {"k y": "line\nline\n", "@type": "t"}, "127.0.0.1": "127.0.0.1"}
    for value in (odd, pools.routes(example), pools.clusters(example, FILES)):
        assert yaml.safe_load("\n".join(block_yaml.lines(value, 0, dict(pools.WHY)))) == value
