"""Workers that charge one account at once, or a thousand accounts: what it costs, who is refused, and whether the sums hold.

Auth stands before budget and names the payer. The same without budget tells what so many workers on so few cores cost
anyway: a worker that loses its core between reading an account and writing it is what makes others lose their tries, and
that happens on a crowded machine at another rate than on one with a core for each worker. The load generator and the
provider take part of the cores as well.

All calls of a load are alike, so what they owe is the number that the provider answered times the tokens of one answer.
The account must say the same, but for what drained meanwhile; an answer is counted by Envoy and seen by budget
in one go, so calls that the load generator left under way at its end do not blur the sum.
"""
import contextlib
import dataclasses
import http.client
import json
import math
import time
import typing

import audit
import limiters
import load
from callers import Keys
from machine import Envoy, Machine, wait_for
from rivals import alone

CONNECTIONS = 64
WORKERS = (1, 2, 4)
NO_BUDGET, ONE, MANY = "no budget", "one account", "1,000 accounts"
CONFLICTS = "gateway_budget_conflicts_total"
DECISIONS = ("allowed", "denied", "contended", "exhausted", "unsettled")
# Longest answer of the scripted provider, in tokens.
LONGEST = 20_000
# Most calls to bring accounts above what drains from them during a load.
MOST_PRIMING = 2_000
# Time around a load in which accounts are read, in seconds.
MARGIN = 5
# What load.lua asks with "hit", as long as that.
CALL = {"model": "gpt-4.1", "messages": [{"role": "system", "content": "The quick brown fox jumps over the lazy dog. " * 20}, {"role": "user", "content": "Question same-0"}]}


@dataclasses.dataclass(frozen=True)
class Books:
    """What accounts say in one reading, a value an account."""

    used: list[int]
    reserved: list[int]
    # When they said so, on the monotonic clock, and how far off that may be; in seconds.
    at: list[float]
    blur: float


class Ledger:
    """The accounts that one load charges, seen from outside."""

    def __init__(self, envoy: Envoy, keys: list[str], limit: int):
        self.envoy, self.keys = envoy, keys
        # Tokens that drain from an account that is not empty, a second.
        self.drain = limit / limiters.WINDOW_SECONDS

    def quiet(self) -> None:
        """Waits until no call is under way, so that all are settled."""
        wait_for(f"{self.envoy.name}'s last call", lambda: self.envoy.page("/stats?filter=^http.gateway.downstream_rq_active$").strip().endswith(": 0"))

    def read(self) -> Books:
        self.quiet()
        used, reserved, times, blur = [], [], [], 0.0
        with connected(self.envoy.port) as connection:
            for key in self.keys:
                start = time.monotonic()
                status, body = ask(connection, "GET", "/gateway/budget", key)
                end = time.monotonic()
                if status != 200:
                    raise SystemExit(f"error: {self.envoy.name}: /gateway/budget answered {status}: {body!r}")
                own = json.loads(body)
                used.append(own["used_tokens"])
                reserved.append(own["reserved_tokens"])
                times.append((start + end) / 2)
                blur += (end - start) / 2
        return Books(used, reserved, times, blur)

    def prime(self, seconds: float) -> bool:
        """Lifts all accounts so far that none gets empty during a load: then what drained is the drain times the time.

        False: that would take too many calls, so the sum cannot be told.
        """
        floor = self.drain * (seconds + MARGIN)
        if math.ceil(floor / LONGEST) * len(self.keys) > MOST_PRIMING:
            return False
        with connected(self.envoy.port) as connection:
            for key, used in zip(self.keys, self.read().used):
                for _ in range(math.ceil(max(0, floor - used) / LONGEST)):
                    status, body = ask(connection, "POST", "/v1/chat/completions", key, CALL, {"x-provider-words": str(LONGEST)})
                    if status != 200:
                        raise SystemExit(f"error: {self.envoy.name}: a call before the load was answered {status}: {body!r}")
        return True

    def spent(self, before: Books, after: Books) -> tuple[float, float]:
        """Tokens spent between two readings, and how far off that may be."""
        drained = self.drain * (sum(after.at) - sum(before.at))
        # Balances are rounded up to tokens.
        return sum(after.used) - sum(before.used) + drained, self.drain * (before.blur + after.blur) + len(self.keys)


def connected(port: int):
    return contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30))


def ask(connection: http.client.HTTPConnection, method: str, path: str, key: str | None, body: dict | None = None, headers: dict | None = None) -> tuple[int, bytes]:
    credential = {"authorization": f"Bearer {key}"} if key else {}
    connection.request(method, path, json.dumps(body) if body else None, {"content-type": "application/json"} | credential | (headers or {}))
    response = connection.getresponse()
    return response.status, response.read()


def tokens_of_a_call(machine: Machine) -> int:
    with connected(int(machine.provider)) as connection:
        return json.loads(ask(connection, "POST", "/v1/chat/completions", None, CALL)[1])["usage"]["total_tokens"]


def start(machine: Machine, keys: Keys, workers: int, limit: int | None) -> Envoy:
    def change(config: dict) -> None:
        auth = limiters.ours(config, "auth")
        limiters.set_policy(auth, {"api_keys": {"inline": keys.digests(own_tenants=True)}})
        alone(config, [auth] + ([limiters.budget(config, 1, limit)] if limit else []))

    return machine.envoy(f"{workers} workers, {'budget' if limit else 'none'}", change, workers)


def measure(machine: Machine) -> list[dict]:
    keys, seconds = Keys(machine.work), machine.settings.seconds
    # Above what a load can spend, and so low that not all of it drains meanwhile.
    limit = 10_000_000 * (seconds + 2)
    values = list(keys.keys.values())
    payers = {NO_BUDGET: values, ONE: values[:1], MANY: values}
    files = {kind: keys.file(kind, of_kind) for kind, of_kind in payers.items()}
    envoys = {(workers, limited): start(machine, keys, workers, limit if limited else None) for workers in WORKERS for limited in (False, True)}
    price = tokens_of_a_call(machine)

    def one(what: tuple[int, str]) -> dict:
        workers, kind = what
        envoy = envoys[(workers, kind != NO_BUDGET)]

        def run() -> dict:
            return load.run(envoy, files[kind], "json", "hit", CONNECTIONS, seconds, refusals=kind != NO_BUDGET)

        return run() if kind == NO_BUDGET else audited(Ledger(envoy, payers[kind], limit), seconds, price, run)

    loads = [(workers, kind) for workers in WORKERS for kind in payers]
    results = load.alternate(machine.settings.rounds, loads, one)
    # Envoy shows a counter from its first count on: one that is nowhere is not kept, one that is missing here and there is 0.
    counted = any(one.get("conflicts") is not None for rounds in results.values() for one in rounds)
    return [row(results, workers, kind, counted) for workers, kind in loads]


def audited(ledger: Ledger, seconds: float, price: int, run: typing.Callable[[], dict]) -> dict:
    """The figures of a load with budget decisions, tries lost, and by how many calls the accounts are off."""
    can_tell = ledger.prime(seconds)
    before, auditor = ledger.read(), audit.Auditor(ledger.envoy)
    figures = run()
    ledger.quiet()
    grown, after = auditor.grown(), ledger.read()
    spent, blur = ledger.spent(before, after)
    owed = grown.get(audit.ANSWERED, 0) * price
    figures |= {decision: int(grown.get(f'gateway_budget_total{{decision="{decision}"}}', 0)) for decision in DECISIONS}
    conflicts = [value for name, value in grown.items() if name.startswith(CONFLICTS)]
    return figures | {
        "conflicts": int(sum(conflicts)) if conflicts else None,
        "held": sum(after.reserved),
        "off_calls": (spent - owed) / price if can_tell else None,
        "off_blur": blur / price if can_tell else None,
    }


def row(results: dict, workers: int, kind: str, counted: bool) -> dict:
    rounds = results[(workers, kind)]
    found = {"workers": workers, "accounts": kind} | load.compared(rounds, results[(workers, NO_BUDGET)], ("cpu_us", "rps"))
    found["to_one_worker"] = load.ratio(rounds, results[(WORKERS[0], kind)], "cpu_us")
    found["calls"] = sum(one["requests"] for one in rounds)
    if kind == NO_BUDGET:
        return found
    found |= {name: sum(one[name] for one in rounds) for name in (*DECISIONS, "held")}
    if counted:
        lost = sum(one["conflicts"] or 0 for one in rounds)
        # Each call that was let in wrote twice: to reserve and to settle.
        found["lost_tries"] = lost / max(1, lost + 2 * found["allowed"])
    if all(one["off_calls"] is not None for one in rounds):
        worst = max(rounds, key=lambda one: abs(one["off_calls"]) - one["off_blur"])
        found |= {name: worst[name] for name in ("off_calls", "off_blur")}
    return found


def wrong(rows: list[dict]) -> list[str]:
    """Where calls were lost or charged twice: the sum is off by more than its blur, or a hold has no call any more."""
    found = []
    for row in rows:
        place = f"{row['workers']} workers, {row['accounts']}"
        if abs(row.get("off_calls", 0)) > row.get("off_blur", 0):
            found.append(f"{place}: off by {row['off_calls']:+.1f} calls")
        if row.get("held"):
            found.append(f"{place}: {row['held']} tokens held for no call")
        if row.get("unsettled"):
            found.append(f"{place}: {row['unsettled']} calls not settled")
    return found


def show(rows: list[dict]) -> None:
    print(f"{CONNECTIONS} connections, auth before budget. Refusals, calls not settled and sums are over all rounds; *off* is the worst round, in calls, and how exactly it can be told.\n")
    print("| workers | accounts | calls/s | to no budget | CPU µs/call | to no budget | to 1 worker | calls | 429 | 503 contended | 503 exhausted | not settled | tries lost | accounts off by |")
    print("|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    for row in rows:
        cells = "| {workers} | {accounts} | {rps:.0f} | {rps_ratio:.2f} | {cpu_us:.0f} | {cpu_us_ratio:.2f} | {to_one_worker:.2f} | {calls} |".format(**row)
        if row["accounts"] == NO_BUDGET:
            print(cells + " | | | | | |")
            continue
        lost = f"{row['lost_tries']:.2%}" if "lost_tries" in row else "not counted"
        off = f"{row['off_calls']:+.1f} ± {row['off_blur']:.1f}" if "off_calls" in row else "drains too fast"
        print(cells + " {denied} | {contended} | {exhausted} | {unsettled} | {lost} | {off} |".format(**row | {"lost": lost, "off": off}))
