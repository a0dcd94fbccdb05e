"""Hard caps through the official SDKs: an answer that may not go on ends as the API itself ends one at its maximum."""
import pytest
from budgets import TOKENS, anthropic_client, asked, chat, message, openai_client, settled, told, url
from google import genai
from google.genai import types

pytestmark = pytest.mark.skipif(not TOKENS, reason="needs the rules of tests/e2e/budget_sdk.rs")

# Output tokens of each tenant; budget_sdk.rs sets the same.
CAP = 300
# A provider that does not stop at the maximum it was given, so that the gateway must.
ENDLESS = told(no_limit=1, words=700, chunk_delay_ms=1)


def ended_by_us(tenant, words: int) -> None:
    """The client got what the budget allowed: a word is one token, which the gateway takes for up to two until it is told."""
    assert CAP / 2 <= words <= CAP + 20, f"{words} words"
    account = settled(tenant)
    assert account["used"] >= words and account["remaining"] == 0, account


@pytest.mark.parametrize("asks_usage", [False, True])
def test_openai_stream(asks_usage, question):
    tenant = f"cap-openai-{'usage' if asks_usage else 'plain'}"
    options = {"stream_options": {"include_usage": True}} if asks_usage else {}
    chunks = list(openai_client(tenant).chat.completions.create(**chat(question, stream=True, **options), **ENDLESS))
    usages = [chunk.usage for chunk in chunks if chunk.usage]
    finishes = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices and chunk.choices[0].finish_reason]
    assert finishes == ["length"]
    assert len(usages) == int(asks_usage) and all(usage.completion_tokens >= CAP for usage in usages)
    ended_by_us(tenant, sum(bool(chunk.choices and chunk.choices[0].delta.content) for chunk in chunks))
    assert asked(question)[0]["max_completion_tokens"] == CAP


def test_openai_responses_stream(question):
    stream = openai_client("cap-responses").responses.create(model="gpt-4.1", input=question, stream=True, **ENDLESS)
    events = list(stream)
    last = events[-1]
    assert last.type == "response.incomplete" and last.response.incomplete_details.reason == "max_output_tokens"
    assert last.response.usage.output_tokens >= CAP
    ended_by_us("cap-responses", sum(event.type == "response.output_text.delta" for event in events))


def test_anthropic_stream(question):
    with anthropic_client("cap-anthropic").messages.stream(**message(question, 5_000), **ENDLESS) as stream:
        words = len(list(stream.text_stream))
        final = stream.get_final_message()
    assert final.stop_reason == "max_tokens" and final.usage.output_tokens >= CAP
    ended_by_us("cap-anthropic", words)
    assert asked(question)[0]["max_tokens"] == CAP


def test_gemini_stream(question):
    options = types.HttpOptions(base_url=url(), timeout=20_000, headers=ENDLESS["extra_headers"])
    client = genai.Client(api_key=TOKENS["cap-gemini"], http_options=options)
    chunks = list(client.models.generate_content_stream(model="gemini-2.5-flash", contents=question))
    assert chunks[-1].candidates[0].finish_reason == types.FinishReason.MAX_TOKENS
    assert chunks[-1].usage_metadata.candidates_token_count >= CAP
    ended_by_us("cap-gemini", sum(bool(chunk.text) for chunk in chunks))
    assert asked(question)[0]["generationConfig"]["maxOutputTokens"] == CAP


def test_the_maximum_of_a_json_answer_is_lowered_to_what_is_left(question):
    client = openai_client("cap-json")
    for spent, (declared, words) in {0: (200, 200), 200: (5_000, 900)}.items():
        asks = f"{question} after {spent}"
        answer = client.chat.completions.create(**chat(asks, max_tokens=declared), **told(words=words))
        (sent,) = asked(asks)
        assert sent["max_tokens"] == min(declared, CAP - spent)
        assert answer.choices[0].finish_reason == ("stop" if declared == words else "length")
    # Spent to the token, and not one more.
    assert settled("cap-json")["used"] == CAP
