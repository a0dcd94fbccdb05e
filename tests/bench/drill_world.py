"""A gateway of the whole chain in front of two providers that can be killed, stopped and given another key, and what it logged.

The second provider is asked when the first has no answer. Budgets bound nothing here; the rest, access log included, is as in
envoy/envoy.yaml.
"""
import dataclasses
import datetime
import json
import os
import secrets
import signal
import subprocess
import urllib.request

import bench
import provided
from machine import ROOT, Envoy, Machine, manager, slug, wait_for

PRIMARY, SECONDARY = "primary", "secondary"
# Longest silence of a provider before another is asked. Without it a provider that hangs is waited for as long as a call may take.
PER_TRY = "1s"
WORKERS = 2


class Provider:
    """A scripted provider that can be ended in the middle of its calls."""

    def __init__(self, machine: Machine, world: str, name: str):
        port_file = machine.work / f"{world}-{name}.port"
        self.pid = machine.start(f"{world}-{name}", [f"{machine.settings.tools}/scripted-provider", "--listen", "127.0.0.1:0", "--port-file", str(port_file), "--name", name])
        wait_for(f"the provider {name}", lambda: port_file.exists() and port_file.read_text())
        self.port = int(port_file.read_text())

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def keys(self) -> list[tuple[float, str]]:
        """When its last thousand calls came, in seconds since 1970, and by which key."""
        page = json.load(urllib.request.urlopen(f"http://127.0.0.1:{self.port}/_requests"))
        found = []
        for request in page:
            sent = {header["name"]: header["value"] for header in request["headers"]}
            if "authorization" in sent:
                found.append((request["received_at_ms"] / 1e3, sent["authorization"].removeprefix("Bearer ")))
        return found


@dataclasses.dataclass(frozen=True)
class Logged:
    """What the access log says of a model call."""
    began: float
    # As "primary=503 secondary=200".
    attempts: str

    def asked(self, provider: str) -> bool:
        return f"{provider}=" in self.attempts


class World:
    def __init__(self, machine: Machine, name: str):
        self.machine, self.name = machine, slug(name)
        self.priorities = [[PRIMARY], [SECONDARY]]
        self.primary, self.secondary = (Provider(machine, self.name, provider) for provider in (PRIMARY, SECONDARY))
        self.key = (machine.secrets / "acme.key").read_text().strip()
        self.put_key("secondary-key")
        self.first_key = self.put_key("provider-key")
        self.envoy = self.start()

    def start(self) -> Envoy:
        return self.machine.envoy(self.name, self.change, WORKERS)

    def change(self, config: dict) -> None:
        provided.put(config, json.dumps(self.providers()), self.machine.secrets)
        access_log = manager(config)["access_log"]
        bench.only(config, bench.FILTERS)
        manager(config)["access_log"] = access_log

    def providers(self) -> dict:
        found = json.loads((ROOT / "envoy/config/providers.json").read_text())
        primary = found["providers"][PRIMARY]
        credential = primary["credential"] | {"from_file": "secondary-key.yaml"}
        found["providers"] = {PRIMARY: primary | {"url": f"http://127.0.0.1:{self.primary.port}"}, SECONDARY: {"url": f"http://127.0.0.1:{self.secondary.port}", "credential": credential}}
        found["pools"]["default"] |= {"priorities": self.priorities, "per_try_timeout": PER_TRY}
        return found

    def put_key(self, name: str) -> str:
        """Writes a key of a provider's, or another in its place, in one move as Envoy wants it."""
        key, path = f"sk-{secrets.token_urlsafe(16)}", self.machine.secrets / f"{name}.yaml"
        secret = {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret", "name": name, "generic_secret": {"secret": {"inline_string": key}}}
        beside = path.with_suffix(".new")
        beside.touch(0o600)
        beside.write_text(json.dumps({"resources": [secret]}))
        beside.rename(path)
        return key

    def end(self) -> list[Logged]:
        """Ends it all, so that Envoy writes the rest of its log; all model calls of that."""
        self.primary.send(signal.SIGCONT)
        for pid in (self.envoy.pid, self.primary.pid, self.secondary.pid):
            process = next(process for process in self.machine.processes if process.pid == pid)
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
        lines = (self.machine.work / f"{self.name}.log").read_text(errors="replace").splitlines()
        return [logged(entry) for line in lines if line.startswith("{") and (entry := json.loads(line)).get("attempts")]


def logged(entry: dict) -> Logged:
    return Logged(datetime.datetime.fromisoformat(entry["start_time"]).timestamp(), entry["attempts"])
