"""Alternating rounds of the same load over several Envoys; medians and ratios to bare Envoy.

Every variant is an Envoy of its own with one worker, all up at once, so that a round passes over all of them within
seconds and drift of the machine hits all alike. CPU is Envoy's own, from /proc/<pid>/stat; throughput and CPU come from
16 connections, latency from one, where no queue hides it.
"""
import argparse
import copy
import json
import os
import pathlib
import platform
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

import pygal
import yaml

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[1]
FILTERS = ["metrics", "auth", "budget", "cache"]
# variant: (filters, credential)
VARIANTS = {
    "bare Envoy": ([], "key"),
    "metrics": (["metrics"], "key"),
    "auth (API key)": (["auth"], "key"),
    "auth (JWT ES256)": (["auth"], "token"),
    "budget": (["budget"], "key"),
    "cache": (["cache"], "key"),
    "whole chain": (FILTERS, "key"),
}
LOADS = [("json", "miss"), ("sse", "miss"), ("json", "hit"), ("sse", "hit")]
TICK = os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def cpu_seconds(pid: int) -> float:
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def wait_for(what: str, ready, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if ready():
                return
        except OSError:
            pass
        time.sleep(0.05)
    sys.exit(f"error: {what} did not get ready within {seconds:.0f} s")


class Bench:
    def __init__(self, options):
        self.options = options
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="tollgate-bench-"))
        self.processes: list[subprocess.Popen] = []
        self.envoys: dict[str, tuple[int, int]] = {}

    def dev(self, *arguments: str) -> str:
        return subprocess.run([f"{self.options.tools}/tollgate-dev", *arguments], check=True, text=True, cwd=ROOT, stdout=subprocess.PIPE).stdout.strip()

    def start(self, name: str, command: list[str], env=None) -> int:
        log = (self.work / f"{name}.log").open("wb")
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log)
        self.processes.append(process)
        return process.pid

    def stop(self) -> None:
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()

    def set_up(self) -> None:
        secrets = self.work / "secrets"
        self.dev("demo-secrets", str(secrets))
        self.credentials = {"key": (secrets / "acme.key").read_text().strip(), "token": self.dev("new-token", "acme", "--secrets", str(secrets))}
        port_file = self.work / "port"
        self.start("provider", [f"{self.options.tools}/scripted-provider", "--listen", "127.0.0.1:0", "--port-file", str(port_file), "--no-record"])
        wait_for("the scripted provider", lambda: port_file.exists() and port_file.read_text())
        env = os.environ | {"TOLLGATE_API_KEYS": (secrets / "api-keys.json").read_text(), "TOLLGATE_JWKS": (secrets / "jwks.json").read_text()}
        for name, (filters, _) in VARIANTS.items():
            port = free_port()
            slug = name.replace(" ", "-").replace("(", "").replace(")", "")
            config = self.work / f"{slug}.yaml"
            self.dev("render-envoy", "--input", "envoy/envoy.yaml", "--output", str(config), "--listen", f"127.0.0.1:{port}", "--admin", f"127.0.0.1:{free_port()}",
                     "--metrics", f"127.0.0.1:{free_port()}", "--filters", "target/filters", "--secrets", str(secrets), "--upstream", f"http://127.0.0.1:{port_file.read_text().strip()}")
            config.write_text(yaml.safe_dump(only(yaml.safe_load(config.read_text()), filters), width=10**6))
            pid = self.start(slug, [self.options.envoy, "-c", str(config), "--use-dynamic-base-id", "--concurrency", "1", "-l", "warn"], env)
            self.envoys[name] = (port, pid)
        for name, (port, _) in self.envoys.items():
            wait_for(name, lambda port=port: urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready").status == 200)

    def load(self, name: str, shape: str, kind: str, connections: int, seconds: float) -> dict:
        port, pid = self.envoys[name]
        credential = self.credentials[VARIANTS[name][1]]
        before = cpu_seconds(pid)
        run = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(HERE / "load.lua"), f"http://127.0.0.1:{port}", "--", credential, shape, kind],
                             check=True, text=True, stdout=subprocess.PIPE)
        figures = json.loads(run.stdout.splitlines()[-1])
        if figures["failed"] or not figures["requests"]:
            sys.exit(f"error: {name}, {shape} {kind}: {figures['failed']} of {figures['requests']} calls failed; logs in {self.work}")
        figures["cpu_us"] = (cpu_seconds(pid) - before) * 1e6 / figures["requests"]
        figures["rps"] = figures["requests"] / figures["seconds"]
        return figures

    def rounds(self) -> dict:
        """Figures by (variant, shape, kind), a list over the rounds."""
        results: dict = {}
        for number in range(self.options.rounds + 1):
            for shape, kind in LOADS:
                for name, (filters, _) in VARIANTS.items():
                    if kind == "hit" and "cache" not in filters:
                        continue
                    busy = self.load(name, shape, kind, 16, self.options.seconds)
                    calm = self.load(name, shape, kind, 1, self.options.seconds)
                    if number:  # the first round warms up
                        figures = {"rps": busy["rps"], "cpu_us": busy["cpu_us"], "p50_us": calm["p50_us"], "p99_us": calm["p99_us"]}
                        results.setdefault((name, shape, kind), []).append(figures)
            print(f"round {number} of {self.options.rounds} done" if number else "warmed up", file=sys.stderr)
        return results


def only(config: dict, filters: list[str]) -> dict:
    """The configuration with just these filters of ours, budgets that no load exhausts, and no access log."""
    config = copy.deepcopy(config)
    listener = next(listener for listener in config["static_resources"]["listeners"] if listener["name"] == "gateway")
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    manager.pop("access_log", None)
    kept = []
    for entry in manager["http_filters"]:
        name = entry["name"].removeprefix("tollgate.")
        if entry["name"].startswith("tollgate.") and name not in filters:
            continue
        if entry["name"] == "tollgate.budget":
            value = entry["typed_config"]["config"]["configuration"]
            budget = json.loads(value["value"])
            budget["tokens_per_minute"] = {"default": 10**12}
            value["value"] = json.dumps(budget)
        kept.append(entry)
    manager["http_filters"] = kept
    return config


def table(results: dict) -> list[dict]:
    rows = []
    for (name, shape, kind), rounds in results.items():
        bare = results[("bare Envoy", shape, "miss")]
        row = {"variant": name, "load": f"{shape} {kind}"}
        for figure in ("cpu_us", "rps", "p50_us", "p99_us"):
            row[figure] = statistics.median(one[figure] for one in rounds)
            row[f"{figure}_ratio"] = statistics.median(one[figure] / base[figure] for one, base in zip(rounds, bare))
        row["added_p50_us"] = statistics.median(one["p50_us"] - base["p50_us"] for one, base in zip(rounds, bare))
        row["added_p99_us"] = statistics.median(one["p99_us"] - base["p99_us"] for one, base in zip(rounds, bare))
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
    for load in dict.fromkeys(row["load"] for row in rows):
        by_variant = {row["variant"]: row["cpu_us"] for row in rows if row["load"] == load}
        chart.add(load, [by_variant.get(name) for name in variants])
    chart.render_to_file(str(path))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--envoy", required=True)
    parser.add_argument("--tools", required=True)
    parser.add_argument("--out", required=True, type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=5, help="counted rounds after one to warm up")
    parser.add_argument("--seconds", type=int, default=2, help="length of one load")
    options = parser.parse_args()
    bench = Bench(options)
    try:
        bench.set_up()
        rows = table(bench.rounds())
    finally:
        bench.stop()
    machine = {"cpus": os.cpu_count(), "machine": platform.platform(), "date": time.strftime("%Y-%m-%d"), "rounds": options.rounds, "seconds": options.seconds,
               "envoy": subprocess.run([options.envoy, "--version"], text=True, stdout=subprocess.PIPE).stdout.strip().split()[-1]}
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "bench.json").write_text(json.dumps({"machine": machine, "rows": rows}, indent=2))
    draw(rows, options.out / "bench.svg")
    show(rows)
    print(f"\n{machine['cpus']} CPUs, {machine['date']}, medians of {options.rounds} alternating rounds; {options.out}/bench.json, {options.out}/bench.svg")


if __name__ == "__main__":
    main()
