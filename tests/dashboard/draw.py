"""Runs a gateway under made-up traffic with a real Prometheus beside it, asks what panels of the dashboard ask, draws it."""
import argparse
import json
import pathlib
import sys
import time
import typing
import urllib.parse
import urllib.request

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import yaml

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests/bench"))

import provided
from machine import Envoy, Machine, free_port, wait_for
from traffic import TENANTS, Traffic

DASHBOARD = ROOT / "envoy/grafana/dashboards/gateway.json"
RULES = ROOT / "envoy/prometheus"
# The panels in the picture, and what their upright axes count.
PICTURE = {
    "Calls by status": "calls a second",
    "Attempts by provider and status": "attempts a second",
    "Lookups by result": "lookups a second",
    "Duration by model, p95": "seconds",
    "Time to first token by model, p95": "seconds",
    "Time per output token by model, p95": "milliseconds",
    "Tokens by type": "tokens a second",
    "Cost by tenant": "US dollars an hour",
    "Left of each budget": "% of the limit",
}
FACTORS = {"milliseconds": 1000, "% of the limit": 100}
# Between two scrapes and two points, and what rates are taken over: Grafana's own rule is four scrapes.
SCRAPE, RATE = 2, 20
# The strong ones first, then their pale kin.
COLOURS = [colour for half in (0, 1) for colour in plt.get_cmap("tab20").colors[half::2]]


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--envoy", required=True)
    parser.add_argument("--prometheus", required=True, type=pathlib.Path, help="the folder of the program")
    parser.add_argument("--tools", required=True)
    parser.add_argument("--seconds", type=int, default=150, help="length of the traffic")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "envoy/grafana/gateway.png")
    return parser.parse_args()


def gateway(machine: Machine) -> tuple[Envoy, int]:
    """A gateway with two providers in a row, and the port of its metrics listener."""
    ports = {"primary": machine.provider, "backup": machine.scripted("backup")}
    policy = json.loads((ROOT / "envoy/config/providers.json").read_text())
    policy["providers"] = {name: {"url": f"http://127.0.0.1:{port}"} for name, port in ports.items()}
    policy["pools"]["default"]["priorities"] = [[name] for name in ports]
    found = []

    def change(config: dict) -> None:
        provided.put(config, json.dumps(policy), machine.secrets)
        listener = next(listener for listener in config["static_resources"]["listeners"] if listener["name"] == "metrics")
        found.append(listener["address"]["socket_address"]["port_value"])

    return machine.envoy("gateway", change, workers=2), found[0]


def prometheus(machine: Machine, target: int) -> str:
    """Prometheus with the committed configuration and rules, quicker. Gives the address of its API."""
    config = yaml.safe_load((RULES / "prometheus.yml").read_text())
    config["global"] |= {"scrape_interval": f"{SCRAPE}s", "evaluation_interval": f"{SCRAPE}s"}
    for job in config["scrape_configs"]:
        job["static_configs"] = [{"targets": [f"127.0.0.1:{target}"]}]
    config["rule_files"] = [str(RULES / "rules/*.yml")]
    config.pop("alerting", None)
    path, port = machine.work / "prometheus.yml", free_port()
    path.write_text(yaml.safe_dump(config))
    machine.start("prometheus", [str(machine.settings.prometheus / "prometheus"), f"--config.file={path}", f"--storage.tsdb.path={machine.work / 'data'}",
                                 f"--web.listen-address=127.0.0.1:{port}"])
    base = f"http://127.0.0.1:{port}"
    wait_for("Prometheus", lambda: urllib.request.urlopen(f"{base}/-/ready").status == 200)
    return f"{base}/api/v1"


def ask(api: str, expression: str, begin: float, end: float) -> list[dict]:
    for name, value in {"__rate_interval": f"{RATE}s", "__range": f"{end - begin:.0f}s", "objective": "0.9999"}.items():
        expression = expression.replace(f"${name}", value)
    for name in ("job", "instance", "model", "provider", "tenant"):
        expression = expression.replace(f'"${name}"', '".*"')
    asked = urllib.parse.urlencode({"query": expression, "start": begin, "end": end, "step": SCRAPE})
    return json.load(urllib.request.urlopen(f"{api}/query_range?{asked}"))["data"]["result"]


class Line(typing.NamedTuple):
    """One series of a panel, over time."""
    name: str
    times: list[float]
    values: list[float]


def lines(api: str, panel: dict, begin: float, end: float, factor: float) -> list[Line]:
    found = []
    for target in panel["targets"]:
        for series in ask(api, target["expr"], begin, end):
            name = target["legendFormat"]
            for label, value in series["metric"].items():
                name = name.replace("{{%s}}" % label, value)
            points = {float(at): float(value) * factor for at, value in series["values"] if value != "NaN"}
            found.append(Line(name, [at - begin for at in points], list(points.values())))
    found = [line for line in found if any(line.values)]
    if not found:
        sys.exit(f"error: the panel `{panel['title']}` has no data")
    return sorted(found)


def draw(axes: plt.Axes, panel: dict, found: list[Line], unit: str, seconds: float) -> None:
    axes.set_prop_cycle(color=COLOURS)
    if panel["fieldConfig"]["defaults"]["custom"]["stacking"]["mode"] == "normal":
        times = sorted({at for line in found for at in line.times})
        # Where a series has no value it adds nothing.
        rows = [[dict(zip(line.times, line.values)).get(at, 0) for at in times] for line in found]
        axes.stackplot(times, rows, labels=[line.name for line in found], alpha=0.75)
    else:
        for line in found:
            axes.plot(line.times, line.values, label=line.name, linewidth=1.4)
    axes.set_title(panel["title"], fontsize=10, loc="left", fontweight="bold")
    axes.set_ylabel(unit, fontsize=8)
    axes.set_xlabel("seconds since the traffic began", fontsize=8)
    axes.set_xlim(0, seconds)
    axes.set_ylim(bottom=min(0, *(min(line.values) for line in found)))
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.2), frameon=False)


def picture(api: str, begin: float, end: float, facts: dict, out: pathlib.Path) -> None:
    panels = {panel["title"]: panel for panel in json.loads(DASHBOARD.read_text())["panels"]}
    figure, grid = plt.subplots(3, 3, figsize=(16, 13.5), layout="constrained")
    for axes, (title, unit) in zip(grid.flat, PICTURE.items()):
        draw(axes, panels[title], lines(api, panels[title], begin, end, FACTORS.get(unit, 1)), unit, end - begin)
    figure.suptitle(f"Panels of envoy/grafana/dashboards/gateway.json. Made-up traffic to scripted providers, one of which fails in the middle; "
                    f"Envoy {facts['envoy'].split('/')[1]} and Prometheus are real.", fontsize=11)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=90, metadata={"Software": None})


def main() -> None:
    settings = options()
    settings.rounds = 1
    with Machine(settings) as machine:
        envoy, target = gateway(machine)
        api = prometheus(machine, target)
        secrets = machine.secrets
        credentials = {name: (secrets / f"{name}.key").read_text().strip() for name in ("acme", "globex")}
        credentials |= {name: machine.dev("new-token", name, "--secrets", str(secrets)) for name in TENANTS if name not in credentials}
        print(f"traffic for {settings.seconds} s", file=sys.stderr)
        begin = time.time()
        Traffic(envoy.port, credentials).run(settings.seconds)
        picture(api, begin, begin + settings.seconds, machine.facts(), settings.out)
    print(settings.out)


if __name__ == "__main__":
    main()
