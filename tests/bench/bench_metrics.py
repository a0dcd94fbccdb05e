"""What it costs to watch calls: the metrics filter beside Envoy's own access log and stats logger (watchers.py lists who is
compared). After every load the variant's own counters must have grown by the calls that were made.
"""
import re
import sys
import time

import audit
import load
import parts
import watchers
from machine import Envoy, Machine, options

CONNECTIONS = 16
LOADS = {"json": "JSON", "sse+usage": "SSE"}
# Envoy merges what its workers put into histograms every five seconds.
FLUSH = 6


def grown(before: dict[str, float], envoy: Envoy, beginning: str) -> float:
    def of(counters: dict[str, float]) -> float:
        return sum(value for name, value in counters.items() if re.match(rf"{beginning}(\{{|$)", name))
    return of(audit.counters(envoy)) - of(before)


def check(what: str, envoy: Envoy, variant: watchers.Variant, before: dict[str, float], requests: int) -> None:
    deadline = time.monotonic() + FLUSH
    # wrk ends with calls under way.
    slack = 2 * CONNECTIONS
    for beginning in variant.counters:
        while abs(found := grown(before, envoy, beginning) - requests) > slack:
            if time.monotonic() > deadline:
                sys.exit(f"error: {what}: {beginning} is off by {found:+.0f} after {requests} calls")
            time.sleep(0.2)


def measure(machine: Machine) -> list[dict]:
    variants = watchers.variants()
    envoys = {name: machine.envoy(name, variant.change) for name, variant in variants.items()}

    def one(what: tuple[str, str]) -> dict:
        name, shape = what
        before = audit.counters(envoys[name])
        figures = load.run(envoys[name], machine.secrets / "acme.key", shape, "miss", CONNECTIONS, machine.settings.seconds)
        check(f"{name}, {shape}", envoys[name], variants[name], before, figures["requests"])
        return figures

    loads = [(name, shape) for shape in LOADS for name in variants]
    results = load.alternate(machine.settings.rounds, loads, one)
    return [parts.row(results, name, shape, LOADS[shape], variants[name].base) for name, shape in loads]


def main() -> None:
    parts.run(options(__doc__), "bench-metrics", {"cost": (measure, parts.show)}, LOADS.values())


if __name__ == "__main__":
    main()
