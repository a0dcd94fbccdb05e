"""Tollgate's auth and Envoy's own filters, set to check the same things, each alone before the router.

All check the same keys, and of tokens issuer, audience, signature, `exp` and `iat` or `nbf` with 30 s of leeway; all remove
the credential from the call. Only Tollgate's leaves an identity for what comes after; Envoy's would need a header or
metadata for it, which is left out in its favour.
"""
import json

import provided
from callers import AUDIENCE, ISSUER, Callers
from machine import manager

LEEWAY = 30
NATIVE = "type.googleapis.com/envoy.extensions.filters.http"


def alone(config: dict, filters: list[dict]) -> None:
    """These filters and the router, before one pool for everybody; no access log."""
    provided.without(config)
    chain = manager(config)
    chain.pop("access_log", None)
    chain["http_filters"] = [*filters, chain["http_filters"][-1]]


def bare(config: dict, _: Callers) -> None:
    alone(config, [])


def tollgate(config: dict, callers: Callers) -> None:
    auth = next(entry for entry in manager(config)["http_filters"] if entry["name"] == "tollgate.auth")
    issuer = {"issuer": ISSUER, "audiences": [AUDIENCE], "algorithms": callers.algorithms, "leeway": f"{LEEWAY}s", "jwks": {"inline": callers.jwks}}
    policy = {"api_keys": {"inline": callers.digests()}, "jwt": {"issuers": [issuer]}}
    auth["typed_config"]["config"]["configuration"]["value"] = json.dumps(policy)
    alone(config, [auth])


def api_key_auth(config: dict, callers: Callers) -> None:
    alone(config, [{"name": "envoy.filters.http.api_key_auth", "typed_config": {
        "@type": f"{NATIVE}.api_key_auth.v3.ApiKeyAuth",
        "credentials": [{"key": key, "client": name} for name, key in callers.keys.items()],
        "key_sources": [{"header": "authorization"}],
        "forwarding": {"hide_credentials": True},
    }}])


def jwt_authn(config: dict, callers: Callers, cache: bool = False) -> None:
    provider = {
        "issuer": ISSUER, "audiences": [AUDIENCE], "require_expiration": True, "clock_skew_seconds": LEEWAY,
        "local_jwks": {"inline_string": callers.jwks_text()},
    }
    if cache:
        provider["jwt_cache_config"] = {"jwt_cache_size": 100}
    alone(config, [{"name": "envoy.filters.http.jwt_authn", "typed_config": {
        "@type": f"{NATIVE}.jwt_authn.v3.JwtAuthentication",
        "providers": {"issuer": provider},
        "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "issuer"}}],
    }}])


def jwt_authn_with_cache(config: dict, callers: Callers) -> None:
    jwt_authn(config, callers, cache=True)
