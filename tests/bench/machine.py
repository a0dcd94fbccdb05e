"""What runs during a bench: the scripted provider and Envoys, with one worker each unless told otherwise, all up at once.

All up at once means that a round passes over all of them within seconds, so drift of the machine hits all alike. CPU is
a process's own, from Linux's clock of that process: it counts nanoseconds, where /proc/<pid>/stat counts hundredths of a
second.
"""
import argparse
import dataclasses
import os
import pathlib
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import typing
import urllib.request

import yaml

ROOT = pathlib.Path(__file__).parents[2]


def options(description: str, parts: tuple[str, ...] = (), more: typing.Callable[[argparse.ArgumentParser], object] = lambda parser: None) -> argparse.Namespace:
    """What the command line says. A bench of several `parts` may be told to run one only; `more` adds options of its own."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--envoy", required=True)
    parser.add_argument("--tools", required=True)
    parser.add_argument("--out", required=True, type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=5, help="counted rounds after one to warm up")
    parser.add_argument("--seconds", type=int, default=2, help="length of one load")
    parser.set_defaults(only=None)
    if parts:
        parser.add_argument("--only", choices=parts, help="leave out the rest")
    more(parser)
    return parser.parse_args()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


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


@dataclasses.dataclass
class Envoy:
    name: str
    port: int
    admin: int
    pid: int

    def page(self, path: str) -> str:
        return urllib.request.urlopen(f"http://127.0.0.1:{self.admin}{path}").read().decode()

    def cpu_seconds(self) -> float:
        # The number that clock_getcpuclockid(3) gives, which Python does not offer.
        return time.clock_gettime(~self.pid << 3 | 2)


class Machine:
    """Use it in a `with`: whatever it started and made ends there. After an error the logs stay, the secrets do not."""

    def __init__(self, settings: argparse.Namespace):
        self.settings = settings
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="tollgate-bench-"))
        self.processes: list[subprocess.Popen] = []

    def __enter__(self) -> "Machine":
        try:
            self.prepare()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def prepare(self) -> None:
        self.secrets = self.work / "secrets"
        self.dev("demo-secrets", str(self.secrets))
        self.provider = self.scripted("primary")

    def scripted(self, name: str) -> str:
        """Starts a scripted provider, which instructions can be meant for by its name; gives its port."""
        port_file = self.work / f"{name}.port"
        self.start(f"provider-{name}", [f"{self.settings.tools}/scripted-provider", "--listen", "127.0.0.1:0", "--port-file", str(port_file), "--name", name, "--no-record"])
        wait_for(f"the scripted provider {name}", lambda: port_file.exists() and port_file.read_text())
        return port_file.read_text().strip()

    def __exit__(self, error, *_) -> None:
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
        if error:
            shutil.rmtree(self.work / "secrets", ignore_errors=True)
            print(f"logs: {self.work}", file=sys.stderr)
        else:
            shutil.rmtree(self.work, ignore_errors=True)

    def dev(self, *arguments: str) -> str:
        return subprocess.run([f"{self.settings.tools}/tollgate-dev", *arguments], check=True, text=True, cwd=ROOT, stdout=subprocess.PIPE).stdout.strip()

    def start(self, name: str, command: list[str], env=None) -> int:
        log = (self.work / f"{name}.log").open("wb")
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log)
        self.processes.append(process)
        return process.pid

    def envoy(self, name: str, change: typing.Callable[[dict], None], workers: int = 1) -> Envoy:
        """Starts an Envoy with `envoy/envoy.yaml` after a change."""
        port, admin = free_port(), free_port()
        return self.run(name, self.configuration(name, port, admin, change), port, admin, workers)

    def configuration(self, name: str, port: int, admin: int, change: typing.Callable[[dict], None]) -> pathlib.Path:
        """Writes `envoy/envoy.yaml` after a change; members stay in their order, so that it keeps its form."""
        path = self.work / f"{slug(name)}.yaml"
        self.dev("render-envoy", "--input", "envoy/envoy.yaml", "--output", str(path), "--listen", f"127.0.0.1:{port}", "--admin", f"127.0.0.1:{admin}",
                 "--metrics", f"127.0.0.1:{free_port()}", "--filters", "target/filters", "--secrets", str(self.secrets), "--upstream", f"http://127.0.0.1:{self.provider}")
        config = yaml.safe_load(path.read_text())
        change(config)
        path.write_text(yaml.safe_dump(config, width=10**6, sort_keys=False))
        return path

    def run(self, name: str, path: pathlib.Path, port: int, admin: int, workers: int, *flags: str) -> Envoy:
        """Starts an Envoy with that file, and waits until it serves."""
        env = os.environ | {"TOLLGATE_API_KEYS": (self.secrets / "api-keys.json").read_text(), "TOLLGATE_JWKS": (self.secrets / "jwks.json").read_text()}
        pid = self.start(slug(name), [self.settings.envoy, "-c", str(path), "--use-dynamic-base-id", "--concurrency", str(workers), "-l", "warn", *flags], env)
        envoy = Envoy(name, port, admin, pid)
        wait_for(f"{name} (log in {self.work})", lambda: "LIVE" in envoy.page("/ready"))
        return envoy

    def facts(self) -> dict:
        version = subprocess.run([self.settings.envoy, "--version"], text=True, stdout=subprocess.PIPE).stdout.strip().split()[-1]
        return {"cpus": os.cpu_count(), "machine": platform.platform(), "date": time.strftime("%Y-%m-%d"), "rounds": self.settings.rounds,
                "seconds": self.settings.seconds, "envoy": version}


def slug(name: str) -> str:
    """A name as that of a file."""
    return "".join(letter if letter.isalnum() else "-" for letter in name)


def manager(config: dict) -> dict:
    """The HTTP connection manager that callers reach."""
    listener = next(listener for listener in config["static_resources"]["listeners"] if listener["name"] == "gateway")
    return listener["filter_chains"][0]["filters"][0]["typed_config"]
