"""Calls at a constant rate, whatever becomes of those before, and of each when it was sent and how it ended.

Load comes from vegeta: clients that wait for an answer before they ask again would spare a gateway in trouble. Whole answers
and streams are two loads at once, so that each is counted apart.
"""
import base64
import csv
import dataclasses
import json
import pathlib
import subprocess
import time
import typing

# Of ten calls one is a stream, of a second or so.
STREAMS = 0.1
WORDS, PAUSE_MS = 20, 50
# Seconds after which a call without an answer has failed.
PATIENCE = 30
PATH = "/v1/chat/completions"
# Headers of the call that is sent so many seconds after the load began.
Headers = typing.Callable[[float], dict[str, str]]


@dataclasses.dataclass(frozen=True)
class Call:
    # Seconds since 1970, and from then on.
    sent: float
    took: float
    status: int
    error: str
    # Of the answer, names in lower case.
    headers: dict[str, str]
    is_stream: bool

    @property
    def is_good(self) -> bool:
        return self.status == 200 and not self.error

    @property
    def is_cut(self) -> bool:
        """Its answer had begun: nobody can give the rest of it."""
        return bool(self.error) and not self.status and not self.error.startswith('Post "')

    @property
    def provider(self) -> str:
        return self.headers.get("x-gateway-provider", "")

    @property
    def ended(self) -> float:
        return self.sent + self.took


class Load:
    """A load that runs; in a `with`, so that an error ends it."""

    def __init__(self, vegeta: str, work: pathlib.Path, port: int, key: str, rate: float, seconds: float, headers: Headers = lambda at: {}, streams: float = STREAMS, pause_ms: int = PAUSE_MS):
        self.vegeta, self.work, self.pause_ms = vegeta, work, pause_ms
        self.parts: list[tuple[bool, pathlib.Path, subprocess.Popen]] = []
        shares = [(False, rate * (1 - streams)), (True, rate * streams)]
        jobs = [(is_stream, round(share * 100), self.targets(is_stream, share, seconds, port, key, headers)) for is_stream, share in shares if share]
        self.began = time.time()
        for is_stream, hundredths, targets in jobs:
            results = work / f"results-{is_stream}"
            command = [vegeta, "attack", "-format=json", "-lazy", f"-rate={hundredths}/100s", f"-duration={seconds}s", f"-timeout={PATIENCE}s", "-max-body=0", f"-targets={targets}", f"-output={results}"]
            self.parts.append((is_stream, results, subprocess.Popen(command)))

    def targets(self, is_stream: bool, rate: float, seconds: float, port: int, key: str, headers: Headers) -> pathlib.Path:
        path = self.work / f"targets-{is_stream}"
        told = {"x-provider-words": str(WORDS), "x-provider-chunk-delay-ms": str(self.pause_ms)} if is_stream else {}
        with path.open("w") as file:
            path.chmod(0o600)
            for number in range(int(rate * seconds) + 1):
                sent = {"content-type": "application/json", "authorization": f"Bearer {key}"} | told | headers(number / rate)
                # No two prompts are alike, so none is answered by the cache.
                body = {"model": "gpt-4.1", "stream": is_stream, "messages": [{"role": "user", "content": f"Question {time.time_ns()}-{number}"}]}
                target = {"method": "POST", "url": f"http://127.0.0.1:{port}{PATH}", "header": {name: [value] for name, value in sent.items()}}
                file.write(json.dumps(target | {"body": base64.b64encode(json.dumps(body).encode()).decode()}) + "\n")
        return path

    def __enter__(self) -> "Load":
        return self

    def __exit__(self, *_) -> None:
        for _, _, process in self.parts:
            process.kill()
            process.wait()

    def wait_until(self, seconds: float) -> None:
        """Until so many seconds of the load are over."""
        time.sleep(max(0.0, self.began + seconds - time.time()))

    def calls(self) -> list[Call]:
        """Waits for the end; all calls in the order in which they were sent."""
        found: list[Call] = []
        for is_stream, results, process in self.parts:
            if process.wait():
                raise SystemExit(f"error: vegeta ended with {process.returncode}: see above")
            rows = subprocess.run([self.vegeta, "encode", "--to", "csv", str(results)], check=True, text=True, stdout=subprocess.PIPE)
            found += [call(row, is_stream) for row in csv.reader(rows.stdout.splitlines())]
        return sorted(found, key=lambda one: one.sent)


def call(row: list[str], is_stream: bool) -> Call:
    """Of a line of `vegeta encode --to csv`."""
    sent, status, took, _, _, error, *_, headers = row
    lines = dict(line.lower().split(": ", 1) for line in base64.b64decode(headers).decode().splitlines() if ": " in line)
    return Call(int(sent) / 1e9, int(took) / 1e9, int(status), error, lines, is_stream)
