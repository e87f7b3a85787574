"""What `Chat` promises, of each implementation: the scripted engine, and llama.cpp on a real model."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from jan_core.app import Jan, open_jan
from jan_core.errors import ModelNotFound, NotSupported
from jan_core.folding import fold_chat
from jan_core.schemas.chat import ChatCompletionChunk, ChatCompletionRequest
from jan_core.testing.wired import wired

pytestmark = pytest.mark.anyio
OPTIONAL = ["list", "retrieve", "update", "delete", "messages", "count_tokens", "template"]


@pytest.fixture(params=["scripted", "llamacpp"], scope="module")
async def jan(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, shared_root: Path
) -> AsyncIterator[Jan]:
    """An app with an implementation of `chat` and one model."""
    if request.param == "scripted":
        async with wired(tmp_path_factory.mktemp("scripted")) as scripted:
            yield scripted
    else:
        async with open_jan(shared_root, jan_llamacpp={"threads": 1, "context": 512}) as real:
            yield real


async def request(jan: Jan, **more: Any) -> ChatCompletionRequest:
    model = (await jan.models.list()).data[0].id
    given = {"model": model, "messages": [{"role": "user", "content": "one two three"}], "max_tokens": 8}
    return ChatCompletionRequest.model_validate({**given, "temperature": 0, "seed": 1, **more})


async def chunks(jan: Jan, **more: Any) -> list[ChatCompletionChunk]:
    async with aclosing(jan.chat.create_stream(await request(jan, stream=True, **more))) as events:
        return [chunk async for chunk in events]


@pytest.mark.parametrize("choices", [1, 2])
async def test_the_grammar_of_a_stream(jan: Jan, choices: int) -> None:
    found = await chunks(jan, n=choices, stream_options={"include_usage": True})
    *pieces, last = found
    assert {(chunk.id, chunk.created, chunk.model) for chunk in found} == {
        (found[0].id, found[0].created, found[0].model)
    }
    assert not last.choices
    assert last.usage is not None
    assert last.usage.total_tokens == last.usage.prompt_tokens + last.usage.completion_tokens > 0
    for index in range(choices):
        own = [choice for chunk in pieces for choice in chunk.choices if choice.index == index]
        assert own[0].delta.role == "assistant"
        assert own[-1].finish_reason in ("stop", "length")
        assert own[-1].delta.content is None
        assert [choice.finish_reason for choice in own[:-1]] == [None] * (len(own) - 1)
        assert "".join(choice.delta.content or "" for choice in own)
    assert not [chunk.usage for chunk in pieces if chunk.usage]


async def test_a_stream_tells_its_usage_only_when_asked(jan: Jan) -> None:
    assert all(chunk.choices and chunk.usage is None for chunk in await chunks(jan))


async def test_the_plain_answer_is_the_folded_stream(jan: Jan) -> None:
    plain = await jan.chat.create(await request(jan))
    body = await request(jan, stream=True, stream_options={"include_usage": True})
    folded = await fold_chat(jan.chat.create_stream(body))
    assert plain.choices == folded.choices
    assert plain.usage is not None
    assert folded.usage is not None
    assert plain.usage.completion_tokens == folded.usage.completion_tokens
    assert plain.id != folded.id


async def test_a_closed_stream_says_no_more_and_the_next_one_answers(jan: Jan) -> None:
    events = jan.chat.create_stream(await request(jan, stream=True, max_tokens=200))
    await anext(events)
    await events.aclose()
    assert [chunk async for chunk in events] == []
    assert (await jan.chat.create(await request(jan))).choices


async def test_an_unknown_model_is_said_before_the_first_chunk(jan: Jan) -> None:
    body = await request(jan, model="nope", stream=True)
    async with aclosing(jan.chat.create_stream(body)) as events:
        with pytest.raises(ModelNotFound):
            await anext(events)
    with pytest.raises(ModelNotFound):
        await jan.chat.create(await request(jan, model="nope"))


@pytest.mark.parametrize("name", OPTIONAL)
async def test_what_is_optional_is_supported_or_refused(jan: Jan, name: str) -> None:
    operation = jan.chat.operations()[name]
    assert operation.optional
    if not jan.chat.supports(name):
        with pytest.raises(NotSupported):
            await getattr(jan.chat, name)(*["x"] * len(operation.arguments))
