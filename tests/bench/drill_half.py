"""What the whole chain adds to a call's time where nothing is in a hurry: at a constant rate of half of what it can do.

Neither one connection, where no call ever waits for another, nor all that the gateway can take, where every call does.
"""
import statistics
import sys

import bench
import drill_load
import load
from machine import Envoy, Machine

BARE, WHOLE = "bare Envoy", "whole chain"
SHAPES = {"json": "JSON", "sse": "SSE"}
CONNECTIONS = 16


def measure(machine: Machine) -> list[dict]:
    settings = machine.settings
    filters = {BARE: [], WHOLE: bench.FILTERS}
    envoys = {name: machine.envoy(name, lambda config, kept=kept: bench.only(config, kept)) for name, kept in filters.items()}
    rates = {shape: capacity(machine, envoys[WHOLE], shape) / 2 for shape in SHAPES}

    def one(what: tuple[str, str]) -> dict:
        name, shape = what
        return times(machine, envoys[name], shape, rates[shape])

    loads = [(name, shape) for shape in SHAPES for name in filters]
    results = load.alternate(settings.rounds, loads, one)
    return [row(results, name, shape, rates[shape]) for name, shape in loads]


def capacity(machine: Machine, envoy: Envoy, shape: str) -> float:
    """Calls a second. The first load warms up and does not count."""
    return [load.run(envoy, machine.secrets / "acme.key", shape, "miss", CONNECTIONS, machine.settings.seconds)["rps"] for _ in range(2)][-1]


def times(machine: Machine, envoy: Envoy, shape: str, rate: float) -> dict:
    key = (machine.secrets / "acme.key").read_text().strip()
    with drill_load.Load(machine.settings.vegeta, machine.work, envoy.port, key, rate, machine.settings.seconds, streams=float(shape == "sse"), pause_ms=0) as running:
        calls = running.calls()
    if bad := [call for call in calls if not call.is_good]:
        sys.exit(f"error: {envoy.name}, {shape}: {len(bad)} of {len(calls)} calls failed: {bad[0].status} {bad[0].error}")
    cuts = statistics.quantiles([call.took * 1e6 for call in calls], n=100)
    return {"p50_us": cuts[49], "p99_us": cuts[98], "calls": len(calls)}


def row(results: dict, name: str, shape: str, rate: float) -> dict:
    figures, bare = results[(name, shape)], results[(BARE, shape)]
    found = {"load": SHAPES[shape], "variant": name, "rate": rate} | {figure: load.median(figures, figure) for figure in ("p50_us", "p99_us")}
    return found | {f"added_{figure}": load.added(figures, bare, figure) for figure in ("p50_us", "p99_us")}


def show(rows: list[dict]) -> None:
    print("| load | calls a second | variant | p50 | added | p99 | added |")
    print("|---|---:|---|---:|---:|---:|---:|")
    for row in rows:
        numbers = [f"{row[name] / 1e3:.2f} ms" for name in ("p50_us", "added_p50_us", "p99_us", "added_p99_us")]
        print(f"| {row['load']} | {row['rate']:.0f} | {row['variant']} | {' | '.join(numbers)} |")
