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
    return [row(results, name, shape, variants[name].base) for name, shape in loads]


def row(results: dict, name: str, shape: str, base: str) -> dict:
    figures, others = results[(name, shape)], results[(base, shape)]
    found = {"load": LOADS[shape], "variant": name, "base": base} | load.compared(figures, others, ("cpu_us", "rps"))
    return found | {"added": load.added(figures, others, "cpu_us")}


def show(rows: list[dict]) -> None:
    print("| load | what runs | Envoy CPU µs/call | added | ratio | to | calls/s, 1 worker | ratio |")
    print("|---|---|---:|---:|---:|---|---:|---:|")
    for row in rows:
        print("| {load} | {variant} | {cpu_us:.0f} | {added:+.0f} | {cpu_us_ratio:.2f} | {base} | {rps:.0f} | {rps_ratio:.2f} |".format(**row))


PARTS = {"cost": (measure, show), "sticky": (stickiness.measure, stickiness.show)}


def main() -> None:
    parts.run(options(__doc__, tuple(PARTS)), "bench-provider", PARTS, LOADS.values())


if __name__ == "__main__":
    main()
