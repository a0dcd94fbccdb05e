"""The share of prompt tokens that providers' prompt caches had, with a sticky pool and without.

Scripted providers remember what system prompts they saw, each for itself, for ever, and of any length; a real one forgets
after minutes and begins at a thousand tokens. So the shares are what stickiness can save, not what a bill will say.
Calls come one after the other, their prompts in a random order of a fixed seed. One provider gets all that there is to be had:
the first call of a prompt finds nothing, and what the user asks is never cached.
"""
import http.client
import json
import random

import audit
import contention
import provided
import routed
from machine import ROOT, Envoy, Machine

SEED = 1
PROVIDERS = (1, 2, 3, 6)
# Scripted providers remember 1,000 calls, so none of a load is forgotten.
TOTAL, CALLS = 960, (2, 4, 16)
# Letters of a prompt: about a thousand tokens.
LENGTH = 4_000
POOLS = {"not sticky": None, "sticky": "prompt_prefix"}


def policy(ports: list[str], sticky: str | None) -> str:
    """The committed providers.json with so many providers, all of one rank."""
    found = json.loads((ROOT / "envoy/config/providers.json").read_text())
    primary = found["providers"]["primary"]
    found["providers"] = {f"p{at}": primary | {"url": f"http://127.0.0.1:{port}"} for at, port in enumerate(ports)}
    found["pools"]["default"] |= {"priorities": [list(found["providers"])], "sticky": sticky}
    return json.dumps(found)


def start(machine: Machine, ports: list[str], kind: str) -> Envoy:
    def change(config: dict) -> None:
        provided.put(config, policy(ports, POOLS[kind]), machine.secrets)
        routed.pair(config)

    return machine.envoy(f"{len(ports)} providers, {kind}", change)


def bodies(calls: int, salt: str) -> list[dict]:
    """Calls in the order in which they are made. `salt` makes the prompts those of one load."""
    dice = random.Random(SEED)
    order = [number % (TOTAL // calls) for number in range(TOTAL)]
    dice.shuffle(order)
    filler = "The quick brown fox jumps over the lazy dog. " * (LENGTH // 45)

    def messages(turn: int, prompt: int) -> list[dict]:
        return [{"role": "system", "content": f"{salt}, prompt {prompt}. {filler}"}, {"role": "user", "content": f"Question {turn}"}]

    return [{"model": routed.MODEL, "messages": messages(turn, prompt)} for turn, prompt in enumerate(order)]


def measure(machine: Machine) -> list[dict]:
    ports = [machine.scripted(f"p{at}") for at in range(max(PROVIDERS))]
    envoys = {(number, kind): start(machine, ports[:number], kind) for number in PROVIDERS for kind in POOLS}
    return [load(envoy, number, kind, calls) for calls in CALLS for (number, kind), envoy in envoys.items()]


def load(envoy: Envoy, number: int, kind: str, calls: int) -> dict:
    auditor = audit.Auditor(envoy)
    tokens = cached = 0
    asked: dict[str, int] = {}
    with contention.connected(envoy.port) as connection:
        for body in bodies(calls, f"{number} {kind} {calls}"):
            usage, provider = ask(connection, envoy, body)
            tokens, cached = tokens + usage["prompt_tokens"], cached + usage["prompt_tokens_details"]["cached_tokens"]
            asked[provider] = asked.get(provider, 0) + 1
    grown = auditor.grown()
    for counter in (audit.ANSWERED, routed.ATTEMPTS):
        audit.expect(f"{number} providers, {kind}", grown, counter, TOTAL, 0, ("cluster_upstream_rq", "gateway_routes"))
    return {"providers": number, "pool": kind, "calls": calls, "cached": cached / tokens, "busiest": max(asked.values()) / TOTAL}


def ask(connection: http.client.HTTPConnection, envoy: Envoy, body: dict) -> tuple[dict, str]:
    """What the answer says of its tokens, and who answered."""
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {"content-type": "application/json", "x-provider-prompt-cache": "1"})
    response = connection.getresponse()
    answer = response.read()
    if response.status != 200:
        raise SystemExit(f"error: {envoy.name} answered {response.status}: {answer!r}")
    return json.loads(answer)["usage"], response.headers["x-gateway-provider"]


def show(rows: list[dict]) -> None:
    print(f"{TOTAL} calls a load, system prompts of a thousand tokens in random order, seed {SEED}.\n")
    print("| calls a prompt | providers | prompt tokens cached, not sticky | sticky | busiest provider's share of calls, not sticky | sticky |")
    print("|---:|---:|---:|---:|---:|---:|")
    by = {(row["calls"], row["providers"], row["pool"]): row for row in rows}
    for calls in CALLS:
        for number in PROVIDERS:
            plain, sticky = (by[(calls, number, kind)] for kind in POOLS)
            print(f"| {calls} | {number} | {plain['cached']:.0%} | {sticky['cached']:.0%} | {plain['busiest']:.0%} | {sticky['busiest']:.0%} |")
