"""Callers with budgets: clients of the official SDKs, what a tenant's account says, and what the provider was asked.

`GATEWAY_BUDGETS` is a JSON object: the token of every tenant that tests/e2e/budget_sdk.rs gives a rule of the tenant's
name. Without it these tests have nothing to call and are skipped.
"""
import base64
import json
import os
import time
import urllib.request
from decimal import Decimal

import anthropic
import openai

TOKENS = json.loads(os.environ.get("GATEWAY_BUDGETS", "{}"))
# Most that something may take which happens after an answer, in seconds.
PATIENCE = 10


def url() -> str:
    return os.environ["GATEWAY_URL"]


def openai_client(tenant, kind=openai.OpenAI, **options):
    return kind(base_url=f"{url()}/v1", api_key=TOKENS[tenant], **({"max_retries": 0, "timeout": 60} | options))


def anthropic_client(tenant, kind=anthropic.Anthropic, **options):
    return kind(base_url=url(), auth_token=TOKENS[tenant], **({"max_retries": 0, "timeout": 60} | options))


def chat(question, **more):
    return {"model": "gpt-4.1", "messages": [{"role": "user", "content": question}]} | more


def message(question, max_tokens=40, **more):
    return chat(question, model="claude-sonnet-4-5", max_tokens=max_tokens, **more)


def told(**instructions) -> dict:
    """Headers for the scripted provider: `told(chunk_delay_ms=50)`."""
    return {"extra_headers": {f"x-provider-{name.replace('_', '-')}": str(value) for name, value in instructions.items()}}


def budget(tenant) -> dict:
    request = urllib.request.Request(f"{url()}/gateway/budget", headers={"authorization": f"Bearer {TOKENS[tenant]}"})
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        (entry,) = json.load(answer)["budgets"]
    return entry | {name: Decimal(str(entry[name])) for name in ("limit", "used", "reserved", "remaining")}


def settled(tenant) -> dict:
    """The account once nothing is reserved: calls are settled after their client has gone."""
    deadline = time.monotonic() + PATIENCE
    while (found := budget(tenant))["reserved"] != 0:
        assert time.monotonic() < deadline, f"still reserved: {found}"
        time.sleep(0.05)
    return found


def asked(question) -> list[dict]:
    """Bodies of the requests that reached the provider with this question."""
    with urllib.request.urlopen(f"{os.environ['PROVIDER_URL']}/_requests", timeout=PATIENCE) as answer:
        bodies = [base64.b64decode(request["body_base64"]) for request in json.load(answer)]
    return [json.loads(body) for body in bodies if question.encode() in body]
