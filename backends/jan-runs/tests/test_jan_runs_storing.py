from __future__ import annotations

import asyncio
from typing import Any

import pytest
from jan_runs import storing

from jan_core.errors import NotFound, Unavailable
from jan_core.schemas.messages import Message, MessageRequest
from jan_core.testing.memory_messages import _STORAGES

from .conftest import Talk, text_of

pytestmark = pytest.mark.anyio


def message(thread: str, text: str) -> Message:
    return Message.of(MessageRequest(role="user", content=text), id=f"msg_{text}", thread_id=thread, created_at=1)


async def test_in_their_order_and_once(talk: Talk) -> None:
    async with talk:
        thread = await talk.say("first")
        for _ in range(2):
            await storing.put(talk.jan, thread, [message(thread, one) for one in "abc"])
        assert [text_of(one) for one in await talk.messages()] == ["first", "a", "b", "c"]


async def test_a_thread_that_is_gone_gets_nothing(talk: Talk) -> None:
    async with talk:
        with pytest.raises(NotFound) as gone:
            await storing.put(talk.jan, "jan-1-none", [message("jan-1-none", "a")])
        assert gone.value.code == "thread_not_found"
        assert "jan-1-none" not in _STORAGES[talk.root]


async def test_of_a_thread_that_is_deleted_meanwhile_nothing_is_left(talk: Talk) -> None:
    async with talk:
        thread = await talk.say("first")
        really = talk.jan.messages.put

        async def late(one: Any) -> None:
            await talk.jan.threads.delete(thread)
            await talk.jan.reconciler.settled()
            await really(one)

        talk.jan.messages.put = late
        with pytest.raises(NotFound) as gone:
            await storing.put(talk.jan, thread, [message(thread, "a"), message(thread, "b")])
        assert gone.value.code == "thread_not_found"
        assert thread not in _STORAGES[talk.root]


async def test_what_fails_is_told(talk: Talk) -> None:
    async with talk:
        thread = await talk.say("first")

        async def full(one: Any) -> None:
            raise Unavailable("The disk is full.")

        talk.jan.messages.put = full
        with pytest.raises(Unavailable):
            await storing.put(talk.jan, thread, [message(thread, "a")])


async def test_who_is_cancelled_waits_for_what_began(talk: Talk) -> None:
    async with talk:
        thread = await talk.say("first")
        really, begun = talk.jan.messages.put, asyncio.Event()

        async def slow(one: Any) -> None:
            begun.set()
            await asyncio.sleep(0.05)
            await really(one)

        talk.jan.messages.put = slow
        asked = asyncio.create_task(storing.put(talk.jan, thread, [message(thread, "a")]))
        await begun.wait()
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        assert [text_of(one) for one in await talk.messages()] == ["first", "a"]
