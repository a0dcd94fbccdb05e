#!/usr/bin/env python3
"""What exact counts cost: two Envoys with two workers, one module with tokenizers and one without, in turns.

Each worker is asked over a connection of its own. A call ends at the budget or at a direct response, so what it takes is
Envoy's way of a body plus the count; the difference between the two modules is the count.
"""
import argparse
import http.client
import json
import os
import pathlib
import random
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).parents[2]
TYPES = "type.googleapis.com/envoy.extensions.filters"
WORKERS = 2
SENTENCE = "The quick brown fox jumps over the lazy dog while 42 engineers measure the latency of their gateway. "


def config(module: pathlib.Path, port: int) -> dict:
    budget = {
        "name": "budget",
        "vm_config": {"vm_id": "budget", "runtime": "envoy.wasm.runtime.v8", "code": {"local": {"filename": str(module)}}},
        "configuration": {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": (ROOT / "envoy/config/budget.json").read_text()},
    }
    filters = [
        {"name": "budget", "typed_config": {"@type": f"{TYPES}.http.wasm.v3.Wasm", "config": budget}},
        {"name": "buffer", "typed_config": {"@type": f"{TYPES}.http.buffer.v3.Buffer", "max_request_bytes": 16 << 20}},
        {"name": "router", "typed_config": {"@type": f"{TYPES}.http.router.v3.Router"}},
    ]
    route = {"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": "{}"}}}
    manager = {
        "@type": f"{TYPES}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench",
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": filters,
    }
    listener = {
        "name": "bench",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "per_connection_buffer_limit_bytes": 16 << 20,
        "connection_balance_config": {"exact_balance": {}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    return {"static_resources": {"listeners": [listener]}}


class Envoy:
    def __init__(self, binary: str, module: pathlib.Path, folder: pathlib.Path):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        path = folder / f"{self.port}.json"
        path.write_text(json.dumps(config(module, self.port)))
        begin = time.monotonic()
        self.process = subprocess.Popen(
            [binary, "-c", path, "--concurrency", str(WORKERS), "--use-dynamic-base-id", "-l", "error"], stderr=(folder / f"{self.port}.log").open("w"))
        self.connections = [self.connect(begin + 60) for _ in range(WORKERS)]
        self.started = time.monotonic() - begin
        self.idle = self.rss()

    def connect(self, deadline: float) -> http.client.HTTPConnection:
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port)
                connection.connect()
                return connection
            except OSError:
                time.sleep(0.02)
        sys.exit("error: Envoy did not start")

    def rss(self) -> int:
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) // 1024

    def ask(self, body: bytes) -> list[float]:
        """Milliseconds of one call on each worker."""
        took = []
        for connection in self.connections:
            begin = time.perf_counter()
            connection.request("POST", "/v1/chat/completions", body, {"content-type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            took.append((time.perf_counter() - begin) * 1000)
            if answer.status not in (200, 429):
                sys.exit(f"error: unexpected answer {answer.status}")
        return took


def prompt(model: str, text: str) -> bytes:
    return json.dumps({"model": model, "max_tokens": 1, "messages": [{"role": "user", "content": text}]}).encode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--envoy", required=True)
    parser.add_argument("--plain", required=True, type=pathlib.Path)
    parser.add_argument("--exact", required=True, type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    dice = random.Random(7)
    noise = "".join(chr(dice.randrange(0x20, 0x7F)) for _ in range(1_000_000))
    texts = {"English": SENTENCE * (1_000_000 // len(SENTENCE) + 1), "random ASCII": noise}
    with tempfile.TemporaryDirectory() as folder:
        envoys = [Envoy(options.envoy, module, pathlib.Path(folder)) for module in (options.plain, options.exact)]
        try:
            first = {model: [max(envoy.ask(prompt(model, "Hi"))) for envoy in envoys] for model in ("gpt-4o", "gpt-4")}
            print(f"two workers, {os.cpu_count()} cores, {options.rounds} rounds; medians\n")
            print("| | plain | exact |\n|---|---|---|")
            sizes = [module.stat().st_size / 1e6 for module in (options.plain, options.exact)]
            print(f"| module | {sizes[0]:.1f} MB | {sizes[1]:.1f} MB |")
            print("| Envoy up after | " + " | ".join(f"{envoy.started:.1f} s" for envoy in envoys) + " |")
            print("| RSS at rest | " + " | ".join(f"{envoy.idle} MB" for envoy in envoys) + " |")
            print("| RSS with both tables in use | " + " | ".join(f"{envoy.rss()} MB" for envoy in envoys) + " |")
            for model, took in first.items():
                print(f"| first call of {model}, slowest worker | {took[0]:.1f} ms | {took[1]:.1f} ms |")
            for kind, text in texts.items():
                for size in (1_000, 10_000, 100_000, 1_000_000):
                    body = prompt("gpt-4o", text[:size])
                    rounds = [envoy.ask(body) for _ in range(options.rounds) for envoy in envoys]
                    took = [statistics.median(value for values in rounds[at::2] for value in values) for at in (0, 1)]
                    print(f"| {size // 1000} KB, {kind} | {took[0]:.2f} ms | {took[1]:.2f} ms |")
            print("| RSS at the end | " + " | ".join(f"{envoy.rss()} MB" for envoy in envoys) + " |")
        finally:
            for envoy in envoys:
                envoy.process.terminate()
                envoy.process.wait()


main()
