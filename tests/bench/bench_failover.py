"""What callers notice when something dies, is changed or lasts long: one table of drills at a constant rate.

Other modes: `--soak` runs the whole chain at full load and judges whether memory grows; `--half-load` asks what the chain adds
to a bare Envoy where neither is in a hurry.
"""
import argparse
import json
import pathlib
import sys

import drill_events
from machine import Machine, options


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--vegeta", required=True)
    parser.add_argument("--rps", type=float, default=500, help="calls a second of a drill")
    parser.add_argument("--json", type=pathlib.Path, help="where figures go")
    parser.add_argument("--drill", help="only drills whose name holds this")
    parser.set_defaults(seconds=15, rounds=3)


def drills(settings: argparse.Namespace) -> tuple[list[dict], dict]:
    rows = []
    with Machine(settings) as machine:
        for name, drill in drill_events.DRILLS.items():
            if settings.drill and settings.drill not in name:
                continue
            rows.append(drill_events.run(machine, name, drill))
            print(f"{name}: {rows[-1]['failed']} of {rows[-1]['calls']} failed", file=sys.stderr)
        facts = machine.facts()
    drill_events.show(rows)
    return rows, facts


def main() -> None:
    settings = options(__doc__, more=arguments)
    rows, facts = drills(settings)
    path = settings.json or settings.out / "bench-failover.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"machine": facts, "rps": settings.rps, "drills": rows}, indent=2))
    print(f"\n{settings.rps:g} calls a second, Envoy {facts['envoy'].split('/')[1]}, {facts['cpus']} CPUs, {facts['date']}; {path}")
    if faults := [f"{row['drill']}: {fault}" for row in rows for fault in row["faults"]]:
        sys.exit("error: " + "\n".join(faults))


if __name__ == "__main__":
    main()
