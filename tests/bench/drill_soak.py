"""The whole chain at full load for long: whether memory grows.

A thousand tenants call, so that accounts fill, and no two prompts are alike, so that answers displace each other in the cache:
whatever a call leaves behind is left some hundred thousand times. What is judged is the last two thirds, when accounts, cache
slots, learned estimates and label sets are full.
"""
import concurrent.futures
import statistics
import sys
import time

import audit
import bench
import limiters
import load
from callers import Keys
from machine import Envoy, Machine, manager

WORKERS = 2
PERIOD = 5
# Share by which resident memory may grow over what is judged: allocators and page tables move by less.
SLACK = 0.03
# Connections of each kind of call.
LOADS = {"json": 12, "sse": 4}
MIB = 2**20
NATIVE = "^(server.memory_(allocated|physical_size)|http.gateway.downstream_rq_(completed|4xx|5xx))$"
FILE_LOG = "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog"


def start(machine: Machine, keys: Keys) -> Envoy:
    def change(config: dict) -> None:
        access_log = manager(config)["access_log"]
        bench.only(config, bench.FILTERS)
        # Written as ever, and kept nowhere: it would fill the disk.
        access_log[-1]["typed_config"] |= {"@type": FILE_LOG, "path": "/dev/null"}
        manager(config)["access_log"] = access_log
        limiters.set_policy(limiters.ours(config, "auth"), {"api_keys": {"inline": keys.digests(own_tenants=True)}})

    return machine.envoy("soak", change, WORKERS)


def sample(envoy: Envoy, began: float) -> dict:
    """Memory in bytes, and what has been counted since the start."""
    with open(f"/proc/{envoy.pid}/status") as file:
        status = dict(line.split(":", 1) for line in file)
    pages = {name: int(status[name].split()[0]) * 1024 for name in ("VmRSS", "RssAnon")}
    stats = dict(line.split(": ", 1) for line in envoy.page(f"/stats?filter={NATIVE}").splitlines() if ": " in line)
    counted = audit.counters(envoy)
    allocator = int(stats["server.memory_physical_size"])
    return {
        "seconds": time.time() - began, "rss": pages["VmRSS"], "envoy": int(stats["server.memory_allocated"]),
        # What is not Envoy's allocator's: V8, with the modules' code and linear memories.
        "wasm": max(0, pages["RssAnon"] - allocator),
        "cache_entries": total(counted, "gateway_cache_entries"), "series": len(counted),
        "calls": int(stats["http.gateway.downstream_rq_completed"]), "failed": int(stats["http.gateway.downstream_rq_5xx"]), "refused": int(stats["http.gateway.downstream_rq_4xx"]),
    }


def total(counted: dict[str, float], name: str) -> int:
    return int(sum(value for series, value in counted.items() if series.partition("{")[0] == name))


def measure(machine: Machine) -> dict:
    keys = Keys(machine.work)
    credentials, envoy = keys.file("keys", list(keys.keys.values())), start(machine, keys)
    length, began, samples = machine.settings.soak, time.time(), []
    with concurrent.futures.ThreadPoolExecutor() as pool:
        loads = [pool.submit(load.run, envoy, credentials, shape, "miss", connections, length) for shape, connections in LOADS.items()]
        while time.time() < began + length:
            time.sleep(PERIOD)
            samples.append(sample(envoy, began))
            print("{seconds:.0f} s: {calls} calls, {failed} failed, {refused} refused, RSS {rss_mib:.1f} MiB, wasm {wasm_mib:.1f} MiB, {cache_entries} answers cached, {series} series".format(
                rss_mib=samples[-1]["rss"] / MIB, wasm_mib=samples[-1]["wasm"] / MIB, **samples[-1]), file=sys.stderr)
        for one in loads:
            # Ends the bench if a call failed that Envoy knows nothing of.
            one.result()
    return {"samples": samples, "verdict": verdict(samples)}


def verdict(samples: list[dict]) -> dict:
    """What the last two thirds say."""
    judged = samples[len(samples) // 3:]
    span = judged[-1]["seconds"] - judged[0]["seconds"]
    found: dict = {"calls": samples[-1]["calls"], "failed": samples[-1]["failed"], "refused": samples[-1]["refused"], "rps": samples[-1]["calls"] / samples[-1]["seconds"]}
    for what in ("rss", "envoy", "wasm"):
        slope = statistics.linear_regression([one["seconds"] for one in judged], [one[what] for one in judged]).slope
        median = statistics.median(one[what] for one in judged)
        found[what] = {"median": median, "per_hour": slope * 3600, "grew": slope * span / max(1, median)}
    found["is_flat"] = max(found[what]["grew"] for what in ("rss", "wasm")) <= SLACK
    return found


def show(found: dict) -> None:
    verdict = found["verdict"]
    print(f"{verdict['calls']} calls, {verdict['rps']:.0f} a second, {verdict['failed']} failed, {verdict['refused']} refused. Memory over the last two thirds:\n")
    print("| memory | median | slope | grew |")
    print("|---|---:|---:|---:|")
    for what, name in (("rss", "resident"), ("envoy", "of Envoy's allocator, in use"), ("wasm", "of V8 and the modules")):
        print("| {name} | {median:.1f} MiB | {per_hour:+.1f} MiB an hour | {grew:+.2%} |".format(
            name=name, median=verdict[what]["median"] / MIB, per_hour=verdict[what]["per_hour"] / MIB, grew=verdict[what]["grew"]))
    print(f"\n{'flat' if verdict['is_flat'] else 'GROWS'}: resident memory, or that of V8 and the modules, {'grew by no more' if verdict['is_flat'] else 'grew by more'} than {SLACK:.0%}")
