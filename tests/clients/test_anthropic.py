"""The official Anthropic SDK: API key as `x-api-key`, JWT as bearer token."""
import os

import anthropic
import pytest


@pytest.fixture(params=["api_key", "auth_token"])
def client(gateway, request) -> anthropic.Anthropic:
    credential = os.environ["GATEWAY_API_KEY" if request.param == "api_key" else "GATEWAY_JWT"]
    return anthropic.Anthropic(base_url=gateway, max_retries=0, timeout=20, **{request.param: credential})


def messages(question):
    return {"model": "claude-sonnet-4-5", "max_tokens": 200, "messages": [{"role": "user", "content": question}]}


def test_message(client, question):
    answer = client.messages.create(**messages(question))
    assert answer.content[0].text and answer.stop_reason == "end_turn"
    assert answer.usage.input_tokens > 0 and answer.usage.output_tokens > 0


def test_stream(client, question):
    with client.messages.stream(**messages(question)) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == final.content[0].text != ""
    assert final.usage.output_tokens > 0


def test_a_bad_key_is_the_sdk_s_own_error(gateway):
    client = anthropic.Anthropic(base_url=gateway, api_key="tg_no_such_key", max_retries=0)
    with pytest.raises(anthropic.AuthenticationError) as refused:
        client.messages.create(**messages("Hello"))
    assert refused.value.body["error"]["type"] == "authentication_error"
    assert refused.value.body["error"]["code"] == "invalid_api_key"
