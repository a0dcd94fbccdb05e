"""Traffic as a small company may have it, made up: who calls which model how often, how long answers are, what goes wrong.

Everything follows from one seed but the order of threads, so two pictures differ little.
"""
import concurrent.futures
import dataclasses
import http.client
import json
import math
import random
import time

CHAT, MESSAGES, EMBEDDINGS = "/v1/chat/completions", "/v1/messages", "/v1/embeddings"
# Streams that last take a thread each.
THREADS = 96
# Questions that many people ask: what a cache is for.
COMMON = [f"How do I do common task {number}?" for number in range(12)]
# Part of the time in which the first provider fails a part of its calls.
TROUBLE, SHARE_OF_FAILURES = (0.45, 0.65), 0.6


@dataclasses.dataclass(frozen=True)
class Habit:
    """A kind of call, and how many of a hundred are of it."""
    share: int
    path: str
    model: str
    stream: bool
    # Medians: until the answer begins, between two words of it, words.
    first_ms: int
    pace_ms: int
    words: int
    # How many of a hundred prompts are common ones.
    common: int = 0


HABITS = [
    Habit(30, CHAT, "gpt-4.1-mini", True, 220, 8, 90, common=35),
    Habit(18, CHAT, "gpt-4.1", True, 380, 14, 120, common=10),
    Habit(12, CHAT, "gpt-4.1", False, 700, 0, 60, common=40),
    Habit(14, MESSAGES, "claude-sonnet-4-5", True, 520, 16, 110),
    Habit(16, EMBEDDINGS, "text-embedding-3-small", False, 30, 0, 0, common=30),
    Habit(10, CHAT, "gemini-2.5-flash", True, 260, 6, 100, common=20),
]
# Of a hundred calls; the rest have a key that nobody knows. `globex` may spend little.
TENANTS = {"acme": 52, "initech": 26, "umbrella": 14, "globex": 6}


@dataclasses.dataclass
class Traffic:
    """Calls to a gateway at `port`, with a credential for each tenant."""
    port: int
    credentials: dict[str, str]
    calls_a_second: float = 14

    def run(self, seconds: float) -> None:
        chance = random.Random(7)
        with concurrent.futures.ThreadPoolExecutor(THREADS) as threads:
            begin = time.monotonic()
            while (elapsed := time.monotonic() - begin) < seconds:
                part = elapsed / seconds
                # A slow swell and a short peak: half the rate to one and a half of it.
                rate = self.calls_a_second * (1 + 0.3 * math.sin(2 * math.pi * part) + 0.2 * math.sin(14 * math.pi * part))
                threads.submit(self.call, random.Random(chance.random()), part)
                time.sleep(chance.expovariate(rate))

    def call(self, chance: random.Random, part: float) -> None:
        habit = chance.choices(HABITS, [habit.share for habit in HABITS])[0]
        tenant = chance.choices([*TENANTS, None], [*TENANTS.values(), 100 - sum(TENANTS.values())])[0]
        headers = {"content-type": "application/json", "authorization": f"Bearer {self.credentials.get(tenant, 'sk-unknown')}"}
        headers |= told(habit, chance, part)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("POST", habit.path, json.dumps(body(habit, chance)), headers)
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            # What a caller cannot read is counted by the gateway.
            pass
        finally:
            connection.close()


def body(habit: Habit, chance: random.Random) -> dict:
    prompt = chance.choice(COMMON) if chance.randrange(100) < habit.common else f"A question of its own: {chance.random()}"
    if habit.path == EMBEDDINGS:
        return {"model": habit.model, "input": prompt}
    made = {"model": habit.model, "max_tokens": 1000, "messages": [{"role": "user", "content": prompt}]}
    return made | ({"stream": True} if habit.stream else {})


def told(habit: Habit, chance: random.Random, part: float) -> dict[str, str]:
    """What the scripted provider is to do."""
    spread = chance.lognormvariate(0, 0.35)
    orders = {"delay-ms": habit.first_ms * spread, "chunk-delay-ms": habit.pace_ms * spread, "words": max(1, habit.words * chance.lognormvariate(0, 0.5))}
    headers = {f"x-provider-{name}": str(round(value)) for name, value in orders.items() if value}
    if TROUBLE[0] < part < TROUBLE[1] and chance.random() < SHARE_OF_FAILURES:
        headers["x-provider-status.primary"] = "503"
        # Now and then the other one fails as well, and the caller is told.
        if chance.random() < 0.05:
            headers["x-provider-status.backup"] = "503"
    return headers
