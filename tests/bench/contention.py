"""Workers that charge one account at once, or a thousand accounts: what it costs, who is refused, and whether the sums hold.

Auth stands before budget and names the payer. The same without budget tells what so many workers on so few cores cost
anyway: a worker that loses its core between reading an account and writing it is what makes others lose their tries, and
that happens on a crowded machine at another rate than on one with a core for each worker. The load generator and the
provider take part of the cores as well.

All calls of a load are alike, so what they owe is the number that the provider answered times the tokens of one answer, and
the accounts, which nothing drains from before the month is over, must say the same to the token. An answer is counted by Envoy
and seen by budget in one go, so calls that the load generator left under way at its end do not blur the sum.
"""
import contextlib
import http.client
import json
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
# What load.lua asks with "hit", as long as that.
CALL = {"model": "gpt-4.1", "messages": [{"role": "system", "content": "The quick brown fox jumps over the lazy dog. " * 20}, {"role": "user", "content": "Question same-0"}]}


class Ledger:
    """The accounts that one load charges, seen from outside."""

    def __init__(self, envoy: Envoy, keys: list[str]):
        self.envoy, self.keys = envoy, keys

    def quiet(self) -> None:
        """Waits until no call is under way, so that all are settled."""
        wait_for(f"{self.envoy.name}'s last call", lambda: self.envoy.page("/stats?filter=^http.gateway.downstream_rq_active$").strip().endswith(": 0"))

    def read(self) -> tuple[int, int]:
        """Tokens used and tokens held, all accounts together."""
        self.quiet()
        used = reserved = 0
        with connected(self.envoy.port) as connection:
            for key in self.keys:
                status, body = ask(connection, "GET", "/gateway/budget", key)
                if status != 200:
                    raise SystemExit(f"error: {self.envoy.name}: /gateway/budget answered {status}: {body!r}")
                [account] = json.loads(body)["budgets"]
                used, reserved = used + account["used"], reserved + account["reserved"]
        return used, reserved


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


def start(machine: Machine, keys: Keys, workers: int, limited: bool) -> Envoy:
    def change(config: dict) -> None:
        auth = limiters.ours(config, "auth")
        limiters.set_policy(auth, {"api_keys": {"inline": keys.digests(own_tenants=True)}})
        alone(config, [auth] + ([limiters.budget_by_month(config)] if limited else []))

    return machine.envoy(f"{workers} workers, {'budget' if limited else 'none'}", change, workers)


def measure(machine: Machine) -> list[dict]:
    keys, seconds = Keys(machine.work), machine.settings.seconds
    values = list(keys.keys.values())
    payers = {NO_BUDGET: values, ONE: values[:1], MANY: values}
    files = {kind: keys.file(kind, of_kind) for kind, of_kind in payers.items()}
    envoys = {(workers, limited): start(machine, keys, workers, limited) for workers in WORKERS for limited in (False, True)}
    price = tokens_of_a_call(machine)

    def one(what: tuple[int, str]) -> dict:
        workers, kind = what
        envoy = envoys[(workers, kind != NO_BUDGET)]

        def run() -> dict:
            return load.run(envoy, files[kind], "json", "hit", CONNECTIONS, seconds, refusals=kind != NO_BUDGET)

        return run() if kind == NO_BUDGET else audited(Ledger(envoy, payers[kind]), price, run)

    loads = [(workers, kind) for workers in WORKERS for kind in payers]
    results = load.alternate(machine.settings.rounds, loads, one)
    return [row(results, workers, kind) for workers, kind in loads]


def audited(ledger: Ledger, price: int, run: typing.Callable[[], dict]) -> dict:
    """The figures of a load with budget decisions, tries lost, and by how many tokens the accounts are off."""
    (before, _), auditor = ledger.read(), audit.Auditor(ledger.envoy)
    figures = run()
    ledger.quiet()
    grown, (after, held) = auditor.grown(), ledger.read()
    owed = int(grown.get(audit.ANSWERED, 0)) * price
    made = {name: value for name, value in grown.items() if name.startswith("gateway_budget_total{")}
    figures |= {decision: int(sum(value for name, value in made.items() if f'decision="{decision}"' in name)) for decision in DECISIONS}
    conflicts = sum(value for name, value in grown.items() if name.startswith(CONFLICTS))
    return figures | {"conflicts": int(conflicts), "held": held, "off": after - before - owed}


def row(results: dict, workers: int, kind: str) -> dict:
    rounds = results[(workers, kind)]
    found = {"workers": workers, "accounts": kind} | load.compared(rounds, results[(workers, NO_BUDGET)], ("cpu_us", "rps"))
    found["to_one_worker"] = load.ratio(rounds, results[(WORKERS[0], kind)], "cpu_us")
    found["calls"] = sum(one["requests"] for one in rounds)
    if kind == NO_BUDGET:
        return found
    found |= {name: sum(one[name] for one in rounds) for name in (*DECISIONS, "held")}
    lost = sum(one["conflicts"] for one in rounds)
    # Each call that was let in wrote twice: to reserve and to settle.
    found["lost_tries"] = lost / max(1, lost + 2 * found["allowed"])
    found["off"] = max((one["off"] for one in rounds), key=abs)
    return found


def wrong(rows: list[dict]) -> list[str]:
    """Where calls were lost or charged twice: the sum is off, or a hold has no call any more."""
    found = []
    for row in rows:
        place = f"{row['workers']} workers, {row['accounts']}"
        if row.get("off"):
            found.append(f"{place}: off by {row['off']:+d} tokens")
        if row.get("held"):
            found.append(f"{place}: {row['held']} tokens held for no call")
        if row.get("unsettled"):
            found.append(f"{place}: {row['unsettled']} calls not settled")
    return found


def show(rows: list[dict]) -> None:
    print(f"{CONNECTIONS} connections, auth before budget. Refusals, calls not settled and sums are over all rounds; *off* is the worst round.\n")
    print("| workers | accounts | calls/s | to no budget | CPU µs/call | to no budget | to 1 worker | calls | 429 | 503 contended | 503 exhausted | not settled | tries lost | accounts off by |")
    print("|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    for row in rows:
        cells = "| {workers} | {accounts} | {rps:.0f} | {rps_ratio:.2f} | {cpu_us:.0f} | {cpu_us_ratio:.2f} | {to_one_worker:.2f} | {calls} |".format(**row)
        if row["accounts"] == NO_BUDGET:
            print(cells + " | | | | | |")
        else:
            print(cells + " {denied} | {contended} | {exhausted} | {unsettled} | {lost_tries:.2%} | {off} tokens |".format(**row))
