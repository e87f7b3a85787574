from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from jan_llamacpp import LlamaCpp

from jan_core import call
from jan_core.app import Jan, open_jan
from jan_core.errors import ContextLengthExceeded, InvalidRequest, ModelNotFound, NotSupported, Unavailable
from jan_core.schemas.chat import ChatCompletionChunk, ChatCompletionRequest
from tests.smollm2 import GO_ON

pytestmark = pytest.mark.anyio

MODEL = "smollm2-135m-instruct"
ENGINE: dict[str, Any] = {"context": 512, "slots": 2, "threads": 1, "prompt_cache_mib": 0}


@pytest.fixture(scope="module")
async def jan(shared_root: Path) -> AsyncIterator[Jan]:
    """One app for all tests that leave it as it is: the model is loaded once."""
    async with open_jan(shared_root, jan_llamacpp=ENGINE, jan_workers={"queue": 1}) as found:
        yield found


@pytest.fixture
async def fresh(root: Path) -> AsyncIterator[Jan]:
    """An app of a test's own, on `root`."""
    async with open_jan(root, jan_llamacpp=ENGINE, jan_workers={"queue": 1}) as found:
        yield found


def body(**fields: Any) -> ChatCompletionRequest:
    told = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 4, **fields}
    return ChatCompletionRequest.model_validate(told)


async def chunks(jan: Jan, **fields: Any) -> list[ChatCompletionChunk]:
    return [chunk async for chunk in jan.chat.create_stream(body(stream=True, **fields))]


async def test_one_stream_of_chunks(jan: Jan) -> None:
    found = await chunks(jan, **GO_ON, stream_options={"include_usage": True})
    assert len({chunk.id for chunk in found}) == 1
    assert {chunk.model for chunk in found} == {MODEL}
    first, *middle, last, usage = found
    assert (first.choices[0].delta.role, first.choices[0].delta.content) == ("assistant", "")
    assert all(chunk.choices[0].delta.content for chunk in middle)
    assert last.choices[0].finish_reason == "length"
    assert usage.choices == []
    assert usage.usage is not None
    assert usage.usage.completion_tokens == 4


async def test_tokens_that_were_held_back_for_a_stop_string_have_their_logprobs(jan: Jan) -> None:
    free = (await jan.chat.create(body(**GO_ON, temperature=0, logprobs=True, max_tokens=8))).choices[0]
    text = free.message.content or ""
    stop = [text[len(text) // 2 :][:3] + "@", text[-3:] + "@"]  # it begins to be these, and never becomes one
    held = (await jan.chat.create(body(**GO_ON, temperature=0, logprobs=True, max_tokens=8, stop=stop))).choices[0]
    assert (held.message.content, held.finish_reason) == (text, "length")
    assert free.logprobs is not None
    assert free.logprobs.content is not None
    assert held.logprobs is not None
    assert held.logprobs.content is not None
    assert [one.token for one in held.logprobs.content] == [one.token for one in free.logprobs.content]


async def test_choices_beyond_the_slots_come_in_rounds_and_every_one_ends(jan: Jan) -> None:
    found = await chunks(jan, n=5, seed=1, stream_options={"include_usage": True})
    ended = [choice.index for chunk in found for choice in chunk.choices if choice.finish_reason]
    begun = [choice.index for chunk in found for choice in chunk.choices if choice.delta.role]
    assert sorted(ended) == sorted(begun) == [0, 1, 2, 3, 4]
    assert found[-1].usage is not None
    one = await jan.chat.create(body())
    assert one.usage is not None
    assert found[-1].usage.prompt_tokens == one.usage.prompt_tokens


async def test_tokens_are_told_to_the_call(jan: Jan) -> None:
    context = call.Call("req_x")
    call.enter(context)
    await jan.chat.create(body(**GO_ON))
    assert context.completion_tokens == 4
    assert context.prompt_tokens is not None
    assert context.prompt_tokens > 10


async def test_longer_than_the_context(jan: Jan) -> None:
    with pytest.raises(ContextLengthExceeded, match="512") as refused:
        await chunks(jan, messages=[{"role": "user", "content": "word " * 600}])
    assert refused.value.param == "messages"
    with pytest.raises(ContextLengthExceeded):
        await jan.chat.create(body(messages=[{"role": "user", "content": "word " * 600}]))


async def test_tools_that_are_longer_than_the_context_are_blamed_themselves(jan: Jan) -> None:
    tools = [
        {"type": "function", "function": {"name": f"f{number}", "description": "word " * 100}} for number in range(9)
    ]
    with pytest.raises(ContextLengthExceeded, match="The tools and the messages are .* 512") as refused:
        await chunks(jan, tools=tools)
    assert refused.value.param == "tools"
    older = [tool["function"] for tool in tools]
    with pytest.raises(ContextLengthExceeded) as refused:
        await chunks(jan, functions=older)
    assert refused.value.param == "functions"
    with pytest.raises(ContextLengthExceeded) as refused:
        await chunks(jan, tools=tools[:1], messages=[{"role": "user", "content": "word " * 600}])
    assert refused.value.param == "messages"


async def test_what_is_refused_loads_no_model(fresh: Jan) -> None:
    with pytest.raises(NotSupported):
        await fresh.chat.create(body(store=True))
    with pytest.raises(InvalidRequest):
        await fresh.chat.create(body(tool_choice="required"))
    schema = {"name": "x", "schema": {"type": "string", "pattern": "a"}}
    for ask in (fresh.chat.create, fresh.chat.check):
        with pytest.raises(InvalidRequest):
            await ask(body(response_format={"type": "json_schema", "json_schema": schema}))
    with pytest.raises(InvalidRequest, match="0 to 49151") as refused:
        await fresh.chat.create(body(logit_bias={"5": 1, "49152": 1}))
    assert refused.value.param == 'logit_bias["49152"]'
    for ask in (fresh.chat.create, fresh.chat.check):
        with pytest.raises(ModelNotFound):
            await ask(body(model="nothing"))
    assert fresh.backend(LlamaCpp).workers.models == {}


async def test_another_engines_model_is_refused(fresh: Jan, root: Path) -> None:
    folder = root / "models" / MODEL
    (folder / "model.json").write_text(json.dumps({"engine": "onnx"}))
    with pytest.raises(InvalidRequest, match="'onnx'") as refused:
        await fresh.chat.create(body())
    assert (refused.value.code, refused.value.param) == ("engine_not_available", "model")
    with pytest.raises(Unavailable, match="jan models pull"):
        await fresh.chat.ready()


async def test_ready_with_a_model_and_not_without(jan: Jan, tmp_path: Path) -> None:
    await jan.chat.ready()
    async with open_jan(tmp_path / "empty") as empty:
        with pytest.raises(Unavailable, match="jan models pull") as refused:
            await empty.chat.ready()
        assert refused.value.code == "no_model"


async def test_closing_the_stream_gives_the_slots_back(jan: Jan) -> None:
    events = jan.chat.create_stream(body(stream=True, n=2, max_tokens=400, **GO_ON))
    await anext(events)
    (model,) = jan.backend(LlamaCpp).workers.models.values()
    assert model.slots.free == 0
    await events.aclose()
    await asyncio.wait_for(model.slots.take(2), 60)
    model.slots.give_back(2)


async def test_a_cancelled_plain_request_gives_its_slot_back(jan: Jan) -> None:
    await jan.chat.create(body())
    (model,) = jan.backend(LlamaCpp).workers.models.values()
    task = asyncio.create_task(jan.chat.create(body(max_tokens=400, **GO_ON)))
    async with asyncio.timeout(30):
        while model.slots.free == 2:
            await asyncio.sleep(0)
    assert model.slots.free == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(model.slots.take(2), 60)
    model.slots.give_back(2)


async def test_a_model_edited_by_hand_is_used_as_it_is_now(fresh: Jan, root: Path) -> None:
    path = root / "models" / MODEL / "model.json"
    path.write_text(json.dumps({"parameters": {"max_tokens": 2}}))
    reply = await fresh.chat.create(body(max_tokens=None, **GO_ON))
    assert reply.usage is not None
    assert reply.usage.completion_tokens == 2
    path.write_text(json.dumps({"parameters": {"max_tokens": 3}, "settings": {"ctx_len": 256}}))
    reply = await fresh.chat.create(body(max_tokens=None, **GO_ON))
    assert reply.usage is not None
    assert reply.usage.completion_tokens == 3
    with pytest.raises(ContextLengthExceeded, match="256"):
        await fresh.chat.create(body(messages=[{"role": "user", "content": "word " * 300}]))


async def test_tokens_are_counted_and_the_prompt_is_shown_without_generating(jan: Jan) -> None:
    tool = {"type": "function", "function": {"name": "add", "description": "adds numbers"}}
    for more in ({}, {"tools": [tool], "tool_choice": "required"}, {"messages": [{"role": "user", "content": "é😀"}]}):
        reply = await jan.chat.create(body(**more))
        assert reply.usage is not None
        assert await jan.chat.count_tokens(body(**more)) == reply.usage.prompt_tokens
    prompt = await jan.chat.template(body(tools=[tool]))
    assert "adds numbers" in prompt
    assert prompt.endswith("<|im_start|>assistant\n")
    with pytest.raises(ModelNotFound):
        await jan.chat.count_tokens(body(model="nothing"))
    assert await jan.chat.context_length(body()) == 512
    with pytest.raises(ModelNotFound):
        await jan.chat.context_length(body(model="nothing"))


async def test_counting_waits_for_no_answer(jan: Jan) -> None:
    slots = jan.backend(LlamaCpp).model(await jan.models.locate(body().model)).slots
    await slots.take(2)
    try:
        async with asyncio.timeout(20):
            await jan.chat.check(body())
        assert await jan.chat.count_tokens(body()) > 0
    finally:
        slots.give_back(2)


async def test_a_second_turn_reads_only_what_is_new(jan: Jan) -> None:
    first = [{"role": "user", "content": "word " * 100}]
    reply = await jan.chat.create(body(messages=first))
    answer = {"role": "assistant", "content": reply.choices[0].message.content}
    again = await jan.chat.create(body(messages=[*first, answer, {"role": "user", "content": "more"}]))
    assert reply.usage is not None
    assert again.usage is not None
    assert again.usage.prompt_tokens_details is not None
    cached = again.usage.prompt_tokens_details.cached_tokens
    assert cached is not None
    assert reply.usage.prompt_tokens - 5 <= cached < again.usage.prompt_tokens
