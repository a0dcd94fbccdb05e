"""Load from wrk on one Envoy after another, round by round, and what medians of the rounds say."""
import json
import pathlib
import statistics
import subprocess
import sys
import typing

from machine import Envoy

HERE = pathlib.Path(__file__).parent


def run(envoy: Envoy, credentials: pathlib.Path, shape: str, kind: str, connections: int, seconds: float, start: int = 0, refusals: bool = False, headers: tuple[str, ...] = ()) -> dict:
    """One load. `credentials` holds one a line, used in turn from line `start` on; `shape` and `kind` are load.lua's.
    `headers` are sent besides, as "name: value".

    A call that was refused ends the bench, unless `refusals` are what it counts.
    """
    before = envoy.cpu_seconds()
    wrk = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(HERE / "load.lua"), f"http://127.0.0.1:{envoy.port}", "--", str(credentials), shape, kind,
                          str(start), *headers], check=True, text=True, stdout=subprocess.PIPE)
    figures = json.loads(wrk.stdout.splitlines()[-1])
    if figures["failed"] or (figures["refused"] and not refusals) or not figures["requests"]:
        sys.exit(f"error: {envoy.name}, {shape} {kind}: of {figures['requests']} calls {figures['failed']} failed and {figures['refused']} were refused")
    figures["cpu_us"] = (envoy.cpu_seconds() - before) * 1e6 / figures["requests"]
    figures["rps"] = figures["requests"] / figures["seconds"]
    return figures


def alternate(rounds: int, loads: list, measure: typing.Callable) -> dict:
    """Figures by load, a list over the rounds. The first round warms up and does not count."""
    results: dict = {}
    for number in range(rounds + 1):
        for load in loads:
            figures = measure(load)
            if number:
                results.setdefault(load, []).append(figures)
        print(f"round {number} of {rounds} done" if number else "warmed up", file=sys.stderr)
    return results


def median(rounds: list[dict], figure: str) -> float:
    return statistics.median(one[figure] for one in rounds)


def ratio(rounds: list[dict], base: list[dict], figure: str) -> float:
    """The median of the ratios within a round, which drift of the machine between rounds does not touch."""
    return statistics.median(one[figure] / other[figure] for one, other in zip(rounds, base))


def compared(rounds: list[dict], base: list[dict], figures: tuple[str, ...]) -> dict:
    """Each figure's median, and its ratio to the base's."""
    return {name: median(rounds, name) for name in figures} | {f"{name}_ratio": ratio(rounds, base, name) for name in figures}


def added(rounds: list[dict], base: list[dict], figure: str) -> float:
    return statistics.median(one[figure] - other[figure] for one, other in zip(rounds, base))
