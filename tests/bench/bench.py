"""What each filter and the whole chain cost, next to a bare Envoy; medians, ratios and a plot.

Throughput and CPU come from 16 connections, latency from one, where no queue hides it.
"""
import json
import pathlib

import pygal

import load
import provided
from machine import Envoy, Machine, manager, options

FILTERS = ["metrics", "auth", "provider", "budget", "cache"]
# variant: (filters, credential)
VARIANTS = {
    "bare Envoy": ([], "key"),
    "metrics": (["metrics"], "key"),
    "auth (API key)": (["auth"], "key"),
    "auth (JWT ES256)": (["auth"], "token"),
    "provider": (["provider"], "key"),
    "budget": (["budget"], "key"),
    "cache": (["cache"], "key"),
    "whole chain": (FILTERS, "key"),
}
LOADS = [("json", "miss"), ("sse", "miss"), ("json", "hit"), ("sse", "hit")]


def only(config: dict, filters: list[str]) -> None:
    """Just these filters of ours, budgets that no load exhausts, and no access log."""
    if "provider" not in filters:
        provided.without(config)
    chain = manager(config)
    chain.pop("access_log", None)
    kept = []
    for entry in chain["http_filters"]:
        name = "provider" if entry["name"] == provided.ROUTE else entry["name"].removeprefix("tollgate.")
        if entry["name"].startswith("tollgate.") and name not in filters:
            continue
        if entry["name"] == "tollgate.budget":
            value = entry["typed_config"]["config"]["configuration"]
            budget = json.loads(value["value"])
            for rule in budget["rules"]:
                rule["limit"] = "1000000000" if rule["unit"] == "usd" else 10**14
                rule.pop("limits", None)
            value["value"] = json.dumps(budget)
        kept.append(entry)
    chain["http_filters"] = kept


def credentials(machine: Machine) -> dict[str, pathlib.Path]:
    token = machine.work / "token"
    token.write_text(machine.dev("new-token", "acme", "--secrets", str(machine.secrets)) + "\n")
    return {"key": machine.secrets / "acme.key", "token": token}


def rounds(machine: Machine, envoys: dict[str, Envoy]) -> dict:
    """Figures by (variant, shape, kind), a list over the rounds."""
    files = credentials(machine)
    seconds = machine.settings.seconds

    def measure(what: tuple[str, str, str]) -> dict:
        name, shape, kind = what
        file = files[VARIANTS[name][1]]
        busy = load.run(envoys[name], file, shape, kind, 16, seconds)
        calm = load.run(envoys[name], file, shape, kind, 1, seconds)
        return {"rps": busy["rps"], "cpu_us": busy["cpu_us"], "p50_us": calm["p50_us"], "p99_us": calm["p99_us"]}

    loads = [(name, shape, kind) for shape, kind in LOADS for name, (filters, _) in VARIANTS.items() if kind == "miss" or "cache" in filters]
    return load.alternate(machine.settings.rounds, loads, measure)


def table(results: dict) -> list[dict]:
    rows = []
    for (name, shape, kind), figures in results.items():
        bare = results[("bare Envoy", shape, "miss")]
        row = {"variant": name, "load": f"{shape} {kind}"} | load.compared(figures, bare, ("cpu_us", "rps", "p50_us", "p99_us"))
        for figure in ("p50_us", "p99_us"):
            row[f"added_{figure}"] = load.added(figures, bare, figure)
        rows.append(row)
    return rows


def show(rows: list[dict]) -> None:
    print("| load | variant | Envoy CPU µs/request | ratio | requests/s, 1 worker | ratio | p50 µs | added | p99 µs | added |")
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for row in rows:
        print("| {load} | {variant} | {cpu_us:.0f} | {cpu_us_ratio:.2f} | {rps:.0f} | {rps_ratio:.2f} | {p50_us:.0f} | {added_p50_us:+.0f} | {p99_us:.0f} | {added_p99_us:+.0f} |".format(**row))


def draw(rows: list[dict], path: pathlib.Path) -> None:
    chart = pygal.HorizontalBar(title="Envoy CPU per request, µs (median)", legend_at_bottom=True, print_values=True, value_formatter=lambda value: f"{value:.0f}" if value else "")
    # The lowest bar is drawn first.
    variants = list(reversed(VARIANTS))
    chart.x_labels = variants
    for name in dict.fromkeys(row["load"] for row in rows):
        by_variant = {row["variant"]: row["cpu_us"] for row in rows if row["load"] == name}
        chart.add(name, [by_variant.get(variant) for variant in variants])
    chart.render_to_file(str(path))


def main() -> None:
    settings = options(__doc__)
    with Machine(settings) as machine:
        envoys = {name: machine.envoy(name, lambda config, filters=filters: only(config, filters)) for name, (filters, _) in VARIANTS.items()}
        rows = table(rounds(machine, envoys))
        facts = machine.facts()
    settings.out.mkdir(parents=True, exist_ok=True)
    (settings.out / "bench.json").write_text(json.dumps({"machine": facts, "rows": rows}, indent=2))
    draw(rows, settings.out / "bench.svg")
    show(rows)
    print(f"\n{facts['cpus']} CPUs, {facts['date']}, medians of {settings.rounds} alternating rounds; {settings.out}/bench.json, {settings.out}/bench.svg")


if __name__ == "__main__":
    main()
