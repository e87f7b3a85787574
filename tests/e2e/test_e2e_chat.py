"""Chat completions with the official client, on the real model."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

from tests.e2e.server import MODEL, JanServer
from tests.smollm2 import GO_ON

HELLO = [{"role": "user", "content": "Say hello"}]
STORY = [{"role": "user", "content": "Write a long story"}]
END_TOKEN = "2"
"""`<|im_end|>` in the model's vocabulary."""


def plain(client: openai.OpenAI, messages: Any = STORY, model: str = MODEL, **options: Any) -> Any:
    return client.chat.completions.create(model=model, messages=messages, **options)


def streamed(client: openai.OpenAI, messages: Any = STORY, model: str = MODEL, **options: Any) -> Any:
    """Text, finish reason and usage of the only choice, out of a stream, and its chunks."""
    options = {"stream_options": {"include_usage": True}, **options}
    chunks = list(client.chat.completions.create(model=model, messages=messages, stream=True, **options))
    choices = [choice for chunk in chunks for choice in chunk.choices]
    text = "".join(choice.delta.content or "" for choice in choices)
    reasons = [choice.finish_reason for choice in choices if choice.finish_reason]
    assert len(reasons) == 1
    return text, reasons[0], chunks[-1].usage, chunks


def test_a_stream_and_a_plain_reply_say_the_same(client: openai.OpenAI) -> None:
    reply = plain(client, **GO_ON, temperature=0, max_tokens=12)
    text, reason, usage, chunks = streamed(client, **GO_ON, temperature=0, max_tokens=12)
    assert text == reply.choices[0].message.content != ""
    assert reason == reply.choices[0].finish_reason == "length"
    told = [(one.prompt_tokens, one.completion_tokens, one.total_tokens) for one in (usage, reply.usage)]
    assert told[0] == told[1]
    assert told[0][1:] == (12, told[0][0] + 12)
    assert reply.model == chunks[0].model == MODEL
    assert chunks[0].choices[0].delta.role == "assistant"
    assert len({chunk.id for chunk in chunks}) == 1
    assert chunks[-1].choices == []
    assert all(chunk.usage is None for chunk in chunks[:-1])
    assert len(chunks) > 12, "the tokens did not come one by one"


def test_usage_is_streamed_only_if_asked_for(client: openai.OpenAI) -> None:
    *_, chunks = streamed(client, max_tokens=2, stream_options={"include_usage": False})
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)
    *_, chunks = streamed(client, max_tokens=2, stream_options=openai.omit)
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)


@pytest.mark.parametrize("ask", [plain, streamed])
def test_the_models_own_end_is_stop(client: openai.OpenAI, ask: Any) -> None:
    found = ask(client, logit_bias={END_TOKEN: 100}, max_tokens=20)
    if ask is plain:
        found = (found.choices[0].message.content, found.choices[0].finish_reason, found.usage)
    assert found[0] == ""
    assert found[1] == "stop"
    assert found[2].completion_tokens == 1


@pytest.mark.parametrize("several", [False, True])
def test_the_answer_ends_before_a_stop_string(client: openai.OpenAI, several: bool) -> None:
    whole = plain(client, temperature=0, max_tokens=24).choices[0].message.content
    words = whole.split()
    stop: Any = ["never in it", words[5]] if several else words[5]
    reply = plain(client, temperature=0, max_tokens=24, stop=stop)
    assert reply.choices[0].message.content == whole[: whole.index(words[5])]
    assert reply.choices[0].finish_reason == "stop"
    assert 0 < reply.usage.completion_tokens < 24
    text, reason, usage, _ = streamed(client, temperature=0, max_tokens=24, stop=stop)
    assert (text, reason) == (reply.choices[0].message.content, "stop")
    assert usage.completion_tokens == reply.usage.completion_tokens


def test_both_names_of_the_limit(client: openai.OpenAI) -> None:
    for limit in ({"max_tokens": 4}, {"max_completion_tokens": 4}):
        reply = plain(client, **GO_ON, **limit)
        assert (reply.usage.completion_tokens, reply.choices[0].finish_reason) == (4, "length")
    with pytest.raises(openai.BadRequestError) as refused:
        plain(client, max_tokens=4, max_completion_tokens=4)
    assert refused.value.param == "max_tokens"


def test_several_choices(client: openai.OpenAI) -> None:
    reply = plain(client, **GO_ON, n=3, seed=1, temperature=1, max_tokens=8)
    assert [choice.index for choice in reply.choices] == [0, 1, 2]
    assert [choice.finish_reason for choice in reply.choices] == ["length"] * 3
    assert len({choice.message.content for choice in reply.choices}) == 3
    one = plain(client, seed=1, temperature=1, max_tokens=8)
    assert reply.usage.prompt_tokens == one.usage.prompt_tokens
    assert reply.usage.completion_tokens == 24


def test_more_choices_than_slots_come_in_rounds(client: openai.OpenAI) -> None:
    reply = plain(client, **GO_ON, n=6, seed=1, temperature=1, max_tokens=4)
    assert [choice.index for choice in reply.choices] == list(range(6))
    assert len({choice.message.content for choice in reply.choices}) > 2
    assert reply.usage.completion_tokens == 24
    chunks = list(client.chat.completions.create(model=MODEL, messages=STORY, n=6, max_tokens=2, stream=True))  # type: ignore[arg-type]
    finished = [choice.index for chunk in chunks for choice in chunk.choices if choice.finish_reason]
    assert sorted(finished) == list(range(6))


def test_a_seed_repeats_an_answer(client: openai.OpenAI) -> None:
    told = {"temperature": 1.2, "max_tokens": 10}
    first, again, other, negative = (
        plain(client, seed=seed, **told).choices[0].message.content for seed in (7, 7, 8, -(2**63))
    )
    assert first == again
    assert len({first, other, negative}) == 3


def test_temperature_0_repeats_an_answer(client: openai.OpenAI) -> None:
    texts = {plain(client, temperature=0, max_tokens=8, seed=seed).choices[0].message.content for seed in (1, 2)}
    assert len(texts) == 1


def test_the_roles_system_and_developer(client: openai.OpenAI) -> None:
    def ask(role: str, text: str) -> Any:
        return plain(client, [{"role": role, "content": text}, *HELLO], temperature=0, max_tokens=8)

    system, developer = ask("system", "You are a pirate."), ask("developer", "You are a pirate.")
    assert system.choices[0].message.content == developer.choices[0].message.content
    assert system.usage.prompt_tokens == developer.usage.prompt_tokens
    longer = ask("system", "You are a pirate. " * 5)
    assert longer.usage.prompt_tokens > system.usage.prompt_tokens + 15


def test_content_in_parts_is_the_text_of_the_parts(client: openai.OpenAI) -> None:
    parts = [{"type": "text", "text": "Say"}, {"type": "text", "text": "hello"}]
    in_parts = plain(client, [{"role": "user", "content": parts}], temperature=0, max_tokens=6)
    whole = plain(client, [{"role": "user", "content": "Say\nhello"}], temperature=0, max_tokens=6)
    assert in_parts.choices[0].message.content == whole.choices[0].message.content
    assert in_parts.usage.prompt_tokens == whole.usage.prompt_tokens


@pytest.mark.parametrize("stream", [False, True])
def test_a_conversation_longer_than_the_context_is_refused(client: openai.OpenAI, stream: bool) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        plain(client, [{"role": "user", "content": "word " * 300}], model="small", stream=stream)
    assert (refused.value.code, refused.value.param) == ("context_length_exceeded", "messages")
    assert "256" in refused.value.message


def test_an_answer_that_fills_the_context_ends_with_length(client: openai.OpenAI) -> None:
    options: Any = {"model": "small", "max_tokens": 10_000, **GO_ON}
    reply = plain(client, [{"role": "user", "content": "word " * 190}], **options)
    assert reply.choices[0].finish_reason == "length"
    assert reply.usage.total_tokens == 256
    text, reason, usage, _ = streamed(client, [{"role": "user", "content": "word " * 190}], **options)
    assert (reason, usage.total_tokens) == ("length", 256)
    assert text


def test_the_models_parameters_hold_where_a_request_gives_none(client: openai.OpenAI) -> None:
    assert plain(client, model="small", **GO_ON).usage.completion_tokens == 3
    assert streamed(client, model="small", **GO_ON)[2].completion_tokens == 3
    assert plain(client, model="small", **GO_ON, max_tokens=5).usage.completion_tokens == 5
    assert plain(client, model="small", **GO_ON, max_completion_tokens=6).usage.completion_tokens == 6
    texts = [plain(client, model="small", seed=seed).choices[0].message.content for seed in (1, 2)]
    assert texts[0] == texts[1], "the temperature 0 of model.json did not hold"
    hot = {plain(client, model="small", seed=s, temperature=2).choices[0].message.content for s in (1, 2, 3)}
    assert len(hot) > 1, "the request's temperature did not go before that of model.json"


@pytest.mark.parametrize(
    ("model", "code", "named"),
    [
        ("bad-setting", "bad_model_settings", "settings.ctx_len"),
        ("bad-parameter", "bad_model_parameters", "parameters.temperature"),
    ],
)
def test_a_bad_value_in_model_json_is_told(client: openai.OpenAI, model: str, code: str, named: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        plain(client, model=model)
    assert (refused.value.code, refused.value.param) == (code, "model")
    assert "model.json" in refused.value.message
    assert named in refused.value.message


def test_the_log_tells_tokens_and_never_what_was_said(shared: JanServer) -> None:
    secret = "the harvest moon password"
    reply = shared.client().chat.completions.with_raw_response.create(
        model=MODEL, messages=[{"role": "user", "content": secret}], max_tokens=5, **GO_ON
    )
    usage = reply.parse().usage
    line = shared.line_of(reply.headers["x-request-id"])
    assert usage is not None
    assert line | {"ms": 0, "time": ""} == {
        "time": "",
        "request_id": reply.headers["x-request-id"],
        "method": "POST",
        "route": "/v1/chat/completions",
        "status": 200,
        "ms": 0,
        "model": MODEL,
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": 5,
    }
    assert "harvest" not in "\n".join(shared.stderr)


def test_a_reply_that_the_api_does_not_have_fails_the_check(shared: JanServer) -> None:
    good = shared.raw()
    good.chat(model=MODEL, messages=HELLO, max_tokens=1)
    reply = good.reply().json()
    good.leave()
    for broken in (
        {name: value for name, value in reply.items() if name != "choices"},
        {**reply, "object": "chat"},
        {**reply, "usage": {"prompt_tokens": "1"}},
    ):
        with pytest.raises(pytest.fail.Exception):
            shared.checks.reply("POST", "/v1/chat/completions", 200, json.dumps(broken).encode())
    with pytest.raises(pytest.fail.Exception):
        shared.checks.reply("GET", "/v1/models/x", 404, b'{"error": {"message": "x"}}')
    with pytest.raises(pytest.fail.Exception):
        shared.checks.event('{"id": "x", "object": "chat.completion.chunk"}')
