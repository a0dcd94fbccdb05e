"""The official OpenAI SDK: every call it makes through the gateway must parse as if the provider had answered itself."""
import openai
import pytest


@pytest.fixture
def client(gateway, credential) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{gateway}/v1", api_key=credential, max_retries=0, timeout=20)


def ask(client, question, **more):
    return client.chat.completions.create(model="gpt-4.1", messages=[{"role": "user", "content": question}], **more)


def test_chat(client, question):
    answer = ask(client, question)
    assert answer.choices[0].message.content
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0


def test_chat_stream_has_no_usage_chunk_that_nobody_asked_for(client, question):
    chunks = list(ask(client, question, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert all(chunk.choices and chunk.usage is None for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_chat_stream_has_the_usage_chunk_when_asked_for(client, question):
    *chunks, last = ask(client, question, stream=True, stream_options={"include_usage": True})
    assert last.choices == [] and last.usage.completion_tokens > 0
    assert all(chunk.choices for chunk in chunks)


def test_a_repeated_call_is_the_same_answer(client, question):
    first = client.chat.completions.with_raw_response.create(model="gpt-4.1", messages=[{"role": "user", "content": question}])
    again = client.chat.completions.with_raw_response.create(model="gpt-4.1", messages=[{"role": "user", "content": question}])
    assert (first.headers["x-gateway-cache"], again.headers["x-gateway-cache"]) == ("miss", "hit")
    assert first.parse() == again.parse()


def test_a_repeated_stream_is_the_same_answer(client, question):
    def text() -> str:
        return "".join(chunk.choices[0].delta.content or "" for chunk in ask(client, question, stream=True))

    assert text() == text() != ""


def test_completions(client, question):
    answer = client.completions.create(model="gpt-4.1", prompt=question)
    assert answer.choices[0].text and answer.usage.total_tokens > 0


def test_responses(client, question):
    answer = client.responses.create(model="gpt-4.1", input=question)
    assert answer.output_text and answer.usage.total_tokens > 0


def test_responses_stream(client, question):
    events = list(client.responses.create(model="gpt-4.1", input=question, stream=True))
    assert events[-1].type == "response.completed" and events[-1].response.usage.output_tokens > 0
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta")


def test_embeddings(client, question):
    answer = client.embeddings.create(model="text-embedding-3-small", input=question)
    assert len(answer.data[0].embedding) > 1 and answer.usage.prompt_tokens > 0


def test_a_bad_key_is_the_sdk_s_own_error(gateway):
    client = openai.OpenAI(base_url=f"{gateway}/v1", api_key="tg_no_such_key", max_retries=0)
    with pytest.raises(openai.AuthenticationError) as refused:
        ask(client, "Hello")
    assert refused.value.code == "invalid_api_key"
    assert "tg_no_such_key" not in str(refused.value)
