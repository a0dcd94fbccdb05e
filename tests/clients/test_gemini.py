"""Google's Gen AI SDK, which sends its key as `x-goog-api-key`."""
import os

import pytest
from google import genai
from google.genai import errors, types


def client_with(gateway, key) -> genai.Client:
    return genai.Client(api_key=key, http_options=types.HttpOptions(base_url=gateway, timeout=20_000))


@pytest.fixture
def client(gateway) -> genai.Client:
    return client_with(gateway, os.environ["GATEWAY_API_KEY"])


def test_generate(client, question):
    answer = client.models.generate_content(model="gemini-2.5-flash", contents=question)
    assert answer.text and answer.usage_metadata.total_token_count > 0


def test_stream(client, question):
    chunks = list(client.models.generate_content_stream(model="gemini-2.5-flash", contents=question))
    assert "".join(chunk.text or "" for chunk in chunks)
    assert chunks[-1].usage_metadata.candidates_token_count > 0


def test_a_bad_key_is_the_sdk_s_own_error(gateway):
    # A client closes its connections when it is dropped, so it needs a name.
    client = client_with(gateway, "tg_no_such_key")
    with pytest.raises(errors.ClientError) as refused:
        client.models.generate_content(model="gemini-2.5-flash", contents="Hello")
    assert refused.value.code == 401 and refused.value.status == "UNAUTHENTICATED"
