from __future__ import annotations

import asyncio

import pytest
from jan_runs.events import text_begun
from jan_runs.feed import LAG, Feed

from jan_core.errors import EngineError
from jan_core.schemas.runs import Run

pytestmark = pytest.mark.anyio


def told(event: object) -> str:
    return event.data.delta.content[0].text.value  # type: ignore[attr-defined, no-any-return]


async def all_of(listener: object) -> list[object]:
    return [event async for event in listener]  # type: ignore[attr-defined]


class TestFeed:
    async def test_every_listener_gets_everything_from_its_beginning_on(self) -> None:
        feed = Feed()
        first = feed.listen()
        feed.publish(text_begun("msg_1", 0, "a"))
        second = feed.listen()
        feed.say("text", "msg_1", 0, "b")
        feed.close()
        assert "".join(map(told, await all_of(first))) == "ab"
        assert "".join(map(told, await all_of(second))) == "b"

    async def test_what_comes_while_a_listener_waits_wakes_it(self) -> None:
        feed = Feed()
        listener = feed.listen()
        waiting = asyncio.create_task(anext(listener))
        await asyncio.sleep(0)
        feed.say("text", "msg_1", 0, "a")
        assert told(await waiting) == "a"

    async def test_the_end_wakes_a_listener(self) -> None:
        feed = Feed()
        waiting = asyncio.create_task(all_of(feed.listen()))
        await asyncio.sleep(0)
        feed.close()
        assert await waiting == []

    async def test_a_listener_of_a_closed_feed_ends_at_once(self) -> None:
        feed = Feed()
        feed.close()
        assert await all_of(feed.listen()) == []

    async def test_an_error_comes_behind_what_was_told(self) -> None:
        feed = Feed()
        listener = feed.listen()
        feed.say("text", "msg_1", 0, "a")
        feed.close(EngineError("gone"))
        assert told(await anext(listener)) == "a"
        with pytest.raises(EngineError):
            await anext(listener)
        assert await all_of(listener) == []

    async def test_a_listener_that_left_gets_nothing_and_costs_nothing(self) -> None:
        feed = Feed()
        listener = feed.listen()
        await listener.aclose()
        feed.say("text", "msg_1", 0, "a")
        assert len(feed) == 0
        assert await all_of(listener) == []

    async def test_one_that_leaves_while_it_waits_is_woken(self) -> None:
        feed = Feed()
        listener = feed.listen()
        waiting = asyncio.create_task(all_of(listener))
        await asyncio.sleep(0)
        await listener.aclose()
        assert await waiting == []


class TestPieces:
    async def test_a_slow_listener_gets_fewer_and_longer_pieces_and_all_of_the_text(self) -> None:
        feed = Feed()
        listener = feed.listen()
        for number in range(10_000):
            feed.say("text", "msg_1", 0, f"{number} ")
        feed.close()
        events = await all_of(listener)
        assert len(events) == LAG
        assert "".join(map(told, events)) == "".join(f"{number} " for number in range(10_000))

    async def test_pieces_of_different_texts_are_not_joined(self) -> None:
        feed = Feed()
        listener = feed.listen()
        for number in range(LAG):
            feed.say("text", "msg_1", 0, f"{number}")
        feed.say("text", "msg_2", 0, "other")
        feed.say("refusal", "msg_2", 1, "no")
        feed.say("refusal", "msg_2", 1, "!")
        feed.close()
        events = await all_of(listener)
        assert [event.data.id for event in events[-2:]] == ["msg_2", "msg_2"]  # type: ignore[attr-defined]
        assert events[-1].data.delta.content[0].refusal == "no!"  # type: ignore[attr-defined]

    async def test_pieces_of_arguments_are_of_the_step(self) -> None:
        feed = Feed()
        listener = feed.listen()
        feed.say("arguments", "step_1", 2, '{"a"')
        event = await anext(listener)
        assert event.event == "thread.run.step.delta"
        assert event.data.model_dump(mode="json") == {
            "id": "step_1",
            "object": "thread.run.step.delta",
            "delta": {
                "step_details": {
                    "type": "tool_calls",
                    "tool_calls": [{"index": 2, "type": "function", "function": {"arguments": '{"a"'}}],
                }
            },
        }

    async def test_that_it_is_cancelled_is_told_once(self) -> None:
        feed = Feed()
        listener = feed.listen()
        given = {"id": "run_1", "created_at": 1, "thread_id": "t", "assistant_id": "jan", "model": "m"}
        for _ in range(2):
            feed.cancelling(Run.model_validate({**given, "status": "cancelling"}))
        feed.close()
        assert [event.event for event in await all_of(listener)] == ["thread.run.cancelling"]
