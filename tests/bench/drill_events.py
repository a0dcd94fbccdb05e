"""What goes wrong in the middle of a load, or is changed, and what of it callers notice."""
import dataclasses
import signal
import statistics
import time
import typing

from drill_load import Call, Load
from drill_world import PRIMARY, SECONDARY, Logged, World
from machine import Machine

# Seconds for which a provider in a storm asks to be left alone.
RETRY_AFTER = 2


@dataclasses.dataclass
class Told:
    """What a drill found out by itself."""
    # When what was done could be seen, in seconds since 1970.
    seen: float | None = None
    # What more is to be said, and what went wrong.
    notes: list[str] = dataclasses.field(default_factory=list)
    faults: list[str] = dataclasses.field(default_factory=list)


# Done to a world when a third of the load is over; the load goes on meanwhile.
Event = typing.Callable[[World], Told]


@dataclasses.dataclass(frozen=True)
class Drill:
    event: Event
    # Whether calls then go to the secondary, and are expected to.
    fails_over: bool = False
    # What providers are told from then on, for a third of the load.
    storm: dict[str, str] = dataclasses.field(default_factory=dict)


def killed(world: World) -> Told:
    world.primary.send(signal.SIGKILL)
    return Told()


def hangs(world: World) -> Told:
    world.primary.send(signal.SIGSTOP)
    return Told()


def nothing(_: World) -> Told:
    return Told()


def rotated(world: World) -> Told:
    """No call may come with another key than the old and the new one, and none with the old one for long."""
    at, old, new = time.time(), world.first_key, world.put_key("provider-key")
    time.sleep(1)
    sent = world.primary.keys()
    told = Told(seen=min((when for when, key in sent if key == new), default=None))
    if told.seen is None:
        told.faults.append("the new key was never sent")
    last = max((when for when, key in sent if key == old), default=at)
    told.notes.append(f"old key for {max(0, last - at) * 1e3:.0f} ms more")
    if wrong := sum(key not in (old, new) for _, key in sent):
        told.faults.append(f"{wrong} calls with another key")
    return told


DRILLS = {
    "primary provider killed": Drill(killed, fails_over=True),
    "primary provider hangs": Drill(hangs, fails_over=True),
    f"primary provider answers 429, `retry-after: {RETRY_AFTER}`": Drill(
        nothing, fails_over=True, storm={f"x-provider-status.{PRIMARY}": "429", f"x-provider-retry-after.{PRIMARY}": str(RETRY_AFTER)}),
    "primary provider's key replaced": Drill(rotated),
}


def run(machine: Machine, name: str, drill: Drill) -> dict:
    """One drill, and its row."""
    settings = machine.settings
    world, third = World(machine, name), settings.seconds / 3

    def headers(at: float) -> dict[str, str]:
        return drill.storm if third <= at < 2 * third else {}

    with Load(settings.vegeta, machine.work, world.envoy.port, world.key, settings.rps, settings.seconds, headers) as load:
        load.wait_until(third)
        at = time.time()
        told = drill.event(world)
        calls = load.calls()
    until = at + third if drill.storm else load.began + settings.seconds
    return row(name, drill, told, calls, world.end(), at, until)


def row(name: str, drill: Drill, told: Told, calls: list[Call], log: list[Logged], at: float, until: float) -> dict:
    """What became of the calls; of those sent between `at` and `until` who answered, and how soon."""
    after = [call for call in calls if at <= call.sent < until]
    by_secondary = [call for call in after if call.provider == SECONDARY]
    failed = [call for call in calls if not call.is_good and not call.is_cut]
    faults = list(told.faults)
    if failed:
        faults.append(f"{len(failed)} calls failed, the first {failed[0].sent - at:+.2f} s: {failed[0].status} {failed[0].error}")
    found = {
        "drill": name, "calls": len(calls), "failed": len(failed), "cut": sum(call.is_cut for call in calls), "streams": sum(call.is_stream for call in calls),
        "seen_ms": None if told.seen is None else (told.seen - at) * 1e3, "secondary_share": len(by_secondary) / max(1, len(after)), "notes": told.notes, "faults": faults,
        "p99_before_ms": p99([call for call in calls if call.ended < at]), "worst_ms": max((call.took for call in after if not call.is_stream), default=0) * 1e3,
    }
    if drill.fails_over:
        first = min((call.ended for call in by_secondary), default=None)
        left = min((line.began for line in log if at <= line.began < until and not line.asked(PRIMARY)), default=None)
        found["seen_ms"] = None if first is None else (first - at) * 1e3
        found["asked_in_vain"] = sum(line.asked(PRIMARY) and line.asked(SECONDARY) for line in log)
        found["notes"] += [f"primary left alone after {(left - at) * 1e3:.0f} ms" if left else "primary never left alone", f"{found['asked_in_vain']} calls asked it in vain"]
        if first is None:
            faults.append("no call went to the secondary")
    return found


def p99(calls: list[Call]) -> float:
    took = [call.took * 1e3 for call in calls if not call.is_stream]
    return statistics.quantiles(took, n=100)[98] if len(took) > 1 else 0.0


def show(rows: list[dict]) -> None:
    print("| what happens | calls | failed | answers cut, of streams | seen after | by the secondary | p99 before | slowest after | |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---|")
    for row in rows:
        seen = "" if row["seen_ms"] is None else f"{row['seen_ms']:.0f} ms"
        print(f"| {row['drill']} | {row['calls']} | {row['failed']} | {row['cut']} of {row['streams']} | {seen} | {row['secondary_share']:.0%} | {row['p99_before_ms']:.1f} ms "
              f"| {row['worst_ms']:.0f} ms | {', '.join(row['notes'] + row['faults'])} |")
