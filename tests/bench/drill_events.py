"""What goes wrong in the middle of a load, or is changed, and what of it callers notice."""
import dataclasses
import signal
import statistics
import time
import typing

from drill_load import Call, Load
from drill_push import LIMIT, LIMIT_HEADER, PushedWorld
from drill_world import PRIMARY, SECONDARY, Logged, World
from machine import Machine

# Seconds for which a provider in a storm asks to be left alone.
RETRY_AFTER = 2


@dataclasses.dataclass
class Told:
    """What a drill found out by itself."""
    # When it was done, and when it could be seen, in seconds since 1970.
    at: float = dataclasses.field(default_factory=time.time)
    seen: float | None = None
    # What more is to be said, and what went wrong.
    notes: list[str] = dataclasses.field(default_factory=list)
    faults: list[str] = dataclasses.field(default_factory=list)


# Done to a World or PushedWorld when a third of the load is over; the load goes on meanwhile.
Event = typing.Callable[[typing.Any], Told]


@dataclasses.dataclass(frozen=True)
class Drill:
    event: Event
    # Whether calls then go to the secondary, and are expected to.
    fails_over: bool = False
    # What providers are told from then on, for a third of the load.
    storm: dict[str, str] = dataclasses.field(default_factory=dict)
    # Where configuration is pushed: whether an answer is by the pushed one.
    shows: typing.Callable[[Call], bool] | None = None
    # Where it must not be: no answer may be.
    is_refused: bool = False


def killed(world: World) -> Told:
    told = Told()
    world.primary.send(signal.SIGKILL)
    return told


def hangs(world: World) -> Told:
    told = Told()
    world.primary.send(signal.SIGSTOP)
    return told


def nothing(_: World) -> Told:
    return Told()


def rotated(world: World) -> Told:
    """No call may come with another key than the old and the new one, and none with the old one for long."""
    told, old, new = Told(), world.first_key, world.put_key("provider-key")
    time.sleep(1)
    sent = world.primary.keys()
    told.seen = min((when for when, key in sent if key == new), default=None)
    if told.seen is None:
        told.faults.append("the new key was never sent")
    last = max((when for when, key in sent if key == old), default=told.at)
    told.notes.append(f"old key for {max(0, last - told.at) * 1e3:.0f} ms more")
    if wrong := sum(key not in (old, new) for _, key in sent):
        told.faults.append(f"{wrong} calls with another key")
    return told


def tightened(world: PushedWorld) -> Told:
    return Told(at=world.tighten())


def turned_round(world: PushedWorld) -> Told:
    return Told(at=world.turn_round())


def bad_filter(world: PushedWorld) -> Told:
    world.limit -= 1
    return refused(world, "budget.yaml", '"rules"', '"rulez"', "config_fail")


def bad_clusters(world: PushedWorld) -> Told:
    return refused(world, "clusters.yaml", "connect_timeout:", "connect_timeouts:", "cds.update_(rejected|failure)")


def refused(world: PushedWorld, file: str, word: str, wrong: str, counter: str) -> Told:
    """Pushes a file with a mistake in it. Envoy must say that it refused it."""
    before = world.stat(counter)
    told = Told(at=world.push(lambda name, text: text.replace(word, wrong) if name == file else text))
    while time.time() < told.at + 3 and told.seen is None:
        if world.stat(counter) > before:
            told.seen = time.time()
        time.sleep(0.01)
    if told.seen is None:
        told.faults.append(f"{counter} did not count the push")
    return told


def has_new_limit(call: Call) -> bool:
    return call.headers.get(LIMIT_HEADER) == str(LIMIT - 1)


def is_by_secondary(call: Call) -> bool:
    return call.provider == SECONDARY


DRILLS = {
    "primary provider killed": Drill(killed, fails_over=True),
    "primary provider hangs": Drill(hangs, fails_over=True),
    f"primary provider answers 429, `retry-after: {RETRY_AFTER}`": Drill(
        nothing, fails_over=True, storm={f"x-provider-status.{PRIMARY}": "429", f"x-provider-retry-after.{PRIMARY}": str(RETRY_AFTER)}),
    "primary provider's key replaced": Drill(rotated),
    "budget pushed": Drill(tightened, shows=has_new_limit),
    "pools and routes pushed": Drill(turned_round, shows=is_by_secondary),
    "bad budget pushed": Drill(bad_filter, shows=has_new_limit, is_refused=True),
    "bad pools pushed": Drill(bad_clusters, shows=is_by_secondary, is_refused=True),
}


def run(machine: Machine, name: str, drill: Drill) -> dict:
    """One drill, and its row."""
    settings = machine.settings
    world = (PushedWorld if drill.shows else World)(machine, name)
    third = settings.seconds / 3

    def headers(at: float) -> dict[str, str]:
        return drill.storm if third <= at < 2 * third else {}

    with Load(settings.vegeta, machine.work, world.envoy.port, world.key, settings.rps, settings.seconds, headers) as load:
        load.wait_until(third)
        told = drill.event(world)
        calls = load.calls()
    until = told.at + third if drill.storm else load.began + settings.seconds
    return row(name, drill, told, calls, world.end(), until)


def row(name: str, drill: Drill, told: Told, calls: list[Call], log: list[Logged], until: float) -> dict:
    """What became of the calls; of those sent after it happened and before `until` who answered, and how soon."""
    at = told.at
    after = [call for call in calls if at <= call.sent < until]
    by_secondary = [call for call in after if call.provider == SECONDARY]
    # Nobody can give the rest of a stream whose provider is taken away. Any other answer that breaks off is a failure.
    cut = [call for call in calls if call.is_cut and call.is_stream and drill.fails_over and call.sent < at]
    failed = [call for call in calls if not call.is_good and call not in cut]
    faults = list(told.faults)
    if failed:
        faults.append(f"{len(failed)} calls failed, the first {failed[0].sent - at:+.2f} s: {failed[0].status} {failed[0].error}")
    found = {
        "drill": name, "calls": len(calls), "failed": len(failed), "cut": len(cut), "streams": sum(call.is_stream for call in calls),
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
    if drill.shows:
        found["notes"] += pushed(found, drill, [call for call in calls if call.sent >= at and call.is_good], at, faults)
    return found


def pushed(found: dict, drill: Drill, after: list[Call], at: float, faults: list[str]) -> list[str]:
    """When callers saw what was pushed, and how long the old one went on; notes."""
    new = [call for call in after if drill.shows(call)]
    if drill.is_refused:
        if new:
            faults.append(f"{len(new)} answers by what should have been refused")
        return ["refused, the old one serves"]
    if not new:
        faults.append("no caller saw what was pushed")
        return []
    found["seen_ms"] = (min(call.ended for call in new) - at) * 1e3
    last = max((call.sent for call in after if not drill.shows(call)), default=at)
    return [f"last call by the old one began after {(last - at) * 1e3:.0f} ms"]


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
