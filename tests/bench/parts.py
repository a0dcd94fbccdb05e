"""A bench of several parts: runs them, prints their tables, keeps their figures and draws what they cost."""
import argparse
import json
import pathlib
import typing

import pygal

import load
from machine import Machine

# What measures a part, and what prints its rows.
Part = tuple[typing.Callable[[Machine], list[dict]], typing.Callable[[list[dict]], None]]


def run(settings: argparse.Namespace, name: str, parts: dict[str, Part], loads: typing.Iterable[str]) -> dict[str, list[dict]]:
    """Writes `name`.json, and `name`.svg if the part `cost` ran."""
    found = {}
    for part, (measure, _) in parts.items():
        if settings.only in (None, part):
            # A machine each, so that the Envoys of one part take no memory from the other.
            with Machine(settings) as machine:
                found[part] = measure(machine)
                facts = machine.facts()
    settings.out.mkdir(parents=True, exist_ok=True)
    written = [settings.out / f"{name}.json"]
    written[0].write_text(json.dumps({"machine": facts} | found, indent=2))
    if "cost" in found:
        written.append(settings.out / f"{name}.svg")
        draw(found["cost"], loads, written[-1])
    for part, rows in found.items():
        parts[part][1](rows)
        print()
    print(f"Envoy {facts['envoy'].split('/')[1]}, {facts['cpus']} CPUs, {facts['date']}, medians of {settings.rounds} alternating rounds; {', '.join(map(str, written))}")
    return found


def row(results: dict, name: str, shape: str, shown: str, base: str) -> dict:
    """What a variant costs under a load, beside another one under the same; `results` are by both."""
    figures, others = results[(name, shape)], results[(base, shape)]
    found = {"load": shown, "variant": name, "base": base} | load.compared(figures, others, ("cpu_us", "rps"))
    return found | {"added": load.added(figures, others, "cpu_us")}


def show(rows: list[dict]) -> None:
    print("| load | what runs | Envoy CPU µs/call | added | ratio | to | calls/s, 1 worker | ratio |")
    print("|---|---|---:|---:|---:|---|---:|---:|")
    for row in rows:
        print("| {load} | {variant} | {cpu_us:.0f} | {added:+.0f} | {cpu_us_ratio:.2f} | {base} | {rps:.0f} | {rps_ratio:.2f} |".format(**row))


def draw(rows: list[dict], loads: typing.Iterable[str], path: pathlib.Path) -> None:
    chart = pygal.HorizontalBar(title="Envoy CPU per call, µs (median)", legend_at_bottom=True, print_values=True, value_formatter=lambda value: f"{value:.0f}")
    # The lowest bar is drawn first.
    names = list(reversed(dict.fromkeys(row["variant"] for row in rows)))
    chart.x_labels = names
    for shape in loads:
        chart.add(shape, [row["cpu_us"] for name in names for row in rows if (row["load"], row["variant"]) == (shape, name)])
    chart.render_to_file(str(path))
