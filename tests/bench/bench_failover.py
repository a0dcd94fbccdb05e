"""What callers notice when something dies, is changed or lasts long: one table of drills at a constant rate.

Other modes: `--soak` runs the whole chain at full load and judges whether memory grows; `--half-load` asks what the chain adds
to a bare Envoy where neither is in a hurry.
"""
import argparse
import json
import pathlib
import sys

import drill_events
import drill_half
import drill_soak
from machine import Machine, options


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--vegeta", required=True)
    parser.add_argument("--rps", type=float, default=500, help="calls a second of a drill")
    parser.add_argument("--soak", type=length, help="so long the whole chain at full load in place of the drills, as 10m")
    parser.add_argument("--half-load", action="store_true", help="latency at half load in place of the drills")
    parser.add_argument("--json", type=pathlib.Path, help="where figures go")
    parser.add_argument("--drill", help="only drills whose name holds this")
    parser.set_defaults(seconds=15, rounds=3)


def length(text: str) -> int:
    """Seconds of "600s" or "10m"."""
    units = {"s": 1, "m": 60, "h": 3600}
    if not text[:-1].isdigit() or text[-1] not in units or not int(text[:-1]):
        raise argparse.ArgumentTypeError(f"`{text}` is no length such as 10m")
    return int(text[:-1]) * units[text[-1]]


def drills(machine: Machine) -> tuple[list[dict], list[str]]:
    """Rows, and what is wrong with them."""
    rows = []
    for name, drill in drill_events.DRILLS.items():
        if machine.settings.drill and machine.settings.drill not in name:
            continue
        rows.append(drill_events.run(machine, name, drill))
        print(f"{name}: {rows[-1]['failed']} of {rows[-1]['calls']} failed", file=sys.stderr)
    drill_events.show(rows)
    print(f"\n{machine.settings.rps:g} calls a second for {machine.settings.seconds} s each.", end=" ")
    return rows, [f"{row['drill']}: {fault}" for row in rows for fault in row["faults"]]


def half_load(machine: Machine) -> tuple[list[dict], list[str]]:
    rows = drill_half.measure(machine)
    drill_half.show(rows)
    print(f"\nHalf of what the whole chain can do, medians of {machine.settings.rounds} alternating rounds.", end=" ")
    return rows, []


def soak(machine: Machine) -> tuple[dict, list[str]]:
    found = drill_soak.measure(machine)
    drill_soak.show(found)
    verdict = found["verdict"]
    return found, [word for word, holds in (("memory grows", not verdict["is_flat"]), (f"{verdict['failed']} calls failed", verdict["failed"])) if holds]


def main() -> None:
    settings = options(__doc__, more=arguments)
    name, run = ("soak", soak) if settings.soak else ("half_load", half_load) if settings.half_load else ("drills", drills)
    with Machine(settings) as machine:
        found, faults = run(machine)
        facts = machine.facts()
    path = settings.json or settings.out / "bench-failover.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"machine": facts, "rps": settings.rps, name: found}, indent=2))
    print(f"Envoy {facts['envoy'].split('/')[1]}, {facts['cpus']} CPUs, {facts['date']}; {path}")
    if faults:
        sys.exit("error: " + "\n".join(faults))


if __name__ == "__main__":
    main()
