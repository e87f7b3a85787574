from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from jan_core.errors import ModelNotFound
from jan_core.schemas.chat import ChatCompletionRequest
from jan_core.testing.contract import streams
from jan_core.testing.contract.case import Broken
from jan_core.testing.contract.streams import StreamCase
from jan_core.testing.wired import one_module
from tests.parts import chat_body

pytestmark = pytest.mark.anyio
HANGING = {"say": ["a", "b"], "hang": True}


def case(folder: Path) -> StreamCase:
    return StreamCase(lambda root: one_module(root, "chat", "chat-scripted"), "chat", folder)


def body(script: Any, **fields: Any) -> ChatCompletionRequest:
    return ChatCompletionRequest.model_validate(chat_body(script, **fields))


async def test_asking_both_ways(tmp_path: Path) -> None:
    async with case(tmp_path) as one:
        assert await one.model() == "scripted"
        found, context = await one.streamed("chat.create_stream", body("a b", stream=True))
        assert (len(found), context.completion_tokens) == (4, 2)
        reply, context = await one.counted("chat.create", body("a b"))
        assert (reply.choices[0].message.content, context.completion_tokens) == ("a b ", 2)
        assert len(await one.sent_stream("/chat/completions", chat_body("a b"))) == 4
        with pytest.raises(ModelNotFound):
            await one.streamed("chat.create_stream", body("a", stream=True, model="none"))


async def test_no_model_to_ask(tmp_path: Path) -> None:
    async with case(tmp_path) as one:
        await one.jan.models.delete("scripted")
        with pytest.raises(Broken, match="no model to ask"):
            await one.model()


async def test_streams_that_fail(tmp_path: Path) -> None:
    async with case(tmp_path) as one:
        failing = {"say": ["a", "b"], "fail": "engine_error", "fail_after": 1}
        with pytest.raises(Broken, match="as a stream failed"):
            await one.sent_stream("/chat/completions", chat_body(failing))
        with pytest.raises(Broken, match="answered 404"):
            await one.sent_stream("/chat/completions", chat_body("a", model="none"))
        with pytest.raises(Broken, match="raised RuntimeError"):
            await one.streamed("chat.create_stream", body({"say": ["a"], "fail": "boom"}, stream=True))


async def test_leaving_a_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "SOON", 0.2)

    async def goes_on() -> AsyncIterator[int]:
        with contextlib.suppress(GeneratorExit):
            yield 1
        yield 2

    async def hangs() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            await asyncio.sleep(60)

    async def breaks() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            raise KeyError("inside")

    async with case(tmp_path) as one:
        await one.ask("chat.create", body("a"))
        await asyncio.sleep(0.05)
        before = asyncio.all_tasks()
        await one.left(one.tested.create_stream(body(HANGING, stream=True)), 2)  # type: ignore[attr-defined]
        await one.quiet(before)
        for wrong, told in (
            (goes_on(), "closing a stream raised"),
            (hangs(), "closing a stream: it has not ended"),
            (breaks(), "closing a stream raised KeyError"),
        ):
            with pytest.raises(Broken, match=told):
                await one.left(wrong, 1)
        with pytest.raises(Broken, match="fewer than 9"):
            await one.left(one.tested.create_stream(body("a", stream=True)), 9)  # type: ignore[attr-defined]
        with pytest.raises(Broken, match="no 9 events"):
            await one.left(one.tested.create_stream(body(HANGING, stream=True)), 9)  # type: ignore[attr-defined]


async def test_giving_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "SOON", 0.2)
    left: list[asyncio.Task[None]] = []

    async def stays() -> None:
        left.append(asyncio.ensure_future(asyncio.sleep(60)))
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        await left[0]

    async def breaks() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise KeyError("inside") from None

    async with case(tmp_path) as one:
        await one.ask("chat.create", body("a"))
        await asyncio.sleep(0.05)
        before = asyncio.all_tasks()
        await one.given_up(one.ask("chat.create", body(HANGING)), 0.01)
        await one.quiet(before)
        with pytest.raises(Broken, match="raised KeyError"):
            await one.given_up(breaks(), 0.01)
        with pytest.raises(Broken, match="cancelled: it has not ended"):
            await one.given_up(stays(), 0.01)
        with pytest.raises(Broken, match="goes on in the background"):
            await one.quiet(before)
        left[0].cancel()
        await one.quiet(before)


async def test_generators_that_are_left_open(tmp_path: Path) -> None:
    async def numbers() -> AsyncIterator[int]:
        for number in range(3):
            yield number

    async with case(tmp_path) as one:
        async with one.no_stream_left():
            assert [number async for number in numbers()] == [0, 1, 2]
            async with contextlib.aclosing(numbers()) as events:  # type: ignore[type-var]
                assert await anext(events) == 0
            assert await anext(numbers()) == 0  # nobody holds it: it is closed as it goes
        held = numbers()
        with pytest.raises(Broken, match=r"neither ended nor closed: .*numbers"):
            async with one.no_stream_left():
                await anext(held)
        with pytest.raises(LookupError):
            async with one.no_stream_left():
                raise LookupError
