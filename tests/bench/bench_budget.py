"""What budget costs next to Envoy's own limiters, and how workers fare that share one account.

Two parts. `cost` sets CPU a call of each filter alone beside that of Envoy's `local_ratelimit` and `ai_protocol_manager`,
all with one worker. `contention` (contention.py) has 1, 2 and 4 workers charge one account and a thousand of them, and
then reads the accounts: no call may be lost or charged twice.
"""
import dataclasses
import sys
import typing

import audit
import contention
import limiters
import load
import parts
from machine import Machine, options
from rivals import alone

CONNECTIONS = 16
BARE, PAIR = "bare Envoy", "local_ratelimit + ai_protocol_manager"
LOADS = {"json": "JSON", "sse+usage": "SSE, usage asked for", "sse": "SSE, not asked for"}
ALLOWED = 'gateway_budget_total{decision="allowed"}'
LIMITED = 'envoy_http_local_rate_limit_ok{envoy_local_http_ratelimit_prefix="bench"}'
USAGE = "envoy_ai_protocol_manager_token_usage_found"
NO_USAGE = "envoy_ai_protocol_manager_token_usage_missing"
PARSED, INFO = "envoy_ai_protocol_manager_request_parsed", "envoy_ai_protocol_manager_request_info_published"


@dataclasses.dataclass(frozen=True)
class Variant:
    change: typing.Callable[[dict], None]
    # Must have counted every call.
    counters: tuple[str, ...] = ()


def only(*filters: dict) -> typing.Callable[[dict], None]:
    return lambda config: alone(config, list(filters))


def rules(number: int) -> Variant:
    return Variant(lambda config: alone(config, [limiters.budget(config, number)]), (ALLOWED,))


def both(info: bool) -> typing.Callable[[dict], None]:
    def change(config: dict) -> None:
        alone(config, [limiters.local_ratelimit(by_caller=True), limiters.ai_protocol_manager(requests=True, info=info)])
        if info:
            limiters.declare_api(config)

    return change


VARIANTS = {
    BARE: Variant(only()),
    "local_ratelimit": Variant(only(limiters.local_ratelimit()), (LIMITED,)),
    "local_ratelimit by caller": Variant(only(limiters.local_ratelimit(by_caller=True)), (LIMITED,)),
    "ai_protocol_manager": Variant(only(limiters.ai_protocol_manager()), (USAGE,)),
    PAIR: Variant(only(limiters.local_ratelimit(), limiters.ai_protocol_manager()), (LIMITED, USAGE)),
    "both, by caller, requests parsed": Variant(both(info=False), (LIMITED, USAGE, PARSED)),
    "both, by caller, request info published": Variant(both(info=True), (LIMITED, USAGE, INFO)),
    "budget, 1 rule": rules(1),
    "budget, 3 rules": rules(3),
    "budget, 6 rules": rules(6),
}


def check(name: str, shape: str, grown: dict[str, float], requests: int) -> None:
    for counter in (audit.ANSWERED, *VARIANTS[name].counters):
        # Where nobody asks for usage, Envoy's filter finds none. Budget asks.
        counter = NO_USAGE if counter == USAGE and shape == "sse" else counter
        # wrk ends with calls under way.
        audit.expect(f"{name}, {shape}", grown, counter, requests, 2 * CONNECTIONS, ("budget", "local_rate", "ai_protocol", "provider"))


def measure_cost(machine: Machine) -> list[dict]:
    envoys = {name: machine.envoy(name, variant.change) for name, variant in VARIANTS.items()}
    credential = machine.secrets / "acme.key"

    def measure(what: tuple[str, str]) -> dict:
        name, shape = what
        auditor = audit.Auditor(envoys[name])
        figures = load.run(envoys[name], credential, shape, "miss", CONNECTIONS, machine.settings.seconds)
        check(name, shape, auditor.grown(), figures["requests"])
        return figures

    loads = [(name, shape) for shape in LOADS for name in VARIANTS]
    results = load.alternate(machine.settings.rounds, loads, measure)
    return [cost_row(results, name, shape) for name, shape in loads]


def cost_row(results: dict, name: str, shape: str) -> dict:
    figures = results[(name, shape)]
    row = {"load": LOADS[shape], "variant": name} | load.compared(figures, results[(BARE, shape)], ("cpu_us", "rps"))
    row["to_pair"] = load.ratio(figures, results[(PAIR, shape)], "cpu_us")
    return row


def show_cost(rows: list[dict]) -> None:
    print(f"| load | filters | Envoy CPU µs/call | to bare | to {PAIR} | calls/s, 1 worker |")
    print("|---|---|---:|---:|---:|---:|")
    for row in rows:
        print("| {load} | {variant} | {cpu_us:.0f} | {cpu_us_ratio:.2f} | {to_pair:.2f} | {rps:.0f} |".format(**row))


PARTS = {"cost": (measure_cost, show_cost), "contention": (contention.measure, contention.show)}


def main() -> None:
    found = parts.run(options(__doc__, tuple(PARTS)), "bench-budget", PARTS, LOADS.values())
    if wrong := contention.wrong(found.get("contention", [])):
        sys.exit(f"error: the accounts do not say what the calls cost: {wrong}")


if __name__ == "__main__":
    main()
