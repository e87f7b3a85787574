"""How a run is cancelled, at whatever moment, and how it expires."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from jan_core.errors import InvalidRequest
from jan_core.testing.contract.run_grammar import story

from .conftest import FUNCTION, Talk

pytestmark = pytest.mark.anyio

CALL = {"call": [{"name": "add", "arguments": {"a": 1}}, {"name": "add", "arguments": "{"}]}


class TestCancelling:
    async def cancelled(self, talk: Talk, run_id: str) -> None:
        found = await talk.jan.runs.cancel(talk.thread, run_id)
        assert found.status in ("cancelling", "cancelled")

    async def test_while_it_speaks(self, talk: Talk) -> None:
        async with talk:
            await talk.say({"say": ["a ", "b "], "hang": True})
            heard: list[Any] = []
            async for event in talk.jan.runs.create_stream(talk.thread, talk.request()):
                heard.append(event)
                if event.event == "thread.message.delta" and len(heard) == 9:
                    await self.cancelled(talk, heard[0].data.id)
            told = story(heard)
            assert talk.engine.open == 0
            assert await talk.answers() == [("incomplete", "a b ")]
            messages = await talk.messages()
        assert told.statuses[-2:] == ["cancelling", "cancelled"]
        assert [one["status"] for one in told.steps.values()] == ["cancelled"]
        assert messages[-1].incomplete_details is not None
        assert messages[-1].incomplete_details.reason == "run_cancelled"

    async def test_while_the_prompt_is_read(self, talk: Talk) -> None:
        async with talk:
            # Nothing comes before the first piece, and that never comes.
            await talk.say({"say": [], "hang": True})
            run = await talk.run()
            async with asyncio.timeout(5):
                while talk.engine.open == 0:
                    await asyncio.sleep(0.001)
            await self.cancelled(talk, run.id)
            assert (await talk.end(run)).status == "cancelled"
            assert talk.engine.open == 0
            assert (await talk.answers(), await talk.steps(run)) == ([], [])

    async def test_at_its_beginning(self, talk: Talk) -> None:
        async with talk:
            for pause in range(12):
                await talk.say({"say": ["a "] * 3})
                run = await talk.run()
                for _ in range(pause):
                    await asyncio.sleep(0)
                with suppress(InvalidRequest):  # it may have ended by then
                    await self.cancelled(talk, run.id)
                run = await talk.end(run)
                answers = await talk.answers()
                assert run.status in ("cancelled", "completed")
                assert len(answers) <= 1
                assert [one.status == "in_progress" for one in await talk.steps(run)] in ([], [False])

    async def test_while_it_waits_for_outputs(self, talk: Talk) -> None:
        async with talk:
            await talk.say(CALL)
            run = await talk.end(await talk.run(tools=[FUNCTION]))
            await self.cancelled(talk, run.id)
            run = await talk.end(run)
            steps = await talk.steps(run)
        assert run.status == "cancelled"
        assert [one.status for one in steps] == ["cancelled"]
        assert run.usage is not None
        assert run.usage.completion_tokens == 4

    async def test_what_was_read_and_written_by_then_is_counted_where_the_engine_tells(self, talk: Talk) -> None:
        async with talk:
            await talk.say({"say": ["a"], "hang": True})
            run = await talk.run()
            await asyncio.sleep(0.02)
            await self.cancelled(talk, run.id)
            run = await talk.end(run)
        assert run.usage is not None


class TestExpiring:
    async def test_a_run_that_waits_for_outputs_expires_by_itself(self, tmp_path: Path) -> None:
        async with Talk(tmp_path, expires_seconds=2) as talk:
            await talk.say(CALL)
            run = await talk.end(await talk.run(tools=[FUNCTION]))
            async with asyncio.timeout(10):
                while not (await talk.jan.runs.retrieve(talk.thread, run.id)).ended:
                    await asyncio.sleep(0.05)
            run = await talk.end(run)
            steps = await talk.steps(run)
        assert run.status == "expired"
        assert run.expires_at is not None
        assert [one.status for one in steps] == ["expired"]

    async def test_in_the_middle_of_an_answer(self, tmp_path: Any) -> None:
        async with Talk(tmp_path, expires_seconds=2) as talk:
            await talk.say({"say": ["a", "b"], "hang": True})
            told = story(await talk.events())
            (said,) = (await talk.messages())[1:]
            assert talk.engine.open == 0
            assert await talk.answers() == [("incomplete", "ab")]
        assert told.statuses == ["queued", "in_progress", "expired"]
        assert [one["status"] for one in told.steps.values()] == ["expired"]
        assert said.incomplete_details is not None
        assert said.incomplete_details.reason == "run_expired"
