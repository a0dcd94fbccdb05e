"""Fallback through the official SDKs, which are told not to try again themselves: each gets one whole answer.

`GATEWAY_PROVIDERS` is a JSON object: the addresses of `first` and `second` of tests/e2e/provider_fleet.rs. Without it these
tests have nothing to call and are skipped.
"""
import base64
import json
import os
import time
import urllib.request

import anthropic
import openai
import pytest
from google import genai
from google.genai import types

PROVIDERS = json.loads(os.environ.get("GATEWAY_PROVIDERS", "{}"))
pytestmark = pytest.mark.skipif(not PROVIDERS, reason="needs the providers of tests/e2e/provider_fleet.rs")

# What `first` is told; the pools of the others begin with a provider that lets nobody in.
SCRIPTED = {
    "503": {"status": 503},
    "500": {"status": 500},
    "529": {"status": 529},
    "429": {"status": 429, "retry-after": 1},
    "reset": {"reset": 1},
    "hang": {"delay-ms": 4_000},
}
CLOSED = ["refusing", "misnamed", "self-signed", "expired"]


def told(instructions) -> dict:
    """Headers for the scripted provider `first`."""
    return {"x-provider-at": "first"} | {f"x-provider-{name}": str(value) for name, value in instructions.items()}


def openai_raw(model, question, instructions, **more):
    client = openai.OpenAI(base_url=f"{os.environ['GATEWAY_URL']}/v1", api_key=os.environ["GATEWAY_API_KEY"], max_retries=0)
    messages = [{"role": "user", "content": question}]
    return client.chat.completions.with_raw_response.create(model=model, messages=messages, extra_headers=told(instructions), **more)


def openai_json(*call):
    raw = openai_raw(*call)
    yield raw.headers
    yield raw.parse().choices[0].message.content


def openai_stream(*call):
    raw = openai_raw(*call, stream=True)
    yield raw.headers
    for chunk in raw.parse():
        if chunk.choices:
            yield chunk.choices[0].delta.content or ""


def anthropic_raw(model, question, instructions, **more):
    client = anthropic.Anthropic(base_url=os.environ["GATEWAY_URL"], api_key=os.environ["GATEWAY_API_KEY"], max_retries=0)
    messages = [{"role": "user", "content": question}]
    return client.messages.with_raw_response.create(model=model, messages=messages, max_tokens=200, extra_headers=told(instructions), **more)


def anthropic_json(*call):
    raw = anthropic_raw(*call)
    yield raw.headers
    yield raw.parse().content[0].text


def anthropic_stream(*call):
    raw = anthropic_raw(*call, stream=True)
    yield raw.headers
    for event in raw.parse():
        if event.type == "content_block_delta":
            yield event.delta.text


def gemini(model, question, instructions) -> tuple:
    options = types.HttpOptions(base_url=os.environ["GATEWAY_URL"], timeout=20_000)
    client = genai.Client(api_key=os.environ["GATEWAY_API_KEY"], http_options=options)
    config = types.GenerateContentConfig(http_options=types.HttpOptions(headers=told(instructions)))
    return client, {"model": model, "contents": question, "config": config}


def gemini_json(*call):
    client, request = gemini(*call)
    answer = client.models.generate_content(**request)
    yield answer.sdk_http_response.headers
    yield answer.text


def gemini_stream(*call):
    client, request = gemini(*call)
    for at, chunk in enumerate(client.models.generate_content_stream(**request)):
        if at == 0:
            yield chunk.sdk_http_response.headers
        yield chunk.text or ""


# Where each SDK's calls go at `second`, which has every API under a path of its own.
WAYS = {
    openai_json: "/openai/deployments/{model}/chat/completions?",
    openai_stream: "/openai/deployments/{model}/chat/completions?",
    anthropic_json: "/anthropic/v1/messages?",
    anthropic_stream: "/anthropic/v1/messages?",
    gemini_json: "/google/v1/models/{model}:generateContent?",
    gemini_stream: "/google/v1/models/{model}:streamGenerateContent?alt=sse&",
}
STREAMS = [openai_stream, anthropic_stream, gemini_stream]


def asked(provider, question) -> list[dict]:
    """The requests of a provider with this question."""
    with urllib.request.urlopen(f"{PROVIDERS[provider]}/_requests", timeout=10) as answer:
        return [request for request in json.load(answer) if question.encode() in base64.b64decode(request["body_base64"])]


def whole(way, model, question, instructions) -> str:
    """Who answered; the answer is whole."""
    headers, *text = way(model, question, instructions)
    assert "".join(text) == f"Hello from the scripted provider. You said {len(question)} characters."
    return headers["x-gateway-provider"]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("kind", [*SCRIPTED, *CLOSED])
def test_the_next_provider_answers(kind, way, question):
    model = f"sdk-{kind}-{way.__name__.replace('_', '-')}"
    if kind in SCRIPTED:
        # Only what fails in a row makes Envoy leave a provider alone.
        assert whole(way, model, "Are you there?", {}) == "first"
    assert whole(way, model, question, SCRIPTED.get(kind, {})) == "second"
    assert len(asked("first", question)) == (1 if kind in SCRIPTED else 0)
    (request,) = asked("second", question)
    assert request["path"] == WAYS[way].format(model=model) + "api-version=2025-01-01"
    head = {header["name"]: header["value"] for header in request["headers"]}
    assert head["api-key"].startswith("sk-scripted-") and not {"authorization", "x-api-key", "x-goog-api-key"} & head.keys()
    assert os.environ["GATEWAY_API_KEY"] not in json.dumps(request)


@pytest.mark.parametrize("way", STREAMS, ids=lambda way: way.__name__)
def test_a_stream_that_breaks_off_is_an_error_and_is_not_begun_again(way, question):
    started = time.monotonic()
    answer = way(f"streams-sdk-{way.__name__.replace('_', '-')}", question, {"words": 100, "cut-after": 8, "chunk-delay-ms": 20})
    assert next(answer)["x-gateway-provider"] == "first"
    read = ""
    with pytest.raises(Exception) as broken:
        for text in answer:
            read += text
    assert not isinstance(broken.value, (AssertionError, StopIteration)), broken.value
    assert read.startswith("Hello") and time.monotonic() - started < 10
    assert len(asked("first", question)) == 1 and asked("second", question) == []
