"""How long a run is `queued`, and what its first write holds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from jan_core import call
from jan_core.errors import EngineError
from jan_core.schemas.runs import KeptRun
from jan_core.testing.contract.run_grammar import story

from .conftest import FUNCTION, InMemory, Talk, names

pytestmark = pytest.mark.anyio


async def statuses(talk: Talk, seconds: float, **more: Any) -> tuple[str, list[str], str]:
    """The status of a new run a while later, its statuses as they were told by then, and its end."""
    heard: list[Any] = []

    async def listen() -> None:
        heard.extend([event async for event in talk.jan.runs.create_stream(talk.thread, talk.request(**more))])

    listening = asyncio.create_task(listen())
    await asyncio.sleep(seconds)
    active = await talk.stored._store.active(talk.thread)
    assert active is not None
    await listening
    return active.run.status, story(heard).statuses, heard[-1].data.status


class TestQueued:
    async def test_it_is_queued_until_the_engine_has_begun(self, talk: Talk) -> None:
        async with talk:
            await talk.say({"wait": 0.4, "say": ["a"]})
            found = await statuses(talk, 0.2)
        assert found == ("queued", ["queued", "in_progress", "completed"], "completed")

    async def test_an_engine_that_says_that_it_begins_is_believed(self, talk: Talk) -> None:
        async with talk:
            await talk.say({"wait": 0.4, "say": ["a"]})
            inner = talk.engine.create_stream

            async def create_stream(body: Any) -> AsyncIterator[Any]:
                call.begun()
                async for chunk in inner(body):
                    yield chunk

            talk.engine.create_stream = create_stream  # type: ignore[method-assign]
            found = await statuses(talk, 0.2)
        assert found == ("in_progress", ["queued", "in_progress", "completed"], "completed")

    async def test_one_that_has_begun_and_says_nothing_is_in_progress(self, talk: Talk) -> None:
        async with talk:
            await talk.say({"say": [], "hang": True})
            run = await talk.run()
            async with asyncio.timeout(10):
                while (await talk.jan.runs.retrieve(talk.thread, run.id)).status != "in_progress":
                    await asyncio.sleep(0.01)
            assert await talk.steps(run) == []

    async def test_after_outputs_it_waits_again(self, talk: Talk) -> None:
        async with talk:
            await talk.say({"call": [{"name": "add"}]})
            run = await talk.end(await talk.run(tools=[FUNCTION]))
            assert run.required_action is not None
            (wanted,) = run.required_action.submit_tool_outputs.tool_calls
            from jan_core.schemas.runs import ToolOutputsRequest

            output = {"tool_call_id": wanted.id, "output": '{"wait": 0.4, "say": ["a"]}'}
            body = ToolOutputsRequest.model_validate({"tool_outputs": [output]})
            await talk.jan.runs.submit_tool_outputs(talk.thread, run.id, body)
            await asyncio.sleep(0.2)
            assert (await talk.jan.runs.retrieve(talk.thread, run.id)).status == "queued"
            assert (await talk.end(run)).status == "completed"


class TestOneWrite:
    async def test_that_it_goes_on_is_stored_with_its_first_words(self, talk: Talk) -> None:
        async with talk:
            await talk.say({"say": ["a"], "hang": True})
            async for event in talk.jan.runs.create_stream(talk.thread, talk.request()):
                if event.event == "thread.message.created":
                    assert talk.place.writes == [("queued", True), ("in_progress", False)]
                    break

    async def test_and_with_its_first_calls(self, talk: Talk) -> None:
        async with talk:
            await talk.say({"call": [{"name": "add"}]})
            async for event in talk.jan.runs.create_stream(talk.thread, talk.request(tools=[FUNCTION])):
                if event.event == "thread.run.step.created":
                    assert talk.place.writes == [("queued", True), ("requires_action", True)]
                    break

    async def test_what_is_being_stored_is_stored_first(self, talk: Talk) -> None:
        async with talk:
            await talk.say({"say": []})
            store = talk.stored._store
            assert isinstance(store, InMemory)

            async def slowly(kept: KeptRun) -> None:
                await asyncio.sleep(0.2)

            store.before_write = slowly
            inner = talk.engine.create_stream

            async def create_stream(body: Any) -> AsyncIterator[Any]:
                call.begun()
                await asyncio.sleep(0.1)
                async for chunk in inner(body):
                    yield chunk

            talk.engine.create_stream = create_stream  # type: ignore[method-assign]
            told = await talk.events()
        assert names(told)[2:4] == ["thread.run.in_progress", "thread.run.step.created"]
        story(told)

    @pytest.mark.parametrize("says", [True, False])
    async def test_where_it_cannot_be_stored_the_run_stays_for_the_next_one(self, talk: Talk, says: bool) -> None:
        async with talk:
            await talk.say({"say": ["a"]} if says else {"say": [], "hang": True})
            store = talk.stored._store
            assert isinstance(store, InMemory)
            failing = True

            async def fail(kept: KeptRun) -> None:
                if failing and kept.run.status == "in_progress":
                    raise OSError("no space left")

            store.before_write = fail
            inner = talk.engine.create_stream

            async def create_stream(body: Any) -> AsyncIterator[Any]:
                async for chunk in inner(body):
                    yield chunk
                    if not says:
                        await asyncio.sleep(0.1)
                        raise EngineError("It broke.")

            talk.engine.create_stream = create_stream  # type: ignore[method-assign]
            run = await talk.run()
            async with asyncio.timeout(10):
                while talk.stored._loop.carries(run.id):
                    await asyncio.sleep(0.01)
            assert (await talk.jan.runs.retrieve(talk.thread, run.id)).status == "queued"
            failing = False
            talk.stored._loop.start(talk.thread, run.id)
            ended = await talk.end(run)
        assert ended.status == ("completed" if says else "failed")


class TestExpiry:
    async def test_while_it_waits_for_the_engine(self, tmp_path: Any) -> None:
        async with Talk(tmp_path, expires_seconds=2) as talk:
            await talk.say({"wait": 60, "say": ["a"]})
            told = story(await talk.events())
            assert await talk.answers() == []
            assert (talk.engine.open, talk.engine.said) == (0, 0)
        assert told.statuses == ["queued", "expired"]
        assert told.run["started_at"] is None

    async def test_while_the_queue_is_full(self, tmp_path: Any) -> None:
        async with Talk(tmp_path, expires_seconds=2) as talk:
            await talk.say({"fail": "queue_full"})
            told = story(await talk.events())
        assert (told.statuses, len(talk.engine.asked) > 2) == (["queued", "expired"], True)

    async def test_who_cancels_before_it_has_cancelled(self, tmp_path: Any) -> None:
        async with Talk(tmp_path, expires_seconds=2) as talk:
            await talk.say({"wait": 60, "say": ["a"]})
            run = await talk.run()
            await talk.jan.runs.cancel(talk.thread, run.id)
            assert (await talk.end(run)).status == "cancelled"
