"""What the provider filter costs, and what sticky pools save.

Two parts. `cost` sets CPU a call of route and adapt beside that of the same Envoy without them (routed.py lists who is
compared), all with one worker. `sticky` (stickiness.py) asks what share of prompts the providers' caches had.
"""
import contextlib
import http.client
import json
import sys

import audit
import contention
import load
import parts
import routed
import stickiness
from machine import Envoy, Machine, options
from routed import Variant

CONNECTIONS = 16
LOADS = {"json": "JSON", "sse": "SSE"}
# All variants get them, so that all read heads of one length.
HEADERS = (f"x-model: {routed.MODEL}", f"x-provider-status.{routed.FAILING}: 503")
WORDS = ("cluster_upstream_rq", "gateway_routes", "gateway_upstream", "vhost_route", "gateway_budget", "downstream_rq")


def check(what: str, variant: Variant, grown: dict[str, float], requests: int) -> None:
    """Each call was routed, attempted as often as it should be and answered."""
    due = {audit.ANSWERED: 1, routed.ATTEMPTS: 1 + variant.retries, routed.RETRIES: variant.retries}
    due |= dict.fromkeys(variant.counters, 1)
    if variant.routes:
        due['gateway_routes_total{pool="default",result="routed"'] = 1
    if variant.adapts:
        attempt = f'gateway_upstream_attempts_total{{model="{routed.MODEL}",provider="%s",status="%d"'
        due |= {attempt % ("primary", 200): 1, attempt % (routed.FAILING, 503): variant.retries}
    for beginning, times in due.items():
        # The same series may stand for several clusters.
        found = {beginning: sum(value for name, value in grown.items() if name.startswith(beginning))}
        # wrk ends with calls under way.
        audit.expect(what, grown | found, beginning, times * requests, 2 * CONNECTIONS * max(1, times), WORDS)


def check_model(machine: Machine, envoy: Envoy, variant: Variant) -> None:
    """The provider is asked for the model that it should be: its answer says what it was asked for."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", envoy.port, timeout=30)) as connection:
        key = (machine.secrets / "acme.key").read_text().strip()
        headers = dict(header.split(": ") for header in HEADERS)
        status, answer = contention.ask(connection, "POST", "/v1/chat/completions", key, contention.CALL, headers)
    if status != 200 or json.loads(answer)["model"] != variant.model:
        sys.exit(f"error: {envoy.name} should be answered by {variant.model}, but: {status} {answer!r}")


def measure(machine: Machine) -> list[dict]:
    variants = routed.variants(machine)
    envoys = {name: machine.envoy(name, variant.change) for name, variant in variants.items()}
    for name, variant in variants.items():
        check_model(machine, envoys[name], variant)

    def one(what: tuple[str, str]) -> dict:
        name, shape = what
        auditor = audit.Auditor(envoys[name])
        figures = load.run(envoys[name], machine.secrets / "acme.key", shape, "miss", CONNECTIONS, machine.settings.seconds, headers=HEADERS)
        check(f"{name}, {shape}", variants[name], auditor.grown(), figures["requests"])
        return figures

    loads = [(name, shape) for shape in LOADS for name in variants]
    results = load.alternate(machine.settings.rounds, loads, one)
    return [parts.row(results, name, shape, LOADS[shape], variants[name].base) for name, shape in loads]


PARTS = {"cost": (measure, parts.show), "sticky": (stickiness.measure, stickiness.show)}


def main() -> None:
    parts.run(options(__doc__, tuple(PARTS)), "bench-provider", PARTS, LOADS.values())


if __name__ == "__main__":
    main()
