"""Budgets through the official SDKs: no number of calls at once gets past one, and every refusal is the SDK's own error."""
import asyncio
import time
from decimal import Decimal

import anthropic
import openai
import pytest
from budgets import TOKENS, anthropic_client, budget, chat, message, openai_client, settled, told

pytestmark = pytest.mark.skipif(not TOKENS, reason="needs the rules of tests/e2e/budget_sdk.rs")

CALLS = 200
# What each of them says, in tokens; budgets are a hundred such calls.
WORDS = 40
# Nano-dollars a token in and out; budget_sdk.rs sets the same for all models.
IN, OUT = 2_000, 8_000


async def openai_json(clients, question, script):
    answer = await clients[0].chat.completions.create(**chat(question, max_tokens=WORDS), **script)
    return answer.usage.prompt_tokens, answer.usage.completion_tokens


async def openai_stream(clients, question, script):
    options = {"stream": True, "stream_options": {"include_usage": True}}
    stream = await clients[0].chat.completions.create(**chat(question, max_tokens=WORDS, **options), **script)
    *_, last = [chunk async for chunk in stream]
    return last.usage.prompt_tokens, last.usage.completion_tokens


async def anthropic_json(clients, question, script):
    answer = await clients[1].messages.create(**message(question, WORDS), **script)
    return answer.usage.input_tokens, answer.usage.output_tokens


async def anthropic_stream(clients, question, script):
    async with clients[1].messages.stream(**message(question, WORDS), **script) as stream:
        final = await stream.get_final_message()
    return final.usage.input_tokens, final.usage.output_tokens


async def at_once(tenant) -> list:
    """Usage of each call, or the error that its SDK raised."""
    clients = openai_client(tenant, openai.AsyncOpenAI), anthropic_client(tenant, anthropic.AsyncAnthropic)
    ways = [openai_json, openai_stream, anthropic_json, anthropic_stream]
    # In flight all together, whatever the machine.
    script = told(words=WORDS, delay_ms=1_000)
    calls = [ways[at % 4](clients, f"Question {at:04} of {tenant:32}?", script) for at in range(CALLS)]
    return await asyncio.gather(*calls, return_exceptions=True)


def owed(tenant, usage) -> Decimal:
    """In the unit of the tenant's rule."""
    tokens_in, tokens_out = usage
    cost = Decimal(tokens_in * IN + tokens_out * OUT) / 10**9
    return {"requests": Decimal(1), "tokens": Decimal(tokens_in + tokens_out), "money": cost}[tenant]


@pytest.mark.parametrize("tenant", ["requests", "tokens", "money"])
def test_200_calls_at_once_admit_no_more_than_the_budget(tenant):
    outcomes = asyncio.run(at_once(tenant))
    served = [outcome for outcome in outcomes if isinstance(outcome, tuple)]
    refused = [outcome for outcome in outcomes if not isinstance(outcome, tuple)]
    assert all(isinstance(error, (openai.RateLimitError, anthropic.RateLimitError)) for error in refused), refused[:3]
    account = settled(tenant)
    # To the token and the nano-dollar: nothing was lost, nothing counted twice.
    assert account["used"] == sum(owed(tenant, usage) for usage in served)
    assert account["used"] <= account["limit"]
    # Prompts are estimated a little above what is reported, else nearly all of the budget would be spent.
    assert 70 <= len(served) <= 100, f"{len(served)} calls of {CALLS}, {account}"
    if tenant == "requests":
        assert len(served) == 100


def refusal(client, call) -> tuple:
    with pytest.raises((openai.RateLimitError, anthropic.RateLimitError)) as refused:
        for _ in range(200):
            call(client)
    return refused.value, refused.value.response.headers


@pytest.mark.parametrize("tenant, code", [("spent-rolling", "rate_limit_exceeded"), ("spent-calendar", "insufficient_quota")])
def test_a_refusal_is_the_sdk_s_own_error_with_code_and_time(tenant, code, question):
    ask = lambda client: client.chat.completions.create(**chat(question, max_tokens=5))  # noqa: E731
    ask(openai_client(tenant))
    error, headers = refusal(openai_client(tenant), ask)
    assert error.code == code and f"`{tenant}`" in error.message
    # More than a minute is not worth a retry; both budgets take days.
    assert int(headers["retry-after"]) > 60 and headers["x-should-retry"] == "false"
    error, headers = refusal(anthropic_client(tenant), lambda client: client.messages.create(**message(question)))
    assert error.body["error"]["type"] == "rate_limit_error" and error.body["error"]["code"] == code
    assert int(headers["retry-after"]) > 60
    assert settled(tenant)["used"] == 1


def counting(kind, times: list):
    """An HTTP client that notes when each answer came."""
    return kind(event_hooks={"response": [lambda response: times.append((time.monotonic(), response))]})


def test_a_retry_of_the_sdk_obeys_the_time_and_succeeds(question):
    # Two calls in four seconds: the third waits for one to drain.
    times = []
    client = openai_client("impatient", max_retries=4, http_client=counting(openai.DefaultHttpx2Client, times))
    for at in range(3):
        client.chat.completions.create(**chat(f"{question} {at}", max_tokens=5))
    statuses = [response.status_code for _, response in times]
    assert statuses.count(200) == 3 and 429 in statuses, statuses
    first = statuses.index(429)
    wait = int(times[first][1].headers["retry-after"])
    assert 1 <= wait <= 2 and "x-should-retry" not in times[first][1].headers
    # One wait was enough, and it was not cut short.
    assert statuses[first:] == [429, 200] and times[first + 1][0] - times[first][0] >= wait


def test_the_sdk_does_not_retry_where_it_is_futile(question):
    # One call in 100 seconds: the SDK would sleep for up to two minutes, were it not told better.
    times = []
    client = openai_client("futile", max_retries=4, http_client=counting(openai.DefaultHttpx2Client, times))
    client.chat.completions.create(**chat(question, max_tokens=5))
    with pytest.raises(openai.RateLimitError) as refused:
        client.chat.completions.create(**chat(f"{question} Again?", max_tokens=5))
    headers = refused.value.response.headers
    assert 60 < int(headers["retry-after"]) <= 100 and headers["x-should-retry"] == "false"
    assert [response.status_code for _, response in times] == [200, 429]


def test_a_call_that_its_client_gave_up_costs_nothing(question):
    client = openai_client("impolite", timeout=0.3)
    with pytest.raises(openai.APITimeoutError):
        client.chat.completions.create(**chat(question, max_tokens=50), **told(delay_ms=3_000))
    client = anthropic_client("impolite", timeout=0.3)
    with pytest.raises(anthropic.APITimeoutError):
        client.messages.create(**message(question), **told(delay_ms=3_000))
    assert settled("impolite")["used"] == 0


@pytest.mark.parametrize("sdk", ["openai", "anthropic"])
def test_an_aborted_stream_costs_what_was_delivered(sdk, question):
    tenant, script = f"aborting-{sdk}", told(words=400, chunk_delay_ms=20)
    if sdk == "openai":
        stream = openai_client(tenant).chat.completions.create(**chat(question, max_tokens=400, stream=True), **script)
    else:
        stream = anthropic_client(tenant).messages.create(**message(question, 400, stream=True), **script)
    for at, _ in enumerate(stream):
        if at == 20:
            break
    assert budget(tenant)["reserved"] > 0
    stream.close()
    account = settled(tenant)
    assert 10 <= account["used"] < 200, account
    # Nothing more is charged for what the provider had yet to say.
    time.sleep(0.5)
    assert budget(tenant)["used"] == account["used"]
