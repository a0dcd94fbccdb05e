#!/usr/bin/env python3
"""Makes calls at a constant rate until SIGTERM, then prints what came of them as one line of JSON.

    scripts/lib/calls.py URL KEY [RATE]

`calls` were made, `ok` were answered whole, one in ten of them a stream. `cut` were given to a gateway that then died: the front
says so, or their stream broke off; they may have been begun, so nobody may make them again. `failed` are all others, by status or
error, and should be none.
"""
import collections
import concurrent.futures
import json
import signal
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid

# No call may take longer.
PATIENCE = 30
# At once; what comes while all are busy waits.
WORKERS = 32
# How the front says that the gateway's connection broke after it had the call.
DIED = ("connection termination", "remote reset")

counts: collections.Counter[str] = collections.Counter()
failed: collections.Counter[str] = collections.Counter()
lock = threading.Lock()
stop = threading.Event()


def outcome(url: str, key: str, streamed: bool) -> str:
    """`ok`, `cut`, or what went wrong."""
    body = {"model": "gpt-4.1", "stream": streamed, "messages": [{"role": "user", "content": f"load {uuid.uuid4()}"}]}
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    if streamed:
        headers |= {"x-provider-chunk-delay-ms": "20", "x-provider-words": "20"}
    request = urllib.request.Request(f"{url}/v1/chat/completions", json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            # The head is there: whatever breaks now had begun.
            try:
                text = answer.read().decode()
            except Exception:
                return "cut"
            return "ok" if not streamed or "data: [DONE]" in text else "cut"
    except urllib.error.HTTPError as error:
        text = error.read().decode(errors="replace")
        return "cut" if "gateway_unavailable" in text and any(word in text for word in DIED) else f"{error.code} {text[:200]}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def call(url: str, key: str, streamed: bool) -> None:
    result = outcome(url, key, streamed)
    with lock:
        counts["calls"] += 1
        (counts if result in ("ok", "cut") else failed)[result] += 1


def main() -> None:
    url, key, rate = sys.argv[1], sys.argv[2], float(sys.argv[3]) if len(sys.argv) > 3 else 50.0
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as workers:
        begun, number = time.monotonic(), 0
        while not stop.wait(max(0.0, begun + number / rate - time.monotonic())):
            number += 1
            workers.submit(call, url, key, number % 10 == 0)
    print(json.dumps({"calls": counts["calls"], "ok": counts["ok"], "cut": counts["cut"], "failed": dict(failed)}))


if __name__ == "__main__":
    main()
