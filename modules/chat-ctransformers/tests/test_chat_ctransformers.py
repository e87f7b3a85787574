from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from jan_ctransformers import CTransformers

from jan_core import call
from jan_core.app import Jan, open_jan
from jan_core.errors import ContextLengthExceeded, InvalidRequest, ModelNotFound, NotSupported, Unavailable
from jan_core.schemas.chat import ChatCompletionChunk, ChatCompletionRequest
from tests.models.tiny_gpt2 import TALE

pytestmark = pytest.mark.anyio
CHOSEN: dict[str, Any] = {"chat": "chat-ctransformers", "completions": [], "embeddings": []}


@pytest.fixture
async def jan(tmp_path: Path, tiny_gpt2: Path) -> AsyncIterator[Jan]:
    for name, about in {
        "tiny": {"settings": {"chat_template": "plain"}},
        "other": {"engine": "llamacpp"},
        "wrong": {"parameters": {"temperature": "warm"}},
    }.items():
        folder = tmp_path / "models" / name
        folder.mkdir(parents=True)
        (folder / "gpt2.bin").symlink_to(tiny_gpt2)
        (folder / "model.json").write_text(json.dumps(about))
    async with open_jan(tmp_path, endpoints=CHOSEN, jan_ctransformers={"threads": 1}) as found:
        yield found


def body(**fields: Any) -> ChatCompletionRequest:
    told = {"model": "tiny", "messages": [{"role": "user", "content": "go"}], **fields}
    return ChatCompletionRequest.model_validate(told)


async def chunks(jan: Jan, **fields: Any) -> list[ChatCompletionChunk]:
    return [chunk async for chunk in jan.chat.create_stream(body(stream=True, **fields))]


async def test_one_stream_of_chunks(jan: Jan) -> None:
    found = await chunks(jan, stream_options={"include_usage": True})
    assert len({chunk.id for chunk in found}) == 1
    first, *middle, last, usage = found
    assert (first.choices[0].delta.role, first.choices[0].delta.content) == ("assistant", "")
    assert "".join(chunk.choices[0].delta.content or "" for chunk in middle) == f" {TALE}"
    assert all(chunk.choices[0].delta.content for chunk in middle)
    assert last.choices[0].finish_reason == "stop"
    assert usage.usage is not None
    assert (usage.usage.prompt_tokens, usage.usage.completion_tokens) == (6, 14)


async def test_several_answers(jan: Jan) -> None:
    reply = await jan.chat.create(body(n=3))
    assert [choice.message.content for choice in reply.choices] == [f" {TALE}"] * 3
    assert reply.usage is not None
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (6, 42)


async def test_tokens_are_reported_while_they_come(jan: Jan) -> None:
    context = call.Call("req_x")
    call.enter(context)
    stream = jan.chat.create_stream(body(stream=True))
    for _ in range(4):
        await anext(stream)
    assert context.prompt_tokens == 6
    assert context.completion_tokens >= 2
    await stream.aclose()  # type: ignore[attr-defined]


async def test_its_prompt_is_counted_without_an_answer(jan: Jan) -> None:
    assert await jan.chat.count_tokens(body()) == 6
    assert await jan.chat.context_length(body()) == 256


async def test_requests_that_cannot_be_answered(jan: Jan) -> None:
    with pytest.raises(ModelNotFound):
        await jan.chat.create(body(model="nothing"))
    with pytest.raises(InvalidRequest, match="llamacpp") as refused:
        await jan.chat.create(body(model="other"))
    assert refused.value.code == "engine_not_available"
    with pytest.raises(InvalidRequest, match=r"parameters\.temperature"):
        await jan.chat.create(body(model="wrong"))
    with pytest.raises(ContextLengthExceeded, match="256 tokens"):
        await jan.chat.create(body(messages=[{"role": "user", "content": "go " * 500}]))
    with pytest.raises(ContextLengthExceeded, match="characters"):
        await jan.chat.create(body(messages=[{"role": "user", "content": "x" * 300_000}]))
    with pytest.raises(NotSupported):
        await jan.chat.create(body(logprobs=True))


async def test_it_is_ready_where_a_model_is(jan: Jan, tmp_path: Path) -> None:
    await jan.chat.ready()
    async with open_jan(tmp_path / "empty", endpoints=CHOSEN) as empty:
        with pytest.raises(Unavailable, match=r"file\.bin"):
            await empty.chat.ready()


async def test_the_worker_is_shared_by_the_app(jan: Jan) -> None:
    await jan.chat.create(body())
    assert len(jan.backend(CTransformers).loaded()) == 1
